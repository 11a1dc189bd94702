"""Rows of the fault table that belong to no single protocol, on a real Neo4j and a broker of their own."""

import asyncio
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import structlog
from prometheus_client import REGISTRY

from app.events.feed import Feed, Kind, Topic
from app.history.compaction import Tier, compact
from app.identity import Gate
from app.settings import Settings
from app.stack.broker import start_broker
from app.stack.child import Child
from app.twins.directory import Directory
from app.twins.edit import NewTwin, create
from app.twins.registry import Registry
from app.twins.write import append
from ingest.http import HttpSource
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.mapping.match import Matcher
from ingest.mqtt import MqttOptions, MqttSource, connect
from ingest.pipeline.assemble import Assembled, Assembler
from ingest.pipeline.pipeline import Pipeline
from ingest.source import Message
from tests.conftest import apart, free_port, installed, program
from tests.ingest.base import recent
from tests.ingest.test_opcua_faults import Line
from tests.pace import PACE
from tests.rigs.mqtt import publish

RULES = (Rule(match="f/{unit}", twin="{unit}"),)


@pytest.fixture
def twin(registry: Registry) -> str:
    registry.store.command("MATCH (n:_Segment|_DeadLetter|Twin) DETACH DELETE n")
    create(registry.store, registry.catalog, [NewTwin("t", "Turbine")])
    return "t"


class Endpoint:
    """Messages straight to the write path, a batch each time."""

    def __init__(self, registry: Registry) -> None:
        mapping = SourceMapping(source="faults", protocol="mqtt", rules=RULES)
        self.store = registry.store
        self._assembler = Assembler("faults", registry.catalog, Matcher(mapping, Directory(registry.store)), 600)

    def __call__(self, *bodies: dict[str, Any]) -> Assembled:
        assembled = self._assembler.assemble([Message("f/t", orjson.dumps(body)) for body in bodies])
        append(self.store, assembled.batch)
        return assembled

    def history(self) -> list[list[Any]]:
        text = """MATCH (:Twin {dtId: 't'})-[:_HISTORY]->(s) WHERE s.power IS NOT NULL
          WITH s, coalesce(s._dt_power, s._dt) AS dt UNWIND range(0, size(s.power) - 1) AS i
          RETURN s._from + dt[i] AS at, s.power[i] AS power ORDER BY at"""
        return self.store.read(text)

    def latest(self) -> list[Any]:
        return self.store.read("MATCH (t:Twin {dtId: 't'}) RETURN t.power, t._at_power")[0]


@pytest.mark.parametrize("compacted", [False, True])
def test_F6_late_and_out_of_order(compacted: bool, registry: Registry, twin: str) -> None:
    """An hour shuffled, in batches, with and without compaction between them."""
    endpoint, start = Endpoint(registry), recent(-3_600_000)
    points = [{"ts": start + i * 1000, "power": float(i)} for i in range(3600)]
    shuffled = random.Random(6).sample(points, 3600)
    for first in range(0, 3600, 100):
        endpoint(*shuffled[first : first + 100])
        if compacted and first % 600 == 0:
            compact(registry.store, (Tier(False, 2, 600, 0),))
    assert endpoint.history() == [[one["ts"], one["power"]] for one in points]
    assert endpoint.latest() == [3599.0, start + 3_599_000]


def test_F25_stale_looks_fresh(registry: Registry, twin: str) -> None:
    """A gateway repeats what is an hour old: the event time stays, that of receipt moves, the reading is stale."""
    endpoint, at = Endpoint(registry), recent()
    text = "MATCH (t:Twin {dtId: 't'}) RETURN t._received, t._last, t._at_power"
    heard = []
    for _ in range(2):
        endpoint({"ts": at, "power": 5.0})
        (row,) = registry.store.read(text)
        assert row[1:] == [at, at]
        heard.append(row[0])
        time.sleep(0.01)
    assert time.time() * 1000 - 60_000 < heard[0] < heard[1]
    assert endpoint.history() == [[at, 5.0]]
    merged = registry.store.read("MATCH (:Twin {dtId: 't'})-[:_HISTORY]->(s) RETURN s._received")
    assert merged == [[heard[0]]]
    endpoint({"ts": at + 1000, "power": 6.0})
    assert compact(registry.store, (Tier(False, 2, 600, 0),)) == 2
    assert registry.store.read("MATCH (:Twin {dtId: 't'})-[:_HISTORY]->(s) RETURN s._received > $at", {"at": heard[1]}) == [
        [True]
    ]


def test_F7_clock_skew(registry: Registry, twin: str) -> None:
    """1970 and ten years from now are rejected; the latest value is not frozen by them."""
    endpoint, now = Endpoint(registry), round(time.time() * 1000)
    for at in (1000, now + 315_360_000_000):
        assert endpoint({"ts": at, "power": 1.0}).rejected == {"CLOCK_SKEW": 1}
    assert endpoint({"ts": now + 300_000, "power": 2.0}).rejected == {}  # within the allowed skew
    assert endpoint({"ts": now + 400_000, "power": 3.0}).rejected == {}
    assert endpoint.latest() == [3.0, now + 400_000]


def test_F8_same_time_other_value(registry: Registry, twin: str) -> None:
    """The value stored first stays, in one batch and over several; another type never enters the column."""
    endpoint, at = Endpoint(registry), recent()
    endpoint({"ts": at, "power": 1.0}, {"ts": at, "power": 2.0})
    endpoint({"ts": at, "power": 3})
    assert endpoint({"ts": at, "power": "4"}).rejected == {"SCHEMA_VIOLATION": 1}
    assert endpoint({"ts": at + 1, "power": True}).rejected == {"SCHEMA_VIOLATION": 1}
    assert endpoint.history() == [[at, 1.0]]
    assert endpoint.latest() == [1.0, at]


def test_F5_duplicates(registry: Registry, twin: str) -> None:
    """Everything once more, before and after compaction: the history is the same, an event is there once."""
    endpoint, start = Endpoint(registry), recent()
    points = [{"ts": start + i, "power": float(i)} for i in range(500)]
    for first in range(0, 500, 10):
        endpoint(*points[first : first + 10])
    before = endpoint.history()
    for _ in range(2):
        for first in range(0, 500, 50):
            endpoint(*points[first : first + 50])
        compact(registry.store, (Tier(False, 2, 600, 0),))
    assert endpoint.history() == before


class Plant:
    """A publisher at a steady rate, with a ledger of what the broker has acknowledged."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.acknowledged, self.sent = settings, list[float](), 0

    async def run(self, start: int, rate: float, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with connect(self.settings, "faults-plant", clean_start=True) as client:
                    while not stop.is_set():
                        number, self.sent = self.sent, self.sent + 1
                        async with asyncio.timeout(PACE * 5):
                            await publish(client, "f/t", orjson.dumps({"ts": start + number, "power": float(number)}))
                        self.acknowledged.append(float(number))
                        await asyncio.sleep(1 / rate)
            except OSError:
                await asyncio.sleep(0.3)


@pytest.fixture
def own_broker(tmp_path: Path, settings: Settings) -> Iterator[tuple[Settings, list[Child]]]:
    own = apart(settings, home=tmp_path, mqtt_port=free_port(), mqtt_password="faults", mqtt_user="twingraph")
    held = [start_broker(own)]
    yield own, held
    held[-1].stop()


async def test_F1_a_connection_reset(registry: Registry, twin: str, secured: Settings, broker: Child) -> None:
    """As after `kill -9` of a broker under work."""
    source = f"reset-{time.time_ns()}"
    mapping = SourceMapping(source=source, protocol="mqtt", rules=(Rule(match=f"{source}/{{unit}}", twin="{unit}"),))
    start = recent()
    async with Line(secured.mqtt_port) as line:
        through = apart(secured, mqtt_port=line.port)
        assembler = Assembler(source, registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
        pipeline = asyncio.create_task(Pipeline(MqttSource(mapping, through), assembler, registry.store, 0.05, 1000).run())
        await asyncio.sleep(1)
        async with connect(secured, f"{source}-plant", clean_start=True) as plant:
            for number in range(3):
                line.drop(reset=True)
                await asyncio.sleep(1)
                await publish(plant, f"{source}/t", orjson.dumps({"ts": start + number, "power": float(number)}))
                async with asyncio.timeout(PACE * 20):
                    while [start + number, float(number)] not in await asyncio.to_thread(Endpoint(registry).history):
                        await asyncio.sleep(0.2)
        pipeline.cancel()
        await asyncio.gather(pipeline, return_exceptions=True)


async def test_F1_broker_restart(registry: Registry, twin: str, own_broker: tuple[Settings, list[Child]]) -> None:
    """Stopped in order and killed under work: the session resumes; what was acknowledged is in the graph, once."""
    own, held = own_broker
    mapping = SourceMapping(source="restarts", protocol="mqtt", rules=RULES)
    assembler = Assembler("restarts", registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
    pipeline = asyncio.create_task(Pipeline(MqttSource(mapping, own), assembler, registry.store, 0.05, 1000).run())
    plant, stop, start = Plant(own), asyncio.Event(), recent()
    await asyncio.sleep(1)
    publishing = asyncio.create_task(plant.run(start, 500, stop))
    for killed in (False, True):
        await asyncio.sleep(3)
        if killed:
            held[-1].process.kill()
        await asyncio.to_thread(held[-1].stop)
        held.append(await asyncio.to_thread(start_broker, own))
    await asyncio.sleep(3)
    stop.set()
    await publishing
    endpoint = Endpoint(registry)
    for _ in range(300):
        stored = await asyncio.to_thread(endpoint.history)
        if set(plant.acknowledged) <= {power for _, power in stored}:
            break
        await asyncio.sleep(0.1)
    pipeline.cancel()
    await asyncio.gather(pipeline, return_exceptions=True)
    assert len(plant.acknowledged) > 500
    assert set(plant.acknowledged) <= {power for _, power in stored}
    assert len(stored) == len({at for at, _ in stored})


async def test_F2_database_outage(registry: Registry, twin: str, secured: Settings, broker: Child, neo4j: Child) -> None:
    """Neo4j stands still under work: HTTP answers 503, nothing is acknowledged to the broker, all is there after."""
    store, source, port = registry.store, f"outage-{time.time_ns()}", free_port()
    mqtt = SourceMapping(source=source, protocol="mqtt", rules=(Rule(match=f"{source}/{{unit}}", twin="{unit}"),))
    http = SourceMapping(source=f"{source}-http", protocol="http", rules=RULES, options={"port": port, "wait": 2})
    pushed = HttpSource(http, secured)
    pushed.gate = Gate(store, secured)
    pipelines = [
        Pipeline(made, Assembler(one.source, registry.catalog, Matcher(one, Directory(store)), 600), store, 0.05, 1000)
        for one, made in ((mqtt, MqttSource(mqtt, secured)), (http, pushed))
    ]
    tasks = [asyncio.create_task(pipeline.run()) for pipeline in pipelines]
    await asyncio.sleep(1)
    start, sent = recent(), 0
    async with connect(secured, source, clean_start=True) as plant, httpx.AsyncClient(timeout=10) as client:
        neo4j.process.send_signal(signal.SIGSTOP)
        try:
            for sent in range(300):
                await publish(plant, f"{source}/t", orjson.dumps({"ts": start + sent, "power": float(sent)}))
            body, head = {"ts": start + 1000, "power": 1000.0}, {"Authorization": f"Bearer {secured.token}"}
            answer = await client.post(f"http://127.0.0.1:{port}/f/t", json=body, headers=head)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert [pipeline.tally.messages for pipeline in pipelines] == [0, 0]
        finally:
            neo4j.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(PACE * 30):
            while (await client.post(f"http://127.0.0.1:{port}/f/t", json=body, headers=head)).status_code != 202:
                await asyncio.sleep(0.2)
            while len(found := await asyncio.to_thread(Endpoint(registry).history)) < sent + 2:
                await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert found == [[start + i, float(i)] for i in range(sent + 1)] + [[start + 1000, 1000.0]]


async def test_F3_kill_9_mid_batch(registry: Registry, twin: str, secured: Settings, broker: Child, tmp_path: Path) -> None:
    """The process is killed at random moments, five times here, fifty in `bench ingest kills`."""
    source, rng = f"kills-{time.time_ns()}", random.Random(3)
    mapping = tmp_path / "kills.yaml"
    mapping.write_text(f"source: {source}\nprotocol: mqtt\nrules: [{{match: 'f/{{unit}}', twin: '{{unit}}'}}]")
    plant, stop, start = Plant(secured), asyncio.Event(), recent()
    with program(secured, "kills", "ingest", str(mapping)) as first:  # the session is there before the first message
        publishing = asyncio.create_task(plant.run(start, 500, stop))
        await asyncio.sleep(rng.random())
        first.process.kill()
    for _ in range(4):
        with program(secured, "kills", "ingest", str(mapping)) as child:
            await asyncio.sleep(rng.random())
            child.process.kill()
    stop.set()
    await publishing
    with program(secured, "kills", "ingest", str(mapping)):
        async with asyncio.timeout(PACE * 30):
            while True:
                stored = await asyncio.to_thread(Endpoint(registry).history)
                if set(plant.acknowledged) <= {power for _, power in stored}:
                    break
                await asyncio.sleep(0.2)
    assert len(plant.acknowledged) > 100
    assert len(stored) == len({at for at, _ in stored})
    assert all(at - start == power for at, power in stored)


async def test_F13_slow_consumer(registry: Registry, twin: str) -> None:
    """One looks twice a second, one all the time, at a twin that changes ten times a second: the last state reaches both."""
    feed, endpoint = Feed(registry.store), Endpoint(registry)
    seen: dict[str, list[float]] = {"slow": [], "fast": []}

    async def look(name: str, pause: float) -> None:
        async with feed.listen(Topic(Kind.TWIN, "t")) as news:
            while True:
                await news.next()
                seen[name].append((await asyncio.to_thread(endpoint.latest))[0])
                await asyncio.sleep(pause)

    before = REGISTRY.get_sample_value("twingraph_graphql_passed_over_total") or 0
    looking = [asyncio.create_task(look("slow", 1.5)), asyncio.create_task(look("fast", 0.0))]
    for number in range(40):
        await asyncio.to_thread(endpoint, {"ts": recent(number), "power": float(number)})
        await asyncio.sleep(0.1)
    async with asyncio.timeout(PACE * 10):
        while seen["slow"][-1] != 39.0 or seen["fast"][-1] != 39.0:
            await asyncio.sleep(0.1)
    for task in looking:
        task.cancel()
    assert len(seen["slow"]) <= 6 < len(seen["fast"])
    assert (REGISTRY.get_sample_value("twingraph_graphql_passed_over_total") or 0) > before


async def test_F26_broker_side_loss(registry: Registry, twin: str, tmp_path: Path, secured: Settings) -> None:
    """More waits for us than the broker keeps: the loss is its own, and it is told."""
    if not installed("mosquitto"):
        pytest.skip("mosquitto is not on this machine")
    port = free_port()
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100\nsys_interval 1\n")
    broker = await asyncio.create_subprocess_exec("mosquitto", "-c", str(conf))
    options = {"host": "127.0.0.1", "port": port, "client_id": "lossy"}
    mapping = SourceMapping(source="lossy", protocol="mqtt", rules=RULES, options=options)
    await asyncio.sleep(0.5)

    async def away_and_back(seconds: float) -> None:
        assembler = Assembler("lossy", registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
        task = asyncio.create_task(Pipeline(MqttSource(mapping, secured), assembler, registry.store, 0.05, 1000).run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    try:
        await away_and_back(1.0)
        async with connect(secured, "flood", MqttOptions.model_validate(options), clean_start=True) as plant:
            for number in range(1000):
                await publish(plant, "f/t", orjson.dumps({"ts": recent(number), "power": float(number)}))
        with structlog.testing.capture_logs() as logs:
            await away_and_back(3.5)
    finally:
        broker.terminate()
        await broker.wait()
    stored = Endpoint(registry).history()
    assert 100 <= len(stored) < 1000
    told = [one["dropped"] for one in logs if one["event"] == "broker dropped messages"]
    assert told[-1:] == [1000 - len(stored)]
    assert REGISTRY.get_sample_value("twingraph_broker_dropped", {"source": "lossy"}) == 1000 - len(stored)
