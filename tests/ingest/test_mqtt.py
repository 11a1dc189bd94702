"""MQTT against the real broker, with real clients: our own, aiomqtt and, where installed, mosquitto_pub."""

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from mqtt5 import QoS

from app.errors import StackError
from app.settings import Settings
from app.stack.child import Child
from app.twins.directory import Directory
from app.twins.registry import Registry
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.mapping.match import Matcher
from ingest.mqtt import MqttSource, client_id, connect
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.pipeline import Pipeline
from tests.conftest import apart, installed
from tests.ingest.base import SourceContract, nowhere, recent
from tests.rigs.mqtt import publish


class TestMqtt(SourceContract):
    @pytest.fixture
    def mapping(self) -> SourceMapping:
        rules = (Rule(match="plant/{line}/{unit}/telemetry", twin="{line}-{unit}"),)
        return SourceMapping(source=f"plant-{uuid.uuid4().hex}", protocol="mqtt", rules=rules, bound=("c-*",))

    @pytest.fixture
    def source(self, mapping: SourceMapping, secured: Settings, broker: Child) -> MqttSource:
        return MqttSource(mapping, secured)

    @pytest.fixture(autouse=True)
    async def client(self, secured: Settings, broker: Child) -> AsyncIterator[None]:
        async with connect(secured, "test-publisher", clean_start=True) as self.publisher:
            yield

    async def send(self, dt_id: str, at: int, values: dict[str, Any]) -> None:
        line, unit = dt_id.split("-")
        await publish(self.publisher, f"plant/{line}/{unit}/telemetry", orjson.dumps({"ts": at, **values}))

    async def deadletters(self, registry: Registry, expected: int) -> list[list[Any]]:
        for _ in range(200):
            rows = registry.store.read("MATCH (d:_DeadLetter) RETURN d.code, d.reason, d.payload, d.topic ORDER BY d.at")
            if len(rows) >= expected:
                return rows
            await asyncio.sleep(0.05)
        return rows

    @pytest.mark.parametrize(
        ("payload", "code"),
        [
            (b"{not json", "NOT_JSON"),
            (b"[1, 2]", "NOT_AN_OBJECT"),
            (b'{"power": 1e400}', "NOT_JSON"),
            (b"\xff\xfe", "NOT_JSON"),
            (b"", "NOT_JSON"),
            (b'{"ts": "yesterday", "power": 1}', "TIME_INVALID"),
            (b'{"ts": 3, "power": 1}', "CLOCK_SKEW"),
            (b'{"ts": "2199-01-01T00:00:00Z", "power": 1}', "CLOCK_SKEW"),
            (b'{"power": "much"}', "SCHEMA_VIOLATION"),
            (b'{"pwer": 1.0}', "SCHEMA_VIOLATION"),
            (b'{"operatingState": "dancing"}', "VALUE_REFUSED"),
        ],
    )
    async def test_F9_F10_F11_what_is_poison_hostile_or_of_no_schema_is_set_aside(
        self, payload: bytes, code: str, running: Any, registry: Registry
    ) -> None:
        """F9, F10, F11: reason and raw bytes are kept, the message is acknowledged, the next one arrives."""
        await publish(self.publisher, "plant/c/01/telemetry", payload)
        await self.send("c-01", recent(), {"power": 5.0})
        assert [row[2] for row in await self.stored(registry.store, 1)] == [5.0]
        ((found, reason, kept, topic),) = await self.deadletters(registry, 1)
        assert (found, bytes(kept), topic) == (code, payload, "plant/c/01/telemetry")
        assert reason

    async def test_a_bad_field_leaves_the_rest_of_its_message(self, running: Any, registry: Registry) -> None:
        at = recent()
        await self.send("c-01", at, {"power": 7.0, "windSpeed": "strong", "colour": "red"})
        assert await self.stored(registry.store, 1) == [["c-01", at, 7.0]]
        ((code, reason, _, _),) = await self.deadletters(registry, 1)
        assert code == "SCHEMA_VIOLATION"
        assert "windSpeed" in reason
        assert "colour" in reason

    async def test_a_burst_of_qos_0_is_taken_whole(self, running: Any, registry: Registry) -> None:
        start = recent()
        for i in range(500):
            payload = orjson.dumps({"ts": start + i, "power": float(i)})
            await self.publisher.publish("plant/c/01/telemetry", payload, qos=QoS.AT_MOST_ONCE)
        assert [row[2] for row in await self.stored(registry.store, 500)] == [float(i) for i in range(500)]

    @pytest.mark.parametrize(
        ("topic", "code"),
        [("plant/c/99/telemetry", "NO_TWIN"), ("plant/x/01/telemetry", "NOT_BOUND")],
    )
    async def test_a_source_writes_only_its_twins(self, topic: str, code: str, running: Any, registry: Registry) -> None:
        await publish(self.publisher, topic, b'{"power": 1.0}')
        assert [row[0] for row in await self.deadletters(registry, 1)] == [code]

    @pytest.mark.skipif(not installed("mosquitto_pub"), reason="mosquitto-clients is not installed")
    async def test_an_independent_client_is_understood(self, running: Any, registry: Registry, secured: Settings) -> None:
        for version in ("5", "311"):
            at = recent(int(version))
            command = ["mosquitto_pub", "-h", secured.mqtt_host, "-p", str(secured.mqtt_port), "-q", "1"]
            command += ["-V", version, "-u", secured.mqtt_user, "-P", secured.mqtt_password]
            command += ["-t", "plant/c/03/telemetry", "-m", f'{{"ts": {at}, "power": 4.5}}']
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
            assert done.returncode == 0
        assert [row[2] for row in await self.stored(registry.store, 2)] == [4.5, 4.5]

    async def test_workers_share_a_subscription(
        self, registry: Registry, twins: list[str], mapping: SourceMapping, secured: Settings
    ) -> None:
        """Each message goes to one of them, together they have all."""
        registry.store.command("MATCH (s:_Segment|_DeadLetter) DETACH DELETE s")
        shared = mapping.model_copy(update={"options": {"share": f"g-{mapping.source}"}})
        assembler = Assembler(mapping.source, registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
        workers = [MqttSource(shared, apart(secured, worker=name)) for name in ("a", "b")]
        pipelines = [Pipeline(worker, assembler, registry.store, 0.02, 1000) for worker in workers]
        tasks = [asyncio.create_task(pipeline.run()) for pipeline in pipelines]
        await asyncio.sleep(1)
        start = recent()
        for i in range(200):
            await self.send("c-01", start + i, {"power": float(i)})
        assert [row[2] for row in await self.stored(registry.store, 200)] == [float(i) for i in range(200)]
        await asyncio.sleep(0.3)
        counts = [pipeline.tally.messages for pipeline in pipelines]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(counts) == 200
        assert min(counts) > 20

    async def test_unacknowledged_messages_come_again(
        self, registry: Registry, twins: list[str], mapping: SourceMapping, secured: Settings, running: Any
    ) -> None:
        """F3 in small: the process ends between delivery and commit; the broker delivers again, stored once."""
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        at = recent()
        await self.send("c-02", at, {"power": 8.0})  # the session is kept while nobody listens
        async with connect(secured, client_id(mapping.source, secured), session_expiry_interval=3600) as lost:
            assert (await anext(lost.messages())).payload
        assembler = Assembler(mapping.source, registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
        task = asyncio.create_task(Pipeline(MqttSource(mapping, secured), assembler, registry.store, 0.02, 1000).run())
        assert await self.stored(registry.store, 1) == [["c-02", at, 8.0]]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_wrong_password_is_told(secured: Settings, broker: Child) -> None:
    mapping = SourceMapping(source="wrong", protocol="mqtt", rules=(Rule(match="a/{x}", twin="{x}"),))
    source = MqttSource(mapping, apart(secured, mqtt_password="wrong"))
    with pytest.raises(StackError, match="TWINGRAPH_MQTT_PASSWORD"):
        await source.run(nowhere)
