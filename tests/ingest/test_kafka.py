"""Kafka against the real broker: positions in the graph, groups that grow and shrink, brokers that restart."""

import asyncio
import struct
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.errors import StoreUnavailable
from app.graph.store import Store
from app.settings import Settings
from app.twins.directory import Directory
from app.twins.registry import Registry
from app.twins.write import positions_of
from ingest.kafka import KafkaSource
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.mapping.match import Matcher
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.pipeline import Pipeline
from tests.conftest import free_port
from tests.ingest.base import SourceContract, recent
from tests.rigs.kafka import start_kafka

PARTITIONS = 4


class Broker:
    """One that can be stopped and started again on its data."""

    def __init__(self, home: Path, cache: Path) -> None:
        self.home, self.cache = home, cache
        self.ports = free_port(), free_port()
        self.start()

    def start(self) -> None:
        self.child = start_kafka(self.home, self.cache, *self.ports)

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.ports[0]}"


@pytest.fixture(scope="module")
def kafka(settings: Settings) -> Iterator[Broker]:
    broker = Broker(settings.home / "kafka", settings.cache)
    yield broker
    broker.child.stop()


def pipeline(source: KafkaSource, mapping: SourceMapping, registry: Registry) -> "asyncio.Task[None]":
    assembler = Assembler(mapping.source, registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
    return asyncio.create_task(Pipeline(source, assembler, registry.store, 0.02, 1000).run())


async def ended(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class TestKafka(SourceContract):
    @pytest.fixture
    def mapping(self, kafka: Broker) -> SourceMapping:
        self.topic = f"plant.{uuid.uuid4().hex}"
        admin = AdminClient({"bootstrap.servers": kafka.server})
        admin.create_topics([NewTopic(self.topic, PARTITIONS, 1)])[self.topic].result(30)
        self.producer = Producer({"bootstrap.servers": kafka.server, "log_level": 2})
        options = {"servers": kafka.server, "key": True, "config": {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}}
        rules = (Rule(match=f"{self.topic}/{{unit}}", twin="{unit}"),)
        return SourceMapping(source=f"kafka-{self.topic}", protocol="kafka", options=options, rules=rules, bound=("c-*",))

    @pytest.fixture
    def source(self, mapping: SourceMapping, secured: Settings) -> KafkaSource:
        return KafkaSource(mapping, secured)

    def produce(self, key: str, value: bytes) -> None:
        self.producer.produce(self.topic, value, key)

    async def send(self, dt_id: str, at: int, values: dict[str, Any]) -> None:
        self.produce(dt_id, orjson.dumps({"ts": at, **values}))
        await asyncio.to_thread(self.producer.flush, 30)

    async def test_positions_lie_beside_the_readings(self, running: Any, registry: Registry, mapping: SourceMapping) -> None:
        start = recent()
        for i in range(60):
            self.produce(f"c-0{1 + i % 3}", orjson.dumps({"ts": start + i, "power": float(i)}))
        await asyncio.to_thread(self.producer.flush, 30)
        assert len(await self.stored(registry.store, 60)) == 60
        positions = positions_of(registry.store, mapping.source)
        assert sum(map(int, positions.values())) == 60
        assert all(part.startswith(f"{self.topic}/") for part in positions)

    async def test_a_rewind_changes_nothing(
        self, running: Any, registry: Registry, mapping: SourceMapping, source: KafkaSource, secured: Settings, kafka: Broker
    ) -> None:
        """F5: the group's offsets are set back; what comes again is counted and stored once."""
        start = recent()
        for i in range(30):
            self.produce("c-01", orjson.dumps({"ts": start + i, "power": float(i)}))
        await asyncio.to_thread(self.producer.flush, 30)
        before = await self.stored(registry.store, 30)
        await asyncio.sleep(0.5)
        await ended(running)
        group = Consumer({"bootstrap.servers": kafka.server, "group.id": f"twingraph-{mapping.source}"})
        group.commit(offsets=[TopicPartition(self.topic, p, 0) for p in range(PARTITIONS)], asynchronous=False)
        group.close()
        again = KafkaSource(mapping, secured)
        task = pipeline(again, mapping, registry)
        await self.send("c-01", start + 1000, {"power": 99.0})
        after = await self.stored(registry.store, 31)
        await ended(task)
        assert after == [*before, ["c-01", start + 1000, 99.0]]

    async def test_the_graph_says_where_to_go_on(
        self, running: Any, registry: Registry, mapping: SourceMapping, secured: Settings
    ) -> None:
        """A restart reads nothing twice, and a graph put back to an earlier state is filled again."""
        await self.send("c-01", recent(), {"power": 1.0})
        await self.stored(registry.store, 1)
        await asyncio.sleep(0.5)
        await ended(running)
        registry.store.run("MATCH (s:_Segment) DETACH DELETE s")
        registry.store.run("MATCH (t:Twin) REMOVE t._last, t._at_power, t.power")
        task = pipeline(KafkaSource(mapping, secured), mapping, registry)
        await self.send("c-02", recent(), {"power": 2.0})
        assert [row[2] for row in await self.stored(registry.store, 1)] == [2.0]
        await ended(task)
        registry.store.run("MATCH (p:_Position {source: $source}) SET p.position = 0", source=mapping.source)
        task = pipeline(KafkaSource(mapping, secured), mapping, registry)
        assert [row[2] for row in await self.stored(registry.store, 2)] == [1.0, 2.0]
        await ended(task)

    async def test_F23_rebalance(self, running: Any, registry: Registry, mapping: SourceMapping, secured: Settings) -> None:
        """Consumers come and go at work: no gap, and what two have read is stored once."""
        start, sent = recent(), 0
        stop = asyncio.Event()

        async def produce() -> None:
            nonlocal sent
            while not stop.is_set():
                for _ in range(20):
                    self.produce(f"c-0{1 + sent % 3}", orjson.dumps({"ts": start + sent, "power": float(sent)}))
                    sent += 1
                await asyncio.to_thread(self.producer.flush, 30)
                await asyncio.sleep(0.01)

        producing = asyncio.create_task(produce())
        await asyncio.sleep(1)
        others = []
        for _ in range(2):
            others.append(pipeline(KafkaSource(mapping, secured), mapping, registry))
            await asyncio.sleep(3)
        await ended(running, others.pop())
        await asyncio.sleep(3)
        stop.set()
        await producing
        found = await self.stored(registry.store, sent, 40)
        await ended(*others)
        assert sorted(row[2] for row in found) == [float(i) for i in range(sent)]

    async def test_a_restart_of_the_broker(self, running: Any, registry: Registry, source: KafkaSource, kafka: Broker) -> None:
        """F1 for Kafka: killed under work, everything it has acknowledged is in the graph."""
        start, acknowledged = recent(), []

        def told(error: Any, message: Any) -> None:
            if error is None:
                acknowledged.append(orjson.loads(message.value())["power"])

        for i in range(300):
            if i == 150:
                kafka.child.process.kill()
                await asyncio.to_thread(kafka.child.process.wait)
                await asyncio.to_thread(kafka.start)
            value = orjson.dumps({"ts": start + i, "power": float(i)})
            self.producer.produce(self.topic, value, f"c-0{1 + i % 3}", on_delivery=told)
            self.producer.poll(0)
            await asyncio.sleep(0.002)
        await asyncio.to_thread(self.producer.flush, 60)
        found = await self.stored(registry.store, len(acknowledged), 60)
        assert len(acknowledged) > 200
        assert set(acknowledged) <= {row[2] for row in found}
        assert len({row[1] for row in found}) == len(found)

    async def test_no_room_pauses_the_partitions(
        self, running: Any, registry: Registry, mapping: SourceMapping, source: KafkaSource, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """F2: while the database is away the member stays in its group, and memory is bounded."""

        def away(self: Store, work: Any) -> Any:
            raise StoreUnavailable("away for a test")

        monkeypatch.setattr("ingest.pipeline.pipeline.MOST_MESSAGES", 100)
        start = recent()
        with monkeypatch.context() as patched:
            patched.setattr(Store, "write", away)
            for i in range(1000):
                self.produce("c-01", orjson.dumps({"ts": start + i, "power": float(i)}))
            await asyncio.to_thread(self.producer.flush, 30)
            await asyncio.sleep(8)  # longer than the session's timeout
            assert source._consumer.assignment()
            assert positions_of(registry.store, mapping.source) == {}
        found = await self.stored(registry.store, 1000, 30)
        assert [row[2] for row in found] == [float(i) for i in range(1000)]

    async def test_what_is_no_message_goes_to_the_dead_letters(self, running: Any, registry: Registry) -> None:
        """F9: and the position passes it."""
        start = recent()
        for key, value in (("c-01", b"{broken"), ("c-01", b""), ("", b"{}"), ("x-1", b'{"power": 1}')):
            self.produce(key, value)
        await self.send("c-01", start, {"power": 5.0})
        assert await self.stored(registry.store, 1) == [["c-01", start, 5.0]]
        for _ in range(100):
            codes = registry.store.read("MATCH (d:_DeadLetter) RETURN d.code ORDER BY d.code")
            if len(codes) == 4:
                break
            await asyncio.sleep(0.05)
        assert codes == [["NOT_BOUND"], ["NOT_JSON"], ["NOT_JSON"], ["NO_RULE"]]

    async def test_avro_of_a_registry(
        self, registry: Registry, twins: list[str], mapping: SourceMapping, secured: Settings
    ) -> None:
        """Logical types too; the registry is asked once; while it is away the message waits."""
        registry.store.command("MATCH (s:_Segment|_DeadLetter) DETACH DELETE s")
        fields = [
            {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "power", "type": "double"},
        ]
        schema = {"type": "record", "name": "R", "fields": fields}
        schemas = Schemas(schema)
        rules = (Rule(match=f"{self.topic}/{{unit}}", twin="{unit}", payload="avro", registry=schemas.url),)
        mapped = mapping.model_copy(update={"rules": rules})
        task = pipeline(KafkaSource(mapped, secured), mapped, registry)
        start = recent()
        for i in range(20):
            body = BytesIO()
            fastavro.schemaless_writer(body, fastavro.parse_schema(schema), {"ts": start + i, "power": float(i)})
            self.produce("c-01", struct.pack(">bI", 0, 7) + body.getvalue())
        for broken in (b"", b"\x00\x00\x00\x00\x07\x01", b"\x00\x00\x00\x00\x08abc", b"{}"):
            self.produce("c-01", broken)
        await asyncio.to_thread(self.producer.flush, 30)
        await asyncio.sleep(1)
        assert await self.stored(registry.store, 0) == []
        schemas.start()
        assert await self.stored(registry.store, 20) == [["c-01", start + i, float(i)] for i in range(20)]
        await ended(task)
        schemas.stop()
        codes = registry.store.read("MATCH (d:_DeadLetter) RETURN d.code ORDER BY d.code")
        assert codes == [["NOT_AVRO"], ["NOT_AVRO"], ["NOT_AVRO"], ["NO_SCHEMA"]]
        assert schemas.asked.count("/schemas/ids/7") == 1


class Schemas:
    """A registry of one schema, number 7: the one question that readers ask of it."""

    def __init__(self, schema: Any) -> None:
        self.schema, self.asked, self.port = schema, list[str](), free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        held = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                held.asked.append(self.path)
                self.send_response(200 if self.path == "/schemas/ids/7" else 404)
                self.end_headers()
                self.wfile.write(orjson.dumps({"schema": orjson.dumps(held.schema).decode()}))

            def log_message(self, *_: Any) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
