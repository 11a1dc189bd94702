"""Collect → assemble → commit → acknowledge. It never asks which protocol it serves."""

import asyncio
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from app import metrics
from app.errors import MessageError, StoreError, StoreUnavailable, TwingraphError, Unavailable
from app.graph.store import Store
from app.twins.edit import ensure
from app.twins.write import Batch, Outcome, append, positions_of
from ingest.backoff import pauses
from ingest.pipeline.assemble import Assembled, Assembler, letter
from ingest.source import Message, Source

log = structlog.get_logger()
MOST_MESSAGES = 20_000
MOST_BYTES = 64 * 1024**2
GRACE_SECONDS = 5.0
TOLD_SECONDS = 60.0
PACE, LONGEST_PACE = 3.0, 0.5
FAILURES = 5  # of a part, one after another, while others are taken, until it is halved or rejected


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


class Batcher:
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
        self.problem: str | None = None  # what it waits for

    def _write(self, messages: list[Message]) -> None:
        """In a thread: makes them durable. Raises: Unavailable, to be tried again; anything else, to be halved."""
        raise NotImplementedError

    def _reject(self, message: Message, error: Exception) -> None:
        """In a thread: puts aside the one message that cannot be written. Raises: Unavailable."""
        raise NotImplementedError

    def _serves(self, error: Unavailable) -> bool:
        """In a thread: whether what has failed so takes other messages now."""
        return False

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
        """Part by part: one that is refused for good, or again and again while others are taken, is halved down to the message
        that is to blame."""
        parts = [messages]
        failures, least = 0, FAILURES
        for pause in pauses():
            try:
                while parts:
                    await asyncio.to_thread(self._advance, parts)
                    failures = 0
                self._resume()
                return
            except Unavailable as error:
                self._pause(error)
                failures = failures + 1 if await asyncio.to_thread(self._serves, error) else 0
                if failures >= (least if len(parts[0]) > 1 else FAILURES):
                    failures, least = 0, 1
                    with suppress(Unavailable):
                        await asyncio.to_thread(self._split, parts, error)
            await asyncio.sleep(pause if least == FAILURES else min(pause, 1.0))

    def _advance(self, parts: list[list[Message]]) -> None:
        """Writes the first part, or halves it. Raises: Unavailable."""
        try:
            self._write(parts[0])
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one message does, the others go on
            self._split(parts, error)
        else:
            del parts[0]

    def _split(self, parts: list[list[Message]], error: Exception) -> None:
        """Raises: Unavailable."""
        part = parts[0]
        if len(part) > 1:
            middle = len(part) // 2
            parts[0:1] = [part[:middle], part[middle:]]
            return
        if not isinstance(error, TwingraphError):
            at = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{at.filename}:{at.lineno}"
            log.error("message cannot be written", source=self.source.name, error=repr(error)[:300], place=place)
        self._reject(part[0], error)
        del parts[0]

    def _pause(self, error: Unavailable) -> None:
        if self.problem is None:
            log.warning(
                "dependency unavailable; source paused, messages unacknowledged", source=self.source.name, dependency=str(error)
            )
        self.problem = str(error)
        metrics.RETRIES.labels(self.source.name).inc()
        self.tally.retries += 1

    def _resume(self) -> None:
        if self.problem is not None:
            log.info("dependency recovered", source=self.source.name, dependency=self.problem)
        self.problem = None

    @property
    def waiting(self) -> int:
        """Messages collected and not yet being committed."""
        return len(self._waiting)


class Pipeline(Batcher):
    """Into the graph."""

    def __init__(self, source: Source, assembler: Assembler, store: Store, flush: float, most: int) -> None:
        super().__init__(source, flush, most)
        self.assembler, self.store = assembler, store
        source.stored = partial(positions_of, store, source.name)
        self._ahead_told = float("-inf")

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
        outcome = append(self.store, assembled.batch)
        metrics.STAGE.labels(self.source.name, "commit").inc(time.perf_counter() - assembled_at)
        self._count(assembled, outcome)

    def _serves(self, error: Unavailable) -> bool:
        return isinstance(error, StoreUnavailable) and self.store.writes()

    def _reject(self, message: Message, error: Exception) -> None:
        code = "STORE_REFUSED" if isinstance(error, StoreError) else "NOT_TAKEN"
        reason = MessageError(str(error) or repr(error), code=code)
        row = letter(self.source.name, message, reason.code, str(reason), round(time.time() * 1000))
        append(self.store, Batch(deadletters=[row], positions=self.source.positions([message.receipt])))
        self._count(Assembled(Batch(), {reason.code: 1}), Outcome())

    def _count(self, assembled: Assembled, outcome: Outcome) -> None:
        name = self.source.name
        metrics.VALUES.labels(name).inc(outcome.points)
        metrics.DUPLICATES.labels(name).inc(outcome.duplicates + assembled.doubled)
        for code, count in assembled.rejected.items():
            metrics.REJECTED.labels(name, code).inc(count)
        tally = self.tally
        if outcome.ahead:
            metrics.AHEAD.labels(name).inc(outcome.ahead)
            if time.monotonic() - self._ahead_told > TOLD_SECONDS:
                self._ahead_told = time.monotonic()
                log.warning("latest values with timestamps in the future were reset", twins=outcome.ahead)
        tally.values += outcome.points
        tally.duplicates += outcome.duplicates + assembled.doubled
        tally.rejected += sum(assembled.rejected.values())
        tally.newest = max([tally.newest, *(series.span()[1] for series in assembled.batch.series)])
