"""Collect → assemble → commit → acknowledge. It never asks which protocol it serves."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from app import metrics
from app.errors import MessageError, StoreError, Unavailable
from app.graph.store import Store
from app.twins.write import Batch, Outcome, append, ensure, positions_of
from ingest.assemble import Assembled, Assembler, letter
from ingest.backoff import pauses
from ingest.message import Message, Source

log = structlog.get_logger()
MOST_MESSAGES = 20_000
GRACE_SECONDS = 5.0


@dataclass(slots=True)
class Tally:
    """What has been done since the source was first started."""

    messages: int = 0
    values: int = 0
    duplicates: int = 0
    rejected: int = 0
    retries: int = 0
    batches: int = 0
    seconds: float = 0.0
    newest: int = 0


class Road:
    """Collects, writes, acknowledges. Bounded: `take` waits while MOST_MESSAGES are collected and not yet written."""

    def __init__(self, source: Source, flush: float, most: int) -> None:
        self.source, self.tally = source, Tally()
        self._flush, self._most = flush, most
        self._waiting: list[Message] = []
        self._room = asyncio.Event()
        self._room.set()
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._committing: asyncio.Task[None] | None = None

    def _write(self, messages: list[Message]) -> None:
        """In a thread: makes them durable. Raises: Unavailable, and they are tried again."""
        raise NotImplementedError

    async def run(self) -> None:
        """Until the source ends or the task is cancelled; a batch under way then has five seconds to be committed."""
        committing = asyncio.create_task(self._commit_forever())
        reading = asyncio.create_task(self.source.run(self.take))
        try:
            await asyncio.wait((committing, reading), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The source stays open until what is under way is committed and acknowledged, or the database stays away too
            # long for it; the rest is delivered again.
            committing.cancel()
            await asyncio.gather(committing, return_exceptions=True)
            if self._committing is not None:
                _, late = await asyncio.wait((self._committing,), timeout=GRACE_SECONDS)
                for task in late:
                    task.cancel()
                await asyncio.gather(self._committing, return_exceptions=True)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        for task in (reading, committing):
            if not task.cancelled() and task.exception():
                raise task.exception()  # type: ignore[misc]

    async def take(self, message: Message) -> None:
        if not self._room.is_set():
            await self._room.wait()
        waiting = self._waiting
        waiting.append(message)
        self._some.set()
        if len(waiting) >= self._most:
            self._full.set()
            if len(waiting) >= MOST_MESSAGES:
                self._room.clear()

    async def _commit_forever(self) -> None:
        while True:
            await self._some.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._flush):
                    await self._full.wait()
            self._committing = asyncio.create_task(self._commit(self._drain()))
            await asyncio.shield(self._committing)

    def _drain(self) -> list[Message]:
        messages, self._waiting = self._waiting, []
        self._some.clear()
        self._full.clear()
        self._room.set()
        return messages

    async def _commit(self, messages: list[Message]) -> None:
        started = time.perf_counter()
        await self._persist(messages)
        committed = time.perf_counter()
        await self.source.acknowledge([message.receipt for message in messages])
        name = self.source.name
        metrics.MESSAGES.labels(name).inc(len(messages))
        metrics.BATCH.labels(name).observe(len(messages))
        metrics.STAGE.labels(name, "acknowledge").inc(time.perf_counter() - committed)
        metrics.COMMIT.labels(name).observe(committed - started)
        self.tally.messages += len(messages)
        self.tally.batches += 1
        self.tally.seconds += committed - started

    async def _persist(self, messages: list[Message]) -> None:
        told = False
        for pause in pauses():
            try:
                await asyncio.to_thread(self._write, messages)
                if told:
                    log.info("it is back", source=self.source.name)
                return
            except Unavailable as error:
                if not told:
                    log.warning("something needed is away; the source waits unacknowledged", error=str(error))
                told = True
                metrics.RETRIES.labels(self.source.name).inc()
                self.tally.retries += 1
            await asyncio.sleep(pause)

    @property
    def waiting(self) -> int:
        """Messages collected and not yet being committed."""
        return len(self._waiting)


class Pipeline(Road):
    """Into the graph."""

    def __init__(self, source: Source, assembler: Assembler, store: Store, flush: float, most: int) -> None:
        super().__init__(source, flush, most)
        self.assembler, self.store = assembler, store
        source.stored = partial(positions_of, store, source.name)

    def _write(self, messages: list[Message]) -> None:
        started = time.perf_counter()
        twins, links = self.assembler.missing(messages)
        if twins:
            ensure(self.store, self.assembler.catalog, twins, links)
            self.assembler.matcher.created()
        positions = self.source.positions([message.receipt for message in messages])
        assembled = self.assembler.assemble(messages, positions)
        assembled_at = time.perf_counter()
        metrics.STAGE.labels(self.source.name, "assemble").inc(assembled_at - started)
        try:
            outcome = append(self.store, assembled.batch)
        except Unavailable:
            raise
        except StoreError as error:
            self._divide(messages, error)
            return
        metrics.STAGE.labels(self.source.name, "commit").inc(time.perf_counter() - assembled_at)
        self._count(assembled, outcome)

    def _divide(self, messages: list[Message], error: StoreError) -> None:
        """The database refuses the batch for good: halve it until the one message that is to blame is set aside."""
        if len(messages) > 1:
            middle = len(messages) // 2
            self._write(messages[:middle])
            self._write(messages[middle:])
            return
        reason = MessageError(str(error), code="STORE_REFUSED")
        self._count(self._set_aside(messages[0], reason), Outcome())

    def _set_aside(self, message: Message, reason: MessageError) -> Assembled:
        row = letter(self.source.name, message, reason.code, str(reason), round(time.time() * 1000))
        append(self.store, Batch(deadletters=[row], positions=self.source.positions([message.receipt])))
        return Assembled(Batch(), {reason.code: 1})

    def _count(self, assembled: Assembled, outcome: Outcome) -> None:
        name = self.source.name
        metrics.VALUES.labels(name).inc(outcome.points)
        metrics.DUPLICATES.labels(name).inc(outcome.duplicates)
        for code, count in assembled.rejected.items():
            metrics.REJECTED.labels(name, code).inc(count)
        tally = self.tally
        tally.values += outcome.points
        tally.duplicates += outcome.duplicates
        tally.rejected += sum(assembled.rejected.values())
        tally.newest = max([tally.newest, *(one.span()[1] for one in assembled.batch.series)])
