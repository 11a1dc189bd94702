"""Collect → assemble → commit → acknowledge. It never asks which protocol it serves."""

import asyncio
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from app import metrics
from app.errors import MessageError, StoreError, TwingraphError, Unavailable
from app.graph.store import Store
from app.twins.write import Batch, Outcome, append, ensure, positions_of
from ingest.assemble import Assembled, Assembler, letter
from ingest.backoff import pauses
from ingest.message import Message, Source

log = structlog.get_logger()
MOST_MESSAGES = 20_000
MOST_BYTES = 64 * 1024**2
GRACE_SECONDS = 5.0
PACE, LONGEST_PACE = 3.0, 0.5


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
    """Collects, writes, acknowledges. Bounded: `take` waits while MOST_MESSAGES are collected and not yet written.

    A lone message is written at once. The next commit begins `flush` seconds after the last began, or after PACE times what
    that took, up to half a second: so batches grow with the load, and a larger batch costs less a message."""

    def __init__(self, source: Source, flush: float, most: int) -> None:
        self.source, self.tally = source, Tally()
        self._flush, self._most = flush, most
        self._waiting: list[Message] = []
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._committing: asyncio.Task[None] | None = None
        self._next = 0.0

    def _write(self, messages: list[Message]) -> None:
        """In a thread: makes them durable. Raises: Unavailable, and they are tried again."""
        raise NotImplementedError

    async def run(self) -> None:
        """Until the source ends or the task is cancelled; a batch under way then has five seconds to be committed."""
        self.source.stopping = False
        if self._waiting:
            self._some.set()
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
            self.source.stopping = True
            reading.cancel()
            await asyncio.wait((reading,), timeout=GRACE_SECONDS)
        for task in (reading, committing):
            if task.done() and not task.cancelled() and task.exception():
                raise task.exception()  # type: ignore[misc]

    async def take(self, message: Message) -> None:
        while not self._room.is_set():
            await self._room.wait()
        waiting = self._waiting
        waiting.append(message)
        self._some.set()
        if type(message.payload) is bytes:
            self._bytes += len(message.payload)
        if len(waiting) >= self._most or self._bytes >= MOST_BYTES:
            self._full.set()
        if len(waiting) >= MOST_MESSAGES or self._bytes >= MOST_BYTES:
            self._full.set()
            self._room.clear()

    async def _commit_forever(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await self._some.wait()
            if now() < self._next:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(self._next):
                        await self._full.wait()
            started = now()
            self._committing = asyncio.create_task(self._commit(self._drain()))
            await asyncio.shield(self._committing)
            self._next = started + max(self._flush, min(PACE * (now() - started), LONGEST_PACE))

    def _drain(self) -> list[Message]:
        messages, self._waiting = self._waiting, []
        self._bytes = 0
        self._some.clear()
        self._full.clear()
        self._room.set()
        return messages

    async def _commit(self, messages: list[Message]) -> None:
        started = time.perf_counter()
        try:
            await self._persist(messages)
        except BaseException:  # also a cancellation: what runs here next begins with these, before any later position
            self._waiting[:0] = messages
            raise
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
        try:
            assembled, outcome = self._committed(messages)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one message does, the others go on
            self._divide(messages, error)
            return
        self._count(assembled, outcome)

    def _committed(self, messages: list[Message]) -> tuple[Assembled, Outcome]:
        started = time.perf_counter()
        twins, links = self.assembler.missing(messages)
        if twins:
            ensure(self.store, self.assembler.catalog, twins, links)
            self.assembler.matcher.created()
        positions = self.source.positions([message.receipt for message in messages])
        assembled = self.assembler.assemble(messages, positions)
        assembled_at = time.perf_counter()
        metrics.STAGE.labels(self.source.name, "assemble").inc(assembled_at - started)
        outcome = append(self.store, assembled.batch)
        metrics.STAGE.labels(self.source.name, "commit").inc(time.perf_counter() - assembled_at)
        return assembled, outcome

    def _divide(self, messages: list[Message], error: Exception) -> None:
        """The batch is refused for good: halve it until the one message that is to blame is set aside."""
        if len(messages) > 1:
            middle = len(messages) // 2
            self._write(messages[:middle])
            self._write(messages[middle:])
            return
        if not isinstance(error, TwingraphError):
            at = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{at.filename}:{at.lineno}"
            log.error("message cannot be taken", source=self.source.name, error=repr(error)[:300], place=place)
        code = "STORE_REFUSED" if isinstance(error, StoreError) else "NOT_TAKEN"
        reason = MessageError(str(error) or repr(error), code=code)
        self._count(self._set_aside(messages[0], reason), Outcome())

    def _set_aside(self, message: Message, reason: MessageError) -> Assembled:
        row = letter(self.source.name, message, reason.code, str(reason), round(time.time() * 1000))
        append(self.store, Batch(deadletters=[row], positions=self.source.positions([message.receipt])))
        return Assembled(Batch(), {reason.code: 1})

    def _count(self, assembled: Assembled, outcome: Outcome) -> None:
        name = self.source.name
        metrics.VALUES.labels(name).inc(outcome.points)
        metrics.DUPLICATES.labels(name).inc(outcome.duplicates + assembled.doubled)
        for code, count in assembled.rejected.items():
            metrics.REJECTED.labels(name, code).inc(count)
        tally = self.tally
        tally.values += outcome.points
        tally.duplicates += outcome.duplicates + assembled.doubled
        tally.rejected += sum(assembled.rejected.values())
        tally.newest = max([tally.newest, *(one.span()[1] for one in assembled.batch.series)])
