"""Sparkplug B: the host's state machine by the specification's assertions, and the whole way with Eclipse Tahu's edge node."""

import asyncio
import struct
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from mqtt5 import QoS

from app.commands.outlet import Delivery
from app.settings import Settings
from app.stack.child import Child
from app.twins.directory import Directory
from app.twins.edit import NewTwin, ensure
from app.twins.registry import Registry
from ingest.mapping.declaration import CommandRule, Rule, SourceMapping
from ingest.mapping.match import Matcher
from ingest.mqtt import connect
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.pipeline import Pipeline
from ingest.source import DeviceState, Message
from ingest.sparkplug import payload as sparkplug_b
from ingest.sparkplug.source import Host, SparkplugOutlet, SparkplugSource
from ingest.sparkplug.sparkplug_pb2 import Payload as PAYLOAD
from tests.ingest.base import SourceContract, recent
from tests.pace import PACE
from tests.rigs.mqtt import publish
from tests.rigs.tahu import start_edge

AT = 1_764_000_000_000
NODE, UNIT = "G/N", "G/N/D"


def body(seq: int | None, *metrics: dict[str, Any], at: int = AT, bd_seq: int | None = None) -> bytes:
    made = PAYLOAD(timestamp=at)
    if seq is not None:
        made.seq = seq
    for metric in metrics:
        made.metrics.add(**{"timestamp": at, **metric})
    if bd_seq is not None:
        made.metrics.add(name="bdSeq", datatype=8, long_value=bd_seq, timestamp=at)
    return bytes(made.SerializeToString())


def power(value: float, **more: Any) -> dict[str, Any]:
    return {"name": "power", "datatype": 10, "double_value": value, **more}


class Edge:
    """Packets of one node to a host without a broker."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def __call__(self, kind: str, payload: bytes, receipt: Any = None) -> list[tuple[str, Any]]:
        topic = f"spBv1.0/G/{kind}/N" + ("/D" if kind[0] == "D" else "")
        return shown(self.host.packet(topic, payload, receipt))

    def born(self, bd_seq: int = 0, seq: int = 0, **device: Any) -> None:
        self("NBIRTH", body(seq, {"name": "cycles", "datatype": 3, "int_value": 1}, bd_seq=bd_seq))
        self("DBIRTH", body((seq + 1) % 256, power(1.0, **device)))


def shown(messages: Iterator[Message]) -> list[tuple[str, Any]]:
    return [(one.address, _shown(one.payload)) for one in messages]


def _shown(payload: Any) -> Any:
    if isinstance(payload, DeviceState):
        return ("online",) if payload.online else ("offline", payload.at)
    return payload


@pytest.fixture
def host() -> Host:
    return Host("s", 0.05, 0.2)


@pytest.fixture
def edge(host: Host) -> Edge:
    return Edge(host)


def test_topics_nbirth_bdseq_matching(edge: Edge) -> None:
    """A death of an earlier session changes nothing; that of this one makes the node and its devices stale."""
    edge.born(bd_seq=7)
    assert edge("NDEATH", body(None, bd_seq=6)) == []
    before = round(time.time() * 1000)
    gone = edge("NDEATH", body(None, bd_seq=7))
    assert [address for address, _ in gone] == [NODE, UNIT]
    assert all(kind == "offline" and before <= at <= time.time() * 1000 + 1 for _, (kind, at) in gone)
    assert edge("NDEATH", body(None, bd_seq=7)) == []


def test_operational_behavior_edge_node_termination_host_action_ddeath_devices_tags_stale(edge: Edge) -> None:
    """With the time of the death's payload; data of the device then asks for a rebirth."""
    edge.born()
    assert edge("DDEATH", body(2, at=AT + 5)) == [(UNIT, ("offline", AT + 5))]
    assert edge("DDATA", body(3, power(2.0))) == []
    assert edge.host.wanted == [NODE]


def test_payloads_sequence_num_incrementing(edge: Edge) -> None:
    """One number for a node and its devices, from 0 to 255 and on at 0."""
    edge.born(seq=250)
    for number in range(10):
        seq = (252 + number) % 256
        kind, metric = ("NDATA", {"name": "cycles", "int_value": number}) if number % 2 else ("DDATA", power(float(number)))
        assert edge(kind, body(seq, metric)) != []
    assert edge.host.wanted == []


def test_operational_behavior_host_reordering_success(edge: Edge) -> None:
    edge.born()
    assert edge("DDATA", body(4, power(4.0))) == []
    assert edge("DDATA", body(3, power(3.0))) == []
    assert edge("DDATA", body(2, power(2.0))) == [(UNIT, {"power": 2.0}), (UNIT, {"power": 3.0}), (UNIT, {"power": 4.0})]
    time.sleep(0.06)
    assert shown(edge.host.overdue()) == []
    assert edge.host.wanted == []


def test_operational_behavior_host_reordering_rebirth(edge: Edge) -> None:
    """What came early is kept all the same; and what follows is in turn again."""
    edge.born()
    assert edge("DDATA", body(5, power(5.0))) == []
    assert edge("DDATA", body(4, power(4.0))) == []
    assert shown(edge.host.overdue()) == []
    time.sleep(0.06)
    assert shown(edge.host.overdue()) == [(UNIT, {"power": 4.0}), (UNIT, {"power": 5.0})]
    assert edge.host.wanted == [NODE]
    assert edge("DDATA", body(6, power(6.0))) == [(UNIT, {"power": 6.0})]


def test_message_flow_device_birth_publish_nbirth_wait(edge: Edge) -> None:
    """Data or a device's birth before the node's asks for a rebirth, not more than once in a while."""
    assert edge("DBIRTH", body(1, power(1.0))) == []
    assert edge("DDATA", body(2, power(1.0))) == []
    assert edge.host.wanted == [NODE]
    edge.host.wanted.clear()
    time.sleep(0.21)
    edge("NDATA", body(3))
    assert edge.host.wanted == [NODE]


def test_payloads_alias_data_cmd_requirement(edge: Edge) -> None:
    """Data by alias alone, without a type; an alias the birth has not said is a reason for a rebirth, the rest is taken."""
    edge.born(alias=9)
    assert edge("DDATA", body(2, {"alias": 9, "double_value": 4.5})) == [(UNIT, {"power": 4.5})]
    assert edge("DDATA", body(3, {"alias": 9, "double_value": 5.5}, {"alias": 8, "int_value": 1})) == [(UNIT, {"power": 5.5})]
    assert edge.host.wanted == [NODE]


def test_a_birth_says_that_what_was_stale_is_back(edge: Edge) -> None:
    edge("NBIRTH", body(0, bd_seq=0))
    assert edge("DBIRTH", body(1, power(1.0))) == [(UNIT, ("online",)), (UNIT, {"power": 1.0})]


def test_operational_behavior_data_commands_rebirth_action(edge: Edge) -> None:
    """A rebirth makes devices stale until theirs; numbers begin anew."""
    edge.born()
    again = edge("NBIRTH", body(0, bd_seq=0, at=AT + 10))
    assert again[0] == (UNIT, ("offline", AT + 9))
    assert edge("DBIRTH", body(1, power(2.0))) == [(UNIT, ("online",)), (UNIT, {"power": 2.0})]


def test_each_metric_has_its_own_time(host: Host) -> None:
    edge = Edge(host)
    edge.born()
    packet = body(2, power(1.0, timestamp=AT - 5, is_historical=True), power(2.0, timestamp=AT))
    messages = list(host.packet("spBv1.0/G/DDATA/N/D", packet, "r"))
    assert [(one.time, one.payload, one.receipt) for one in messages] == [
        (AT - 5, {"power": 1.0}, None),
        (AT, {"power": 2.0}, None),
        (None, None, "r"),
    ]


def test_a_packet_before_its_turn_is_not_acknowledged_until_it_is_taken(host: Host) -> None:
    """Nor lost when a birth comes first."""
    Edge(host).born()
    assert list(host.packet("spBv1.0/G/DDATA/N/D", body(4, power(4.0)), "early")) == []
    said = list(host.packet("spBv1.0/G/NBIRTH/N", body(0, bd_seq=0), "birth"))
    assert [one.receipt for one in said if one.receipt] == ["early", "birth"]
    assert {"power": 4.0} in [one.payload for one in said]


def test_hostile_packets_end_nothing(host: Host) -> None:
    Edge(host).born()
    date = {"name": "power", "datatype": 13, "string_value": "now"}
    assert list(host.packet("spBv1.0/G/DDATA/N/D", body(2, date), None)) == []
    for number in range(20_000):
        list(host.packet(f"spBv1.0/G/NDATA/x{number}", b"", None))
    assert len(host._nodes) <= 10_001


def test_what_is_null_bad_or_transient_is_no_reading(edge: Edge) -> None:
    edge.born()
    quality = {"keys": ["Quality"], "values": [{"type": 3, "int_value": 0}]}
    rest = [power(0.0, is_transient=True), {"name": "power", "is_null": True}, power(1.0, properties=quality)]
    assert edge("DDATA", body(2, *rest)) == [(UNIT, {})]


def test_quality_is_told_once_until_it_changes(host: Host) -> None:
    """The specification's qualities: 0 bad, 192 good, 500 stale; what is bad is no reading."""
    edge, said = Edge(host), []
    edge.born()
    for number, (value, code) in enumerate([(1.0, 192), (2.0, 0), (3.0, 0), (4.0, 500), (5.0, 192), (6.0, None)]):
        marked = {} if code is None else {"properties": {"keys": ["Quality"], "values": [{"type": 3, "int_value": code}]}}
        packet = body(2 + number, power(value, **marked))
        said += [(one.payload, one.quality) for one in host.packet("spBv1.0/G/DDATA/N/D", packet, None)]
    assert said == [
        ({"power": 1.0}, None),
        ({}, {"power": "Bad"}),
        ({}, {"power": "BadStale"}),
        ({"power": 5.0}, {"power": "Good"}),
        ({"power": 6.0}, None),
    ]


@pytest.mark.parametrize(
    ("datatype", "given", "value"),
    [
        (1, {"int_value": 255}, -1),
        (2, {"int_value": 0xFFFFFFFF}, -1),
        (3, {"int_value": 0xFFFFFFE9}, -23),
        (4, {"long_value": 2**64 - 23}, -23),
        (5, {"int_value": 255}, 255),
        (8, {"long_value": 2**63 + 1}, 2**63 + 1),
        (9, {"float_value": 0.5}, 0.5),
        (11, {"boolean_value": True}, True),
        (12, {"string_value": "é"}, "é"),
        (13, {"long_value": AT}, "2025-11-24T16:00:00.000+00:00"),
        (17, {"bytes_value": b"\x00\xff"}, "AP8="),
        (22, {"bytes_value": b"\xff\x01"}, [-1, 1]),
        (24, {"bytes_value": struct.pack("<2i", -5, 6)}, [-5, 6]),
        (31, {"bytes_value": struct.pack("<2d", 1.5, -2.5)}, [1.5, -2.5]),
        (32, {"bytes_value": b"\x0c\x00\x00\x00\x34\xd0"}, [c == "1" for c in "001101001101"]),
        (33, {"bytes_value": b"ABC\x00hello\x00"}, ["ABC", "hello"]),
        (34, {"bytes_value": struct.pack("<q", AT)}, ["2025-11-24T16:00:00.000+00:00"]),
        (
            16,
            {
                "dataset_value": {
                    "columns": ["a", "b"],
                    "types": [3, 12],
                    "rows": [{"elements": [{"int_value": 2**32 - 1}, {"string_value": "x"}]}],
                }
            },
            {"columns": ["a", "b"], "rows": [[-1, "x"]]},
        ),
        (19, {"template_value": {"metrics": [{"name": "x", "datatype": 3, "int_value": 7}]}}, {"x": 7}),
    ],
)
def test_values_of_every_type(datatype: int, given: dict[str, Any], value: Any) -> None:
    made = sparkplug_b.decode(body(0, {"name": "m", "datatype": datatype, **given}))
    assert sparkplug_b.metric(made.metrics[0]).value == value


def test_what_is_no_payload_is_set_aside_and_a_rebirth_asked_for(host: Host) -> None:
    """F9: broken protobuf."""
    topic = "spBv1.0/G/DDATA/N/D"
    assert [(one.address, one.payload) for one in host.packet(topic, b"\xff\xff\xff", "r")] == [(topic, b"\xff\xff\xff")]
    assert host.wanted == [NODE]


class TestSparkplug(SourceContract):
    """Over the real broker; the edge node of the contract is written here, that of `test_tahu` is Eclipse's."""

    @pytest.fixture
    def mapping(self) -> SourceMapping:
        self.group = f"G{uuid.uuid4().hex[:8]}"
        rules = (Rule(match=f"{self.group}/{{line}}/{{unit}}", twin="{line}-{unit}", unknown="ignore", create="Turbine"),)
        commands = (CommandRule(twin="{line}-{unit}", to=f"{self.group}/{{line}}/{{unit}}"),)
        options = {"host_id": f"host-{self.group}", "groups": [self.group], "rebirth_seconds": 0.5}
        return SourceMapping(source=f"s-{self.group}", protocol="sparkplug", options=options, rules=rules, commands=commands)

    @pytest.fixture
    def source(self, mapping: SourceMapping, secured: Settings, broker: Child) -> SparkplugSource:
        return SparkplugSource(mapping, secured)

    @pytest.fixture(autouse=True)
    async def client(self, secured: Settings, broker: Child) -> AsyncIterator[None]:
        self.seq, self.known = 0, set[str]()
        async with connect(secured, f"edge-{uuid.uuid4().hex}", clean_start=True) as self.edge:
            yield

    async def publish(self, kind: str, device: str, *metrics: dict[str, Any], at: int = 0, bd_seq: int | None = None) -> None:
        payload = body(None if kind == "NDEATH" else self.seq, *metrics, at=at or recent(), bd_seq=bd_seq)
        self.seq = (self.seq + 1) % 256
        await self.edge.publish(f"spBv1.0/{self.group}/{kind}/c" + (f"/{device}" if device else ""), payload)

    async def send(self, dt_id: str, at: int, values: dict[str, Any]) -> None:
        device = dt_id.removeprefix("c-")
        metrics = [{"name": name, "datatype": 10, "double_value": value} for name, value in values.items()]
        if not self.known:
            await self.publish("NBIRTH", "", bd_seq=1)
        kind = "DDATA" if device in self.known else "DBIRTH"
        self.known.add(device)
        await self.publish(kind, device, *metrics, at=at)

    async def test_a_death_makes_readings_stale_until_the_next_birth(self, running: Any, registry: Registry) -> None:
        def stale() -> Any:
            return registry.store.read("MATCH (t:Twin {dtId: 'c-01'}) RETURN t._stale >= t._at_power")[0][0]

        async def until(wanted: bool) -> None:
            for _ in range(200):
                if stale() is wanted:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError(stale())

        await self.send("c-01", recent(), {"power": 1.0})
        await until(False)
        await self.publish("NDEATH", "", bd_seq=1)
        await until(True)
        self.seq, self.known = 0, set()
        await self.send("c-01", recent(1), {"power": 2.0})
        await until(False)

    async def test_F16_reconnect_storm(self, running: Any, registry: Registry, secured: Settings) -> None:
        """Two thousand edge nodes are born at once, as after a broker's restart (over ten connections): no birth is missed."""

        async def born(some: range) -> None:
            async with connect(secured, f"storm-{self.group}-{some[0]}", clean_start=True) as client:
                for number in some:
                    topic = f"spBv1.0/{self.group}/{{}}/n{number:04}"
                    await publish(client, topic.format("NBIRTH"), body(0, at=recent(), bd_seq=0))
                    await publish(client, topic.format("DBIRTH") + "/d", body(1, power(float(number)), at=recent()))

        await asyncio.gather(*(born(range(first, first + 200)) for first in range(0, 2000, 200)))
        text = "MATCH (t:Twin) WHERE t.dtId STARTS WITH 'n' AND t.dtId ENDS WITH '-d' RETURN count(t), sum(t.power)"
        async with asyncio.timeout(PACE * 30):
            while (await asyncio.to_thread(registry.store.read, text))[0] != [2000, sum(map(float, range(2000)))]:
                await asyncio.sleep(0.2)

    async def test_tahu(self, running: Any, registry: Registry, secured: Settings, mapping: SourceMapping) -> None:
        """Eclipse Tahu's edge node: births, data by alias, a rebirth, a command, its death."""
        ensure(registry.store, registry.catalog, [NewTwin("E-D1", "Turbine")], [])
        home = secured.home / "tahu"
        login = (secured.mqtt_host, secured.mqtt_port, secured.mqtt_user, secured.mqtt_password)
        edge = await asyncio.to_thread(start_edge, home, secured.cache, *login, self.group, "E", "D1", "own", "100")
        text = "MATCH (t:Twin {dtId: 'E-D1'}) RETURN t.power, coalesce(t._stale, 0) >= t._at_power"

        async def until(wanted: Any) -> None:
            for _ in range(200):
                rows = await asyncio.to_thread(registry.store.read, text)
                if wanted(*rows[0]):
                    return
                await asyncio.sleep(0.05)
            raise AssertionError(rows)

        try:
            await until(lambda value, stale: value is not None)
            first = registry.store.read(text)[0][0]
            await until(lambda value, stale: value != first and stale is False)
            answer = await SparkplugOutlet(mapping, secured).send(Delivery("1" * 32, "E-D1", "power", 4321.5, 5.0))
            assert answer is not None
            assert answer.status == "SUCCEEDED"
            await until(lambda value, stale: value == 4321.5)
            await asyncio.to_thread(_end, edge)
            await until(lambda value, stale: stale is True)
        finally:
            edge.kill()
        assert "BIRTH" in (home / "edge.log").read_text()

    async def test_a_host_that_starts_later_asks_for_births(
        self, registry: Registry, twins: list[str], secured: Settings, mapping: SourceMapping, source: SparkplugSource
    ) -> None:
        """operational-behavior-data-commands-ncmd-rebirth-name, -value and -verb, as Tahu understands them."""
        ensure(registry.store, registry.catalog, [NewTwin("E-D1", "Turbine")], [])
        registry.store.run("MATCH (t:Twin {dtId: 'E-D1'}) REMOVE t.power, t._at_power")
        login = (secured.mqtt_host, secured.mqtt_port, secured.mqtt_user, secured.mqtt_password)
        names = (self.group, "E", "D1", "alias", "100")
        home: Path = secured.home / "tahu"
        edge = await asyncio.to_thread(start_edge, home, secured.cache, *login, *names)
        await asyncio.sleep(4)
        assembler = Assembler(mapping.source, registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
        task = asyncio.create_task(Pipeline(source, assembler, registry.store, 0.02, 1000).run())
        for _ in range(200):
            await asyncio.sleep(0.05)
            if registry.store.read("MATCH (t:Twin {dtId: 'E-D1'}) RETURN t.power IS NOT NULL") == [[True]]:
                break
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(_end, edge)
        assert registry.store.read("MATCH (t:Twin {dtId: 'E-D1'}) RETURN t.power IS NOT NULL") == [[True]]
        assert "REBIRTH" in (home / "edge.log").read_text()

    async def test_host_topic_phid_birth_and_death(self, running: Any, secured: Settings, mapping: SourceMapping) -> None:
        """STATE is retained, true while the host is there, false with a later time when it leaves; a false one is put right."""
        topic, heard = f"spBv1.0/STATE/{mapping.options['host_id']}", []
        async with connect(secured, f"watch-{uuid.uuid4().hex}", clean_start=True) as watcher:
            await watcher.subscribe(topic, max_qos=QoS.AT_LEAST_ONCE)

            async def next_state() -> Any:
                async with asyncio.timeout(PACE * 10):
                    async for packet in watcher.messages():
                        if packet.packet_id is not None:
                            await watcher.acknowledge([packet.packet_id])
                        heard.append(orjson.loads(packet.payload))
                        return heard[-1]
                raise AssertionError("the broker has closed")

            born = await next_state()
            assert born["online"] is True
            lie = orjson.dumps({"online": False, "timestamp": 1})
            await self.edge.publish(topic, lie, qos=QoS.AT_LEAST_ONCE, retain=True)
            assert (await next_state())["online"] is False
            assert await next_state() == born
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            death = await next_state()
            assert death["online"] is False
            assert death["timestamp"] > born["timestamp"]


def _end(edge: "subprocess.Popen[bytes]") -> None:
    assert edge.stdin is not None
    edge.stdin.close()
    edge.wait(15)
