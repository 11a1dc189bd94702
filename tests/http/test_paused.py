"""F33: the database stands still; what is asked meanwhile fails in time, and all is back without a restart."""

import asyncio
import json
import signal
import time
from collections.abc import Awaitable
from typing import Any

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from app.identity import keys
from app.identity.keys import Grant
from app.settings import Settings
from app.stack.child import Child
from app.twins.registry import Registry
from tests.pace import PACE

PAUSE, READY, LIMIT = 60.0, 3.0, 25.0
ASKED = {
    "query": '{ turbine(dtId: "t1") { name } }',
    "history": '{ turbine(dtId: "t1") { history(signal: "power") { at } } }',
    "mutation": 'mutation { setProperties(dtId: "t1", patch: { maintenanceNote: "x" }) { dtId } }',
    "command": 'mutation { turbineStop(dtId: "t1", reason: "x", wait: false) { id } }',
}
READ = ("/api/twins/t1", "/api/commands/none")


async def timed(answer: Awaitable[httpx.Response]) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return await answer, time.monotonic() - began


async def watching(settings: Settings, key: str) -> ClientConnection:
    url = f"ws://127.0.0.1:{settings.server_port}/graphql"
    socket = await websockets.connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")])
    await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {key}"}}))
    assert "connection_ack" in str(await socket.recv())
    payload = {"query": 'subscription { twinChanged(dtId: "t1") { ... on Turbine { maintenanceNote } } }'}
    await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
    assert json.loads(await asyncio.wait_for(socket.recv(), PACE * 20))["type"] == "next"
    return socket


async def test_F33_database_paused(served: Settings, plant: Registry, neo4j: Child) -> None:
    key = keys.create(plant.store, Grant("paused", "engineer"))
    idle = keys.create(plant.store, Grant("idle", "reader"))  # never seen before the database stands
    base = f"http://127.0.0.1:{served.server_port}"
    async with (
        httpx.AsyncClient(base_url=base, timeout=90, headers={"Authorization": f"Bearer {key}"}) as http,
        httpx.AsyncClient(base_url=base, timeout=90, headers={"Authorization": f"Bearer {idle}"}) as stranger,
    ):

        async def ask(client: httpx.AsyncClient, text: str) -> httpx.Response:
            return await client.post("/graphql", json={"query": text})

        assert "errors" not in (await ask(http, ASKED["query"])).json()
        socket = await watching(served, key)
        began = time.monotonic()
        neo4j.process.send_signal(signal.SIGSTOP)
        try:
            while (await http.get("/health/ready")).status_code != 503:
                await asyncio.sleep(0.1)
            assert time.monotonic() - began < READY
            asked = [timed(ask(http, text)) for text in ASKED.values()]
            asked += [timed(http.get(path)) for path in READ]
            asked += [timed(ask(stranger, ASKED["query"])) for _ in range(20)]
            for answer, took in await asyncio.gather(*asked):
                said: Any = answer.json()
                print(f"{took:.1f} s {answer.status_code} {answer.text[:110]}")
                assert answer.status_code in (503, 504) or "errors" in said
                assert took < LIMIT
            while time.monotonic() - began < PAUSE:
                red, took = await timed(http.get("/health/ready"))
                assert (red.status_code, took < READY) == (503, True)
                live, took = await timed(http.get("/health/live"))
                assert (live.status_code, took < 1) == (200, True)
                await asyncio.sleep(2)
        finally:
            neo4j.process.send_signal(signal.SIGCONT)
        back = time.monotonic()
        while (await http.get("/health/ready")).status_code != 200:
            await asyncio.sleep(0.2)
        print(f"ready {time.monotonic() - back:.1f} s after")
        for text in ASKED.values():
            answer, took = await timed(ask(http, text))
            print(f"{took:.1f} s {answer.text[:110]}")
            assert "errors" not in answer.json() or text == ASKED["command"]
        assert "errors" not in (await ask(stranger, ASKED["query"])).json()
        note = f"back {time.monotonic()}"
        text = f'mutation {{ setProperties(dtId: "t1", patch: {{ maintenanceNote: "{note}" }}) {{ dtId }} }}'
        assert "errors" not in (await ask(http, text)).json()
        async with asyncio.timeout(PACE * 20):
            while note not in str(await socket.recv()):
                pass
        await socket.close()
        assert time.monotonic() - back < 60
