"""`/api`: models, twins, commands, as JSON."""

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel

from app.commands.issue import Site, get_command, issue
from app.dtdl import Document
from app.dtdl.syntax import parse
from app.errors import Forbidden, ModelError, NotFound
from app.graph.records import plain
from app.graph.select.tree import Access, base
from app.identity import Identity, allow, require_change, require_command, require_made, require_named
from app.report import reading, report_names, run_report
from app.server import Server
from app.twins import edit
from app.twins.edit import NewTwin

T = TypeVar("T")


def server_of(request: Request) -> Server:
    return request.app.state.server  # type: ignore[no-any-return]


Held = Annotated[Server, Depends(server_of)]


def identified(request: Request) -> Identity:
    """Known since the entrance."""
    return request.scope["identity"]  # type: ignore[no-any-return]


Who = Annotated[Identity, Depends(identified)]


async def at_work(server: Server, who: Identity, work: Callable[..., T], *arguments: Any, long: bool = False) -> T:
    """`work(*arguments)` in a thread of the client's; `long`: without a deadline. Raises: StoreTimeout."""
    return await server.workers.run(who.client, work, *arguments, deadline=math.inf if long else None)


router = APIRouter(prefix="/api", tags=["twins"])


def permit(server: Server, who: Identity, action: str, *dt_ids: str) -> None:
    """Raises: Forbidden; NotFound for a twin that `who` may not see."""
    allow(who, action)
    server.gate.require_visible(who, dt_ids)


class LoadedModel(BaseModel):
    dtmi: str
    label: str
    extends: list[str]


MODELS = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": ["object", "array"]}}}}}


class TwinIn(BaseModel):
    dtId: str
    model: str
    properties: dict[str, Any] = {}


class Report(BaseModel):
    name: str
    about: str


class CypherIn(BaseModel):
    statement: str
    parameters: dict[str, Any] = {}


class CommandIn(BaseModel):
    request: Any = None
    timeout: float | None = None


@router.get("/models", summary="The loaded models")
async def models(server: Held, who: Who) -> list[LoadedModel]:
    allow(who, "read")
    catalog = server.registry.catalog
    return [
        LoadedModel(dtmi=dtmi, label=catalog.labels[dtmi], extends=list(interface.extends))
        for dtmi, interface in sorted(catalog.interfaces.items())
    ]


@router.post("/models", status_code=201, summary="Load DTDL interfaces: one, or a list of them", openapi_extra=MODELS)
async def load(server: Held, who: Who, request: Request) -> list[str]:
    allow(who, "model")
    return await at_work(server, who, _load, server, await request.body(), long=True)


def _load(server: Server, body: bytes) -> list[str]:
    """Of any media type: what counts is whether it is JSON."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError("not UTF-8", where=f"request:{error.start}", hint="models are JSON in UTF-8") from error
    document = parse("request", text)
    if not isinstance(document, Document):
        raise ModelError("not JSON", problems=(document,))
    before = set(server.registry.catalog.interfaces)
    server.registry.load([document])
    return sorted(set(server.registry.catalog.interfaces) - before)


@router.get("/twins/{dt_id}", summary="A twin as it lies in the graph")
async def twin(server: Held, who: Who, dt_id: str) -> dict[str, Any]:
    return await at_work(server, who, _twin, server, who, dt_id)


def _twin(server: Server, who: Identity, dt_id: str) -> dict[str, Any]:
    permit(server, who, "read", dt_id)
    rows = server.store.read("MATCH (t:Twin {dtId: $dtId}) RETURN properties(t), labels(t)", {"dtId": dt_id})
    if not rows:
        raise NotFound(f"no twin {dt_id!r}")
    ((properties, labels),) = rows
    access = who.access or Access()
    return {key: plain(value) for key, value in properties.items() if not access.hides(base(key), labels)}


@router.post("/twins", status_code=201, summary="Create a twin")
async def create(server: Held, who: Who, body: TwinIn) -> dict[str, Any]:
    permit(server, who, "write")
    if who.roots is not None:
        raise Forbidden(f"{who.name} sees a part of the graph", hint="createTwins of GraphQL creates below a twin that is seen")
    labels = server.registry.catalog.node_labels(server.registry.catalog.interface(body.model).dtmi)
    require_made(who, labels, body.properties)
    require_named(who, [body.dtId])
    twins = [NewTwin(body.dtId, body.model, body.properties)]
    await at_work(server, who, edit.create, server.store, server.registry.catalog, twins)
    return await twin(server, who, body.dtId)


@router.patch("/twins/{dt_id}", summary="Set writable properties; If-Match guards with an etag")
async def patch(
    server: Held, who: Who, dt_id: str, body: dict[str, Any], if_match: Annotated[str | None, Header()] = None
) -> dict[str, str]:
    return await at_work(server, who, _patch, server, who, dt_id, body, if_match)


def _patch(server: Server, who: Identity, dt_id: str, body: dict[str, Any], etag: str | None) -> dict[str, str]:
    allow(who, "write")
    if not who.is_whole:
        require_change(who, server.gate.labels(who, [dt_id])[dt_id], body)
    return {"etag": edit.patch(server.store, server.registry.catalog, dt_id, body, etag)}


@router.post("/twins/{dt_id}/commands/{name}", summary="Send a command and wait for the device's answer")
async def command(server: Held, who: Who, dt_id: str, name: str, body: CommandIn) -> dict[str, Any]:
    await at_work(server, who, _permit_command, server, who, dt_id, name)
    seconds = server.settings.command_timeout if body.timeout is None else body.timeout
    run = partial(at_work, server, who)
    site = Site(run, server.store, server.feed, server.registry.catalog, server.outlets)
    record = await issue(site, dt_id, name, body.request, seconds)
    return {"id": record.id, "status": record.status, "response": record.response, "reason": record.reason}


def _permit_command(server: Server, who: Identity, dt_id: str, name: str) -> None:
    allow(who, "command")
    if not who.is_whole:
        require_command(who, server.gate.labels(who, [dt_id])[dt_id], name)


@router.get("/reports", summary="The standing reports")
async def reports(who: Who) -> list[Report]:
    allow(who, "report")
    return [Report(name=name, about=about) for name, about in report_names().items()]


@router.get("/reports/{name}", summary="A standing report as a table")
async def report(server: Held, who: Who, name: str) -> dict[str, Any]:
    allow(who, "report")
    if name not in report_names():
        raise NotFound("no such report", where=name[:200], hint=f"one of {', '.join(report_names())}")
    columns, rows = await at_work(server, who, run_report, server.store, name)
    return {"columns": columns, "rows": rows, "more": False}


@router.post("/cypher", summary="Cypher that reads: decided on its plan, within the time of a query")
async def cypher(server: Held, who: Who, body: CypherIn) -> Response:
    allow(who, "cypher")
    query = (body.statement, body.parameters, server.settings.query_timeout)
    table = await at_work(server, who, reading.answer, server.store, *query)
    return Response(table, media_type="application/json")


@router.get("/commands/{identifier}", summary="What became of a command")
async def command_state(server: Held, who: Who, identifier: str) -> dict[str, Any]:
    record = await at_work(server, who, get_command, server.store, identifier)
    try:
        await at_work(server, who, permit, server, who, "read", record.dt_id)
    except NotFound as error:
        raise NotFound(f"no command {identifier!r}") from error
    return {"id": record.id, "status": record.status, "response": record.response, "reason": record.reason}
