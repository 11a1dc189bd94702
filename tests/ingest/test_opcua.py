"""OPC UA against a real asyncua server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import Server, ua
from prometheus_client import REGISTRY

from app.commands.outlet import Delivery
from app.settings import Settings
from app.twins.registry import Registry
from ingest.mapping.declaration import CommandRule, Rule, SourceMapping
from ingest.opcua.methods import OpcUaOutlet
from ingest.opcua.source import OpcUaSource
from tests.conftest import free_port
from tests.ingest.base import SourceContract, recent

pytestmark = pytest.mark.slow

NAMESPACE = "urn:test:plant"


class Plant:
    """One object a unit with variables `<line>.<unit>.<signal>` and a method."""

    def __init__(self) -> None:
        self.url = f"opc.tcp://127.0.0.1:{free_port()}/plant"
        self.server = self.made()
        self.limits: list[float] = []
        self.variables = 0

    def made(self) -> Server:
        return Server()

    async def guard(self) -> None:
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])

    async def start(self) -> None:
        await self.server.init()
        self.server.set_endpoint(self.url)
        await self.guard()
        index = await self.server.register_namespace(NAMESPACE)
        self.index = index
        for unit in ("01", "02", "03"):
            place = await self.server.nodes.objects.add_object(ua.NodeId(f"c.{unit}", index), f"{index}:{unit}")
            for signal in ("power", "windSpeed", "mystery"):
                await place.add_variable(ua.NodeId(f"c.{unit}.{signal}", index), f"{index}:{signal}", float("nan"))
                self.variables += 1
            outputs = [ua.Argument(Name="accepted", DataType=ua.NodeId(ua.VariantType.Boolean.value))]
            inputs = [ua.Argument(Name="limit", DataType=ua.NodeId(ua.VariantType.Double.value))]
            name = ua.NodeId(f"c.{unit}.setPowerLimit()", index)
            await place.add_method(name, f"{index}:setPowerLimit", self.limit, inputs, outputs)
        await self.server.start()

    def limit(self, parent: ua.NodeId, value: ua.Variant) -> list[ua.Variant]:
        self.limits.append(value.Value)
        return [ua.Variant(value.Value >= 0, ua.VariantType.Boolean)]

    async def write(self, identifier: str, value: Any, at: int, status: Any = None) -> None:
        stamp = datetime.fromtimestamp(at / 1000, UTC)
        data = ua.DataValue(ua.Variant(value), SourceTimestamp=stamp, ServerTimestamp=stamp)
        if status is not None:
            data = ua.DataValue(ua.Variant(value), StatusCode=ua.StatusCode(status), SourceTimestamp=stamp)
        await self.server.write_attribute_value(ua.NodeId(identifier, self.index), data)


class TestOpcUa(SourceContract):
    @pytest.fixture(autouse=True)
    async def plant(self) -> AsyncIterator[None]:
        self.served = Plant()
        await self.served.start()
        yield
        await self.served.server.stop()

    @pytest.fixture
    def mapping(self, plant: None) -> SourceMapping:
        options = {"url": self.served.url, "namespace": NAMESPACE, "publishing_ms": 50}
        rules = (Rule(match="{line}.{unit}.{signal}", twin="{line}-{unit}"),)
        commands = (CommandRule(twin="{line}-{unit}", to="{line}.{unit}"),)
        return SourceMapping(source="opc", protocol="opcua", options=options, rules=rules, commands=commands)

    @pytest.fixture
    def source(self, mapping: SourceMapping, secured: Settings) -> OpcUaSource:
        return OpcUaSource(mapping, secured)

    async def prepare(self) -> None:
        await asyncio.sleep(1.0)

    async def send(self, dt_id: str, at: int, values: dict[str, Any]) -> None:
        line, unit = dt_id.split("-")
        for signal, value in values.items():
            await self.served.write(f"{line}.{unit}.{signal}", value, at)
            await asyncio.sleep(0.12)  # one change a sampling interval, as a sensor would

    async def test_duplicates_are_stored_once(self, running: Any, registry: Registry) -> None:
        """A server repeats a value only after a reconnect; here the same instant is written again with another value."""
        start = recent()
        for value in (1.0, 9.0):
            await self.send("c-01", start, {"power": value})
        assert await self.stored(registry.store, 2, seconds=2) == [["c-01", start, 1.0]]

    async def test_not_a_number_and_bad_status_are_no_readings(self, running: Any, registry: Registry) -> None:
        start = recent()
        await self.send("c-01", start, {"power": float("nan")})
        await self.served.write("c.01.power", 1.0, start + 1000, ua.StatusCodes.BadSensorFailure)
        await asyncio.sleep(0.2)
        await self.send("c-01", start + 2000, {"power": 2.0})
        assert await self.stored(registry.store, 1) == [["c-01", start + 2000, 2.0]]

    async def test_quality_is_kept_beside_the_value(self, running: Any, registry: Registry) -> None:
        """Uncertain values are stored, bad ones are not; both are told, and each change is an event."""
        start, text = recent(), "MATCH (t:Twin {dtId: 'c-01'}) RETURN t.power, t._quality_power"
        seen = []
        statuses = (None, ua.StatusCodes.UncertainLastUsableValue, ua.StatusCodes.BadSensorFailure, None)
        for number, status in enumerate(statuses):
            await self.served.write("c.01.power", float(number), start + number * 1000, status)
            await asyncio.sleep(0.5)
            seen += registry.store.read(text)
        assert seen == [[0.0, None], [1.0, "UncertainLastUsableValue"], [1.0, "BadSensorFailure"], [3.0, None]]
        changes = """MATCH (:Twin {dtId: 'c-01'})-[:_EVENT]->(e {kind: 'quality', code: 'power'})
          WHERE e.at > $at RETURN e.quality ORDER BY e.at"""
        moment = datetime.fromtimestamp(start / 1000, UTC)
        assert registry.store.read(changes, {"at": moment}) == [["UncertainLastUsableValue"], ["BadSensorFailure"], ["Good"]]

    async def test_the_server_comes_back(self, running: Any, registry: Registry) -> None:
        """F17: a restarted server is found again and monitored anew."""
        start = recent()
        await self.send("c-01", start, {"power": 1.0})
        await self.stored(registry.store, 1)
        url = self.served.url
        await self.served.server.stop()
        self.served = Plant()
        self.served.url = url
        await self.served.start()
        for attempt in range(60):
            await self.send("c-01", start + 1000 + attempt, {"power": 2.0 + attempt})
            if len(await self.stored(registry.store, 2, seconds=0.4)) >= 2:
                break
        assert len(await self.stored(registry.store, 2)) >= 2

    async def test_what_a_full_queue_drops_is_counted(self, mapping: SourceMapping, secured: Settings) -> None:
        """Nobody reads while thirty changes come: the newest that fit are kept, the others are counted."""
        few = mapping.model_copy(update={"source": "few", "options": {**mapping.options, "queue": 10}})
        taken: list[Any] = []
        go = asyncio.Event()

        async def take(message: Any) -> None:
            await go.wait()
            if isinstance(message.payload, dict):
                taken.append(message.payload)

        reading = asyncio.create_task(OpcUaSource(few, secured).run(take))
        await self.prepare()
        start = recent()
        for number in range(30):
            await self.send("c-01", start + number, {"power": float(number)})
        go.set()
        await asyncio.sleep(0.5)
        reading.cancel()
        dropped = REGISTRY.get_sample_value("twingraph_ingest_dropped_total", {"source": "few"})
        assert [one["power"] for one in taken] == [float(number) for number in range(30 - len(taken), 30)]
        assert 5 <= len(taken) <= 10
        assert dropped is not None
        assert dropped >= self.served.variables + 30 - len(taken)  # and some ticks of the server's clock

    @pytest.mark.parametrize(("limit", "status"), [(100.0, "SUCCEEDED"), (-1.0, "REFUSED")])
    async def test_a_command_is_a_method_call(
        self, limit: float, status: str, mapping: SourceMapping, secured: Settings
    ) -> None:
        outlet = OpcUaOutlet(mapping, secured)
        assert outlet.serves("c-01")
        answer = await outlet.send(Delivery("1", "c-01", "setPowerLimit", limit, 5.0))
        assert answer is not None
        assert (answer.status, answer.response, self.served.limits) == (status, {"accepted": limit >= 0}, [limit])
