"""asOf: what the graph said at a moment, for properties, telemetry and relationships, in conditions and orders too."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from app.history.series import Series
from app.twins.edit import NewRelationship, NewTwin, create, patch, relate, unrelate
from app.twins.registry import Registry
from app.twins.write import Batch, Quality, append
from tests.graphql.conftest import Ask


@pytest.fixture(scope="module")
def moments(plant: Registry) -> list[str]:
    """Three moments: before the pump's farm is north, while it is, after it has moved to south."""
    store, catalog = plant.store, plant.catalog
    create(store, catalog, [NewTwin("m", "Turbine", {"name": "Moving", "maintenanceNote": "first"})])
    seen = [_now()]
    relate(store, catalog, NewRelationship("north", "contains", "m"))
    patch(store, catalog, "m", {"maintenanceNote": "second"})
    _measure(plant, 10.0)
    seen.append(_now())
    unrelate(store, NewRelationship("north", "contains", "m"))
    relate(store, catalog, NewRelationship("south", "contains", "m"))
    patch(store, catalog, "m", {"maintenanceNote": None})
    _measure(plant, 20.0)
    seen.append(_now())
    return seen


def _now() -> str:
    time.sleep(0.05)
    moment = datetime.now(UTC).isoformat()
    time.sleep(0.05)
    return moment


def _measure(plant: Registry, power: float) -> None:
    at = round(datetime.now(UTC).timestamp() * 1000)
    append(plant.store, Batch([Series("m", [at], {"power": [power]}, {"power": power})]))


async def test_quality_as_it_was(plant: Registry, ask: Ask) -> None:
    """Now from the twin, then from the events; a new report of what is known changes nothing."""
    create(plant.store, plant.catalog, [NewTwin("q", "Turbine")])
    at = round(datetime.now(UTC).timestamp() * 1000)
    append(plant.store, Batch([Series("q", [at], {"power": [-5.0]}, {"power": -5.0}, received=at + 5)]))
    for second, said in enumerate(("Good", "BadSensorFailure", "BadSensorFailure", "Good")):
        append(plant.store, Batch(qualities=[Quality("q", "power", said, at + second * 1000)]))
    query = """query($at: DateTime) { turbine(dtId: "q", asOf: $at) { powerReading { quality } } }"""
    seen = []
    for offset in (500, 1500, 2500, 3500):
        moment = datetime.fromtimestamp((at + offset) / 1000, UTC).isoformat()
        seen.append((await ask(query, at=moment))["data"]["turbine"]["powerReading"]["quality"])
    assert seen == ["Good", "BadSensorFailure", "BadSensorFailure", "Good"]
    query = """{ turbine(dtId: "q") { lastReceived powerReading { quality } signals { name quality } } }"""
    answer = (await ask(query))["data"]["turbine"]
    assert answer["powerReading"] == {"quality": "Good"}
    assert {"name": "power", "quality": "Good"} in answer["signals"]
    assert datetime.fromisoformat(answer["lastReceived"]).timestamp() * 1000 == at + 5
    changes = "MATCH (:Twin {dtId: 'q'})-[:_EVENT]->(e {kind: 'quality'}) RETURN e.quality ORDER BY e.at"
    assert plant.store.read(changes) == [["BadSensorFailure"], ["Good"]]
    plant.store.command("MATCH (t:Twin {dtId: 'q'}) DETACH DELETE t")


QUERY = """query($at: DateTime) { turbine(dtId: "m", asOf: $at) {
  maintenanceNote power powerReading { value } properties
  containsOf { dtId } containsOfConnection { totalCount edges { id } } } }"""


@pytest.mark.parametrize(
    ("moment", "note", "power", "farm"),
    [(0, "first", None, None), (1, "second", 10.0, "north"), (2, None, 20.0, "south"), (None, None, 20.0, "south")],
)
async def test_a_twin_as_it_was(moment: int | None, note: Any, power: Any, farm: Any, moments: list[str], ask: Ask) -> None:
    answer = (await ask(QUERY, at=None if moment is None else moments[moment]))["data"]["turbine"]
    assert answer["maintenanceNote"] == note
    assert answer["properties"].get("maintenanceNote") == note
    assert (answer["power"], answer["powerReading"]) == (power, None if power is None else {"value": power})
    assert answer["containsOf"] == ([] if farm is None else [{"dtId": farm}])
    edges = [] if farm is None else [{"id": f"{farm}-contains-m"}]
    assert answer["containsOfConnection"] == {"totalCount": len(edges), "edges": edges}


async def test_conditions_and_orders_are_of_the_moment(moments: list[str], ask: Ask) -> None:
    query = """query($at: DateTime) {
      noted: turbines(asOf: $at, where: { maintenanceNote: { eq: "second" } }) { dtId }
      strong: turbines(asOf: $at, where: { power: { lt: 15 } }, orderBy: [{ power: DESC }]) { dtId power }
      farms: windFarms(asOf: $at, where: { contains: { some: { dtId: { eq: "m" } } } }) { dtId }
      counted: windFarms(asOf: $at, where: { contains: { count: { gt: 2 } } }) { dtId } }"""
    then = (await ask(query, at=moments[1]))["data"]
    assert then["noted"] == [{"dtId": "m"}]
    assert then["strong"] == [{"dtId": "m", "power": 10.0}]
    assert then["farms"] == then["counted"] == [{"dtId": "north"}]
    now = (await ask(query, at=moments[2]))["data"]
    assert (now["noted"], now["strong"], now["farms"], now["counted"]) == ([], [], [{"dtId": "south"}], [])


async def test_before_it_was_there_a_twin_is_not(moments: list[str], ask: Ask) -> None:
    query = '{ turbine(dtId: "m", asOf: "2020-01-01") { dtId } turbines(asOf: "2020-01-01") { dtId } }'
    assert (await ask(query))["data"] == {"turbine": None, "turbines": []}


async def test_what_is_known_of_the_present_only_is_refused(moments: list[str], ask: Ask) -> None:
    answer = await ask('{ turbine(dtId: "m", asOf: "2030-01-01") { descendants { dtId } } }')
    assert answer["errors"][0]["message"] == "descendants does not go with asOf"
