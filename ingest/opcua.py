"""OPC UA: subscriptions in, method calls out.

Node identifiers are kept with their namespace's URI, never its index: indexes change when a server is configured anew.
An address is `<namespace uri>;<string identifier>`. The server acknowledges a notification before the commit, by the
protocol's own rules; while the graph is away its newest QUEUE changes are kept, and each older one lost is counted."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog
from asyncua import Client, Node, ua
from asyncua.common.subscription import DataChangeEvent, OverflowPolicy
from asyncua.observer import Observer

from app import metrics
from app.commands.outlet import Answer, Delivery
from app.errors import CommandError, MappingError
from app.settings import Settings
from ingest.backoff import pauses
from ingest.mapping import Mapping, fill, pattern
from ingest.match import twin_parts
from ingest.message import Message, Source, Take

log = structlog.get_logger()
LOST = (OSError, ua.UaError, asyncio.TimeoutError)
PUBLISHING_MS = 500
QUEUE = 100_000
MONITORED_AT_ONCE = 500
EPOCH = datetime.fromtimestamp(0, UTC)


class Overflow(Observer):  # type: ignore[misc]
    """Counts what a subscription's bounded queue has dropped: all that came beyond its room and was not yet read."""

    def __init__(self, source: str, room: int) -> None:
        self._dropped = metrics.DROPPED.labels(source)
        self._room, self._unread = room, 0

    def on_notification(self, subscription_id: int | None, event_count: int) -> None:
        self._unread += event_count
        if self._unread > self._room:
            self._dropped.inc(self._unread - self._room)
            self._unread = self._room

    def read(self) -> None:
        self._unread -= 1


class OpcUaSource(Source):
    """Monitors every variable whose identifier a rule matches, on one server."""

    def __init__(self, mapping: Mapping, settings: Settings) -> None:
        self.name = mapping.source
        self._rules = [(pattern(rule.match), rule) for rule in mapping.rules]
        self._options = mapping.options
        self._url = _url(mapping, settings)
        self._namespace = str(mapping.options.get("namespace", ""))
        if not self._namespace:
            raise MappingError("options need namespace", where=mapping.source)

    async def run(self, take: Take) -> None:
        while True:
            for pause in pauses():
                try:
                    await self._connected(take)
                except* LOST as lost:
                    log.warning("OPC UA server lost", source=self.name, url=self._url, error=repr(lost.exceptions[0]))
                metrics.RECONNECTS.labels(self.name).inc()
                self.reconnects += 1
                await asyncio.sleep(pause)

    async def _connected(self, take: Take) -> None:
        async with Client(self._url, timeout=20) as client:
            index = await client.get_namespace_index(self._namespace)
            nodes = await self._matching(client, index)
            period = float(self._options.get("publishing_ms", PUBLISHING_MS))
            room = int(self._options.get("queue", QUEUE))
            client.uaclient.observer = overflow = Overflow(self.name, room)
            subscription = await client.create_subscription(period, queue_maxsize=room, overflow=OverflowPolicy.DROP_OLDEST)
            log.info("OPC UA connected", source=self.name, url=self._url, nodes=len(nodes))
            async with subscription, asyncio.TaskGroup() as tasks:
                for start in range(0, len(nodes), MONITORED_AT_ONCE):
                    await subscription.subscribe_data_change(nodes[start : start + MONITORED_AT_ONCE])
                tasks.create_task(self._watch(client))
                tasks.create_task(self._read(subscription, overflow, take))

    async def _read(self, subscription: Any, overflow: Overflow, take: Take) -> None:
        async for event in subscription:
            overflow.read()
            if isinstance(event, DataChangeEvent):
                message = self._message(event)
                if message is not None:
                    await take(message)
        raise ConnectionError("the server has ended the subscription")

    async def _watch(self, client: Client) -> None:
        """A server that goes away silently is noticed by asking for its state."""
        while True:
            await asyncio.sleep(5)
            await client.check_connection()
            await client.nodes.server_state.read_value()

    def _message(self, event: Any) -> Message | None:
        value = event.data.monitored_item.Value
        status = value.StatusCode
        if value.Value is None or (status is not None and not status.is_good()):
            metrics.REJECTED.labels(self.name, "BAD_STATUS").inc()
            return None
        stamp = value.SourceTimestamp or value.ServerTimestamp
        at = None if stamp is None else round((stamp - EPOCH).total_seconds() * 1000)
        identifier = str(event.node.nodeid.Identifier)
        return Message(identifier, {identifier.rpartition(".")[2]: value.Value.Value}, at)

    async def _matching(self, client: Client, index: int) -> list[Node]:
        found: list[Node] = []
        level = [client.nodes.objects]
        while level:
            objects: list[Node] = []
            for node in level:
                objects += await node.get_children(nodeclassmask=ua.NodeClass.Object)
                found += await node.get_children(nodeclassmask=ua.NodeClass.Variable)
            level = [node for node in objects if node.nodeid.NamespaceIndex == index]
        return [node for node in found if node.nodeid.NamespaceIndex == index and self._is_wanted(node)]

    def _is_wanted(self, node: Node) -> bool:
        return any(regex.fullmatch(str(node.nodeid.Identifier)) for regex, _ in self._rules)


def _url(mapping: Mapping, settings: Settings) -> str:
    return str(mapping.options.get("url") or f"opc.tcp://{settings.host}:{settings.opcua_port}/fleet")


class OpcUaOutlet:
    """Calls the method named as the command on the twin's object; its outputs are the answer."""

    def __init__(self, mapping: Mapping, settings: Settings) -> None:
        self._mapping, self._rules = mapping, mapping.commands
        self._url = _url(mapping, settings)
        self._namespace = str(mapping.options.get("namespace", ""))

    def serves(self, dt_id: str) -> bool:
        return self._mapping.may_touch(dt_id) and any(twin_parts(rule.twin, dt_id) for rule in self._rules)

    async def send(self, delivery: Delivery) -> Answer | None:
        rule, parts = next((r, p) for r in self._rules if (p := twin_parts(r.twin, delivery.dt_id)))
        try:
            async with asyncio.timeout(delivery.timeout), Client(self._url, timeout=delivery.timeout) as client:
                index = await client.get_namespace_index(self._namespace)
                target = client.get_node(ua.NodeId(fill(rule.to, parts), index))
                method = await target.get_child(f"{index}:{delivery.command}")
                names = [argument.Name for argument in await (await method.get_child("0:OutputArguments")).read_value()]
                arguments = [] if delivery.request is None else [delivery.request]
                outputs = await target.call_method(method, *arguments)
        except ua.UaStatusCodeError as error:
            return Answer("REFUSED", reason=str(error))
        except LOST as error:
            raise CommandError(f"not delivered: {error!r}", where=self._url) from error
        values = outputs if isinstance(outputs, list) else [outputs]
        response = dict(zip(names, values, strict=False))
        return Answer("REFUSED" if response.get("accepted") is False else "SUCCEEDED", response)
