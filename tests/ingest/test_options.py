"""Options of protocols: none unknown, none of another type, all described; a fault of ours is not told as the user's."""

from typing import Any

import pytest

from app.errors import MappingError
from app.settings import Settings
from ingest import sources
from ingest.mapping.declaration import Mapping, Rule
from ingest.sources import SOURCES, make_source, options_of
from tests.conftest import twingraph

NEEDED: dict[str, dict[str, Any]] = {
    "kafka": {"servers": "host:9092", "topics": ["t"]},
    "kinesis": {"stream": "s"},
    "modbus": {"host": "127.0.0.1", "registers": [{"name": "x", "at": 0, "device": "d"}]},
    "opcua": {"namespace": "urn:x"},
}
RULES = (Rule(match="{unit}", twin="{unit}"),)


def mapping(protocol: str, **options: Any) -> Mapping:
    return Mapping(source="s", protocol=protocol, options={**NEEDED.get(protocol, {}), **options}, rules=RULES)


@pytest.mark.parametrize("protocol", SOURCES)
def test_what_is_needed_makes_a_source(protocol: str) -> None:
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


def test_what_is_missing_is_named() -> None:
    with pytest.raises(MappingError, match="options need servers"):
        make_source(Mapping(source="s", protocol="kafka", rules=RULES), Settings())


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
