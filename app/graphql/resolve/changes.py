"""What enters, changes in and leaves the answer of a query: one look at the graph serves all who ask the same."""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from app.errors import QueryError
from app.events.feed import Feed, Kind, Topic

AT_LEAST_SECONDS = 0.25  # between two looks
AT_MOST_SHARE = 0.2  # of the time goes into the looks for one question
KEPT_SECONDS = 300.0
KEPT_TWINS = 400_000  # of all looks kept together: some 100 MB
MOST_TWINS = 10_000

Seen = dict[str, tuple[Any, ...]]
Look = Callable[[], Awaitable[Seen]]


@dataclass(frozen=True, slots=True)
class Change:
    """`kind`: ENTERED, CHANGED, LEFT, or RESET before everything is told anew."""

    kind: str
    dt_id: str | None
    cursor: str


@dataclass(frozen=True, slots=True)
class DeliveredDiff:
    """One look: what was known before it, what it found, and the differences in the order they are told."""

    question: str
    before: Seen
    found: Seen
    differences: list[tuple[str, str]]
    until: float

    @property
    def size(self) -> int:
        """Twins held; one at least, that empty answers are bounded too. `before` is the `found` of the look before."""
        return len(self.found) + len(self.differences) + 1

    def after(self, count: int) -> Seen:
        """What a client knows who has been told so many of the differences."""
        seen = dict(self.before)
        for kind, dt_id in self.differences[:count]:
            if kind == "LEFT":
                seen.pop(dt_id, None)
            else:
                seen[dt_id] = self.found[dt_id]
        return seen


class ResumeCache:
    """What subscribers have been told, for who comes back with a cursor: kept for five minutes, or less where it is much."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, DeliveredDiff] = OrderedDict()
        self._twins = 0

    def keep(self, look: str, diff: DeliveredDiff) -> None:
        self._kept[look] = diff
        self._twins += diff.size
        while self._kept and (self._twins > KEPT_TWINS or next(iter(self._kept.values())).until < time.monotonic()):
            self._twins -= self._kept.popitem(last=False)[1].size

    def known(self, cursor: str, question: str) -> Seen | None:
        look, _, count = cursor.rpartition(".")
        delivered = self._kept.get(look)
        if delivered is None or delivered.question != question or delivered.until < time.monotonic() or not count.isdecimal():
            return None
        return delivered.after(int(count))


@dataclass(eq=False, slots=True)
class _Shared:
    """`number` counts the answers that differ from the one before."""

    task: "asyncio.Task[None] | None" = None
    subscribers: int = 0
    number: int = 0
    answer: Seen = field(default_factory=dict)
    failure: BaseException | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()


class SharedLooks:
    """The answers of questions, each looked up once for all its subscribers."""

    def __init__(self) -> None:
        self._open: dict[str, _Shared] = {}

    async def answers(self, feed: Feed, question: str, look: Look) -> AsyncGenerator[Seen]:
        """The answer as it is, then whenever it is another; who is slow gets the newest only. Raises: StoreError."""
        shared, number = self._open.get(question), 0
        if shared is None:
            shared = self._open[question] = _Shared()
            shared.task = asyncio.create_task(self._follow(feed, question, look, shared), name="looks for a query")
            shared.task.add_done_callback(partial(self._ended, question, shared))
        shared.subscribers += 1
        try:
            while True:
                while number == shared.number and shared.failure is None:
                    await shared.moved.wait()
                if shared.failure is not None:
                    raise shared.failure
                number = shared.number
                yield shared.answer
        finally:
            shared.subscribers -= 1
            if not shared.subscribers and shared.task is not None:
                shared.task.cancel()
                self._forget(question, shared)

    async def _follow(self, feed: Feed, question: str, look: Look, shared: _Shared) -> None:
        async with feed.listen(Topic(Kind.ANY)) as news:
            while True:
                began = time.monotonic()
                answer = await look()
                if answer != shared.answer or not shared.number:
                    shared.answer, shared.number = answer, shared.number + 1
                    shared.tell()
                await asyncio.sleep(max(AT_LEAST_SECONDS, (time.monotonic() - began) / AT_MOST_SHARE))
                await news.next()

    def _ended(self, question: str, shared: _Shared, task: "asyncio.Task[None]") -> None:
        """Whatever has failed, those who wait are told."""
        self._forget(question, shared)
        shared.failure = None if task.cancelled() else task.exception()
        shared.tell()

    def _forget(self, question: str, shared: _Shared) -> None:
        if self._open.get(question) is shared:
            del self._open[question]


async def changes(answers: AsyncIterator[Seen], question: str, memory: ResumeCache, after: str | None) -> AsyncIterator[Change]:
    """What enters, changes in and leaves the answer: dtId → what tells that a twin has changed. Raises: StoreError."""
    session, number = secrets.token_hex(8), 0
    seen = memory.known(after, question) if after is not None else {}
    if seen is None:
        seen = {}
        yield Change("RESET", None, f"{session}.0.0")
    async for current in answers:
        if len(current) > MOST_TWINS:
            raise QueryError(f"more than {MOST_TWINS} twins cannot be watched", hint="a narrower where")
        differences = _differences(seen, current)
        if differences:
            number += 1
            memory.keep(
                f"{session}.{number}", DeliveredDiff(question, seen, current, differences, time.monotonic() + KEPT_SECONDS)
            )
            for index, (kind, dt_id) in enumerate(differences):
                yield Change(kind, dt_id, f"{session}.{number}.{index + 1}")
            seen = current


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str]]:
    left = [("LEFT", dt_id) for dt_id in before if dt_id not in now]
    entered = [("ENTERED", dt_id) for dt_id in now if dt_id not in before]
    return [*left, *entered, *(("CHANGED", dt_id) for dt_id in now if dt_id in before and before[dt_id] != now[dt_id])]
