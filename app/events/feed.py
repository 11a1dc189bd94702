"""What has changed in the graph: one reader serves everything in this process that wants to know.

Neo4j Community has no change data capture. But the bookmark of a read names the last transaction committed before it: while
it stays the same nothing is asked; when it has moved, one statement reads the state of all that is listened to, whichever
process has written. A listener that is slow misses states between two looks, which are counted, never the last one.

With 100 subscriptions and a running command Neo4j used 37 % of a core more than with nobody listening while each polled for
itself, on a graph that nobody writes to; 5 to 8 % with this (`bench feed`)."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog

from app import metrics
from app.errors import TwingraphError
from app.graph.records import native
from app.graph.statements import statement
from app.graph.store import Store
from app.logs import log_failure

log = structlog.get_logger()
FAILED_SECONDS = 1.0
CHANGING = ("_etag", "_last", "_revision")  # properties of a twin: one of them changes with whatever is written to it
OVERLAP = timedelta(seconds=5)  # a transaction that took its time may commit behind a later one


class Kind(StrEnum):
    """What can be listened to; ANY is every committed transaction."""

    TWIN = "twin"
    COMMAND = "command"
    ALARMS = "alarms"
    MODELS = "models"
    ANY = "any"


EVERY = {Kind.COMMAND: 0.05, Kind.TWIN: 0.05, Kind.ALARMS: 0.1, Kind.ANY: 0.1, Kind.MODELS: 1.0}  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Topic:
    """`key`: the dtId of a twin or the id of a command."""

    kind: Kind
    key: str = ""


@dataclass(eq=False, slots=True)
class Listener:
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def next(self) -> None:
        """Waits until the topic has changed since the last call."""
        await self.changed.wait()
        self.changed.clear()


@dataclass(slots=True)
class _Watched:
    """`state`: as the last look found it; None where none has succeeded yet."""

    listeners: list[Listener] = field(default_factory=list)
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    state: Any = None


class Feed:
    """Belongs to one event loop; runs while somebody listens."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watched: dict[Topic, _Watched] = {}
        self._looked: dict[Kind, tuple[float, object]] = {}  # when, and at which position of the graph
        self._alarms_until: datetime | None = None  # of the database's clock
        self._new = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    @asynccontextmanager
    async def listen(self, topic: Topic, state: Any = None) -> AsyncIterator[Listener]:
        """What changes after the block has begun wakes the listener. `state`, where it is known, saves the first look."""
        watched, listener = self._watched.setdefault(topic, _Watched()), Listener()
        watched.listeners.append(listener)
        if state is not None and not watched.looked.is_set():
            watched.state = state
            watched.looked.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="feed")
            self._task.add_done_callback(log_failure)
        self._new.set()
        try:
            await watched.looked.wait()
            yield listener
        finally:
            watched.listeners.remove(listener)
            if not watched.listeners:
                del self._watched[topic]

    async def _run(self) -> None:
        while self._watched:
            self._new.clear()
            await self._look()
            try:
                shortest = min((EVERY[topic.kind] for topic in self._watched), default=0.0)
                async with asyncio.timeout(max(shortest, FAILED_SECONDS) if self._failing else shortest):
                    await self._new.wait()
            except TimeoutError:
                pass

    async def _look(self) -> None:
        now, topics = time.monotonic(), dict(self._watched)
        unread = {topic.kind for topic, watched in topics.items() if not watched.looked.is_set()}
        kinds = {topic.kind for topic in topics if self._is_due(topic.kind, now)} | unread
        try:
            position, states = await asyncio.to_thread(self._read, [t for t in topics if t.kind in kinds], frozenset(unread))
        except Exception as error:  # who listens must not wait for ever
            if not self._failing:
                expected = isinstance(error, TwingraphError)
                log.warning("reading changes of the graph failed", error=str(error), exc_info=None if expected else error)
            self._failing = True
        else:
            if self._failing:
                log.info("changes of the graph are read again")
            self._failing = False
            self._looked |= dict.fromkeys(kinds, (now, position))
            self._tell(topics, states)
        for watched in topics.values():
            watched.looked.set()

    def _is_due(self, kind: Kind, now: float) -> bool:
        return now - self._looked.get(kind, (float("-inf"), None))[0] >= 0.9 * EVERY[kind]

    def _tell(self, topics: Mapping[Topic, _Watched], states: Mapping[Topic, Any]) -> None:
        for topic, state in states.items():
            watched = topics[topic]
            if watched.looked.is_set() and state != watched.state:
                for listener in watched.listeners:
                    metrics.PASSED_OVER.inc(topic.kind is Kind.TWIN and listener.changed.is_set())
                    listener.changed.set()
            watched.state = state

    def _read(self, topics: Iterable[Topic], unread: frozenset[Kind]) -> tuple[object, dict[Topic, Any]]:
        """Position of the graph, and state of those topics that may have another one. Raises: StoreError."""
        position = self._store.position()
        moved = [topic for topic in topics if topic.kind in unread or self._looked.get(topic.kind, (0, None))[1] != position]
        keys_by_kind = {kind: [topic.key for topic in moved if topic.kind is kind] for kind in Kind}
        states: dict[Topic, Any] = {Topic(Kind.ANY): position} if keys_by_kind[Kind.ANY] else {}
        if len(moved) == len(states):
            return position, states
        metrics.FEED_READS.inc()
        parameters = {
            "twins": keys_by_kind[Kind.TWIN],
            "commands": keys_by_kind[Kind.COMMAND],
            "alarms": self._alarms_until - OVERLAP if keys_by_kind[Kind.ALARMS] and self._alarms_until else None,
            "models": bool(keys_by_kind[Kind.MODELS]),
        }
        ((twins, commands, alarms, generation, now),) = self._store.read(statement("event/changes"), parameters)
        for kind, rows in ((Kind.TWIN, twins), (Kind.COMMAND, commands)):
            by_key = {row[0]: row[1:] for row in rows}
            states |= {Topic(kind, key): by_key.get(key) for key in keys_by_kind[kind]}
        if keys_by_kind[Kind.ALARMS]:
            self._alarms_until = native(now)
            states[Topic(Kind.ALARMS)] = alarms
        return position, states | ({Topic(Kind.MODELS): generation} if keys_by_kind[Kind.MODELS] else {})
