"""Check → record → send → wait."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Protocol, TypeVar

import orjson

from app import metrics
from app.commands.outlet import Answer, CommandStatus, Delivery, Outlet
from app.dtdl import Catalog
from app.errors import CommandError, Malformed, NotFound, TwinError
from app.events.feed import Feed, Kind, Listener, Topic
from app.graph.records import plain
from app.graph.statements import statement
from app.graph.store import Store
from app.graph.typed import typed
from app.graph.values import checker
from app.logs import log_failure
from app.twins.edit import model_of

T = TypeVar("T")


class Run(Protocol):
    def __call__(self, work: Callable[..., T], *arguments: Any) -> Awaitable[T]: ...


_under_way: set["asyncio.Task[CommandRecord]"] = set()  # a task that nobody holds may be collected


@dataclass(frozen=True, slots=True)
class Site:
    """Where a command is issued: `run` does work in a thread of the client's, within its deadline."""

    run: Run
    store: Store
    feed: Feed
    catalog: Catalog
    outlets: Sequence[Outlet]


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """`status`: PENDING, SUCCEEDED, REFUSED, FAILED or TIMED_OUT."""

    id: str
    dt_id: str
    command: str
    status: str
    request: Any
    response: Any
    reason: str | None
    at: str
    answered_at: str | None


async def issue(site: Site, dt_id: str, command: str, request: Any, timeout: float, wait: bool = True) -> CommandRecord:
    """The command's record once the device has answered or `timeout` seconds have passed; without `wait` at once.

    Raises: NotFound; StoreTimeout; CommandError when the model refuses it or nothing delivers to the twin."""
    if not 0.1 <= timeout <= 300:
        raise CommandError(f"timeout: {timeout} is outside 0.1 to 300 s", where=dt_id, code="COMMAND_REFUSED")
    await site.run(_check, site.store, site.catalog, dt_id, command, request)
    outlet = next((outlet for outlet in site.outlets if outlet.serves(dt_id)), None)
    if outlet is None:
        raise CommandError("no source delivers commands to this twin", where=dt_id, hint="add it to commands: of a mapping")
    identifier = uuid.uuid4().hex
    properties = {"command": command, "request": orjson.dumps(request).decode(), "timeout": timeout}
    await site.run(partial(site.store.run, statement("command/issue"), dtId=dt_id, id=identifier, properties=properties))
    seen_through = _see_through(site, outlet, Delivery(identifier, dt_id, command, request, timeout))
    if wait:
        return await seen_through
    task = asyncio.create_task(seen_through)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    task.add_done_callback(log_failure)
    return await site.run(get_command, site.store, identifier)


async def _see_through(site: Site, outlet: Outlet, delivery: Delivery) -> CommandRecord:
    async with site.feed.listen(Topic(Kind.COMMAND, delivery.id), [CommandStatus.PENDING.value]) as steps:
        await _deliver(site, outlet, delivery)
        record = await _wait(site, steps, delivery)
    metrics.COMMANDS.labels(record.status).inc()
    return record


def get_command(store: Store, identifier: str) -> CommandRecord:
    """Raises: NotFound; Malformed."""
    rows = store.read(statement("command/get"), {"id": identifier})
    if not rows:
        raise NotFound(f"no command {identifier!r}")
    names = [field.name for field in fields(CommandRecord)]
    row = dict(zip(names, (plain(value) for value in rows[0]), strict=True))
    return typed(CommandRecord, row | {name: _json(row[name]) for name in ("request", "response")})


def _json(text: Any) -> Any:
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed("request or response is not JSON", where="CommandRecord") from error


def _check(store: Store, catalog: Catalog, dt_id: str, command: str, request: Any) -> None:
    model = model_of(store, catalog, dt_id)
    commands = catalog.commands(model)
    if command not in commands:
        names = ", ".join(commands) or "none"
        what, hint = f"no command {command!r}", f"{catalog.labels[model]} has {names}"
        raise CommandError(what, where=dt_id, hint=hint, code="COMMAND_UNKNOWN")
    payload = commands[command].request
    if payload is None:
        if request is not None:
            raise CommandError(f"{command} takes no request", where=dt_id, code="COMMAND_REFUSED")
        return
    try:
        checker(payload.name, payload.schema)(request)
    except TwinError as error:
        raise CommandError(error.what, where=f"{dt_id}.{command}.{error.where}", code="COMMAND_REFUSED") from error


async def _deliver(site: Site, outlet: Outlet, delivery: Delivery) -> None:
    try:
        answer = await outlet.send(delivery)
    except CommandError as error:
        answer = Answer(CommandStatus.FAILED, reason=str(error))
    if answer is not None:
        response = None if answer.response is None else orjson.dumps(answer.response).decode()
        row = {"id": delivery.id, "status": answer.status.value, "response": response, "reason": answer.reason}
        await site.run(partial(site.store.run, statement("command/answer"), rows=[row]))


async def _wait(site: Site, steps: Listener, delivery: Delivery) -> CommandRecord:
    try:
        async with asyncio.timeout(delivery.timeout):
            while (record := await site.run(get_command, site.store, delivery.id)).status == CommandStatus.PENDING:
                await steps.next()
            return record
    except TimeoutError:
        reason = f"no answer within {delivery.timeout} s"
        row = {"id": delivery.id, "status": CommandStatus.TIMED_OUT.value, "response": None, "reason": reason}
        await site.run(partial(site.store.run, statement("command/answer"), rows=[row]))
        return await site.run(get_command, site.store, delivery.id)
