"""The one write path: sets keyed by event time, latest by measure, all or nothing."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from neo4j.exceptions import Neo4jError
from prometheus_client import REGISTRY

from app.errors import Conflict, StoreError, StoreUnavailable, TwingraphError
from app.graph.store import Store
from app.history.compaction import Tier, compact
from app.history.series import Series
from app.twins import edit
from app.twins.edit import NewTwin, create
from app.twins.registry import Registry, read_models
from app.twins.write import Batch, Event, Position, append

T0 = 1_700_000_000_000


@pytest.fixture
def twin(registry: Registry) -> str:
    name = f"pump-{random.randrange(10**9)}"
    create(registry.store, registry.catalog, [NewTwin(name, "Turbine", {"name": name})])
    return name


def points(store: Store, dt_id: str, signal: str = "power") -> dict[int, Any]:
    rows = store.read("MATCH (:Twin {dtId: $id})-[:_HISTORY]->(s) RETURN properties(s) ORDER BY s._from", {"id": dt_id})
    found: list[tuple[int, Any]] = []
    for (segment,) in rows:
        offsets = segment.get(f"_dt_{signal}", segment["_dt"])
        found += [(segment["_from"] + o, v) for o, v in zip(offsets, segment.get(signal, []), strict=False)]
    assert len(found) == len(dict(found)), "a point is there twice"
    return dict(sorted(found))


def node(store: Store, dt_id: str) -> dict[str, Any]:
    return dict(store.read("MATCH (t:Twin {dtId: $id}) RETURN properties(t)", {"id": dt_id})[0][0])


def one(dt_id: str, *pairs: tuple[int, float]) -> Batch:
    times, values = [T0 + t for t, _ in pairs], [v for _, v in pairs]
    return Batch([Series(dt_id, times, {"power": values}, {"power": values[-1]})])


def test_latest_and_history_are_written_together(registry: Registry, twin: str) -> None:
    outcome = append(registry.store, one(twin, (0, 1.0), (10, 2.0)))
    assert (outcome.points, outcome.segments, outcome.duplicates) == (2, 1, 0)
    assert points(registry.store, twin) == {T0: 1.0, T0 + 10: 2.0}
    found = node(registry.store, twin)
    assert (found["power"], found["_at_power"], found["_last"]) == (2.0, T0 + 10, T0 + 10)


def test_a_redelivered_batch_changes_nothing(registry: Registry, twin: str) -> None:
    append(registry.store, one(twin, (0, 1.0), (10, 2.0)))
    outcome = append(registry.store, one(twin, (0, 1.0), (10, 2.0)))
    assert (outcome.points, outcome.duplicates) == (0, 2)
    assert len(points(registry.store, twin)) == 2


def test_the_value_stored_first_stays(registry: Registry, twin: str) -> None:
    append(registry.store, one(twin, (0, 1.0)))
    append(registry.store, one(twin, (0, 99.0)))
    assert points(registry.store, twin) == {T0: 1.0}
    assert node(registry.store, twin)["power"] == 1.0


def test_a_shuffled_hour_is_in_order_and_the_newest_is_latest(registry: Registry, twin: str) -> None:
    minutes = [(i * 60_000, float(i)) for i in range(60)]
    shuffled = random.Random(5).sample(minutes, 60)
    for pair in shuffled:
        append(registry.store, one(twin, pair))
    assert points(registry.store, twin) == {T0 + t: v for t, v in minutes}
    assert node(registry.store, twin)["power"] == 59.0
    compact(registry.store, [Tier(False, 2, 600, 0)])
    assert points(registry.store, twin) == {T0 + t: v for t, v in minutes}


def test_late_points_of_another_signal_keep_the_latest_of_the_first(registry: Registry, twin: str) -> None:
    append(registry.store, one(twin, (100, 5.0)))
    append(registry.store, Batch([Series(twin, [T0 + 50], {"windSpeed": [7.0]}, {"windSpeed": 7.0})]))
    found = node(registry.store, twin)
    assert (found["power"], found["windSpeed"], found["_last"]) == (5.0, 7.0, T0 + 100)


def test_an_unknown_twin_is_named_and_the_rest_is_written(registry: Registry, twin: str) -> None:
    batch = Batch([*one("nobody", (0, 1.0)).series, *one(twin, (0, 1.0)).series])
    outcome = append(registry.store, batch)
    assert outcome.unknown == ["nobody"]
    assert points(registry.store, twin) == {T0: 1.0}


def test_F4_half_a_write(registry: Registry, twin: str) -> None:
    """F4: latest, history and position stand or fall together."""
    impossible = Event(twin, "e1", "alarm", {"at": datetime.now(UTC), "nested": {"no": "property"}})
    batch = Batch(one(twin, (0, 1.0)).series, [impossible], positions=[Position("s", "", 7)])
    with pytest.raises(StoreError):
        append(registry.store, batch)
    assert points(registry.store, twin) == {}
    assert "power" not in node(registry.store, twin)
    assert registry.store.read("MATCH (p:_Position {source: 's'}) RETURN p") == []


def test_two_writers_of_the_same_points_store_them_once(registry: Registry, twin: str) -> None:
    batches = [one(twin, (i, float(i))) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda batch: append(registry.store, batch), batches * 3))
    assert points(registry.store, twin) == {T0 + i: float(i) for i in range(40)}
    assert sum(outcome.points for outcome in outcomes) == 40
    assert sum(outcome.duplicates for outcome in outcomes) == 80


def test_an_event_happens_once(registry: Registry, twin: str) -> None:
    event = Event(twin, f"{twin}|alarm|V|1", "alarm", {"at": datetime.now(UTC), "code": "V"})
    for _ in range(2):
        append(registry.store, Batch(events=[event]))
    counted = registry.store.read("MATCH (:Twin {dtId: $id})-[:_EVENT]->(e) RETURN count(e)", {"id": twin})
    assert counted == [[1]]


def test_F21_concurrent_create(registry: Registry) -> None:
    """F21: exactly one wins, the others are told so."""
    name = f"contested-{random.randrange(10**9)}"

    def attempt(_: int) -> str:
        try:
            create(registry.store, registry.catalog, [NewTwin(name, "Turbine")])
        except Conflict:
            return "told"
        return "won"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(attempt, range(50)))
    assert sorted(set(outcomes)) == ["told", "won"]
    assert outcomes.count("won") == 1


def test_F22_concurrent_patch(registry: Registry, twin: str) -> None:
    """F22: a writer with a stale etag is refused."""
    etag = node(registry.store, twin)["_etag"]

    def attempt(number: int) -> str:
        try:
            edit.patch(registry.store, registry.catalog, twin, {"maintenanceNote": f"note {number}"}, etag)
        except Conflict:
            return "refused"
        return f"note {number}"

    with ThreadPoolExecutor(10) as pool:
        outcomes = set(pool.map(attempt, range(20)))
    assert outcomes == {"refused", node(registry.store, twin)["maintenanceNote"]}


def test_F22_patches_of_different_fields_both_stay(registry: Registry, tmp_path: Path) -> None:
    notes = [{"@type": "Property", "name": name, "schema": "string", "writable": True} for name in ("north", "south")]
    model = {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:patched:Board;1", "@type": "Interface", "contents": notes}
    (tmp_path / "Board.json").write_text(json.dumps(model))
    registry.load(read_models([tmp_path]))
    create(registry.store, registry.catalog, [NewTwin("board", "Board")])
    for number in range(20):
        fields = {name: f"{name} {number}" for name in ("north", "south")}
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda one: edit.patch(registry.store, registry.catalog, "board", dict([one])), fields.items()))
        found = node(registry.store, "board")
        assert {name: found[name] for name in fields} == fields


@pytest.mark.parametrize("name", ["../x", "a+b", "a#b", "a`b", "}) DETACH DELETE n //", "", "a b", "x" * 129])
def test_F12_injection(registry: Registry, name: str) -> None:
    """F12: an identifier is checked, and a parameter all the same."""
    with pytest.raises(TwingraphError, match="cannot be a dtId"):
        create(registry.store, registry.catalog, [NewTwin(name, "Turbine")])


def test_history_of_many_small_segments_becomes_one(registry: Registry, twin: str) -> None:
    for i in range(50):
        append(registry.store, one(twin, (i, float(i))))
    before = points(registry.store, twin)
    spent = REGISTRY.get_sample_value("twingraph_history_compaction_seconds_total") or 0
    assert compact(registry.store) >= 50
    assert (REGISTRY.get_sample_value("twingraph_history_compaction_seconds_total") or 0) > spent
    assert points(registry.store, twin) == before
    counted = registry.store.read("MATCH (:Twin {dtId: $id})-[:_HISTORY]->(s) RETURN count(s)", {"id": twin})
    assert counted == [[1]]
    outcome = append(registry.store, one(twin, (10, 10.0), (50, 50.0)))
    assert (outcome.points, outcome.duplicates) == (1, 1)


def test_signals_with_times_of_their_own_are_joined_once(registry: Registry, twin: str) -> None:
    """A column a signal, no instant shared: a long segment is long by its instants, not by its longest column."""
    names = ("power", "windSpeed", "rotorSpeed", "nacelleDirection", "outdoorTemperature", "healthScore")
    known = registry.catalog.telemetry(registry.catalog.interface("Turbine").dtmi)
    signals = [name for name in names if name in known]
    assert len(signals) > 3
    for first in range(0, 12_000, 400):
        own = {name: [T0 + i * 10 + n for i in range(first, first + 400)] for n, name in enumerate(signals)}
        columns = {name: [float(i) for i in range(400)] for name in signals}
        latest = dict.fromkeys(signals, 399.0)
        append(registry.store, Batch([Series(twin, own[signals[0]], columns, latest, own)]))
    before = points(registry.store, twin)
    rounds = [compact(registry.store, [Tier(False, 2, 600, 0), Tier(True, 2, 600, 0)]) for _ in range(4)]
    assert rounds[0] >= 30
    assert rounds[2:] == [0, 0]
    assert points(registry.store, twin) == before


def test_a_loaded_model_cannot_change_under_its_twins(registry: Registry) -> None:
    from app.dtdl import Document
    from app.dtdl.syntax import parse
    from app.errors import ModelError

    text = '{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:com:contoso:Pump;1", "@type": "Interface"}'
    document = parse("pump.json", text)
    assert isinstance(document, Document)
    with pytest.raises(ModelError, match="give it a higher version"):
        registry.load([document])


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("Neo.TransientError.General.TransactionOutOfMemoryError", False),
        ("Neo.TransientError.General.MemoryPoolOutOfMemoryError", True),
        ("Neo.TransientError.Transaction.DeadlockDetected", True),
    ],
)
def test_a_transaction_too_large_is_not_tried_as_it_is_for_ever(code: str, again: bool, registry: Registry) -> None:
    """A pipeline halves what is refused; what is away it waits for."""
    error = registry.store._ours(Neo4jError._hydrate_neo4j(code=code, message="no"))
    assert isinstance(error, StoreUnavailable) is again


def test_the_databases_own_limit_of_a_transaction_is_known(registry: Registry) -> None:
    """Neo4j's code for it is that of a busy database; its text tells them apart."""
    with pytest.raises(StoreError, match="needs more memory"):
        registry.store.read("UNWIND range(1, 100000000) AS x RETURN collect(x)")
    assert registry.store.read("RETURN 1") == [[1]]
