"""Rights by model, property, relationship and command: what is hidden is not there, whichever way it is asked for."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI

from app.dtdl import Document, compile_models
from app.dtdl.syntax import parse
from app.errors import SettingError
from app.graph.select.printer import print_root
from app.graph.select.tree import Access, Many, Root, Scope, Value
from app.history.series import Series
from app.identity import keys
from app.identity.keys import Grant
from app.settings import Settings
from app.twins import edit
from app.twins.edit import NewRelationship, NewTwin
from app.twins.write import Batch, Event, Quality, append
from tests.conftest import twingraph
from tests.graphql.test_access import asked, client
from tests.graphql.test_subscription import listening

FULL = '{ turbine(dtId: "t1") { name power ratedPower commissioned } }'


def key(app: FastAPI, role: str = "reader", **rights: Any) -> str:
    return keys.create(app.state.server.store, Grant("narrow", role, **rights))


SIGNALS = [{"name": "expectedFailureTime"}, {"name": "operatingState"}]
PROPERTIES = {"ratedPower": 3000.0, "commissioned": "2022-01-01"}
HIDDEN = {
    '{ turbine(dtId: "t1") { name power powerReading { value at } properties } }': {
        "turbine": {
            "name": None,
            "power": None,
            "powerReading": None,
            "properties": {"ratedPower": 3000.0, "commissioned": "2022-01-01"},
        }
    },
    '{ turbine(dtId: "t1") { signals { name } } }': {
        "turbine": {"signals": [{"name": "expectedFailureTime"}, {"name": "operatingState"}]}
    },
    '{ turbine(dtId: "t1") { history(signal: "power", from: "2023-01-01T00:00:00Z") { at } } }': {"turbine": {"history": []}},
    '{ turbine(dtId: "t1") { series(signals: ["power"], from: "2023-01-01T00:00:00Z") { count } } }': {
        "turbine": {"series": [{"count": 0}]}
    },
    "{ turbines(where: { power: { gt: 0 } }) { dtId } }": {"turbines": []},
    "{ turbines(where: { power: { isNull: true } }) { dtId } }": {"turbines": [{"dtId": "t1"}, {"dtId": "t2"}, {"dtId": "t3"}]},
    '{ twins(model: "Turbine", where: { dtId: { eq: "t1" } }) { dtId ... on Turbine { name power } } }': {
        "twins": [{"dtId": "t1", "name": None, "power": None}]
    },
    "{ windFarms(orderBy: [{ name: DESC }]) { name } }": {"windFarms": [{"name": "South"}, {"name": "North"}]},
    "{ turbines(orderBy: [{ power: DESC }]) { dtId } }": {"turbines": [{"dtId": "t1"}, {"dtId": "t2"}, {"dtId": "t3"}]},
    "{ turbinesAggregate { count power { max } ratedPower { max } } }": {
        "turbinesAggregate": {"count": 3, "power": {"max": None}, "ratedPower": {"max": 3000.0}}
    },
    "{ turbinesGroups(by: [name]) { keys count } }": {"turbinesGroups": [{"keys": {"name": None}, "count": 3}]},
    '{ windFarms(where: { contains: { some: { name: { contains: "Turbine" } } } }) { dtId } }': {"windFarms": []},
    "{ windFarms(orderBy: [{ contains: { power: DESC } }]) { dtId } }": {"windFarms": [{"dtId": "north"}, {"dtId": "south"}]},
    '{ turbine(dtId: "t1", asOf: "2024-01-01T00:00:00Z") { name power } }': {"turbine": None},
}


async def test_a_property_is_not_there(app: FastAPI) -> None:
    """`name` and `power` of turbines; farms keep theirs."""
    narrow = key(app, hidden=("Turbine.name", "Turbine.power"))
    for query, expected in HIDDEN.items():
        answer = await asked(app, narrow, query)
        assert answer.get("data") == expected, (query, answer)
    full = await asked(app, key(app), FULL)
    assert full["data"]["turbine"]["name"] == "Turbine 1"
    async with client(app, narrow) as http:
        assert not {"name", "power", "_at_power"} & (await http.get("/api/twins/t1")).json().keys()
        assert (await http.get("/api/twins/north")).json()["name"] == "North"


async def test_its_past_is_not_there(app: FastAPI) -> None:
    server = app.state.server
    edit.patch(server.store, server.registry.catalog, "t3", {"maintenanceNote": "before"})
    moment = datetime.now(UTC).isoformat()
    edit.patch(server.store, server.registry.catalog, "t3", {"maintenanceNote": "after"})
    query = 'query ($at: DateTime!) { turbine(dtId: "t3", asOf: $at) { maintenanceNote name properties } }'
    whole, narrow = key(app), key(app, hidden=("*.maintenanceNote",))
    before = (await asked(app, whole, query, at=moment))["data"]["turbine"]
    assert before["maintenanceNote"] == before["properties"]["maintenanceNote"] == "before"
    cut = (await asked(app, narrow, query, at=moment))["data"]["turbine"]
    assert (cut["maintenanceNote"], cut["name"], "maintenanceNote" in cut["properties"]) == (None, "Turbine 3", False)


RELATED = {
    '{ turbine(dtId: "t1") { feeds { dtId } hasComponent { dtId } } }': {
        "turbine": {"feeds": None, "hasComponent": [{"dtId": "t1-gearbox"}, {"dtId": "t1-generator"}]}
    },
    '{ substation(dtId: "sub") { feedsOf { dtId } feedsOfAggregate { count } feedsOfConnection { totalCount } } }': {
        "substation": {"feedsOf": [], "feedsOfAggregate": {"count": 0}, "feedsOfConnection": {"totalCount": 0}}
    },
    "{ turbines(where: { feeds: { count: { gt: 0 } } }) { dtId } }": {"turbines": []},
    '{ shortestPath(from: "t1", to: "sub") { length } }': {"shortestPath": None},
    '{ shortestPath(from: "t1", to: "north") { length } }': {"shortestPath": {"length": 1}},
    '{ turbine(dtId: "t1") { descendants { dtId } } }': {
        "turbine": {"descendants": [{"dtId": "t1-gearbox"}, {"dtId": "t1-generator"}]}
    },
}


@pytest.mark.parametrize("hidden", ["*.feeds", "Turbine.feeds", "Asset.feeds"])
async def test_a_relationship_is_not_there(hidden: str, app: FastAPI) -> None:
    """From either end, in paths, counts and what lies below."""
    narrow = key(app, hidden=(hidden,))
    for query, expected in RELATED.items():
        answer = await asked(app, narrow, query)
        assert answer.get("data") == expected, (query, answer)


MODELS = {
    "{ twinsAggregate { count } twins { dtId } }": {
        "twinsAggregate": {"count": 4}, "twins": [{"dtId": "north"}, {"dtId": "south"}, {"dtId": "sub"}, {"dtId": "t1-gearbox"}]
    },
    "{ turbines { dtId } gearboxes { dtId hasComponentOf { dtId } } }": {
        "turbines": [], "gearboxes": [{"dtId": "t1-gearbox", "hasComponentOf": []}]
    },
    '{ turbine(dtId: "t1") { dtId } twin(dtId: "t1") { dtId } }': {"turbine": None, "twin": None},
    "{ windFarms { contains { dtId } containsAggregate { count } } }": {
        "windFarms": [{"contains": [], "containsAggregate": {"count": 0}}] * 2
    },
    '{ windFarm(dtId: "north") { descendants { dtId } } }': {"windFarm": {"descendants": []}},
    '{ shortestPath(from: "north", to: "t1-gearbox") { length } }': {"shortestPath": None},
    "{ windFarms(where: { contains: { some: { dtId: { gt: \"\" } } } }) { dtId } }": {"windFarms": []},
}  # fmt: skip


async def test_a_model_is_not_there(app: FastAPI) -> None:
    narrow = key(app, models=("WindFarm", "Substation", "Gearbox"))
    for query, expected in MODELS.items():
        answer = await asked(app, narrow, query)
        assert answer.get("data") == expected, (query, answer)
    async with client(app, narrow) as http:
        assert (await http.get("/api/twins/t1")).status_code == 404
    alarm = Event("t1", "rights-alarm", "alarm", {"code": "X", "severity": "high", "at": datetime.now(UTC)})
    append(app.state.server.store, Batch(events=[alarm]))
    query = "{ alarms { dtId } }"
    assert {"dtId": "t1"} in (await asked(app, key(app), query))["data"]["alarms"]
    assert {"dtId": "t1"} not in (await asked(app, narrow, query))["data"]["alarms"]


@pytest.mark.parametrize(
    ("mutation", "allowed"),
    [
        ('setProperties(dtId: "t1", patch: { maintenanceNote: "x" }) { dtId }', True),
        ('updateTurbine(dtId: "t1", input: { maintenanceNote: "y" }) { dtId }', True),
        ('setProperties(dtId: "t1", patch: { powerLimit: 5 }) { dtId }', False),
        ('setProperties(dtId: "t1", patch: { maintenanceNote: "x", powerLimit: 5 }) { dtId }', False),
        ('setProperties(dtId: "north", patch: { name: "x" }) { dtId }', False),
        ('relate(source: "t3", relationship: "feeds", target: "sub")', True),
        ('unrelate(source: "t3", relationship: "feeds", target: "sub")', True),
        ('relate(source: "south", relationship: "contains", target: "t1")', False),
        ('createTwin(dtId: "rights-new", model: "Turbine") { dtId }', False),
        ('createTwin(dtId: "rights-gear", model: "Gearbox") { dtId }', True),
        ('deleteTwin(dtId: "rights-gear")', True),
        ('deleteTwin(dtId: "t3")', False),
        ("loadModels(documents: []) { dtmi }", False),
        ('migrateTwins(source: "Turbine", target: "Turbine")', False),
    ],
)
async def test_what_is_changed_has_a_list(mutation: str, allowed: bool, app: FastAPI) -> None:
    narrow = key(app, "engineer", writes=("Turbine.maintenanceNote", "Turbine.feeds", "Gearbox.*"))
    answer = await asked(app, narrow, f"mutation {{ done: {mutation} }}")
    code = answer["errors"][0]["extensions"]["code"] if "errors" in answer else None
    assert code == (None if allowed else "FORBIDDEN"), answer


async def test_it_holds_over_rest(app: FastAPI) -> None:
    narrow = key(app, "engineer", writes=("Turbine.maintenanceNote",), commands=("Turbine.start",))
    async with client(app, narrow) as http:
        assert (await http.patch("/api/twins/t1", json={"maintenanceNote": "z"})).status_code == 200
        assert (await http.patch("/api/twins/t1", json={"powerLimit": 5})).status_code == 403
        assert (await http.post("/api/twins", json={"dtId": "rights-rest", "model": "Turbine"})).status_code == 403
        assert (await http.post("/api/twins/t1/commands/stop", json={"request": "x"})).status_code == 403
        assert (await http.post("/api/cypher", json={"statement": "MATCH (t:Turbine) RETURN t"})).status_code == 403
        assert (await http.get("/api/reports")).status_code == 403
        assert (await http.get("/metrics")).status_code == 403


async def test_commands_have_a_list(app: FastAPI) -> None:
    narrow = key(app, "operator", commands=("Turbine.start", "*.setPowerLimit"))
    for command, allowed in (
        ('turbineStop(dtId: "t1", reason: "x") { id }', False),
        ('invoke(dtId: "t1", command: "stop", request: "x") { id }', False),
        ('turbineStart(dtId: "t1", wait: false) { id }', True),
        ('turbineSetPowerLimit(dtId: "t1", limit: 5, wait: false) { id }', True),
    ):
        (error,) = (await asked(app, narrow, f"mutation {{ {command} }}"))["errors"]
        assert (error["extensions"]["code"] == "FORBIDDEN") is not allowed, error


async def test_what_is_hidden_is_not_changed(app: FastAPI) -> None:
    narrow = key(app, "engineer", hidden=("*.maintenanceNote", "*.feeds"))
    for mutation in (
        'setProperties(dtId: "t1", patch: { maintenanceNote: "x" }) { dtId }',
        'relate(source: "t2", relationship: "feeds", target: "sub")',
    ):
        assert (await asked(app, narrow, f"mutation {{ {mutation} }}"))["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_subscriptions_are_cut_alike(served: Settings, app: FastAPI) -> None:
    narrow = key(app, hidden=("Turbine.power",))
    store = app.state.server.store

    def measure() -> None:
        at = round(datetime.now(UTC).timestamp() * 1000)
        append(store, Batch([Series("t2", [at], {"power": [1.5], "windSpeed": [2.5]}, {"power": 1.5, "windSpeed": 2.5})]))

    signals = 'subscription { telemetry(dtId: "t2", every: 0.2) { signals { signal values } } }'
    async with listening(served, narrow, signals) as following:
        waiting = asyncio.create_task(following())
        await asyncio.sleep(1)
        measure()
        assert (await waiting)["signals"] == [{"signal": "windSpeed", "values": [2.5]}]
    one = 'subscription { twinChanged(dtId: "t2") { ... on Turbine { power windSpeed } } }'
    async with listening(served, narrow, one) as following:
        assert (await following()) == {"power": None, "windSpeed": 2.5}
    many = "subscription { turbinesChanged(where: { power: { gt: 0 } }) { dtId } }"
    async with listening(served, narrow, many) as following:
        waiting = asyncio.create_task(following())
        measure()
        await asyncio.sleep(1.5)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_one_plan_does_not_serve_another_key(app: FastAPI) -> None:
    """The same document under keys of other rights, in turn."""
    made = [key(app, hidden=hidden) for hidden in ((), ("*.name",), ("Turbine.power",), ("Turbine.name",))]
    for _ in range(2):
        said = [(await asked(app, one, FULL))["data"]["turbine"] for one in made]
        assert [(one["name"], one["power"] is None) for one in said] == [
            ("Turbine 1", False), (None, False), ("Turbine 1", True), (None, False),
        ]  # fmt: skip


async def test_what_is_made_is_of_models_and_names_that_are_there(app: FastAPI) -> None:
    """Over GraphQL and REST; a name that another model has taken would tell that it is there."""
    of_gears = key(app, "engineer", models=("Gearbox",))
    named = key(app, "engineer", models=("Gearbox",), twins=("gear-*",))
    async with client(app, named) as http:
        assert (await http.post("/api/twins", json={"dtId": "gear-x", "model": "Turbine"})).status_code == 403
        assert (await http.get("/api/twins/gear-x")).status_code == 404
        assert (await http.post("/api/twins", json={"dtId": "gear-1", "model": "Gearbox"})).status_code == 201
        assert (await http.post("/api/twins", json={"dtId": "t1", "model": "Gearbox"})).status_code == 403
        assert (await http.post("/api/twins", json={"dtId": "never", "model": "Gearbox"})).status_code == 403
    for name in ("t1", "never"):
        answer = await asked(app, of_gears, f'mutation {{ createTwin(dtId: "{name}", model: "Gearbox") {{ dtId }} }}')
        assert answer["errors"][0]["message"] == "narrow may not create twins of this name"
    edit.delete(app.state.server.store, "gear-1", relationships=True)


async def test_hidden_relationships_are_not_made_nor_counted(app: FastAPI) -> None:
    narrow = key(app, "engineer", hidden=("*.feeds",))
    made = """mutation { createTwins(twins: [{ dtId: "hidden-1", model: "Turbine" }],
      relationships: [{ source: "hidden-1", relationship: "feeds", target: "sub" }]) }"""
    assert (await asked(app, narrow, made))["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    server = app.state.server
    edit.create(server.store, server.registry.catalog, [NewTwin("hidden-2", "Turbine")], [])
    edit.relate(server.store, server.registry.catalog, NewRelationship("hidden-2", "feeds", "sub"))
    assert (await asked(app, narrow, 'mutation { deleteTwin(dtId: "hidden-2") }'))["data"] == {"deleteTwin": True}


async def test_a_deletion_ends_no_relationship_of_others(app: FastAPI) -> None:
    narrow = key(app, "engineer", writes=("Gearbox.*",))
    answer = await asked(app, narrow, 'mutation { deleteTwin(dtId: "t1-gearbox", relationships: true) }')
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_when_a_hidden_signals_quality_changed_is_hidden(app: FastAPI) -> None:
    at = round(datetime.now(UTC).timestamp() * 1000)
    append(app.state.server.store, Batch(qualities=[Quality("t3", "windSpeed", "Bad", at)]))
    async with client(app, key(app, hidden=("Turbine.windSpeed",))) as http:
        assert not [name for name in (await http.get("/api/twins/t3")).json() if "windSpeed" in name]
    async with client(app, key(app)) as http:
        assert "_quality_at_windSpeed" in (await http.get("/api/twins/t3")).json()


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        ({"hidden": ("power",)}, "is not what a model has"),
        ({"hidden": ("Turbine.*",)}, "is not what a model has"),
        ({"models": ("Tur bine",)}, "is not the label of a model"),
        ({"writes": ("Turbine.power",), "role": "administrator"}, "do not narrow the role administrator"),
    ],
)
def test_a_grant_that_does_not_fit_is_refused(rights: dict[str, Any], said: str, app: FastAPI) -> None:
    with pytest.raises(SettingError, match=said):
        key(app, **rights)


def test_a_name_that_nothing_has_is_refused(settings: Settings, app: FastAPI) -> None:
    """It would hide nothing, and say nothing."""
    for option in (
        ("--hide", "Turbin.power"),
        ("--hide", "Turbine.pwer"),
        ("--model", "Turbin"),
        ("--command", "Turbine.fly"),
        ("--hide", "Turbine.start"),
        ("--command", "Turbine.power"),
    ):
        done = twingraph(settings, "keys", "create", "x", *option)
        assert done.returncode == 1, done.stdout
        assert "no model" in done.stderr
    done = twingraph(settings, "keys", "create", "ok", "--hide", "Turbine.power", "--hide", "*.feeds", "--model", "Turbine")
    assert done.returncode == 0, done.stderr
    assert "without Turbine.power, *.feeds" in twingraph(settings, "keys", "list").stdout


def test_components_of_a_model_are_no_twins_of_it() -> None:
    """They bear its labels; what is hidden as a component is not read from there."""
    speed = {"@type": "Property", "name": "speed", "schema": "double"}
    motor = {"@id": "dtmi:t:Motor;1", "@type": "Interface", "contents": [speed]}
    part = {"@type": "Component", "name": "motor", "schema": "dtmi:t:Motor;1"}
    pump = {"@id": "dtmi:t:Pump;1", "@type": "Interface", "contents": [part]}
    documents = [parse("m", json.dumps({"@context": "dtmi:dtdl:context;3", **one})) for one in (motor, pump)]
    catalog = compile_models([one for one in documents if isinstance(one, Document)])
    assert catalog.part_labels == {"Motor"}
    for access in (None, Access(models=("Motor",)), Access(("contains",))):
        root = Root("Motor", Many(Scope((Value("speed"),))), access=access, parted=True)
        assert "n:Twin" in print_root(root).text
