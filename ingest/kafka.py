"""Kafka: a consumer group whose positions are committed with the readings, in the same transaction of the graph.

An address is the topic, or with `key: true` topic/key. Topics default to those that the rules match. The group's own offsets
follow the graph, for lag in Kafka's tools; a partition goes on at the lower of both, since what comes twice is stored once.
While there is no room the partitions are paused and the member stays in its group."""

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Any

import structlog
from confluent_kafka import OFFSET_STORED, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record
from pydantic import Field

from app.errors import StackError, Unavailable
from app.settings import Settings
from app.twins.write import Position
from ingest.backoff import pauses
from ingest.mapping.declaration import PART, SourceMapping
from ingest.options import Options
from ingest.source import Message, Source, Take

log = structlog.get_logger()
AT_ONCE, POLL_SECONDS, PATIENCE_SECONDS, LOOK_SECONDS = 1000, 0.1, 1.0, 5.0
LOGIN = (KafkaError._AUTHENTICATION, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)
Receipt = tuple[str, int, int]  # topic, partition, offset


class KafkaOptions(Options):
    servers: str = Field(min_length=1, description='bootstrap servers: "host:9092"')
    group: str = Field("", description="consumer group; twingraph-<source>")
    topics: tuple[str, ...] = Field((), description="topics; those that the rules match")
    key: bool = Field(False, description="the address is topic/key")
    config: dict[str, Any] = Field({}, description="of librdkafka: security.protocol, sasl.mechanism, …")


class KafkaSource(Source):
    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        self.name = mapping.source
        options = KafkaOptions.of(mapping)
        self._keyed = options.key
        self._topics = [*options.topics] or self._matched(mapping)
        self._config = {
            "bootstrap.servers": options.servers,
            "group.id": options.group or f"twingraph-{mapping.source}",
            "client.id": f"twingraph-{mapping.source}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "partition.assignment.strategy": "cooperative-sticky",
            "error_cb": self._on_error,
            "queued.max.messages.kbytes": 8192,  # of a partition
            "log_level": 2,
            **options.config,
        }
        self._takes_events = mapping.takes_events
        self._consumer: Any = None
        self._polling: Any = None
        self._refused: str | None = None
        self._closing = False
        self._look_at = 0.0

    def _matched(self, mapping: SourceMapping) -> list[str]:
        templates = [rule.match.rpartition("/")[0] if self._keyed else rule.match for rule in mapping.rules]
        return ["^" + PART.sub("[^/]+", re.escape(t).replace(r"\{", "{").replace(r"\}", "}")) + "$" for t in templates]

    async def run(self, take: Take) -> None:
        """Raises: StackError when the broker refuses the login or the topics."""
        self._closing, self._refused = False, None
        consumer = self._consumer = Consumer(self._config)
        consumer.subscribe(self._topics, on_assign=self._on_assign)
        log.info("consuming", source=self.name, servers=self._config["bootstrap.servers"], topics=self._topics)
        try:
            while self._refused is None:
                if not self.online:
                    await self._look_for_brokers(consumer)
                self._polling = asyncio.ensure_future(asyncio.to_thread(consumer.consume, AT_ONCE, POLL_SECONDS))
                await self._hand_over(consumer, await asyncio.shield(self._polling), take)
            raise StackError(f"Kafka refuses: {self._refused}", where=self._config["bootstrap.servers"], hint="options.config")
        finally:
            self._closing = True
            if self._polling is not None:
                await asyncio.gather(self._polling, return_exceptions=True)
            await asyncio.to_thread(consumer.close)

    async def _look_for_brokers(self, consumer: Consumer) -> None:
        """Nothing else tells of a connection on which nothing comes. A topic that is not there yet is told until it is."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        try:
            metadata = await asyncio.to_thread(consumer.list_topics, timeout=1.0)
        except KafkaException as error:
            if self.problem is None:
                self.lost(error.args[0].str() if error.args else error)
            return
        missing = [subscribed for subscribed in self._topics if not any(_names(subscribed, topic) for topic in metadata.topics)]
        if missing:
            self.problem = f"no topic {missing[0].strip('^$')}"
        else:
            self.connected()

    async def _hand_over(self, consumer: Consumer, records: Sequence[Record], take: Take) -> None:
        handing = asyncio.create_task(self._take_all(records, take))
        try:
            done, _ = await asyncio.wait((handing,), timeout=PATIENCE_SECONDS)
            if not done:
                await self._pause_until(consumer, handing, take)
            await handing
        finally:
            handing.cancel()

    async def _pause_until(self, consumer: Consumer, handing: "asyncio.Task[None]", take: Take) -> None:
        """Polls on, so that the group keeps this member; a partition that is new meanwhile may bring a record, which waits."""
        late: list[Record] = []
        while not handing.done():
            consumer.pause(consumer.assignment())
            self._polling = asyncio.ensure_future(asyncio.to_thread(consumer.poll, POLL_SECONDS))
            record = await asyncio.shield(self._polling)
            late += [record] if record is not None else []
        consumer.resume(consumer.assignment())
        await handing
        await self._take_all(late, take)

    async def _take_all(self, records: Sequence[Record], take: Take) -> None:
        for record in records:
            failure = record.error()
            if failure is not None:
                self._partition_failed(failure)
            else:
                topic, key = record.topic() or "", record.key()
                address = f"{topic}/{_text(key)}" if self._keyed else topic
                receipt = (topic, record.partition(), record.offset())
                attributes = _attributes(record) if self._takes_events else None
                message = Message(address, record.value() or b"", None, receipt, _received(record), attributes=attributes)
                await take(message)

    def _partition_failed(self, failure: KafkaError) -> None:
        if failure.code() != KafkaError._PARTITION_EOF and self.problem != failure.str():
            log.warning("partition cannot be read", source=self.name, error=failure.str())
            self.online, self.problem = False, failure.str()

    async def acknowledge(self, receipts: Sequence[Receipt]) -> None:
        offsets = [TopicPartition(topic, partition, after) for (topic, partition), after in _ends(receipts).items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except (KafkaException, RuntimeError) as error:  # the graph holds them
            log.info("offsets not committed to Kafka", source=self.name, error=str(error))

    def positions(self, receipts: Sequence[Receipt]) -> Sequence[Position]:
        return [Position(self.name, f"{topic}/{partition}", after) for (topic, partition), after in _ends(receipts).items()]

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """In the thread that polls: nothing is read before the graph has said where to go on."""
        for pause in pauses():
            try:
                stored = self.stored()
                committed = consumer.committed(partitions, timeout=10)
                break
            except (Unavailable, KafkaException) as error:
                if self._closing:
                    return
                log.warning("partitions paused until their offsets are known", source=self.name, error=str(error))
                time.sleep(pause)
        for assignment in committed:
            stored_offset = stored.get(f"{assignment.topic}/{assignment.partition}")
            if isinstance(stored_offset, int):
                assignment.offset = stored_offset if assignment.offset < 0 else min(stored_offset, assignment.offset)
            elif assignment.offset < 0:
                assignment.offset = OFFSET_STORED
        consumer.incremental_assign(committed)
        log.info(
            "partitions assigned",
            source=self.name,
            assigned=[f"{assignment.topic}/{assignment.partition}@{assignment.offset}" for assignment in committed],
        )

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in LOGIN:
            self._refused = error.str()
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.lost(error.str())
            log.warning("Kafka brokers unreachable", source=self.name, error=error.str())


def _names(subscribed: str, topic: str) -> bool:
    """Whether a topic is the one that is wanted, or fits its pattern, which begins with `^`."""
    return bool(re.fullmatch(subscribed, topic)) if subscribed.startswith("^") else subscribed == topic


def _ends(receipts: Sequence[Receipt]) -> dict[tuple[str, int], int]:
    """The offset after the last receipt of each partition."""
    ends: dict[tuple[str, int], int] = {}
    for topic, partition, offset in receipts:
        ends[topic, partition] = max(ends.get((topic, partition), 0), offset + 1)
    return ends


def _received(record: Record) -> int | None:
    """The broker's or producer's time, where a reading has none of its own; one that is not plausible counts for nothing."""
    _, at = record.timestamp()
    return at if 0 < at <= time.time() * 1000 + 60_000 else None


def _attributes(record: Record) -> dict[str, str] | None:
    """A CloudEvent's, in its binary mode."""
    headers = [(name.lower(), value) for name, value in record.headers() or () if isinstance(value, bytes)]
    attributes = {name.removeprefix("ce_"): _text(value) for name, value in headers if name.startswith("ce_")}
    return attributes if "specversion" in attributes else None


def _text(key: bytes | str | None) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else key or ""
