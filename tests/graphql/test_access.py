"""Roles and scopes: what each role may do, and that nothing outside a scope can be had, whatever is asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.errors import Unauthenticated
from app.identity import keys
from app.identity.keys import Grant
from app.sources.state import DesiredState, report
from app.twins import edit
from app.twins.edit import NewRelationship, NewTwin
from tests.graphql.conftest import Ask
from tests.graphql.test_cases import CASES, variables_of

HIDDEN = (
    "north",
    "North",
    "Coast",
    '"t1"',
    '"t2"',
    "Turbine 1",
    "Turbine 2",
    "t1-gearbox",
    "Gearbox 1",
    '"sub"',
    "Sub",
    "61.5",
)
SCOPED = ("south",)
VIA = ("contains", "hasComponent")


@asynccontextmanager
async def client(app: FastAPI, key: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as made:
        yield made


async def asked(app: FastAPI, key: str, query: str, **variables: Any) -> Any:
    async with client(app, key) as http:
        return (await http.post("/graphql", json={"query": query, "variables": variables})).json()


@pytest.fixture(scope="module")
def south(app: FastAPI) -> str:
    """An engineer's key that sees farm south: the farm and turbine t3."""
    return keys.create(app.state.server.store, Grant("south", "engineer", SCOPED, VIA))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_no_query_of_the_cases_shows_what_is_outside(path: Path, app: FastAPI, south: str) -> None:
    query = path.read_text()
    answer = json.dumps((await asked(app, south, query, **variables_of(query))).get("data"))
    assert [hidden for hidden in HIDDEN if hidden in answer] == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ windFarms { dtId contains { dtId } } }", {"windFarms": [{"dtId": "south", "contains": [{"dtId": "t3"}]}]}),
        ('{ turbine(dtId: "t1") { name } }', {"turbine": None}),
        ('{ twin(dtId: "north") { ... on WindFarm { region } } }', {"twin": None}),
        ("{ turbinesAggregate { count power { max } } }", {"turbinesAggregate": {"count": 1, "power": {"max": None}}}),
        ("{ twinsAggregate { count } }", {"twinsAggregate": {"count": 2}}),
        ("{ turbinesConnection { totalCount } }", {"turbinesConnection": {"totalCount": 1}}),
        (
            "{ turbinesGroups(via: containsOf) { count twin { dtId } } }",
            {"turbinesGroups": [{"count": 1, "twin": {"dtId": "south"}}]},
        ),
        ('{ shortestPath(from: "t3", to: "south") { length } }', {"shortestPath": {"length": 1}}),
        ('{ shortestPath(from: "t3", to: "t1") { length } }', {"shortestPath": None}),
        ('{ shortestPath(from: "t1", to: "t2") { length } }', {"shortestPath": None}),
        ('{ turbine(dtId: "t3") { tied: feeds { dtId } } }', {"turbine": {"tied": None}}),
        ('{ windFarm(dtId: "south") { containsAggregate { count } } }', {"windFarm": {"containsAggregate": {"count": 1}}}),
        (
            '{ turbine(dtId: "t3") { feeds { feedsOf { dtId power hasComponent { dtId } } } } }',
            {"turbine": {"feeds": None}},
        ),
        (
            '{ turbine(dtId: "t3") { descendants { dtId } ancestors { dtId } } }',
            {"turbine": {"descendants": [], "ancestors": [{"dtId": "south"}]}},
        ),
        ('{ turbines(where: { feeds: { some: { name: { eq: "Sub" } } } }) { dtId } }', {"turbines": []}),
        ("{ turbines(where: { feeds: { count: { gt: 0 } } }) { dtId } }", {"turbines": []}),
        ('{ turbines(where: { not: { feeds: { some: { name: { eq: "Sub" } } } } }) { dtId } }', {"turbines": [{"dtId": "t3"}]}),
        (
            '{ turbines(where: { or: [{ dtId: { eq: "t1" } }, { dtId: { ne: "t1" } }] }) { dtId } }',
            {"turbines": [{"dtId": "t3"}]},
        ),
        ("{ turbines(orderBy: [{ feeds: { name: ASC } }]) { dtId } }", {"turbines": [{"dtId": "t3"}]}),
        (
            "{ assets { ...F } } fragment F on Asset { dtId ... on Turbine { feeds { dtId } } }",
            {"assets": [{"dtId": "south"}, {"dtId": "t3", "feeds": None}]},
        ),
        (
            '{ a: twins(model: "Gearbox") { dtId } b: gearboxes { dtId history(signal: "oilTemperature") { value } } }',
            {"a": [], "b": []},
        ),
    ],
)
async def test_every_way_around_ends_inside(query: str, expected: Any, app: FastAPI, south: str, tied: None) -> None:
    assert (await asked(app, south, query))["data"] == expected


@pytest.fixture(scope="module")
def tied(app: FastAPI) -> None:
    """t3 feeds the substation outside, which t1 feeds too: a way out that is there."""
    app.state.server.store.run("MATCH (a:Twin {dtId: 't3'}), (b:Twin {dtId: 'sub'}) MERGE (a)-[:feeds {_id: 'out'}]->(b)")


@pytest.mark.parametrize(
    "mutation",
    [
        'setProperties(dtId: "t1", patch: { maintenanceNote: "x" }) { dtId }',
        'updateTurbine(dtId: "t1", input: { maintenanceNote: "x" }) { dtId }',
        'relate(source: "south", relationship: "contains", target: "t1")',
        'relate(source: "north", relationship: "contains", target: "t3")',
        'unrelate(source: "north", relationship: "contains", target: "t1")',
        'deleteTwin(dtId: "t1-gearbox", relationships: true)',
        'invoke(dtId: "t1", command: "stop", request: "x") { id }',
        'turbineStop(dtId: "t1", reason: "x") { id }',
        'createTwin(dtId: "south-lone", model: "Turbine") { dtId }',
        'createTwins(twins: [{ dtId: "south-lone", model: "Turbine" }],'
        ' relationships: [{ source: "north", relationship: "contains", target: "south-lone" }])',
        'createTwins(twins: [{ dtId: "south-lone", model: "WindFarm" }],'
        ' relationships: [{ source: "south-lone", relationship: "contains", target: "t1" }])',
    ],
)
async def test_nothing_outside_can_be_changed(mutation: str, app: FastAPI, south: str) -> None:
    answer = await asked(app, south, f"mutation {{ done: {mutation} }}")
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert answer["errors"][0]["message"].startswith(("no twin", "south-lone would lie outside"))


async def test_inside_a_scope_twins_are_made_and_changed(app: FastAPI, south: str) -> None:
    made = """mutation { createTwins(twins: [{ dtId: "south-t4", model: "Turbine" },
                                                 { dtId: "south-t4-yaw", model: "YawSystem" }],
      relationships: [{ source: "south", relationship: "contains", target: "south-t4" },
                      { source: "south-t4", relationship: "hasComponent", target: "south-t4-yaw" }])
      set: setProperties(dtId: "south-t4", patch: { maintenanceNote: "new" }) { dtId }
      gone: deleteTwin(dtId: "south-t4-yaw", relationships: true) also: deleteTwin(dtId: "south-t4", relationships: true) }"""
    answer = await asked(app, south, made)
    assert answer["data"] == {
        "createTwins": ["south-t4", "south-t4-yaw"],
        "set": {"dtId": "south-t4"},
        "gone": True,
        "also": True,
    }


async def test_names_outside_are_refused_whether_taken_or_not(app: FastAPI, south: str) -> None:
    """What is taken elsewhere would tell what is there."""
    said = []
    for name in ("t1", "north", "never-seen", "southern", "SOUTH-x"):
        text = f"""mutation {{ createTwins(twins: [{{ dtId: "{name}", model: "Turbine" }}],
          relationships: [{{ source: "south", relationship: "contains", target: "{name}" }}]) }}"""
        (error,) = (await asked(app, south, text))["errors"]
        said.append((error["message"], error["extensions"]["code"], error["extensions"]["where"] == name))
    assert said == [("south may not create twins of this name", "FORBIDDEN", True)] * 5
    grant = Grant("south", "engineer", SCOPED, VIA, twins=("T-*", "t1"))
    other = keys.create(app.state.server.store, grant)
    text = """mutation { createTwins(twins: [{ dtId: "T-9", model: "Turbine" }],
      relationships: [{ source: "south", relationship: "contains", target: "T-9" }])
      deleteTwin(dtId: "T-9", relationships: true) }"""
    assert (await asked(app, other, text))["data"] == {"createTwins": ["T-9"], "deleteTwin": True}


async def test_relationships_with_what_is_hidden_are_not_counted(app: FastAPI, south: str) -> None:
    """Of a twin that is deleted: they end with it."""
    store, catalog = app.state.server.store, app.state.server.registry.catalog
    twins = [NewTwin("south-t6", "Turbine"), NewTwin("south-t6-yaw", "YawSystem")]
    links = [NewRelationship("south", "contains", "south-t6"), NewRelationship("south-t6", "feeds", "sub")]
    edit.create(store, catalog, twins, [*links, NewRelationship("south-t6", "hasComponent", "south-t6-yaw")])
    text = 'mutation { deleteTwin(dtId: "south-t6") }'
    assert (await asked(app, south, text))["errors"][0]["message"] == "2 relationship(s) hold south-t6"
    for source, name, target in (("south", "contains", "south-t6"), ("south-t6", "hasComponent", "south-t6-yaw")):
        edit.unrelate(store, NewRelationship(source, name, target))
    near = keys.create(store, Grant("near", "engineer", ("south-t6",), VIA))
    assert (await asked(app, near, text))["data"] == {"deleteTwin": True}
    edit.delete(store, "south-t6-yaw", relationships=True)


async def test_the_past_does_not_show_what_has_left(app: FastAPI, south: str) -> None:
    """t5 was south's and is north's now: south sees it neither now nor then."""
    server = app.state.server
    store, catalog = server.store, server.registry.catalog
    edit.create(store, catalog, [NewTwin("t5", "Turbine", {"name": "Left"})], [NewRelationship("south", "contains", "t5")])
    before = datetime.now(UTC).isoformat()
    edit.unrelate(store, NewRelationship("south", "contains", "t5"))
    edit.relate(store, catalog, NewRelationship("north", "contains", "t5"))
    query = """query($at: DateTime!) { windFarms(asOf: $at) { dtId contains { dtId } containsAggregate { count } }
      left: windFarms(asOf: $at, where: { contains: { some: { name: { eq: "Left" } } } }) { dtId } }"""
    said = (await asked(app, south, query, at=before))["data"]
    edit.delete(store, "t5", relationships=True)
    assert said == {
        "windFarms": [{"dtId": "south", "contains": [{"dtId": "t3"}], "containsAggregate": {"count": 1}}],
        "left": [],
    }


async def test_no_way_leads_through_what_is_hidden(app: FastAPI, tied: None) -> None:
    """t3 and t1 feed one substation; who sees only t1 and t3 does not learn that they are connected."""
    key = keys.create(app.state.server.store, Grant("two", "reader", ("t1", "t3"), ("hasComponent",)))
    query = '{ turbine(dtId: "t3") { descendants { dtId } ancestors { dtId } } t: turbine(dtId: "t1") { ancestors { dtId } } }'
    said = (await asked(app, key, query))["data"]
    assert said == {"turbine": {"descendants": [], "ancestors": []}, "t": {"ancestors": []}}
    assert (await asked(app, key, '{ shortestPath(from: "t1", to: "t3") { length } }'))["data"] == {"shortestPath": None}


ROLES = ("reader", "operator", "engineer", "administrator")
DONE = {
    "read": '{ turbine(dtId: "t3") { dtId } }',
    "command": 'mutation { turbineStop(dtId: "t3", reason: "x") { id } }',
    "write": 'mutation { setProperties(dtId: "t3", patch: { maintenanceNote: "x" }) { dtId } }',
    "model": "mutation { loadModels(documents: []) { dtmi } }",
}


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("reader", {"read"}),
        ("operator", {"read", "command"}),
        ("engineer", {"read", "command", "write", "model"}),
        ("administrator", {"read", "command", "write", "model"}),
    ],
)
async def test_each_role_does_what_the_table_says(role: str, allowed: set[str], app: FastAPI) -> None:
    key = keys.create(app.state.server.store, Grant(role, role))
    codes = {}
    for action, query in DONE.items():
        answer = await asked(app, key, query)
        codes[action] = {error["extensions"]["code"] for error in answer.get("errors", ())}
    assert {action for action, found in codes.items() if "FORBIDDEN" not in found} == allowed


async def test_a_scope_has_no_part_in_what_touches_the_whole(app: FastAPI, south: str) -> None:
    assert (await asked(app, south, DONE["model"]))["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    async with client(app, south) as http:
        assert (await http.get("/metrics")).status_code == 403
        assert (await http.get("/api/twins/t1")).status_code == 404
        assert (await http.get("/api/twins/t3")).status_code == 200
        assert (await http.post("/api/twins", json={"dtId": "x", "model": "Turbine"})).status_code == 403
        assert (await http.patch("/api/twins/t1", json={"maintenanceNote": "x"})).status_code == 404
        assert (await http.post("/api/twins/t1/commands/stop", json={"request": "x"})).status_code == 404


async def test_a_key_ends(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.identity.gate.KEPT_SECONDS", 0.0)
    store = app.state.server.store
    past = keys.create(store, Grant("past", "reader"), expires=datetime.now(UTC) - timedelta(seconds=1))
    live = keys.create(store, Grant("live", "reader"), expires=datetime.now(UTC) + timedelta(hours=1))
    assert "errors" in await asked(app, past, "{ me { name } }")
    assert (await asked(app, live, "{ me { name role roots } }"))["data"]["me"] == {
        "name": "live",
        "role": "reader",
        "roots": None,
    }
    keys.revoke(store, live.split("_")[1])
    assert (await asked(app, live, "{ me { name } }"))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert {"past", "live"} <= {record.name for record in keys.listed(store)}
    assert live.split("_", 2)[2] not in json.dumps([str(node) for node in store.read("MATCH (k:_Key) RETURN properties(k)")])


@pytest.mark.parametrize("text", ["", "tg_", "tg_x_y", "tg_" + "0" * 12 + "_z", "a.b.c", "Zm9v"])
def test_what_is_no_key_is_refused(text: str, app: FastAPI) -> None:
    with pytest.raises(Unauthenticated):
        app.state.server.gate.identify(f"Bearer {text}")


async def test_many_requests_of_one_client_wait(app: FastAPI, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.create(app.state.server.store, Grant("eager", "reader"))
    monkeypatch.setattr(app.state.server.clients, "_most", 2)
    async with client(app, key) as http:
        body = {"query": "{ turbines { hasComponent { dtId } } }"}
        answers = await asyncio.gather(*(http.post("/graphql", json=body) for _ in range(12)))
    statuses = [answer.status_code for answer in answers]
    assert 429 in statuses
    assert 200 in statuses
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"]
    assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_other_endpoints_count_too(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """REST and operations over a WebSocket; what is refused leaves the socket open."""
    key = keys.create(app.state.server.store, Grant("eager", "reader"))
    monkeypatch.setattr(app.state.server.clients, "_most", 0)
    async with client(app, key) as http:
        answer = await http.get("/api/models")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "RATE_LIMITED", "1")

    def over_a_socket() -> list[str]:
        with TestClient(app).websocket_connect("/graphql", subprotocols=["graphql-transport-ws"]) as socket:
            socket.send_json({"type": "connection_init", "payload": {"Authorization": f"Bearer {key}"}})
            assert socket.receive_json()["type"] == "connection_ack"
            heard = []
            for most in (0, 5):
                monkeypatch.setattr(app.state.server.clients, "_most", most)
                socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": "{ turbines { dtId } }"}})
                said = socket.receive_json()
                heard.append(said["payload"][0]["extensions"]["code"] if said["type"] == "error" else said["type"])
            return heard

    assert await asyncio.to_thread(over_a_socket) == ["RATE_LIMITED", "next"]


async def test_sources_are_seen_by_whoever_sees_all_and_steered_by_engineers(app: FastAPI, ask: Ask, south: str) -> None:
    store = app.state.server.store
    state = {"protocol": "mqtt", "state": "RUNNING", "since": datetime.now(UTC), "messages": 2**40}
    report(store, "host:1", [{"source": "s1", "properties": state}])
    seen = await ask("{ sources { source worker state messages messageRate error } }")
    row = {"source": "s1", "worker": "host:1", "state": "RUNNING", "messages": 2**40, "messageRate": 0.0, "error": None}
    assert seen["data"]["sources"] == [row]
    stop = 'mutation { controlSource(source: "s1", action: STOP) }'
    reader = keys.create(store, Grant("reads", "reader"))
    assert (await asked(app, reader, stop))["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    for query in ("{ sources { source } }", stop):
        assert (await asked(app, south, query))["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert (await ask(stop))["data"] == {"controlSource": True}
    assert report(store, "host:1", [{"source": "s1", "properties": {}}]) == {"s1": DesiredState(stopped=True)}
    await ask('mutation { controlSource(source: "s1", action: RELOAD) }')
    assert report(store, "host:1", [{"source": "s1", "properties": {}}]) == {"s1": DesiredState(stopped=True, reload=1)}
    missing = await ask('mutation { controlSource(source: "s2", action: STOP) }')
    assert missing["errors"][0]["extensions"]["code"] == "NOT_FOUND"
