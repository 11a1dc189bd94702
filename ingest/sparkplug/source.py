"""Sparkplug B 3.0 as a host application, over the MQTT broker of the settings.

An address is group/node or group/node/device; the fields are the metrics' names, known from the birth where data has aliases
alone. Each metric bears its own event time. What a death makes stale is marked on the twins (`stale` in GraphQL).
Nodes that skip a number are given `reorder_seconds`; then, as for data without a birth, a rebirth is asked for."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from mqtt5 import QoS, Will
from pydantic import Field

from app import metrics
from app.commands.outlet import Answer, CommandStatus, Delivery
from app.errors import CommandError, MessageError
from app.settings import Settings
from ingest.broker import Connection, Refused
from ingest.mapping.declaration import SourceMapping, fill
from ingest.mapping.match import Commanded
from ingest.mqtt import BrokerSource, client_id, connect
from ingest.options import BrokerOptions
from ingest.payload.quality import is_bad, quality
from ingest.source import DeviceState, Message, Take
from ingest.sparkplug import payload as sparkplug_b
from ingest.sparkplug.payload import Payload

log = structlog.get_logger()
REORDER_SECONDS, REBIRTH_SECONDS = 2.0, 5.0
QUALITIES = {0: "Bad", 192: "Good", 500: "BadStale"}
MOST_NODES, MOST_ALIASES = 10_000, 100_000
SPACE = "spBv1.0"
Types = dict[str, int]


@dataclass(slots=True)
class Packet:
    kind: str
    device: str
    payload: Payload
    receipt: Any


@dataclass(slots=True)
class Node:
    """An edge node since its birth. `next`: the number that follows; `early`: what came before its turn, by number."""

    bd_seq: int | None = None
    online: bool = False
    next: int = 0
    types: dict[str, Types] = field(default_factory=dict)  # by device; "" is the node
    aliases: dict[int, tuple[str, str]] = field(default_factory=dict)  # alias → (device, metric)
    qualities: dict[tuple[str, str], str] = field(default_factory=dict)
    early: dict[int, Packet] = field(default_factory=dict)
    waits_since: float | None = None
    asked_at: float = float("-inf")


class Host:
    """The state of all edge nodes, without a broker: packets in, messages and wanted rebirths out."""

    def __init__(self, source: str, reorder: float, rebirth: float) -> None:
        self._source, self._reorder, self._rebirth = source, reorder, rebirth
        self._nodes: dict[str, Node] = {}
        self.wanted: list[str] = []  # nodes to be asked for a rebirth

    def packet(self, topic: str, body: bytes, receipt: Any = None) -> Iterator[Message]:
        """What a packet becomes; a payload that is none becomes a message that is rejected. The last message of a packet bears
        its receipt; a packet that waits for its turn has none yet."""
        _, group, kind, node, *device = topic.split("/")
        name = f"{group}/{node}"
        try:
            packet = Packet(kind, "/".join(device), sparkplug_b.decode(body), receipt)
        except MessageError:
            yield Message(topic, body, None, receipt)
            self._ask(name)
            return
        if name not in self._nodes and len(self._nodes) >= MOST_NODES:
            yield from _taken(packet)
            return
        edge_node = self._nodes.setdefault(name, Node())
        if kind == "NBIRTH":
            yield from self._born(name, edge_node, packet)
            yield from _taken(packet)
        elif kind == "NDEATH":
            yield from self._died(name, edge_node, packet)
            yield from _taken(packet)
        elif not edge_node.online:
            self._ask(name)
            yield from _taken(packet)
        else:
            yield from self._in_turn(name, edge_node, packet)

    def overdue(self) -> Iterator[Message]:
        """What has waited long enough for a number that did not come: taken as it is, and a rebirth asked for."""
        now = time.monotonic()
        for name, node in list(self._nodes.items()):
            if node.waits_since is not None and now - node.waits_since >= self._reorder:
                last = max(node.early, key=lambda seq: (seq - node.next) % 256)
                early, node.early, node.waits_since = self._ordered(node), {}, None
                node.next = (last + 1) % 256
                for packet in early:
                    yield from self._taken(name, node, packet)
                self._ask(name)

    def lost(self) -> Iterator[Message]:
        """The broker is gone: nothing that is known is current."""
        for name, node in self._nodes.items():
            if node.online:
                yield from self._stale(name, node, _now())
        self._nodes = {}

    def _ordered(self, node: Node) -> list[Packet]:
        return [node.early[seq] for seq in sorted(node.early, key=lambda seq: (seq - node.next) % 256)]

    def _born(self, name: str, node: Node, packet: Packet) -> Iterator[Message]:
        for early in self._ordered(node):
            yield from self._taken(name, node, early)
        if node.online:
            yield from self._stale(name, node, _plausible(packet.payload.timestamp) - 1, devices_alone=True)
        born = Node(asked_at=node.asked_at, online=True, next=((packet.payload.seq or 0) + 1) % 256)
        born.bd_seq = _bd_seq(packet.payload)
        self._nodes[name] = born
        yield from self._known(name, born, packet)

    def _died(self, name: str, node: Node, packet: Packet) -> Iterator[Message]:
        if node.online and _bd_seq(packet.payload) == node.bd_seq:
            yield from self._stale(name, node, _now())
            node.online = False

    def _in_turn(self, name: str, node: Node, packet: Packet) -> Iterator[Message]:
        seq = packet.payload.seq
        if seq is None or (seq != node.next and len(node.early) >= 128):
            self._ask(name)
            yield from self._taken(name, node, packet)
            return
        node.early[seq] = packet
        while (following := node.early.pop(node.next, None)) is not None:
            node.next = (node.next + 1) % 256
            yield from self._taken(name, node, following)
        node.waits_since = None if not node.early else node.waits_since or time.monotonic()

    def _taken(self, name: str, node: Node, packet: Packet) -> Iterator[Message]:
        device = packet.device
        if packet.kind == "DBIRTH":
            yield from self._known(name, node, packet)
        elif packet.kind == "DDEATH":
            node.types.pop(device, None)
            yield Message(_address(name, device), DeviceState(False, _plausible(packet.payload.timestamp)))
        elif device in node.types:
            yield from self._values(name, node, packet)
        else:
            self._ask(name)
        yield from _taken(packet)

    def _known(self, name: str, node: Node, packet: Packet) -> Iterator[Message]:
        """A birth says names, aliases and types, and what is now."""
        types = node.types[packet.device] = {}
        for metric in packet.payload.metrics:
            types[metric.name] = metric.datatype
            if metric.HasField("alias") and len(node.aliases) < MOST_ALIASES:
                node.aliases[metric.alias] = (packet.device, metric.name)
        yield Message(_address(name, packet.device), DeviceState(True, _now()))
        yield from self._values(name, node, packet)

    def _values(self, name: str, node: Node, packet: Packet) -> Iterator[Message]:
        """A message a moment."""
        moments: dict[int, dict[str, Any]] = {}
        qualities: dict[int, dict[str, str]] = {}
        types = node.types[packet.device]
        for raw_metric in packet.payload.metrics:
            metric = self._named(node, packet.device, raw_metric)
            if metric not in types:
                self._ask(name)
                continue
            try:
                decoded = sparkplug_b.metric(raw_metric, types[metric])
            except MessageError as error:
                log.warning("metric refused", source=self._source, node=name, error=str(error))
                metrics.REJECTED.labels(self._source, error.code).inc()
                continue
            if decoded.transient or metric == "bdSeq" or metric.startswith("Node Control/"):
                continue
            at = decoded.timestamp or packet.payload.timestamp or _now()  # what is not plausible is rejected, with the value
            quality_key, word = (packet.device, metric), QUALITIES.get(decoded.quality) or quality(decoded.quality)
            if not decoded.historical and node.qualities.get(quality_key) != word:
                node.qualities[quality_key] = qualities.setdefault(at, {})[metric] = word
                moments.setdefault(at, {})
            if decoded.value is not None and not is_bad(word):
                moments.setdefault(at, {})[metric] = decoded.value
        for at, values in sorted(moments.items()):
            yield Message(_address(name, packet.device), values, at, quality=qualities.get(at))

    def _named(self, node: Node, device: str, raw_metric: Any) -> str:
        if raw_metric.name or not raw_metric.HasField("alias"):
            return str(raw_metric.name)
        owner, metric = node.aliases.get(raw_metric.alias, ("", ""))
        return metric if owner == device else ""

    def _stale(self, name: str, node: Node, at: int, devices_alone: bool = False) -> Iterator[Message]:
        for device in node.types:
            if device or not devices_alone:
                yield Message(_address(name, device), DeviceState(False, at))

    def _ask(self, name: str) -> None:
        """At most once in a while: a node that is asked again and again does nothing else."""
        node = self._nodes.setdefault(name, Node())
        now = time.monotonic()
        if now - node.asked_at >= self._rebirth:
            node.asked_at = now
            self.wanted.append(name)


class SparkplugOptions(BrokerOptions):
    host_id: str = Field("", description="of this host application; twingraph-<source>")
    groups: tuple[str, ...] = Field(("#",), description="groups that are subscribed; all")
    reorder_seconds: float = Field(REORDER_SECONDS, ge=0, description="wait for a sequence number that is missing [s]")
    rebirth_seconds: float = Field(REBIRTH_SECONDS, ge=0, description="least time between two rebirth requests of a node [s]")


class SparkplugSource(BrokerSource):
    _options: SparkplugOptions

    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        self.name, self._settings = mapping.source, settings
        options = self._options = SparkplugOptions.of(mapping)
        self._host_id = options.host_id or f"twingraph-{mapping.source}"
        self._topics = [f"{SPACE}/{group}" if group == "#" else f"{SPACE}/{group}/#" for group in options.groups]
        self._host = Host(self.name, options.reorder_seconds, options.rebirth_seconds)

    @property
    def _state(self) -> str:
        return f"{SPACE}/STATE/{self._host_id}"

    async def ended(self, take: Take) -> None:
        await super().ended(take)
        for message in self._host.lost():
            await take(message)

    async def session(self, take: Take) -> None:
        """A will and a birth of one time each connection; the birth once everything is subscribed."""
        since = _now()
        will = Will(self._state, payload=_state(False, since), qos=QoS.AT_LEAST_ONCE, retain=True)
        name = client_id(self.name, self._settings)
        async with connect(self._settings, name, self._options, clean_start=True, will=will) as client:
            self._client = client
            for topic in (*self._topics, self._state):
                await client.subscribe(topic, max_qos=QoS.AT_LEAST_ONCE)
            await self._tell(client, True, since)
            self.connected()
            log.info("Sparkplug host online", source=self.name, host_id=self._host_id)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._read(client, since, take))
                    tasks.create_task(self._watch(client, take))
            except asyncio.CancelledError:
                with suppress(OSError, Refused):
                    async with asyncio.timeout(1):
                        await self._tell(client, False, _now())
                raise

    async def _read(self, client: Connection, since: int, take: Take) -> None:
        async for packet in client.messages():
            receipt = None if packet.packet_id is None else (client, packet.packet_id)
            parts = packet.topic.split("/")
            if packet.topic == self._state:
                if _is_offline(packet.payload):
                    await self._tell(client, True, since)
            elif len(parts) in (4, 5) and parts[1] != "STATE" and parts[2] in KINDS:
                for message in self._host.packet(packet.topic, packet.payload, receipt):
                    await take(message)
                await self._ask(client)
                continue
            if receipt is not None:
                await client.acknowledge([receipt[1]])

    async def _watch(self, client: Connection, take: Take) -> None:
        while True:
            await asyncio.sleep(0.2)
            for message in list(self._host.overdue()):
                await take(message)
            await self._ask(client)

    async def _ask(self, client: Connection) -> None:
        while self._host.wanted:
            group, _, node = self._host.wanted.pop().partition("/")
            body = sparkplug_b.encode({"Node Control/Rebirth": True}, _now())
            log.info("rebirth requested", source=self.name, node=f"{group}/{node}")
            await client.publish(f"{SPACE}/{group}/NCMD/{node}", body, qos=QoS.AT_MOST_ONCE)

    async def _tell(self, client: Connection, online: bool, at: int) -> None:
        await client.publish(self._state, _state(online, at), qos=QoS.AT_LEAST_ONCE, retain=True)


KINDS = ("NBIRTH", "NDEATH", "NDATA", "DBIRTH", "DDEATH", "DDATA")


class SparkplugOutlet(Commanded):
    """A command writes the metric of its name: `to` is group/node or group/node/device. Sparkplug devices do not answer; what
    they then say of the metric is what counts."""

    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        super().__init__(mapping)
        self._settings, self._options = settings, SparkplugOptions.of(mapping)

    async def send(self, delivery: Delivery) -> Answer | None:
        rule, parts = self._rule(delivery.dt_id)
        group, node, *device = fill(rule.to, parts).split("/")
        topic = "/".join([SPACE, group, "DCMD" if device else "NCMD", node, *device])
        body = sparkplug_b.encode({delivery.command: delivery.request}, _now())
        try:
            async with (
                asyncio.timeout(delivery.timeout),
                connect(self._settings, f"twingraph-command-{delivery.id[:8]}", self._options, clean_start=True) as client,
            ):
                await client.publish(topic, body, qos=QoS.AT_MOST_ONCE)
        except (OSError, Refused) as error:
            raise CommandError(f"not delivered: {error}", where=topic) from error
        return Answer(CommandStatus.SUCCEEDED, {"published": topic})


def _taken(packet: Packet) -> Iterator[Message]:
    if packet.receipt is not None:
        yield Message(packet.device, None, None, packet.receipt)


def _plausible(at: int | None) -> int:
    return at if at is not None and 0 < at <= _now() + 60_000 else _now()


def _address(node: str, device: str) -> str:
    return f"{node}/{device}" if device else node


def _bd_seq(payload: Payload) -> int | None:
    return next((int(metric.long_value or metric.int_value) for metric in payload.metrics if metric.name == "bdSeq"), None)


def _is_offline(body: bytes) -> bool:
    try:
        state = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(state, dict) and state.get("online") is False


def _state(online: bool, at: int) -> bytes:
    return orjson.dumps({"online": online, "timestamp": at})


def _now() -> int:
    return round(time.time() * 1000)
