"""What was set aside is listed, shown, mended and sent once more, by the commands, on a real Neo4j."""

from pathlib import Path

import pytest

from app.errors import Conflict
from app.settings import Settings
from app.sources.deadletters import fix, listed, shown
from app.twins.directory import Directory
from app.twins.edit import NewTwin, create, ensure
from app.twins.registry import Registry
from app.twins.write import append
from ingest.mapping.declaration import read_mapping
from ingest.mapping.match import Matcher
from ingest.pipeline.assemble import LONGEST_PAYLOAD, Assembler
from ingest.pipeline.redelivery import redeliver
from ingest.source import Message
from tests.conftest import twingraph

MAPPING = """
source: letters
protocol: mqtt
rules:
  - match: letters/{turbine}
    twin: "{turbine}"
    signals: {Ws_avg: windSpeed}
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "letters.yaml"
    path.write_text(MAPPING)
    return path


@pytest.fixture
def refused(registry: Registry, mapping: Path) -> Registry:
    """Five messages: of no twin, with no such signal, broken, too long to keep, of no twin and without a time."""
    registry.store.command("MATCH (d:_DeadLetter) DETACH DELETE d")
    registry.store.command("MATCH (t:Twin)-[:_HISTORY]->(s) DETACH DELETE s, t")
    registry.store.command("MATCH (t:Twin) DETACH DELETE t")
    ensure(registry.store, registry.catalog, [NewTwin("here", "Turbine")], [])
    assembler = Assembler("letters", registry.catalog, Matcher(read_mapping(mapping), Directory(registry.store)), 600.0)
    messages = [
        Message("letters/late", b'{"ts": "2024-01-01T00:00:00Z", "power": 1.5}'),
        Message("letters/here", b'{"ts": "2024-01-01T00:00:00Z", "power": 2.5, "Wind": 7}'),
        Message("letters/here", b'{"ts": "2024-01-01T00:00:01Z", "power": 3.5'),
        Message("letters/nobody", b'{"power": "' + b"x" * LONGEST_PAYLOAD + b'"}'),
        Message("letters/late", b'{"Ws_avg": 4.5}'),
    ]
    append(registry.store, assembler.assemble(messages).batch)
    return registry


def test_letters_are_listed_and_shown_byte_for_byte(refused: Registry, settings: Settings) -> None:
    told = twingraph(settings, "deadletters", "list", COLUMNS="300").stdout
    assert all(code in told for code in ("NO_TWIN", "SCHEMA_VIOLATION", "NOT_JSON"))
    assert "no telemetry 'Wind'" in told
    only = twingraph(settings, "deadletters", "list", "--code", "NOT_JSON", COLUMNS="300").stdout
    assert "NO_TWIN" not in only
    (broken,) = listed(refused.store, code="NOT_JSON")
    shown = twingraph(settings, "deadletters", "show", broken.id)
    assert shown.stdout == '{"ts": "2024-01-01T00:00:01Z", "power": 3.5'
    assert "not JSON" in shown.stderr
    missing = twingraph(settings, "deadletters", "show", "nothing")
    assert missing.returncode == 1
    assert "no dead letter 'nothing'" in missing.stderr


def test_mended_letters_are_written_and_go(refused: Registry, settings: Settings, mapping: Path, tmp_path: Path) -> None:
    create(refused.store, refused.catalog, [NewTwin("late", "Turbine")])
    (broken,) = listed(refused.store, code="NOT_JSON")
    (tmp_path / "mended.json").write_bytes(broken.payload + b"}")
    assert twingraph(settings, "deadletters", "fix", broken.id, str(tmp_path / "mended.json")).returncode == 0
    without_time = next(letter for letter in listed(refused.store) if b"Ws_avg" in letter.payload)
    mapping.write_text(MAPPING.replace("{Ws_avg: windSpeed}", "{Ws_avg: windSpeed, Wind: windSpeed}"))
    done = twingraph(settings, "deadletters", "replay", "--mapping", str(mapping), "--source", "letters")
    assert done.stdout.strip() == "4 messages: 4 points written, 0 refused again, 1 left", done.stderr
    ((late, late_wind, at, here, wind),) = refused.store.read(
        "MATCH (l:Twin {dtId: 'late'}), (h:Twin {dtId: 'here'})"
        " RETURN l.power, l.windSpeed, l._at_windSpeed, h.power, h.windSpeed"
    )
    assert (late, late_wind, at, here, wind) == (1.5, 4.5, without_time.at, 3.5, 7.0)
    assert [letter.size > LONGEST_PAYLOAD for letter in listed(refused.store)] == [True]
    redeliver = twingraph(settings, "deadletters", "replay", "--mapping", str(mapping))
    assert redeliver.stdout.strip() == "0 messages: 0 points written, 0 refused again, 1 left"


def test_what_still_does_not_fit_stays(refused: Registry, settings: Settings, mapping: Path) -> None:
    before = {letter.code for letter in listed(refused.store)}
    done = twingraph(settings, "deadletters", "replay", "--mapping", str(mapping))
    assert done.stdout.strip() == "4 messages: 0 points written, 4 refused again, 1 left", done.stderr
    assert {letter.code for letter in listed(refused.store)} == before
    assert len(listed(refused.store)) == 5
    unknown = twingraph(settings, "deadletters", "replay", "--mapping", str(mapping), "--source", "others")
    assert unknown.returncode == 1
    assert "no mapping of source 'others'" in unknown.stderr


def test_a_sample_tells_what_messages_would_become(
    refused: Registry, settings: Settings, mapping: Path, tmp_path: Path
) -> None:
    sample = tmp_path / "sample.txt"
    lines = (
        'letters/here {"ts": "2024-01-01T00:00:00Z", "Ws_avg": 7.5, "Wind": 1}',
        "letters/here\tbroken",
        "others/x {}",
    )
    sample.write_text("\n".join(lines))
    before = len(listed(refused.store))
    done = twingraph(settings, "ingest", "--sample", str(sample), str(mapping))
    assert done.stdout.splitlines() == [
        "letters/here",
        "  letters: here.windSpeed = 7.5 at 2024-01-01T00:00:00.000+00:00",
        "  letters: refused, SCHEMA_VIOLATION: Turbine has no telemetry 'Wind'",
        "letters/here",
        "  letters: refused, NOT_JSON: not JSON: unexpected character, expected a JSON value: line 1 column 1 (char 0)",
        "others/x",
        "  letters: refused, NO_RULE: others/x: no rule matches the address",
        "1 mappings are sound",
    ], done.stderr
    assert len(listed(refused.store)) == before
    sample.write_text("letters/here")
    assert "an address, a space, a payload" in twingraph(settings, "ingest", "--sample", str(sample), str(mapping)).stderr


def test_a_letter_stays_one_and_keeps_its_time(refused: Registry, settings: Settings, mapping: Path) -> None:
    """Several faults are one letter; replayed again and again nothing is multiplied, nothing doubled."""
    refused.store.command("MATCH (d:_DeadLetter) DETACH DELETE d")
    catalog = refused.catalog
    assembler = Assembler("letters", catalog, Matcher(read_mapping(mapping), Directory(refused.store)), 600.0)
    message = Message("letters/here", b'{"power": 5.0, "a1": 1, "a2": 2, "a3": 3}')
    append(refused.store, assembler.assemble([message]).batch)
    refused.store.run(
        "CREATE (:_DeadLetter {source: 'letters', topic: 'x', code: 'NO_RULE', at: datetime(), payload: $p})", p=b"{}"
    )
    (first,) = [one for one in listed(refused.store) if one.topic == "letters/here"]
    for _ in range(3):
        assert sum(step.refused for step in redeliver(refused.store, {"letters": assembler}, listed(refused.store))) == 2
    (last,) = [one for one in listed(refused.store) if one.topic == "letters/here"]
    assert (last.at, last.payload) == (first.at, first.payload)
    assert len(listed(refused.store)) == 2
    counted = "MATCH (:Twin {dtId: 'here'})-[:_HISTORY]->(s) WHERE s.power IS NOT NULL RETURN sum(size(s.power))"
    before = refused.store.read(counted)
    stale = listed(refused.store)
    fix(refused.store, last.id, b'{"power": 6.0}')
    with pytest.raises(Conflict, match="meanwhile"):
        list(redeliver(refused.store, {"letters": assembler}, stale))
    assert shown(refused.store, last.id).payload == b'{"power": 6.0}'
    assert refused.store.read(counted) == before


def test_a_sample_tells_what_would_be_created(registry: Registry, settings: Settings, tmp_path: Path) -> None:
    """38-sample-with-create: once, and nothing is."""
    mapping, sample = tmp_path / "create.yaml", tmp_path / "lines.txt"
    mapping.write_text(
        "source: made\nprotocol: mqtt\nrules:\n"
        '  - {match: "made/{farm}/{unit}", twin: "made-{unit}", create: Turbine, under: {twin: "{farm}", by: contains}}\n'
    )
    sample.write_text('made/f1/x {"power": 1.5}\nmade/f1/x {"power": 2.5}\n')
    done = twingraph(settings, "ingest", "--sample", str(sample), str(mapping))
    lines = done.stdout.splitlines()
    assert [line.strip() for line in lines[:3]] == [
        "made/f1/x",
        "made: would create made-x (Turbine)",
        "made: would relate f1 -contains-> made-x",
    ], done.stderr
    assert done.stdout.count("would create") == 1
    assert [line for line in lines if "made-x.power = 2.5" in line]
    assert "refused" not in done.stdout
    assert registry.store.read("MATCH (t:Twin {dtId: 'made-x'}) RETURN t") == []
