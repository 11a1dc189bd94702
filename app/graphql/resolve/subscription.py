"""Subscriptions. Each looks at the graph again when the feed says that something has changed, whichever process has written.

After a reconnect the same question with `after: <cursor of the last event>` goes on from there: nothing is missed of
telemetry and alarms; of changes, a server that remembers the cursor sends what has changed since, another one a RESET and
then everything as it is."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import strawberry
from strawberry.scalars import JSON

from app import clock, metrics
from app.commands.issue import get_command
from app.commands.outlet import ENDED, CommandStatus
from app.errors import NotFound, QueryError
from app.events.alarms import Alarm, all_alarms
from app.events.feed import OVERLAP, Kind, Topic
from app.graphql.resolve.static import AlarmEvent, CommandResult, Info, at_work, identity_of, server_of, shown, shown_alarm
from app.graphql.schema.scalars import epoch_ms
from app.twins.edit import model_of
from app.twins.fresh import Told, begin, fresh

CHECK_SECONDS = 2.0

T = TypeVar("T")


@strawberry.type(description="New points of one signal, in columns.")
class FreshPoints:
    signal: str
    unit: str | None
    timestamps: list[str]
    values: list[JSON]


@strawberry.type(description="What a twin has measured since the last event.")
class TelemetryEvent:
    dt_id: strawberry.ID
    signals: list[FreshPoints]
    cursor: str


async def while_allowed(results: AsyncIterator[T], check: Callable[[], Awaitable[None]]) -> AsyncIterator[T]:
    """`results`, with a look every few seconds whether who asks still may; what `check` raises ends them."""
    checked, coming = time.monotonic(), None
    try:
        while True:
            coming = asyncio.ensure_future(anext(results))
            while not coming.done():
                await asyncio.wait((coming,), timeout=max(0.0, checked + CHECK_SECONDS - time.monotonic()))
                if time.monotonic() - checked >= CHECK_SECONDS:
                    await check()
                    checked = time.monotonic()
            try:
                result = coming.result()
            except StopAsyncIteration:
                return
            yield result
    finally:
        if coming is not None and not coming.done():
            coming.cancel()
            await asyncio.wait((coming,))
        await results.aclose()  # type: ignore[attr-defined]


def counted(stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async def run() -> AsyncIterator[Any]:
        metrics.SUBSCRIBERS.inc()
        try:
            async for event in stream:
                yield event
        finally:
            metrics.SUBSCRIBERS.dec()

    return run()


async def visible(info: Any, dt_id: str) -> str:
    """The twin's model. Raises: NotFound for a twin that is not there, or not for who asks."""
    server = server_of(info)
    model = await at_work(info, model_of, server.store, server.registry.catalog, dt_id)
    await at_work(info, server.gate.require_visible, identity_of(info), [dt_id])
    return model


@strawberry.type
class Subscription:
    @strawberry.subscription(description="A command at once, then at every step until it has ended.")  # type: ignore[untyped-decorator]
    async def command_changed(self, info: Info, id: strawberry.ID) -> AsyncIterator[CommandResult]:
        server, before = server_of(info), ""
        async with server.feed.listen(Topic(Kind.COMMAND, str(id))) as steps:
            while before not in ENDED:
                record = await at_work(info, get_command, server.store, str(id))
                if not before:
                    try:
                        await visible(info, record.dt_id)
                    except NotFound as error:
                        raise NotFound(f"no command {str(id)!r}") from error
                if record.status != before:
                    before = record.status
                    yield shown(record)
                if before == CommandStatus.PENDING:
                    await steps.next()

    @strawberry.subscription(description="Alarms that begin or end; the open ones first, or all since `after`.")  # type: ignore[untyped-decorator]
    async def alarms(
        self, info: Info, dt_id: strawberry.ID | None = None, after: str | None = None
    ) -> AsyncIterator[AlarmEvent]:
        server, who = server_of(info), identity_of(info)
        if dt_id is not None:
            await visible(info, str(dt_id))
        now = await at_work(info, server.store.time)  # of the clock by which alarms are recorded
        since = _moment(after) if after is not None else datetime.fromtimestamp(now, UTC)
        sent: dict[tuple[str, str | None], datetime] = {}

        async def unsent(**conditions: Any) -> AsyncIterator[Alarm]:
            twin = str(dt_id) if dt_id is not None else None
            pages = all_alarms(server.store, who.access, who.roots or (), twin, **conditions)
            while (page := await at_work(info, next, pages, None)) is not None:
                for alarm in page:
                    if alarm.state not in sent:
                        yield alarm
                    sent[alarm.state] = alarm.recorded

        async with server.feed.listen(Topic(Kind.ALARMS)) as news:
            if after is None:
                async for alarm in unsent(opened=True):
                    yield shown_alarm(alarm)
            while True:
                async for alarm in unsent(since=since - OVERLAP):
                    yield shown_alarm(alarm)
                newest = max(sent.values(), default=since)
                since = min(max(since, newest), datetime.now(UTC))
                sent = {state: recorded for state, recorded in sent.items() if recorded > since - 2 * OVERLAP}
                await news.next()

    @strawberry.subscription(  # type: ignore[untyped-decorator]
        description="Every point of a twin's signals that is committed, late ones too, gathered for at least `every` seconds;"
        " from now on, or from `after`: late ones then within an hour, and those of the five seconds before it again."
    )
    async def telemetry(
        self,
        info: Info,
        dt_id: strawberry.ID,
        signals: list[str] | None = None,
        every: float = 1.0,
        after: str | None = None,
    ) -> AsyncIterator[TelemetryEvent]:
        if not 0.1 <= every <= 3600:
            raise QueryError(f"every: {every} is outside 0.1 to 3600 s")
        server = server_of(info)
        model, access = await visible(info, str(dt_id)), identity_of(info).access
        labels, known_signals = server.registry.catalog.node_labels(model), server.registry.catalog.telemetry(model)
        if access is not None:
            known_signals = {name: signal for name, signal in known_signals.items() if not access.hides(name, labels)}
        for signal in signals or ():
            if signal not in known_signals:
                raise QueryError(f"no signal {signal!r}", where=str(dt_id), hint=f"signals are {', '.join(known_signals)}")
        if not known_signals:
            raise QueryError(f"{server.registry.catalog.labels[model]} has no telemetry", where=str(dt_id))
        names = signals or list(known_signals)
        async with server.feed.listen(Topic(Kind.TWIN, str(dt_id))) as news:
            told = await at_work(info, begin, server.store, str(dt_id), names) if after is None else _told(after, names)
            while True:
                limit = clock.limit(server.settings.max_skew_seconds)
                now = epoch_ms(datetime.now(UTC))
                newest = {name: at if at <= limit else now for name, at in told.newest.items()}  # by a clock that was ahead
                points, told = await at_work(info, fresh, server.store, str(dt_id), replace(told, newest=newest), limit)
                if points:
                    await visible(info, str(dt_id))
                    rows = [
                        _fresh(signal, known_signals[signal].unit, signal_points) for signal, signal_points in points.items()
                    ]
                    yield TelemetryEvent(dt_id=dt_id, signals=rows, cursor=_telemetry_cursor(told))
                await asyncio.sleep(every)
                await news.next()


def _fresh(signal: str, unit: str, points: list[tuple[int, Any]]) -> FreshPoints:
    times = [_cursor(at) for at, _ in points]
    return FreshPoints(signal=signal, unit=unit or None, timestamps=times, values=[value for _, value in points])


def _telemetry_cursor(told: Told) -> str:
    """The newest time that was sent; when it was looked for late points; how far behind [ms] each signal is that is."""
    newest = max(told.newest.values())
    behind = [f"{signal}={newest - at}" for signal, at in told.newest.items() if at < newest]
    return "~".join([_cursor(newest), f"@={told.looked}", *behind])


def _told(cursor: str, signals: list[str]) -> Told:
    """Raises: QueryError."""
    moment, *parts = cursor.split("~")
    newest, numbers = epoch_ms(_moment(moment)), dict(part.partition("=")[::2] for part in parts)
    if not all(number.isdecimal() and len(number) < 20 and int(number) < 2**63 for number in numbers.values()):
        raise QueryError("not a cursor of this API", where="after", hint="take it from an event")
    told = {signal: newest - int(numbers.get(signal, "0")) for signal in signals}
    return Told(told, max(told.values()), int(numbers.get("@", newest)))


def _cursor(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _moment(cursor: str) -> datetime:
    try:
        moment = datetime.fromisoformat(cursor)
    except ValueError as error:
        raise QueryError("not a cursor of this API", where="after", hint="take it from an event") from error
    if not 1970 <= moment.year <= 9000:
        raise QueryError("not a cursor of this API", where="after", hint="take it from an event")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
