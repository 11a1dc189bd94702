"""Options of protocols: none unknown, none of another type, all described; a fault of ours is not told as the user's."""

from pathlib import Path
from typing import Any

import pytest

from app.errors import MappingError
from app.settings import Settings
from ingest import sources
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.sources import SOURCES, make_source, options_of
from tests.conftest import twingraph

NEEDED: dict[str, dict[str, Any]] = {
    "kafka": {"servers": "host:9092", "topics": ["t"]},
    "kinesis": {"stream": "s"},
    "modbus": {"host": "127.0.0.1", "registers": [{"name": "x", "at": 0, "device": "d"}]},
    "opcua": {"namespace": "urn:x"},
}
RULES = (Rule(match="{unit}", twin="{unit}"),)


def mapping(protocol: str, **options: Any) -> SourceMapping:
    return SourceMapping(source="s", protocol=protocol, options={**NEEDED.get(protocol, {}), **options}, rules=RULES)


@pytest.mark.parametrize("protocol", SOURCES)
def test_what_is_needed_makes_a_source(protocol: str) -> None:
    """What a protocol cannot be without stands in NEEDED."""
    assert make_source(mapping(protocol), Settings()).name == "s"


@pytest.mark.parametrize("protocol", SOURCES)
def test_every_option_is_described_and_no_other_is_taken(protocol: str) -> None:
    rows = list(options_of(protocol).rows())
    assert all(name and description for name, _, _, description in rows)
    for name, *_ in rows:
        with pytest.raises(MappingError, match=rf"no option '{name}x'") as told:
            make_source(mapping(protocol, **{f"{name}x": "1"}), Settings())
        assert "did you mean" in told.value.hint or "options are" in told.value.hint
        assert told.value.where == "s"


@pytest.mark.parametrize(
    ("protocol", "options", "said"),
    [
        ("mqtt", {"receive_max": "many"}, "options.receive_max: "),
        ("mqtt", {"receive_max": 0}, "options.receive_max: "),
        ("mqtt", {"port": 70_000}, "options.port: "),
        ("mqtt", {"topic": "a"}, "no option 'topic'"),
        ("sparkplug", {"groups": "#"}, "options.groups: "),
        ("kafka", {"servers": ""}, "options.servers: "),
        ("kafka", {"topics": "t"}, "options.topics: "),
        ("kinesis", {"from": "YESTERDAY"}, "options.from: "),
        ("http", {"port": "eight"}, "options.port: "),
        ("modbus", {"host": "", "serial": ""}, "options need host or serial"),
        ("modbus", {"parity": "odd"}, "options.parity: "),
        ("opcua", {"publishing_ms": 0}, "options.publishing_ms: "),
        ("opcua", {"nodes": {"id": "x"}}, "options.nodes: "),
    ],
)
def test_a_mistake_names_its_option(protocol: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(MappingError, match=said):
        make_source(mapping(protocol, **options), Settings())


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("mqtt", {"user": 1001, "client_id": 42, "ca": None, "host": None, "port": None}),
        ("kafka", {"group": 7, "topics": [7]}),
        ("modbus", {"device": 7, "serial": None}),
        ("opcua", {"publishednodes": None, "security": None}),
        ("http", {"certificate": None, "port": "8090"}),
    ],
)
def test_numbers_are_texts_where_yaml_takes_them_for_numbers_and_nothing_is_nothing(
    protocol: str, options: dict[str, Any]
) -> None:
    assert make_source(mapping(protocol, **options), Settings()).name == "s"


@pytest.mark.parametrize("node", [{"sampling": "fast"}, {"queue": "many"}, {"deadband": [1]}])
def test_a_node_of_no_number_is_a_mistake_of_the_mapping(node: dict[str, Any]) -> None:
    with pytest.raises(MappingError, match=r"options\.nodes\.0\.(sampling|queue|deadband): Input should be a valid"):
        make_source(mapping("opcua", nodes=[{"id": "i=1", **node}]), Settings())


@pytest.mark.parametrize("text", ['[{"EndpointUrl": "x", "OpcNodes": [{"Id": "i=1", "QueueSize": "many"}]}]', "\xff", "7"])
def test_published_nodes_that_are_none_are_a_mistake_of_the_mapping(text: str, tmp_path: Path) -> None:
    file = tmp_path / "nodes.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(MappingError):
        make_source(mapping("opcua", publishednodes=str(file), url="x"), Settings())


def test_connecting_makes_no_metrics() -> None:
    """One for each command would be kept for ever."""
    from app import metrics
    from ingest.mqtt import connect

    before = len(metrics.DROPPED._metrics)
    for number in range(10):
        connect(Settings(), f"twingraph-command-{number}")
    assert len(metrics.DROPPED._metrics) == before


def test_all_mistakes_are_told_together_each_with_the_nearest_name() -> None:
    with pytest.raises(MappingError) as told:
        make_source(mapping("modbus", word_order="little", evry=5, parity="EE"), Settings())
    assert told.value.what.startswith("options.parity: ")
    assert "no option 'word_order'; no option 'evry'" in told.value.what
    assert "did you mean 'every'?" in told.value.hint
    with pytest.raises(MappingError, match=r"registers\[0\]\.at: .*65535; type: Input should be"):
        make_source(mapping("modbus", registers=[{"name": "f", "at": 70_000, "type": "flaot32", "device": "d"}]), Settings())


def test_what_is_missing_is_named() -> None:
    with pytest.raises(MappingError, match="options need servers"):
        make_source(SourceMapping(source="s", protocol="kafka", rules=RULES), Settings())


@pytest.mark.parametrize("fault", [TypeError("ours"), KeyError("ours"), AttributeError("ours")])
def test_a_fault_of_ours_is_not_the_users_mistake(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise fault

    monkeypatch.setattr(sources, "_named", lambda *_: broken)
    with pytest.raises(type(fault)):
        make_source(mapping("http"), Settings())


def test_the_command_shows_them() -> None:
    for arguments in ((), ("modbus",)):
        done = twingraph(Settings(), "sources", "options", *arguments)
        assert done.returncode == 0, done.stderr
        assert "baudrate" in done.stdout
        assert "19200" in done.stdout
    assert "did you mean 'modbus'" in twingraph(Settings(), "sources", "options", "modbuss").stderr
