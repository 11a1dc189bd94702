"""Points are kept for a time, their roll-ups for a longer one; what is answered meanwhile stays what it was."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.errors import SettingError
from app.history.compaction import Tier, compact
from app.history.retention import Keep, forget, limits, read_retention
from app.history.series import Series
from app.twins.edit import NewTwin, ensure
from app.twins.registry import Registry
from app.twins.write import Batch, append
from tests.graphql.conftest import Ask

DAY = 86_400_000
START = (round(time.time() * 1000) - 40 * DAY) // DAY * DAY  # forty days ago, at midnight
TIERS = (Tier(False, 2, 600, 0), Tier(True, 2, 600, 0))


@pytest.fixture
def aged(plant: Registry) -> Iterator[str]:
    """Two days of two dense signals and a sparse one, forty days ago; one point of today."""
    store = plant.store
    ensure(store, plant.catalog, [NewTwin("aged", "Turbine")], [])
    times = list(range(START, START + 2 * DAY, 20_000))
    for first in range(0, len(times), 500):
        part = times[first : first + 500]
        columns: dict[str, list[Any]] = {
            "power": [float(at % 777) for at in part],
            "windSpeed": [float(at % 33) for at in part],
        }
        own = {}
        if first == 0:
            columns["operatingState"], own = ["running", "stopped"], {"operatingState": [times[0], times[1]]}
        append(store, Batch([Series("aged", part, columns, {}, own)]))
    while compact(store, TIERS):
        pass
    now = round(time.time() * 1000)
    append(store, Batch([Series("aged", [now], {"power": [5.0]}, {"power": 5.0})]))
    yield "aged"
    store.command("MATCH (t:Twin {dtId: 'aged'})-[:_HISTORY]->(s) DETACH DELETE s, t")


def held(plant: Registry) -> list[Any]:
    """How many points and rows of hours the segments hold of each signal."""
    text = """MATCH (:Twin {dtId: 'aged'})-[:_HISTORY]->(s) RETURN
      sum(size(coalesce(s.power, []))), sum(size(coalesce(s._1h_power, []))) / 7,
      sum(size(coalesce(s.windSpeed, []))), sum(size(coalesce(s.operatingState, []))), count(s)"""
    return plant.store.read(text)[0]


async def hours(ask: Ask, every: str = "PT1H", hours: tuple[int, int] = (0, 48), signal: str = "power") -> list[dict[str, Any]]:
    query = """query($from: DateTime, $to: DateTime, $every: Duration, $signal: String!) { turbine(dtId: "aged") {
      history(signal: $signal, from: $from, to: $to, every: $every) { at count sum min max } } }"""
    first, last = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START / 1000 + hour * 3600)) for hour in hours)
    answer = await ask(query, **{"from": first, "to": last, "every": every, "signal": signal})
    assert "errors" not in answer, answer["errors"]
    return answer["data"]["turbine"]["history"]  # type: ignore[no-any-return]


async def test_points_go_and_rollups_stay(plant: Registry, aged: str, ask: Ask) -> None:
    before = [
        await hours(ask),
        await hours(ask, "P1D"),
        await hours(ask, "PT1H", (5, 40)),
        await hours(ask, "PT1M", signal="windSpeed"),
    ]
    points, rows, wind, states, _ = held(plant)
    assert (points, wind, states) == (2 * 4320 + 1, 2 * 4320, 2)
    kept = [Keep("P10Y", "P10Y"), Keep("P30D", "P1Y", "Turbine", "power")]
    assert forget(plant.store, plant.catalog, kept) > 0
    assert held(plant)[:4] == [1, rows, wind, states]
    after = [
        await hours(ask),
        await hours(ask, "P1D"),
        await hours(ask, "PT1H", (5, 40)),
        await hours(ask, "PT1M", signal="windSpeed"),
    ]
    assert after == before
    assert forget(plant.store, plant.catalog, kept) == 0
    while compact(plant.store, TIERS):  # nothing is lost by it
        pass
    assert await hours(ask) == before[0]


@pytest.mark.parametrize("every", ["PT7M", "PT25M", "PT20S"])
async def test_buckets_that_rollups_do_not_fill_are_refused(every: str, plant: Registry, aged: str, ask: Ask) -> None:
    """33-forget-buckets-that-do-not-divide: not told as empty; the roll-ups left are of ten minutes and wider."""
    counted = sum(one["count"] for one in await hours(ask, every))
    forget(plant.store, plant.catalog, [Keep("P30D", "P1Y", "Turbine", "power")])
    with pytest.raises(AssertionError, match=r"no longer kept.*PT10M, PT1H, P1D"):
        await hours(ask, every)
    assert sum(one["count"] for one in await hours(ask, "PT1H")) == counted


async def test_what_is_no_longer_kept_is_not_known_as_of_then(plant: Registry, aged: str, ask: Ask) -> None:
    """32-asof-after-forget: nothing, and not the last value of before."""
    plant.store.run("MATCH (t:Twin {dtId: 'aged'}) REMOVE t._since")  # it was there then
    early = START - 10 * DAY
    append(plant.store, Batch([Series("aged", [early], {"power": [1.0]}, {"power": 1.0})]))
    query = """query($at: DateTime!) { turbine(dtId: "aged", asOf: $at) { power powerReading { value at } } }"""

    async def then(moment: int) -> tuple[Any, Any]:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment / 1000))
        twin = (await ask(query, at=at))["data"]["turbine"]
        return twin["power"], twin["powerReading"]

    inside, after = await then(START + DAY // 2), await then(START + 5 * DAY)
    assert inside[0] is not None
    forget(plant.store, plant.catalog, [Keep("P30D", "P10Y", "Turbine", "power")])
    assert (await then(early + DAY))[0] == 1.0
    assert await then(START + DAY // 2) == (None, None)
    assert await then(START + 5 * DAY) == (None, None)
    assert after[0] is not None


async def test_points_that_come_again_are_not_counted_twice(plant: Registry, aged: str, ask: Ask) -> None:
    """As a file that is replayed, or an archive brought back: where only roll-ups are left, they have counted them."""
    before = await hours(ask)
    forget(plant.store, plant.catalog, [Keep("P30D", "P1Y", "Turbine", "power")])
    again = list(range(START, START + DAY, 20_000))
    columns = {"power": [1.0] * len(again), "rotorSpeed": [2.0] * len(again)}
    outcome = append(plant.store, Batch([Series("aged", again, columns, {})]))
    assert (outcome.points, outcome.duplicates) == (len(again), len(again))
    assert await hours(ask) == before
    assert sum(one["count"] for one in await hours(ask, signal="rotorSpeed")) == len(again)


async def test_rollups_go_too_and_nothing_is_left(plant: Registry, aged: str, ask: Ask) -> None:
    forget(plant.store, plant.catalog, [Keep("P30D", "P35D", "Asset")])
    assert held(plant)[:4] == [1, 0, 0, 0]
    assert held(plant)[4] == 1
    assert await hours(ask) == []
    assert plant.store.read("MATCH (t:Twin {dtId: 'aged'}) RETURN t.power") == [[5.0]]


async def test_what_has_no_rollups_stays_as_long_as_they_would(plant: Registry, aged: str) -> None:
    forget(plant.store, plant.catalog, [Keep("P30D", "P1Y")])
    assert held(plant)[3] == 2
    assert held(plant)[0] == 1


def test_the_last_row_that_fits_counts(plant: Registry) -> None:
    now = START + 40 * DAY
    rows = [Keep("P10D", "P10D"), Keep("P20D", "P30D", "Asset"), Keep("PT1H", "PT1H", "Turbine", "power")]
    found = {
        (plant.catalog.labels[one.model], one.signal): (now - one.points, now - one.rollups)
        for one in limits(rows, plant.catalog, now)
    }
    assert found["Turbine", "power"] == (3_600_000, 3_600_000)
    assert found["Turbine", "windSpeed"] == (20 * DAY, 30 * DAY)
    assert not list(limits([], plant.catalog, now))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keep: P1D", "must be a list of rows"),
        ("- {model: Turbine}", "a row has keep"),
        ("- {keep: P1D, colour: red}", "a row has keep"),
        ("- {keep: soon}", "'soon' is no duration"),
        ("- {keep: P9999999Y}", "is no duration"),
        ("- {keep: P1Y, rollups: P1D}", "at least as long"),
        ("- {keep: -P1D}", "no time to keep"),
        ("- {keep: P0D}", "no time to keep"),
        ("- {keep: P1D, model: null}", "are texts"),
        ("- [", "cannot read"),
    ],
)
def test_a_mistake_is_named(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "kept.yaml"
    file.write_text(text)
    with pytest.raises(SettingError, match=said):
        read_retention(file)


@pytest.mark.parametrize("row", [Keep("P1D", "P1D", "Trubine"), Keep("P1D", "P1D", "Turbine", "pwoer")])
def test_what_nobody_has_is_named(row: Keep, plant: Registry) -> None:
    with pytest.raises(SettingError, match=r"no model|no telemetry"):
        list(limits([row], plant.catalog, START))


def test_the_command(plant: Registry, aged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kept.yaml"
    file.write_text("- {model: Turbine, signal: power, keep: P30D, rollups: P1Y}")
    monkeypatch.setattr("app.main.open_store", lambda settings: plant.store)
    monkeypatch.setattr(plant.store, "close", lambda: None)
    told = CliRunner().invoke(app, ["history", "forget", str(file), "--dry-run"])
    assert "Turbine.power: points from" in told.output
    assert held(plant)[0] > 1
    told = CliRunner().invoke(app, ["history", "forget", str(file)])
    assert "Turbine.power:" in told.output
    assert held(plant)[0] == 1
