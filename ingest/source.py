"""What a source is, and what it hands to the pipeline."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from app import metrics
from app.errors import StackError
from app.identity import Gate
from app.twins.write import Position
from ingest.backoff import pauses

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Whether the device of an address is online. Offline, what it said up to `at` [epoch ms] is stale."""

    online: bool
    at: int


Payload = bytes | Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Message:
    """`payload` is bytes, already a record or several, or None: a receipt alone; `time` the event time [epoch ms] where
    the protocol carries one; `receipt` what the source needs to acknowledge it; `received` when it came [epoch ms], where that
    is not now; `quality` what is said of fields, where that is not what was said before: Good, or what is wrong;
    `attributes` a CloudEvent's, where they came beside its data."""

    address: str
    payload: Payload | DeviceState | None
    time: int | None = None
    receipt: Any = None
    received: int | None = None
    quality: Mapping[str, str] | None = None
    attributes: Mapping[str, str] | None = None


Take = Callable[[Message], Awaitable[None]]


class Source:
    """A protocol's side of the pipeline."""

    name: str
    reconnects = 0
    online = False  # connected to its server, or listening
    problem: str | None = None  # why it is not
    gate: Gate | None = None  # who may push; none where there is no database
    stored: Callable[[], Mapping[str, int | str]] = dict  # positions committed so far, by part; the pipeline binds it

    stopping = False

    def leave_if_stopping(self) -> None:
        """Where what fails while a connection is closed has put its own failure in the place of a cancellation."""
        if self.stopping:
            raise asyncio.CancelledError

    def lost(self, error: object) -> None:
        """The connection is gone, or could not be made: shown with the source until `connected`; logged the first time."""
        if self.online or self.problem is None:
            log.warning("source connection lost", source=self.name, error=str(error) or repr(error))
        self.online, self.problem = False, str(error) or repr(error)
        self.reconnects += 1
        metrics.RECONNECTS.labels(self.name).inc()

    def connected(self) -> None:
        if not self.online:
            log.info("source connected" if self.problem is None else "source connection restored", source=self.name)
        self.online, self.problem = True, None

    async def run(self, take: Take) -> None:
        """Hands messages to `take`, which waits while there is no room; returns when the source has ended."""
        raise NotImplementedError

    async def acknowledge(self, receipts: Sequence[Any]) -> None:
        """These are committed."""

    def positions(self, receipts: Sequence[Any]) -> Sequence[Position]:
        """How far these receipts reach, to be committed with them."""
        return ()


class Reconnecting(Source):
    """A source with a connection: connected, read until it is lost, tried again after a pause, until it is stopped.

    Of its protocol it has LOST, what may be raised where another try can succeed; `session`; and, where there is something to
    say, `where`, `refusal` and `ended`."""

    LOST: tuple[type[Exception], ...] = (OSError,)

    @property
    def where(self) -> str:
        """What it is connected to, for people."""
        return ""

    async def session(self, take: Take) -> None:
        """Connects, calls `connected`, hands messages to `take` until the connection ends. Raises: what is in LOST."""
        raise NotImplementedError

    def refusal(self, error: Exception) -> StackError | None:
        """What no other try will change: a login, a certificate."""

    async def ended(self, take: Take) -> None:
        """The connection has ended, or could not be made."""

    async def run(self, take: Take) -> None:
        """Raises: StackError when the other side refuses."""
        for pause in pauses():
            error: Exception | None = None
            try:
                await self.session(take)
            except* self.LOST as group:
                error = _first(group)
            self.leave_if_stopping()
            refused = None if error is None else self.refusal(error)
            if refused is not None:
                self.online = False
                await self.ended(take)
                raise refused from error
            reason = "the other side has ended the connection" if error is None else str(error) or repr(error)
            self.lost(f"{self.where}: {reason}" if self.where else reason)
            await self.ended(take)
            await asyncio.sleep(pause)


def _first(group: BaseExceptionGroup[Any]) -> Exception:
    error: Any = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error  # type: ignore[no-any-return]
