"""F29: a key that is revoked or has expired ends what it has opened: sockets, their operations, streams, jobs."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import websockets
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection

from app.identity import keys
from app.identity.keys import Grant
from app.jobs.imports import find_job
from app.settings import Settings
from app.twins.edit import NewRelationship, NewTwin, delete, ensure
from app.twins.registry import Registry
from tests.conftest import twingraph
from tests.pace import PACE

OPERATIONS = {
    "query": '{ turbine(dtId: "t3") { dtId } }',
    "mutation": 'mutation { setProperties(dtId: "t3", patch: { maintenanceNote: "x" }) { dtId } }',
    "command": 'mutation { turbineStop(dtId: "t3", reason: "x", wait: false) { id } }',
    "subscription": 'subscription { twinChanged(dtId: "t3") { dtId } }',
}


IMPORT = "mutation($documents: [JSON!]!) { importTwins(documents: $documents) { id } }"


async def opened(settings: Settings, key: str) -> ClientConnection:
    url = f"ws://127.0.0.1:{settings.server_port}/graphql"
    socket = await websockets.connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")])
    await send(socket, type="connection_init", payload={"Authorization": f"Bearer {key}"})
    assert (await heard(socket))["type"] == "connection_ack"
    return socket


async def send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def heard(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), PACE * 20))


async def heard_to_the_end(socket: ClientConnection) -> list[Any]:
    said = []
    with suppress(websockets.ConnectionClosed):
        while True:
            said.append(await heard(socket))
    return said


def by_this_process(settings: Settings, registry: Registry, identifier: str) -> None:
    keys.revoke(registry.store, identifier)


def by_another_process(settings: Settings, registry: Registry, identifier: str) -> None:
    assert twingraph(settings, "keys", "revoke", identifier).returncode == 0


@pytest.mark.parametrize("revoke", [by_this_process, by_another_process])
async def test_F29_a_revoked_key_ends_what_is_open(revoke: Callable[..., None], served: Settings, plant: Registry) -> None:
    key = keys.create(plant.store, Grant("leaver", "engineer"))
    socket = await opened(served, key)
    await send(socket, type="subscribe", id="s", payload={"query": OPERATIONS["subscription"]})
    assert (await heard(socket))["type"] == "next"
    await asyncio.to_thread(revoke, served, plant, key.split("_")[1])
    started = time.monotonic()
    said = await heard_to_the_end(socket)
    assert time.monotonic() - started < 10
    assert socket.close_code == 4403
    assert [one["type"] for one in said] == ["next", "complete"]
    assert said[0]["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("narrowed", [False, True])
async def test_F29_a_key_whose_root_is_deleted_ends_what_is_open(narrowed: bool, served: Settings, plant: Registry) -> None:
    """Its only root, or one of two: what the key stands for is another then."""
    farm, links = NewTwin("leaving", "WindFarm"), [NewRelationship("leaving", "contains", "t3")]
    ensure(plant.store, plant.catalog, [farm], links)
    roots = ("leaving", "south") if narrowed else ("leaving",)
    socket = await opened(served, keys.create(plant.store, Grant("leaver", "engineer", roots, ("contains",))))
    await send(socket, type="subscribe", id="s", payload={"query": OPERATIONS["subscription"]})
    assert (await heard(socket))["type"] == "next"
    await asyncio.to_thread(delete, plant.store, "leaving", True)
    started = time.monotonic()
    said = await heard_to_the_end(socket)
    assert time.monotonic() - started < 10
    assert socket.close_code == 4403
    assert [one["type"] for one in said][-2:] == ["next", "complete"]
    assert said[-2]["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_F29_nothing_is_done_for_an_expired_key(operation: str, served: Settings, plant: Registry) -> None:
    """At the very moment: what is known of a key says when it ends."""
    key = keys.create(plant.store, Grant("guest", "engineer"), datetime.now(UTC) + timedelta(seconds=2))
    socket = await opened(served, key)
    await send(socket, type="subscribe", id="1", payload={"query": OPERATIONS["query"]})
    assert [(await heard(socket))["type"], (await heard(socket))["type"]] == ["next", "complete"]
    await asyncio.sleep(2)
    await send(socket, type="subscribe", id="2", payload={"query": operation})
    said = await heard_to_the_end(socket)
    assert [one["type"] for one in said] in (["error"], [])


async def test_F29_events_of_a_revoked_key_end(served: Settings, plant: Registry) -> None:
    key = keys.create(plant.store, Grant("leaver", "reader"))
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    url = f"http://127.0.0.1:{served.server_port}/graphql"
    async with (
        httpx.AsyncClient(headers=headers, timeout=20) as http,
        http.stream("POST", url, json={"query": OPERATIONS["subscription"]}) as stream,
    ):
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: next"
        keys.revoke(plant.store, key.split("_")[1])
        started = time.monotonic()
        rest = [line async for line in lines]
        assert time.monotonic() - started < 10
    assert "UNAUTHENTICATED" in "".join(rest)


async def test_F29_a_job_of_a_revoked_key_stops(app: FastAPI, plant: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.twins.exchange.BATCH", 1)
    monkeypatch.setattr("app.identity.gate.KEPT_SECONDS", 0.0)
    key = keys.create(plant.store, Grant("leaver", "engineer"))
    model = plant.catalog.interface("WindFarm").dtmi
    documents = [{"$dtId": f"job-{i}", "$metadata": {"$model": model}} for i in range(5000)]
    body = {"query": IMPORT, "variables": {"documents": documents}}
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=headers) as http:
        identifier = (await http.post("/graphql", json=body)).json()["data"]["importTwins"]["id"]
    keys.revoke(plant.store, key.split("_")[1])
    while (job := await asyncio.to_thread(find_job, plant.store, identifier)).status == "RUNNING":
        await asyncio.sleep(0.1)
    assert (job.status, (job.reason or "").partition(" (")[0]) == ("FAILED", "a valid token is needed")
    brought = plant.store.read("MATCH (t:Twin) WHERE t.dtId STARTS WITH 'job-' RETURN count(*)")[0][0]
    assert 0 <= brought < 4000


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ([], "a message must be an object with a type"),
        ({"type": 5}, "a message must be an object with a type"),
        ({"type": "subscribe", "id": 1, "payload": {"query": "{ me { name } }"}}, "subscribe needs an id and a payload"),
        ({"type": "subscribe", "id": "a", "payload": {"query": 5}}, "payload.query is of another type"),
        (
            {"type": "subscribe", "id": "a", "payload": {"query": "{ me { name } }", "variables": [1]}},
            "payload.variables is of",
        ),
        ({"type": "subscribe", "id": "a", "payload": {}}, "Failed to parse message"),
    ],
)
async def test_a_message_of_another_form_is_refused_by_name(
    message: Any, said: str, served: Settings, secured: Settings, plant: Registry
) -> None:
    socket = await opened(served, secured.token)
    await socket.send(json.dumps(message))
    with pytest.raises(websockets.ConnectionClosed) as closed:
        await heard(socket)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, said in closed.value.rcvd.reason) == (4400, True)
