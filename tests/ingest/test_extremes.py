"""F27: the extremes of every schema through inputs into the real database; each is stored as it was sent, or rejected."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest

from app.graph.store import Store
from app.identity import Gate
from app.settings import Settings
from app.stack.child import Child
from app.twins.directory import Directory
from app.twins.edit import NewTwin, create
from app.twins.registry import Registry
from ingest.http import HttpSource
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.mapping.match import Matcher
from ingest.mqtt import MqttSource, connect
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.pipeline import Pipeline
from tests.conftest import free_port
from tests.extremes import model, signals
from tests.ingest.base import recent
from tests.pace import PACE
from tests.rigs.mqtt import publish

SENT = [(name, value) for name, _, values in signals() for value in values]
RULES = (Rule(match="x/{unit}", twin="{unit}"),)


@pytest.fixture
def extreme(registry: Registry) -> Registry:
    registry.load([model()])
    registry.store.command("MATCH (n:_Segment|_DeadLetter|Twin) DETACH DELETE n")
    create(registry.store, registry.catalog, [NewTwin("e", "Extreme"), NewTwin("t", "Turbine")])
    return registry


def bodies(start: int) -> list[bytes]:
    return [json.dumps({"ts": start + i, name: value}).encode() for i, (name, value) in enumerate(SENT)]


def history(store: Store) -> dict[int, Any]:
    """Time → the value that is stored for it."""
    found = {}
    for (segment,) in store.read("MATCH (:Twin {dtId: 'e'})-[:_HISTORY]->(s) RETURN properties(s)"):
        for name in segment:
            if name[0] != "_":
                offsets = segment.get(f"_dt_{name}", segment["_dt"])
                found.update({segment["_from"] + dt: value for dt, value in zip(offsets, segment[name], strict=True)})
    return found


def judge(store: Store, start: int) -> None:
    stored = history(store)
    rows = store.read("MATCH (d:_DeadLetter) WHERE d.topic = 'x/e' RETURN d.payload, d.reason, d.code")
    assert [reason for _, reason, code in rows if code in ("NOT_TAKEN", "STORE_REFUSED")] == []
    refused = {bytes(payload) for payload, _, _ in rows}
    silent = [name for at, (name, value), body in zip(range(start, start + len(SENT)), SENT, bodies(start), strict=True)
              if value is not None and (at in stored) == (body[:64_000] in refused)]  # fmt: skip
    assert silent == []
    for at, value in stored.items():
        name, sent = SENT[at - start]
        same = value == (float(sent) if isinstance(value, float) else sent) or (
            isinstance(value, str) and not isinstance(sent, str) and orjson.loads(value) == sent
        )
        assert same, (name, sent, value)
    assert store.read("MATCH (t:Twin {dtId: 't'}) RETURN t.power") == [[7.0]]


class Running:
    def __init__(self, source: Any, mapping: SourceMapping, registry: Registry) -> None:
        assembler = Assembler(mapping.source, registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
        self.pipeline = Pipeline(source, assembler, registry.store, 0.05, 1000)

    async def __aenter__(self) -> Pipeline:
        self.task = asyncio.create_task(self.pipeline.run())
        await asyncio.sleep(1)
        return self.pipeline

    async def __aexit__(self, *_: object) -> None:
        assert not self.task.done()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PACE * 60):
            while self.pipeline.tally.messages < count:
                await asyncio.sleep(0.1)


async def test_F27_extremes_over_mqtt(extreme: Registry, secured: Settings, broker: Child) -> None:
    mapping = SourceMapping(source="extreme-mqtt", protocol="mqtt", rules=RULES)
    running, start = Running(MqttSource(mapping, secured), mapping, extreme), recent()
    async with running, connect(secured, "extreme-plant", clean_start=True) as plant:
        for body in bodies(start):
            await publish(plant, "x/e", body)
        await publish(plant, "x/t", orjson.dumps({"ts": start, "power": 7.0}))
        await running.until(len(SENT) + 1)
    judge(extreme.store, start)


@pytest.fixture
async def pushing(extreme: Registry, secured: Settings) -> AsyncIterator[httpx.AsyncClient]:
    port = free_port()
    mapping = SourceMapping(source="extreme-http", protocol="http", rules=RULES, options={"port": port})
    headers = {"Authorization": f"Bearer {secured.token}", "Content-Type": "application/x-ndjson"}
    url = f"http://127.0.0.1:{port}"
    source = HttpSource(mapping, secured)
    source.gate = Gate(extreme.store, secured)
    async with (
        Running(source, mapping, extreme),
        httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http,
    ):
        yield http


async def test_F27_extremes_over_http(extreme: Registry, pushing: httpx.AsyncClient) -> None:
    start = recent()
    answer = await pushing.post("/x/e", content=b"\n".join(bodies(start)))
    assert (answer.status_code, answer.json()) == (202, {"messages": len(SENT)})
    assert (await pushing.post("/x/t", content=b'{"power": 7.0}')).status_code == 202
    judge(extreme.store, start)


async def test_F27_a_value_that_ends_the_connection_goes_alone(
    extreme: Registry, pushing: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever our checks let through: the batch of the value is committed without it."""
    monkeypatch.setattr("app.graph.values.LARGEST_OFFSET", timedelta(days=1))
    start = recent()
    lines = [orjson.dumps({"ts": start + i, "t_integer": i}) for i in range(200)]
    lines.insert(77, orjson.dumps({"ts": start + 500, "t_time": "23:59:59+23:59"}))
    answer = await pushing.post("/x/e", content=b"\n".join(lines))
    assert (answer.status_code, answer.json()) == (202, {"messages": 201})
    assert history(extreme.store) == {start + i: i for i in range(200)}
    rows = extreme.store.read("MATCH (d:_DeadLetter) RETURN d.code, d.payload")
    assert [(code, bytes(payload)) for code, payload in rows] == [("STORE_REFUSED", lines[77])]
