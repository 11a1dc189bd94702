"""What roll-ups answer is what the points answer: any window, width, zone; late points beside long segments."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.history.compaction import POINTS, Tier, compact
from app.history.series import Series
from app.twins.edit import NewTwin, ensure
from app.twins.registry import Registry
from app.twins.write import Batch, append
from tests.conftest import ROOT
from tests.graphql.conftest import Ask

T0 = datetime(2024, 3, 29, tzinfo=UTC)  # clocks change on the 31st
DAYS = 4
TOLD = "epochs values counts min max sum"


@pytest.fixture(scope="module")
def measured(plant: Registry) -> Registry:
    """A turbine with a point every ten seconds or so for four days, in 5 long segments and some late points beside them."""
    ensure(plant.store, plant.catalog, [NewTwin("r1", "Turbine")], [])
    rng, start = random.Random(11), round(T0.timestamp() * 1000)
    times = [start + second * 1000 + rng.randrange(900) for second in range(0, DAYS * 86_400, 10)]
    late = set(rng.sample(times, 40))
    kept = [at for at in times if at not in late]
    for first in range(0, len(kept), 150):
        part = kept[first : first + 150]
        append(plant.store, Batch([Series("r1", part, {"power": [rng.random() * 3000 for _ in part]}, {"power": 1.0})]))
    while compact(plant.store, [Tier(False, 2, 600, 0), Tier(True, 2, 600, 0)]):
        pass
    for at in sorted(late):
        append(plant.store, Batch([Series("r1", [at], {"power": [rng.random() * 3000]}, {"power": 1.0})]))
    return plant


def test_segments_grow_long_and_carry_their_rollups(measured: Registry) -> None:
    rows = measured.store.read(
        "MATCH (:Twin {dtId: 'r1'})-[:_HISTORY]->(s) RETURN s._n, [k IN keys(s) WHERE k ENDS WITH '_power'] ORDER BY s._n"
    )
    long = [(n, sorted(keys)) for n, keys in rows if n > 1]
    assert len(long) <= DAYS + 1
    assert long[-1][0] == POINTS
    assert all(keys == ["_10m_power", "_1d_power", "_1h_power", "_1m_power"] for _, keys in long)
    assert sum(n for n, _ in rows) == DAYS * 8640


async def test_the_statement_for_engineers_tells_the_same(measured: Registry, ask: Ask) -> None:
    text = (ROOT / "cypher" / "history" / "by-the-hour.cypher").read_text()
    end = T0 + timedelta(days=DAYS)
    text = text.replace("'wf01-t01'", "'r1'").replace("datetime()", f"datetime('{end.isoformat()}')")
    rows = measured.store.read(text)
    query = """query($from: DateTime, $to: DateTime) { turbine(dtId: "r1") {
      history(signal: "power", from: $from, to: $to, every: "PT1H") { at count avg min max } } }"""
    points = (await ask(query, **{"from": T0.isoformat(), "to": end.isoformat()}))["data"]["turbine"]["history"]
    assert [row[0].replace("Z", ".000+00:00") for row in rows] == [point["at"] for point in points]
    for row, point in zip(rows, points, strict=True):
        assert row[1:] == pytest.approx([point[name] for name in ("count", "avg", "min", "max")])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, DAYS * 1440),
    minutes=st.integers(1, DAYS * 1440),
    offset=st.integers(0, 59_999),
    every=st.sampled_from(["PT1M", "PT5M", "PT10M", "PT1H", "PT7M", "PT90S", "PT6H", "P1D"]),
    tz=st.sampled_from([None, "Europe/Berlin", "Asia/Kathmandu"]),
    fill=st.sampled_from(["NONE", "NULL", "LINEAR"]),
)
async def test_rollups_tell_what_points_tell(
    measured: Registry, ask: Ask, start: int, minutes: int, offset: int, every: str, tz: str | None, fill: str
) -> None:
    begin = T0 + timedelta(minutes=start, milliseconds=offset)
    end = begin + timedelta(minutes=minutes)
    query = """query($from: DateTime, $to: DateTime, $every: Duration, $tz: String) { turbine(dtId: "r1") {
      series(signals: ["power"], from: $from, to: $to, every: $every, tz: $tz, fill: %s) { %s } } }"""
    window = {"from": begin.isoformat(), "to": end.isoformat(), "every": every, "tz": tz}
    if (end - begin) / timedelta(seconds=60) > 20_000:
        return
    rolled = await ask(query % (fill, TOLD), **window)
    points = await ask(query % (fill, f"{TOLD} last"), **window)  # `last` is told by points alone
    assert _close(rolled["data"]["turbine"]["series"][0]) == _close(points["data"]["turbine"]["series"][0])


def _close(series: dict[str, Any]) -> dict[str, Any]:
    """Sums in another order differ in the last digits."""
    shown = {name: values for name, values in series.items() if name != "last"}
    return {name: [v if v is None else float(f"{v:.9g}") for v in values] for name, values in shown.items()}


async def test_compaction_hides_nothing_from_who_reads_meanwhile(plant: Registry, ask: Ask) -> None:
    """Every read of the raw points, while segments are written and joined without pause, has all that was written before it."""
    ensure(plant.store, plant.catalog, [NewTwin("busy", "Turbine")], [])
    start, written, stop = round(T0.timestamp() * 1000), 0, asyncio.Event()

    async def work() -> None:
        nonlocal written
        while not stop.is_set():
            for _ in range(5):
                at = start + written
                await asyncio.to_thread(append, plant.store, Batch([Series("busy", [at], {"power": [1.0]}, {"power": 1.0})]))
                written += 1
            await asyncio.to_thread(compact, plant.store, [Tier(False, 2, 600, 0), Tier(True, 2, 600, 0)])

    working = asyncio.create_task(work())
    query = """query($from: DateTime, $to: DateTime) {
      turbine(dtId: "busy") { series(signals: ["power"], from: $from, to: $to) { count } } }"""
    span = {"from": T0.isoformat(), "to": (T0 + timedelta(hours=1)).isoformat()}
    short, until = [], time.monotonic() + 6
    while time.monotonic() < until:
        least = written
        answer = await ask(query, **span)
        if answer["data"]["turbine"]["series"][0]["count"] < least:
            short.append(answer)
    stop.set()
    await working
    assert written > 100
    assert short == []
