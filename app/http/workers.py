"""Threads that serve clients in turn: whoever asks much waits behind whoever asks little, and nobody beyond a deadline."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app import metrics
from app.errors import StoreTimeout

T = TypeVar("T")
_until: ContextVar[float | None] = ContextVar("until", default=None)
THREADS = 32
SHARE = 8  # threads that one client may hold


@dataclass(slots=True)
class _Client:
    running: int = 0
    waiting: deque["asyncio.Future[None]"] = field(default_factory=deque)


class Workers:
    """One event loop's. A thread whose caller has given up is not free until its work ends, which the database's own limit sees
    to; its client's share bounds how many there can be."""

    def __init__(self, seconds: float, threads: int = THREADS, share: int = SHARE) -> None:
        """`seconds`: an operation's whole time, in the queue and at work."""
        self.seconds = seconds
        self._pool = ThreadPoolExecutor(threads, "worker")
        self._threads, self._share = threads, share
        self._running = 0
        self._clients: dict[str, _Client] = {}
        self._turns: deque[str] = deque()  # clients of whom something waits, the next first

    async def run(self, client: str, work: Callable[..., T], *arguments: Any, deadline: float | None = None) -> T:
        """`work(*arguments)` in a thread. `deadline` [monotonic s]: without one, that of the operation which this is a step of.

        Raises: StoreTimeout once it has passed."""
        until = deadline if deadline is not None else _until.get() or time.monotonic() + self.seconds
        client_state = self._clients.setdefault(client, _Client())
        if self._running < self._threads and client_state.running < self._share and not client_state.waiting:
            self._hold(client_state)
        else:
            await self._wait(client, client_state, until)
        task = asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        task.add_done_callback(lambda _: self._release(client, client_state))
        try:
            async with asyncio.timeout(_left(until)):
                return await asyncio.shield(task)
        except TimeoutError as error:
            task.add_done_callback(_unheard)
            raise _overdue() from error

    async def _wait(self, client: str, client_state: _Client, until: float) -> None:
        """Until a thread is held for the caller."""
        turn = asyncio.get_running_loop().create_future()
        if not client_state.waiting:
            self._turns.append(client)
        client_state.waiting.append(turn)
        metrics.QUEUED.inc()
        granted = False
        try:
            async with asyncio.timeout(_left(until)):
                await turn
            granted = True
        except TimeoutError as error:
            raise _overdue() from error
        finally:
            metrics.QUEUED.dec()
            if not granted and turn.done() and not turn.cancelled():  # granted in the moment in which the caller gave up
                self._release(client, client_state)
            elif not granted and turn in client_state.waiting:
                client_state.waiting.remove(turn)
            if not client_state.running and not client_state.waiting and self._clients.get(client) is client_state:
                del self._clients[client]

    def _hold(self, client_state: _Client) -> None:
        client_state.running += 1
        self._running += 1

    def _release(self, client: str, client_state: _Client) -> None:
        client_state.running -= 1
        self._running -= 1
        self._grant()
        if not client_state.running and not client_state.waiting and self._clients.get(client) is client_state:
            del self._clients[client]

    def _grant(self) -> None:
        """Holds a thread for the first who waits of the next client that may have one more."""
        for _ in range(len(self._turns)):
            client = self._turns.popleft()
            client_state = self._clients.get(client)
            if client_state is None or not client_state.waiting:
                continue
            if client_state.running >= self._share:
                self._turns.append(client)
                continue
            turns = client_state.waiting
            while turns and turns[0].done():  # who has given up, and does not know it yet
                turns.popleft()
            turn = turns.popleft() if turns else None
            if turns:
                self._turns.append(client)
            if turn is not None:
                self._hold(client_state)
                turn.set_result(None)
                return


def begin(seconds: float) -> None:
    """All that this task does in threads from now on is one operation."""
    _until.set(time.monotonic() + seconds)


@contextmanager
def apart() -> Iterator[None]:
    """What is done here has its own deadlines, and its time is not the operation's: a device is waited for."""
    began, until = time.monotonic(), _until.get()
    _until.set(None)
    try:
        yield
    finally:
        _until.set(None if until is None else until + time.monotonic() - began)


def _left(until: float) -> float | None:
    return None if until == math.inf else until - time.monotonic()


def _overdue() -> StoreTimeout:
    metrics.OVERDUE.inc()
    hint = "ask for less: a narrower filter or `first`; a change may still take effect; is the database silent? /health/ready"
    return StoreTimeout("the operation took longer than allowed", hint=hint)


def _unheard(task: "asyncio.Future[Any]") -> None:
    """What comes after the deadline is nobody's."""
    if not task.cancelled():
        task.exception()
