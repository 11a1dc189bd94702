"""The mapping file: what is wrong is said with file and place."""

from pathlib import Path

import pytest

from app.dtdl import compile_models, read_documents
from app.errors import MappingError
from ingest.mapping.declaration import check_against, fill, pattern, read_mapping
from ingest.sources import MAPPINGS, read_mappings
from tests.conftest import ROOT

HEAD = "source: s\nprotocol: mqtt\nrules:\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source: [", "m.yaml:1: not YAML"),
        ("source: s\nprotocol: mqtt\n", "rules: Field required"),
        (HEAD + "  - match: a/{x}\n    twin: '{y}'\n", "uses {y}, which 'a/{x}' does not give"),
        (HEAD + "  - match: a/{x}\n    twin: '{x}'\n    knd: event\n", "rules.0.knd: Extra inputs"),
        (HEAD + "  - match: a/{x}\n    twin: '{x}'\n    signals: {p: pwer}\n", "no telemetry 'pwer' (did you mean 'power'?)"),
        (
            HEAD + "  - match: a/{x}\n    twin: '{x}'\n    create: Turbin\n",
            "no loaded model: 'Turbin' (did you mean 'Turbine'?)",
        ),
        (HEAD + "  - match: a/{x}\n    twin: '{x}'\n    payload: xml\n", "rules.0.payload: Input should be 'json', 'csv'"),
        (
            HEAD + "  - match: a/{x}\n    twin: '{x}'\n    fixed: {powr: 1}\n",
            "fixed.powr: no telemetry 'powr' (did you mean 'power'?)",
        ),
        (
            HEAD + "  - match: a/{x}\n    twin: '{x}'\n    signals: {p: {to: power, unit: metre}}\n",
            "signals.p: 'metre' cannot be converted to the model's 'kilowatt'",
        ),
        (
            HEAD + "  - match: a/{x}\n    twin: '{x}'\n    create: Turbine\n    under: {twin: '{y}', by: contains}\n",
            "uses {y}",
        ),
        (
            HEAD + "  - match: a/{x}\n    twin: '{x}'\n    create: Turbine\n    under: {twin: '{x}', by: holds}\n",
            "no model has a relationship 'holds'",
        ),
        (HEAD.replace("mqtt", "smoke") + "  - match: a/{x}\n    twin: '{x}'\n", "unknown protocol 'smoke'"),
    ],
)
def test_mistake_is_explained(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    catalog = compile_models(read_documents([ROOT / "dtdl_models"])[0])
    with pytest.raises(MappingError) as raised:
        check_against(read_mappings([path])[0], catalog, str(path))
    assert said in str(raised.value)
    assert "m.yaml" in str(raised.value)


def test_our_own_mappings_are_sound() -> None:
    catalog = compile_models(read_documents([ROOT / "dtdl_models"])[0])
    for mapping in read_mappings([MAPPINGS]):
        check_against(mapping, catalog)
    check_against(read_mapping(ROOT / "ingest/mappings/files/la-haute-borne.yaml"), catalog)


@pytest.mark.parametrize(
    ("template", "address", "parts"),
    [
        ("fleet/{farm}/{unit}/telemetry", "fleet/wf-01/t/telemetry", {"farm": "wf-01", "unit": "t"}),
        ("fleet/{farm}/{unit}/telemetry", "fleet/a/b/c/telemetry", None),
        ("{farm}.{unit}.{signal}", "a.b.c.d", None),
        ("{farm}-{unit}", "a-b", {"farm": "a", "unit": "b"}),
        ("{farm}-{unit}", "a-b-c", None),
    ],
)
def test_parts_end_at_their_separator(template: str, address: str, parts: dict[str, str] | None) -> None:
    match = pattern(template).fullmatch(address)
    assert (match.groupdict() if match else None) == parts
    assert parts is None or fill(template, parts) == address
