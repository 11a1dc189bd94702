"""F36: the host's clock is two hours ahead for a while, then right again; nothing stays behind in the future."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
import time_machine
from prometheus_client import REGISTRY

from app.clock import Clock
from app.history.series import Series
from app.predict.windows import Windows
from app.settings import Settings
from app.stack.child import Child
from app.twins.edit import NewRelationship, NewTwin, ensure
from app.twins.fresh import Told, fresh
from app.twins.registry import Registry
from app.twins.write import Batch, Quality, append
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.mqtt import MqttSource, connect
from tests.ingest.test_extremes import Running
from tests.rigs.mqtt import publish

HOUR = 3_600_000
LATEST = "MATCH (t:Twin {dtId: $dtId}) RETURN t.power, t._at_power, t._last, t._received, t._quality_power, t._stale"


def ahead() -> Any:
    return time_machine.travel(datetime.now(UTC) + timedelta(hours=2), tick=True)


def now() -> int:
    return round(time.time() * 1000)


@pytest.fixture
def twin(registry: Registry) -> str:
    registry.store.command("MATCH (n:_Segment|Twin) DETACH DELETE n")
    ensure(registry.store, registry.catalog, [NewTwin("t", "Turbine")], [])
    return "t"


def latest(registry: Registry) -> dict[str, Any]:
    ((power, at, last, received, quality, stale),) = registry.store.read(LATEST, {"dtId": "t"})
    return {"power": power, "at": at, "last": last, "received": received, "quality": quality, "stale": stale}


async def test_F36_clock_ahead_then_right(registry: Registry, twin: str, secured: Settings, broker: Child) -> None:
    """Readings without a time of their own, over the broker: received in the future, then now."""
    mapping = SourceMapping(source=f"clock-{time.time_ns()}", protocol="mqtt", rules=(Rule(match="c/{unit}", twin="{unit}"),))
    running, clock = Running(MqttSource(mapping, secured), mapping, registry), Clock(registry.store.time)
    clock.look()
    jumps = REGISTRY.get_sample_value("twingraph_clock_jumps_total") or 0.0
    with structlog.testing.capture_logs() as told:
        async with running, connect(secured, f"{mapping.source}-plant", clean_start=True) as plant:
            with ahead():
                clock.look()
                assert abs(clock.offset + 7200) < 60  # the database's clock is another: it was right
                await publish(plant, "c/t", b'{"power": 1.0}')
                await running.until(1)
                assert latest(registry)["at"] > now() - 60_000
            assert latest(registry)["at"] > now() + HOUR
            clock.look()
            await publish(plant, "c/t", b'{"power": 2.0}')
            await running.until(2)
            first = latest(registry)
            await publish(plant, "c/t", b'{"power": 3.0}')
            await running.until(3)
            second = latest(registry)
    for found, power in ((first, 2.0), (second, 3.0)):
        assert found["power"] == power
        assert all(abs(found[name] - now()) < 60_000 for name in ("at", "last", "received"))
    assert REGISTRY.get_sample_value("twingraph_clock_jumps_total") == jumps + 2
    events = [entry["event"] for entry in told]
    assert events.count("system clock jumped") == 2
    assert "the clocks of this host and of the database differ" in events
    assert sum("latest values with timestamps in the future" in event for event in events) == 1
    assert not clock.steady


def test_F36_what_was_stored_in_the_future_is_stored_once(registry: Registry, twin: str) -> None:
    """Also once the clock has come to it."""
    store, start, later = registry.store, now(), now() + 2 * HOUR

    def at(moment: int, power: float, limit: int) -> int:
        return append(store, Batch([Series("t", [moment], {"power": [power]}, {"power": power})], limit=limit)).duplicates

    assert at(later, 1.0, later + 600_000) == 0
    assert at(start, 2.0, start + 600_000) == 0
    assert latest(registry)["power"] == 2.0
    assert at(start, 9.0, start + 600_000) == 1
    assert at(later - 5, 3.0, later + 600_000) == 0
    assert at(later, 9.0, later + 600_000) == 1
    assert latest(registry)["power"] == 3.0
    assert at(later + 5, 4.0, later + 600_000) == 0
    assert latest(registry)["power"] == 4.0
    ((points,),) = store.read("MATCH (:Twin {dtId: 't'})-[:_HISTORY]->(s) RETURN sum(size(s.power))")
    assert points == 4


def test_F36_quality_and_absence_follow(registry: Registry, twin: str) -> None:
    store, later = registry.store, now() + 2 * HOUR
    bad, good = Quality("t", "power", "Bad", later), Quality("t", "power", "Good", now())
    series = Series("t", [later], {"power": [1.0]}, {"power": 1.0})
    append(store, Batch([series], qualities=[bad], stale=[{"id": "t", "at": later}], limit=later + 600_000))
    assert (latest(registry)["quality"], latest(registry)["stale"]) == ("Bad", later)
    append(store, Batch([Series("t", [now()], {"power": [2.0]}, {"power": 2.0})], qualities=[good]))
    assert (latest(registry)["quality"], latest(registry)["stale"]) == (None, None)


def test_F36_readers_of_what_is_new(registry: Registry, twin: str) -> None:
    """A subscription's points, and the predictor's windows."""
    store, start, later = registry.store, now(), now() + 2 * HOUR
    links = [NewRelationship("f", "contains", "t"), NewRelationship("t", "hasComponent", "g")]
    ensure(store, registry.catalog, [NewTwin("f", "WindFarm"), NewTwin("g", "Gearbox")], links)
    for moment, value in ((later, 1.0), (start, 2.0)):
        append(
            store, Batch([Series("g", [moment], {"vibrationMean": [value]}, {"vibrationMean": value})], limit=moment + 600_000)
        )
    assert fresh(store, "g", Told({"vibrationMean": start - 1}, start - 1, start), start + 600_000)[0] == {
        "vibrationMean": [(start, 2.0)]
    }
    windows = Windows()
    with ahead():
        append(store, Batch([Series("g", [later + 5], {"vibrationMean": [3.0]}, {"vibrationMean": 3.0})]))
        windows.read(store, registry.catalog.labels)
        assert windows.newest == later + 5
    append(store, Batch([Series("g", [start + 5], {"vibrationMean": [4.0]}, {"vibrationMean": 4.0})]))
    windows.read(store, registry.catalog.labels)
    assert windows.newest == start + 5
    assert windows.bins[-1, 0, 0] in (2.0, 4.0)
