"""OPC UA: subscriptions in, method calls out.

`url` may be a list: many servers, whose readings share batches (five hundred sources of their own would commit apart).
`twingraph opcua browse` proposes a mapping.

Node identifiers are kept with their namespace's URI, never its index: indexes change when a server is configured anew. An
address is the string identifier, or what the list says. One node that is bad is tried again on its own while the others flow.
The server acknowledges a notification before the commit, by the protocol's own rules; while the graph is away its newest
`queue` changes are kept, and each older one lost is counted. A connection that is lost for a moment takes its session and its
subscription up again, and what the server kept meanwhile is published again. Where it has forgotten them, all is made anew, and
the server's own history fills the gap, where it keeps one; so it is where a server is silent though its connection stands."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from asyncua import Client, Node, ua
from asyncua.common.subscription import DataChangeEvent, OpcEvent, OverflowPolicy
from asyncua.observer import Observer, SubscriptionEvent

from app import metrics
from app.errors import MappingError, StackError
from app.settings import Settings
from ingest.backoff import pauses
from ingest.mapping.declaration import SourceMapping, pattern
from ingest.opcua import alarms
from ingest.opcua.nodes import Item, browsed, listed, node
from ingest.opcua.options import OpcUaOptions
from ingest.opcua.pages import past
from ingest.opcua.session import refusal, restored, session, session_checked
from ingest.payload.quality import GOOD, is_bad
from ingest.source import DeviceState, Message, Reconnecting, Source, Take

log = structlog.get_logger()
LOST = (OSError, ua.UaError, asyncio.TimeoutError)
MOST_ALARMS = 100_000
MONITORED_AT_ONCE = 500
SILENCE_SECONDS, REFRESH_SECONDS = 10.0, 10.0
SERVER = "i=2253"
OVERFLOW = 0x480  # information bits of a status: of a data value, and overflow
ACCESS = "options user, password_variable, user_certificate, security, certificate, key, trust"
EPOCH = datetime.fromtimestamp(0, UTC)


class Observed(Observer):  # type: ignore[misc]
    """Counts what a subscription's bounded queue has dropped: all that came beyond its room and was not yet read. `forgotten`:
    the library has made the subscription anew, from identifiers that may be another server's by now."""

    def __init__(self, source: str, room: int) -> None:
        self._dropped = metrics.DROPPED.labels(source)
        self._room, self._unread = room, 0
        self.forgotten = asyncio.Event()

    def on_subscription_event(self, subscription_id: int | None, event: SubscriptionEvent) -> None:
        if event is SubscriptionEvent.RECREATED:
            self.forgotten.set()

    def on_notification(self, subscription_id: int | None, event_count: int) -> None:
        self._unread += event_count
        if self._unread > self._room:
            self._dropped.inc(self._unread - self._room)
            self._unread = self._room

    def read(self) -> None:
        self._unread -= 1


class OpcUaSource(Reconnecting):
    """Monitors the variables of one server."""

    LOST = LOST

    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        self.name, self._options = mapping.source, OpcUaOptions.of(mapping)
        self._patterns = [pattern(rule.match) for rule in mapping.rules if rule.kind == "telemetry"]
        self._url = url_of(self._options, settings)
        self._namespace = self._options.namespace
        self._items = listed(self._options, self._url)
        self._notifiers = _notifiers(self._options.events)
        if not (self._namespace or self._items or self._notifiers):
            raise MappingError("options need namespace, nodes, publishednodes or events", where=mapping.source)
        self._period = self._options.publishing_ms
        self._addresses: dict[Any, str] = {}  # node id → address
        self._last: dict[Any, datetime] = {}  # node id → the newest event time
        self._overflown: set[Any] = set()
        self._qualities: dict[Any, str] = {}
        self._active: set[tuple[str, str]] = set()
        self._heard = 0.0
        self._lost, self._spoke, self._outdated = asyncio.Event(), asyncio.Event(), asyncio.Event()
        session_checked(self._options, mapping.source)

    @property
    def where(self) -> str:
        return self._url

    def refusal(self, error: Exception) -> StackError | None:
        reason = refusal(error)
        return StackError(f"the server refuses: {reason}", where=self._url, hint=ACCESS) if reason else None

    async def ended(self, take: Take) -> None:
        now = round(time.time() * 1000)
        for address in self._addresses.values():
            await take(Message(address, DeviceState(False, now)))

    async def session(self, take: Take) -> None:
        self._lost.clear()
        async with await session(self._url, self._options, lasting=True) as client:
            room = self._options.queue
            client.uaclient.observer = observed = Observed(self.name, room)
            client.connection_lost_callback = self._on_lost
            subscription = await client.create_subscription(
                self._period, queue_maxsize=room, overflow=OverflowPolicy.DROP_OLDEST
            )
            subscription.restore = partial(restored, subscription)
            item_nodes, missing = await self._nodes(client)
            before, self._addresses, self._qualities = dict(self._last), {}, {}
            async with subscription, asyncio.TaskGroup() as tasks:
                await subscription.subscribe_data_change(
                    client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime))
                )
                missing += await self._monitor(subscription, item_nodes)
                if self._notifiers:
                    await alarms.subscribe(client, subscription, [await node(client, notifier) for notifier in self._notifiers])
                self.connected()
                log.info("nodes monitored", source=self.name, nodes=len(self._addresses), bad=len(missing))
                self._heard = time.monotonic()
                tasks.create_task(self._watch())
                tasks.create_task(self._interrupted(take))
                tasks.create_task(_until_forgotten(observed.forgotten))
                tasks.create_task(self._read(subscription, observed, take))
                tasks.create_task(self._refresh(client, subscription))
                tasks.create_task(self._mend(client, subscription, missing))
                if before and self._options.history:
                    tasks.create_task(self._fill(client, before, take))

    async def _nodes(self, client: Client) -> tuple[list[tuple[Item, Node]], list[Item]]:
        """Those to be monitored, and those whose identifier cannot be read here."""
        item_nodes, bad = [], []
        if self._namespace:
            item_nodes = await browsed(client, await client.get_namespace_index(self._namespace), self._patterns)
            sampling = self._options.sampling_ms
            item_nodes = [(replace(item, sampling=sampling), node) for item, node in item_nodes]
        for item in self._items:
            try:
                item_nodes.append((item, await item.on(client)))
            except (ua.UaError, ValueError) as error:
                self._bad(item, error)
                bad.append(item)
        return item_nodes, bad

    async def _monitor(self, subscription: Any, item_nodes: Sequence[tuple[Item, Node]]) -> list[Item]:
        """Those that the server refuses."""
        bad = []
        by_kind: dict[tuple[float, int, float | None], list[tuple[Item, Node]]] = {}
        for item, found_node in item_nodes:
            by_kind.setdefault((item.sampling, item.room(self._period), item.deadband), []).append((item, found_node))
        for (sampling, room, deadband), group in by_kind.items():
            absolute = ua.DataChangeTrigger.StatusValue, ua.DeadbandType.Absolute
            kind = None if deadband is None else ua.DataChangeFilter(absolute[0], absolute[1], deadband)
            for start in range(0, len(group), MONITORED_AT_ONCE):
                part = group[start : start + MONITORED_AT_ONCE]
                nodes = [found_node for _, found_node in part]
                answers = await subscription._subscribe(nodes, mfilter=kind, queuesize=room, sampling_interval=sampling)
                for (item, found_node), answer in zip(part, answers, strict=True):
                    if isinstance(answer, ua.StatusCode):
                        self._bad(item, answer)
                        bad.append(item)
                    else:
                        self._addresses[found_node.nodeid] = item.address
        return bad

    def _bad(self, item: Item, reason: object) -> None:
        metrics.REJECTED.labels(self.name, "BAD_NODE").inc()
        log.warning("node cannot be monitored", source=self.name, node=item.node, said=str(reason))

    async def _mend(self, client: Client, subscription: Any, bad: list[Item]) -> None:
        """Tries bad nodes again, on their own."""
        while bad:
            await asyncio.sleep(self._options.retry_seconds)
            again = []
            for item in bad:
                try:
                    again += await self._monitor(subscription, [(item, await item.on(client))])
                except (ua.UaStatusCodeError, ValueError) as error:
                    self._bad(item, error)
                    again.append(item)
            bad = again

    async def _on_lost(self, error: Exception) -> None:
        self.lost(f"{self._url}: {error!r}")
        self._lost.set()

    async def _interrupted(self, take: Take) -> None:
        """While the library tries to take the session up again, what was read is stale."""
        while True:
            await self._lost.wait()
            await self.ended(take)
            self._spoke.clear()
            await self._spoke.wait()
            self._lost.clear()
            self.connected()
            await self._back(take)

    async def _back(self, take: Take) -> None:
        now = round(time.time() * 1000)
        for address in self._addresses.values():
            await take(Message(address, DeviceState(True, now)))

    async def _read(self, subscription: Any, observed: Observed, take: Take) -> None:
        await self._back(take)
        async for event in subscription:
            observed.read()
            self._heard = time.monotonic()
            self._spoke.set()
            if isinstance(event, OpcEvent):
                if alarms.wants_refresh(event.event):
                    self._outdated.set()
                if (alarm := alarms.told(event.event)) is not None and self._is_news(*alarm):
                    await take(Message(*alarm))
            if isinstance(event, DataChangeEvent) and event.node.nodeid in self._addresses:
                message = self._message(event.node.nodeid, event.data.monitored_item.Value)
                if message is not None:
                    await take(message)
        raise ConnectionError("the server has ended the subscription")

    async def _refresh(self, client: Client, subscription: Any) -> None:
        """Conditions, where the server says that they are outdated; a server that says so at once again waits."""
        while True:
            await self._outdated.wait()
            self._outdated.clear()
            await alarms.refresh(client, subscription)
            await asyncio.sleep(REFRESH_SECONDS)

    def _is_news(self, address: str, record: dict[str, Any], at: int | None) -> bool:
        """A condition that is active is told again at every acknowledgement and change of severity: that is no other alarm."""
        active, name = record.get("active"), (address, record["code"])
        if active is True and name in self._active:
            return False
        if active is True and len(self._active) < MOST_ALARMS:
            self._active.add(name)
        elif active is False:
            self._active.discard(name)
        return True

    async def _watch(self) -> None:
        """The server's clock is monitored, too: when even that is not heard, the subscription is gone."""
        silence = self._options.silence_seconds or max(SILENCE_SECONDS, 5 * self._period / 1000)
        while True:
            await asyncio.sleep(silence / 4)
            if time.monotonic() - self._heard > silence:
                raise ConnectionError(f"the server has been silent for {silence:g} s")

    async def _fill(self, client: Client, before: dict[Any, datetime], take: Take) -> None:
        """What the server has recorded since it was last heard; a server without history is asked once."""
        until = datetime.now(UTC)
        for node_id, since in before.items():
            if node_id not in self._addresses:
                continue
            try:
                async for value in past(client.get_node(node_id), since, until):
                    message = self._message(node_id, value, past=True)
                    if message is not None:
                        await take(message)
            except ua.UaStatusCodeError as error:
                log.info("server provides no history", source=self.name, node=str(node_id), said=str(error))
                return

    def _message(self, node_id: Any, value: Any, past: bool = False) -> Message | None:
        """`past`: what it says of the quality is not what is."""
        status = value.StatusCode
        if status is not None and status.value & OVERFLOW == OVERFLOW:
            metrics.DROPPED.labels(self.name).inc()
            if node_id not in self._overflown:
                self._overflown.add(node_id)
                log.warning(
                    "the server's queue overflows", source=self.name, node=self._addresses[node_id], hint="queue, sampling"
                )
        quality = GOOD if status is None or status.is_good() else ua.StatusCode(status.value & 0xFFFF0000).name
        bad = value.Value is None or is_bad(quality)
        if bad:
            metrics.REJECTED.labels(self.name, "BAD_STATUS").inc()
            quality = quality if is_bad(quality) else "BadNoData"
        stamp = value.SourceTimestamp or value.ServerTimestamp
        if stamp is not None:
            self._last[node_id] = max(stamp, self._last.get(node_id, stamp))
        at = None if stamp is None else round((stamp - EPOCH).total_seconds() * 1000)
        address = self._addresses[node_id]
        field = address.rpartition(".")[2]
        changed = not past and self._qualities.get(node_id) != quality
        if changed:
            self._qualities[node_id] = quality
        elif bad:
            return None
        return Message(
            address, {field: None if bad else plain(value.Value.Value)}, at, quality={field: quality} if changed else None
        )


class OpcUaServers(Source):
    """Several servers of one mapping; one that refuses is tried again, later and later, without the others."""

    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        self.name = mapping.source
        urls = [str(url) for url in mapping.options["url"]]
        options = [{**mapping.options, "url": url} for url in urls]
        self._each = [
            OpcUaSource(mapping.model_copy(update={"options": server_options}), settings) for server_options in options
        ]

    @property
    def stopping(self) -> bool:  # type: ignore[override]
        return any(source.stopping for source in self._each)

    @stopping.setter
    def stopping(self, value: bool) -> None:
        for one in self._each:
            one.stopping = value

    @property
    def reconnects(self) -> int:  # type: ignore[override]
        return sum(source.reconnects for source in self._each)

    @property
    def online(self) -> bool:  # type: ignore[override]
        return all(source.online for source in self._each)

    @property
    def problem(self) -> str | None:  # type: ignore[override]
        problems = [source.problem for source in self._each if source.problem]
        more = f" (and {len(problems) - 1} more of {len(self._each)} servers)" if len(problems) > 1 else ""
        return problems[0] + more if problems else None

    async def run(self, take: Take) -> None:
        async with asyncio.TaskGroup() as tasks:
            for source in self._each:
                tasks.create_task(self._kept(source, take))

    async def _kept(self, source: OpcUaSource, take: Take) -> None:
        for pause in pauses(1.0, 60.0):
            try:
                await source.run(take)
            except StackError as error:
                log.error("OPC UA server rejected the source", source=self.name, error=str(error), pause=pause)
                source.lost(error)
            await asyncio.sleep(pause)

    async def acknowledge(self, receipts: Sequence[Any]) -> None:
        """The protocol has acknowledged them already."""


def opcua_source(mapping: SourceMapping, settings: Settings) -> Source:
    """Raises: MappingError."""
    many = not isinstance(OpcUaOptions.of(mapping).url, str)
    return OpcUaServers(mapping, settings) if many else OpcUaSource(mapping, settings)


def plain(value: Any) -> Any:
    """As JSON has it: times, texts in a language, identifiers are texts."""
    if type(value) in (float, int, bool, str):
        return value
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, ua.LocalizedText):
        return value.Text or ""
    return (
        value.to_string()
        if isinstance(value, ua.NodeId | ua.QualifiedName)
        else str(value)
        if isinstance(value, UUID)
        else value
    )


async def _until_forgotten(forgotten: asyncio.Event) -> None:
    await forgotten.wait()
    raise ConnectionError("the server has forgotten the subscription")


def _notifiers(events: bool | str | tuple[str, ...]) -> list[str]:
    """The nodes whose events are subscribed."""
    if isinstance(events, bool):
        return [SERVER] if events else []
    return [events] if isinstance(events, str) else [*events]


def url_of(options: OpcUaOptions, settings: Settings) -> str:
    return str(options.url or f"opc.tcp://{settings.host}:{settings.opcua_port}/fleet")
