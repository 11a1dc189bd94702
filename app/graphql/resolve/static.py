"""What does not grow from models, as Strawberry classes. Each endpoint of a mutation asks the policy first."""

import json
import math
from collections.abc import Callable, Collection
from dataclasses import asdict
from enum import Enum
from functools import partial
from typing import Any, NewType, TypeVar, cast

import strawberry
from strawberry.scalars import JSON

from app.commands.issue import CommandRecord, Site, get_command, issue
from app.dtdl import Catalog, Component, Document
from app.dtdl.syntax import parse
from app.errors import ModelError, NotFound, QueryError
from app.events.alarms import MOST, Alarm, alarms
from app.graph.select.tree import Access
from app.graphql.schema.scalars import LONG, whole
from app.http.workers import apart
from app.identity import Identity, allow, require_change, require_command, require_made, require_named
from app.jobs.imports import Job, find_job, start_import
from app.server import Server
from app.sources.state import set_desired_state, source_states
from app.twins import edit
from app.twins.edit import NewRelationship, NewTwin
from app.twins.migrate import migrate

Info = strawberry.Info[Any, Any]
Long = NewType("Long", int)
SCALARS: dict[object, Any] = {Long: strawberry.scalar(name="Long", description=LONG, serialize=whole, parse_value=whole)}
T = TypeVar("T")


def server_of(info: Any) -> Server:
    return info.context["server"]  # type: ignore[no-any-return]


def identity_of(info: Any) -> Identity:
    return info.context["identity"]  # type: ignore[no-any-return]


async def at_work(info: Any, work: Callable[..., T], *arguments: Any, long: bool = False) -> T:
    """`work(*arguments)` in a thread of the client whose request this is; `long`: without a deadline. Raises: StoreTimeout."""
    deadline = math.inf if long else None
    return await server_of(info).workers.run(identity_of(info).client, work, *arguments, deadline=deadline)


async def permitted(info: Any, action: str, *dt_ids: str) -> Server:
    """The server, once the policy lets the request act on these twins. Raises: Forbidden; NotFound for what it may not see."""
    server, identity = server_of(info), identity_of(info)
    allow(identity, action)
    if identity.access is not None:
        await at_work(info, server.gate.require_visible, identity, dt_ids)
    return server


async def change(info: Any, dt_id: str, names: Collection[str], work: Callable[[], T], also: tuple[str, ...] = ()) -> T:
    """`work()`, once the policy lets the request change what bears these names of a twin, which `also` others have to do with.

    Raises: as `permitted`, and as `work`."""
    server, identity = server_of(info), identity_of(info)
    allow(identity, "write")
    if identity.is_whole:
        return await at_work(info, work)

    def checked() -> T:
        labels = server.gate.labels(identity, (dt_id, *also))
        require_change(identity, labels[dt_id], names)
        return work()

    return await at_work(info, checked)


def still_allowed(info: Any) -> Callable[[], None]:
    """For work that goes on after its request was permitted: raises Unauthenticated once its credentials are no longer good."""
    context = info.context
    return partial(context["server"].gate.require_same, context["credentials"], context["identity"])


@strawberry.type(description="A command and what became of it.")
class CommandResult:
    id: strawberry.ID = strawberry.field(description="correlation id")
    dt_id: strawberry.ID
    command: str
    status: str = strawberry.field(description="PENDING, SUCCEEDED, REFUSED, FAILED or TIMED_OUT")
    request: JSON | None
    response: JSON | None = strawberry.field(description="the device's own answer")
    reason: str | None
    at: str
    answered_at: str | None


@strawberry.type(description="A loaded DTDL interface.")
class Model:
    dtmi: str
    label: str
    extends: list[str]
    decommissioned: bool
    display_name: JSON
    description: JSON


@strawberry.type(description="A model of the graph that is not served, and why; its twins are of type UnservedTwin.")
class UnservedModel:
    dtmi: str
    reason: str


@strawberry.type(name="Alarm")
class AlarmEvent:
    id: strawberry.ID
    dt_id: strawberry.ID
    code: str
    severity: str | None
    text: str | None
    at: str = strawberry.field(description="when it began")
    ended_at: str | None
    cursor: str = strawberry.field(description="for `after` when a subscription is taken up again")


@strawberry.type(name="Identity", description="Who asks, and what they may do.")
class Caller:
    name: str
    role: str
    roots: list[strawberry.ID] | None = strawberry.field(description="twins whose subtrees are seen; null: all")


@strawberry.type(name="Job", description="A longer piece of work, and how far it is.")
class JobState:
    id: strawberry.ID
    kind: str
    status: str = strawberry.field(description="RUNNING, SUCCEEDED or FAILED")
    done: int = strawberry.field(description="documents worked on so far")
    total: int
    twins: int = strawberry.field(description="new twins")
    relationships: int = strawberry.field(description="new relationships")
    reason: str | None
    started_at: str
    ended_at: str | None


@strawberry.type(name="Source", description="A source of telemetry in one ingest process; rates are those of the last seconds.")
class SourceInfo:
    source: str
    protocol: str
    worker: str = strawberry.field(description="host and process")
    state: str = strawberry.field(
        description="STARTING, CONNECTING, RUNNING, DISCONNECTED from its server, PAUSED while the database is unavailable, "
        "STOPPED, ENDED, FAILED, or GONE when its process no longer reports"
    )
    since: str
    at: str = strawberry.field(description="when it reported")
    error: str | None = strawberry.field(description="why it does not run, or why its changed mapping was not taken")
    messages: Long = strawberry.field(description="committed and acknowledged")
    values: Long
    duplicates: Long = strawberry.field(description="values that were there already")
    rejected: Long = strawberry.field(description="rejected messages: twingraph deadletters list")
    retries: Long = strawberry.field(description="commits tried again while the database was away")
    reconnects: Long
    waiting: Long = strawberry.field(description="messages received and not yet committed")
    message_rate: float = strawberry.field(description="messages/s")
    value_rate: float = strawberry.field(description="values/s")
    batch: float = strawberry.field(description="messages a transaction")
    commit_ms: float = strawberry.field(description="time a batch takes to be assembled and committed [ms]")
    delay: float | None = strawberry.field(description="from the newest event time to its commit [s]")


@strawberry.enum
class SourceAction(Enum):
    START = "start"
    STOP = "stop"
    RELOAD = "reload"


@strawberry.input(name="NewTwin")
class TwinInput:
    dt_id: strawberry.ID
    model: str = strawberry.field(description="label or DTMI")
    properties: JSON | None = None


@strawberry.input(name="NewRelationship")
class RelationshipInput:
    source: strawberry.ID
    relationship: str
    target: strawberry.ID
    properties: JSON | None = None
    id: str | None = None


@strawberry.type
class Query:
    @strawberry.field(description="The state of a command.")
    async def command(self, info: Info, id: strawberry.ID) -> CommandResult:
        server, identity = server_of(info), identity_of(info)
        record = await at_work(info, get_command, server.store, str(id))
        try:
            await at_work(info, server.gate.require_visible, identity, [record.dt_id])
        except NotFound as error:
            raise NotFound(f"no command {str(id)!r}") from error
        return shown(record)

    @strawberry.field(description="The loaded models.")
    def models(self, info: Info) -> list[Model]:
        catalog = server_of(info).registry.catalog
        return [_model(catalog, dtmi) for dtmi in sorted(catalog.interfaces)]

    @strawberry.field(description="Models of the graph that cannot be served: load them again, or delete them.")
    def models_left_out(self, info: Info) -> list[UnservedModel]:
        left_out = server_of(info).registry.left_out
        return [UnservedModel(dtmi=dtmi, reason=reason) for dtmi, reason in sorted(left_out.items())]

    @strawberry.field(description="Who asks.")
    def me(self, info: Info) -> Caller:
        who = identity_of(info)
        roots = None if who.roots is None else [strawberry.ID(root) for root in who.roots]
        return Caller(name=who.name, role=who.role, roots=roots)

    @strawberry.field(description="Alarms, the newest first.")
    async def alarms(
        self, info: Info, dt_id: strawberry.ID | None = None, open: bool | None = None, first: int = 100
    ) -> list[AlarmEvent]:
        server, who = server_of(info), identity_of(info)
        if not 0 <= first <= MOST:
            raise QueryError(f"first: {first} is outside 0 to {MOST}")
        twin_id = str(dt_id) if dt_id is not None else None
        alarm_events = await at_work(info, alarms, server.store, who.access, who.roots or (), twin_id, open, None, first)
        return [shown_alarm(alarm) for alarm in alarm_events]

    @strawberry.field(description="What the sources of all ingest processes do.")
    async def sources(self, info: Info) -> list[SourceInfo]:
        server = await permitted(info, "metrics")
        states = await at_work(info, source_states, server.store)
        return [SourceInfo(**asdict(state)) for state in states]

    @strawberry.field(description="How far a job is.")
    async def job(self, info: Info, id: strawberry.ID) -> JobState:
        server = await permitted(info, "model")
        return _job(await at_work(info, find_job, server.store, str(id)))


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Sends a command by name. With `wait` it answers when the device has, or after `timeout` seconds; "
        "without it at once, and `command(id)` tells later."
    )
    async def invoke(
        self,
        info: Info,
        dt_id: strawberry.ID,
        command: str,
        request: JSON | None = None,
        timeout: float | None = None,
        wait: bool = True,
    ) -> CommandResult:
        return await send(info, str(dt_id), command, request, timeout, wait)

    @strawberry.mutation(description="Creates twins and relationships in one transaction: all of it, or nothing.")
    async def create_twins(
        self, info: Info, twins: list[TwinInput], relationships: list[RelationshipInput] | None = None
    ) -> list[strawberry.ID]:
        links = [_link(entry) for entry in relationships or []]
        new_twins = [NewTwin(str(entry.dt_id), entry.model, cast(Any, entry.properties) or {}) for entry in twins]
        await create(info, new_twins, links)
        return [entry.dt_id for entry in twins]

    @strawberry.mutation(description="Relates one twin to another, or gives their relationship other properties.")
    async def relate(
        self,
        info: Info,
        source: strawberry.ID,
        relationship: str,
        target: strawberry.ID,
        properties: JSON | None = None,
    ) -> bool:
        link = NewRelationship(str(source), relationship, str(target), cast(Any, properties) or {})
        server = server_of(info)
        relate = partial(edit.relate, server.store, server.registry.catalog, link)
        await change(info, link.source, (link.name,), relate, also=(link.target,))
        return True

    @strawberry.mutation(description="Ends a relationship.")
    async def unrelate(self, info: Info, source: strawberry.ID, relationship: str, target: strawberry.ID) -> bool:
        link = NewRelationship(str(source), relationship, str(target))
        unrelate = partial(edit.unrelate, server_of(info).store, link)
        await change(info, link.source, (link.name,), unrelate, also=(link.target,))
        return True

    @strawberry.mutation(description="Deletes a twin, with its history; with `relationships` also ends those it has.")
    async def delete_twin(self, info: Info, dt_id: strawberry.ID, relationships: bool = False) -> bool:
        delete = partial(_delete, server_of(info), identity_of(info), str(dt_id), relationships)
        await change(info, str(dt_id), ("*",), delete)
        return True

    @strawberry.mutation(description="Brings twins and relationships, as Azure Digital Twins writes them, in a job.")
    async def import_twins(self, info: Info, documents: list[JSON]) -> JobState:
        server = await permitted(info, "model")
        raw_documents = cast(Any, documents)
        return _job(
            await at_work(info, start_import, server.store, server.registry.catalog, raw_documents, still_allowed(info))
        )

    @strawberry.mutation(description="Loads DTDL interfaces; answers those that are new.")
    async def load_models(self, info: Info, documents: list[JSON]) -> list[Model]:
        server = await permitted(info, "model")
        parsed = [_document(index, document) for index, document in enumerate(documents)]
        before = set(server.registry.catalog.interfaces)
        await at_work(info, server.registry.load, parsed, long=True)
        catalog = server.registry.catalog
        return [_model(catalog, dtmi) for dtmi in sorted(set(catalog.interfaces) - before)]

    @strawberry.mutation(description="Moves all twins of a model to another version of it; answers how many moved.")
    async def migrate_twins(self, info: Info, source: str, target: str, dry_run: bool = False) -> int:
        server = await permitted(info, "model")
        catalog = server.registry.catalog
        check = still_allowed(info)
        move = partial(migrate, dry=dry_run, tell=lambda _: check())
        done = await at_work(info, move, server.store, catalog, source, target, long=True)
        await at_work(info, server.registry.changed)
        return done.moved

    @strawberry.mutation(description="Starts, stops or reloads a source in every ingest process, which follow within seconds.")
    async def control_source(self, info: Info, source: str, action: SourceAction) -> bool:
        server = await permitted(info, "sources")
        stopped = None if action is SourceAction.RELOAD else action is SourceAction.STOP
        await at_work(info, set_desired_state, server.store, source, stopped, action is SourceAction.RELOAD)
        return True

    @strawberry.mutation(description="A decommissioned model keeps its twins and takes no new ones.")
    async def decommission_model(self, info: Info, model: str, decommissioned: bool = True) -> bool:
        server = await permitted(info, "model")
        await at_work(info, server.registry.decommission, model, decommissioned)
        return True

    @strawberry.mutation(description="Deletes a model that no twin and no other model needs.")
    async def delete_model(self, info: Info, model: str) -> bool:
        server = await permitted(info, "model")
        await at_work(info, server.registry.delete, model)
        return True


def _delete(server: Server, identity: Identity, dt_id: str, relationships: bool) -> None:
    """Relationships that are not there for who deletes a twin end with it; of the others each must be theirs to end."""
    if not identity.is_whole:
        access, related = identity.access or Access(), edit.related(server.store, dt_id)
        seen = server.gate.seen(identity, [other for other, _, _ in related])
        visible = [(name, labels) for other, name, labels in related if other in seen and not access.hides(name, labels)]
        if not relationships:
            edit.require_free(dt_id, len(visible))
        for name, labels in visible:
            require_change(identity, labels, (name,))
        relationships = True
    edit.delete(server.store, dt_id, relationships)


async def create(info: Any, twins: list[NewTwin], links: list[NewRelationship]) -> None:
    """Whoever sees a part of the graph creates inside it only: each new twin must hang below one that is seen, and bear a name
    of that part; else what is taken elsewhere would tell what is there.

    Raises: NotFound, TwinError, Conflict, Forbidden."""
    new = {twin.dt_id for twin in twins}
    require_named(identity_of(info), new)
    ends = {end for link in links for end in (link.source, link.target)} - new
    server = await permitted(info, "write", *ends)
    identity = identity_of(info)
    if identity.roots is not None:
        _require_below(identity, new, links)
    if not identity.is_whole:
        _require_made(identity, server.registry.catalog, twins, links)
        models_by_twin = {twin.dt_id: twin.model for twin in twins}
        for link in links:
            if link.source not in models_by_twin:
                await change(info, link.source, (link.name,), lambda: None)
    await at_work(info, edit.create, server.store, server.registry.catalog, twins, links)


def _require_made(identity: Identity, catalog: Catalog, twins: list[NewTwin], links: list[NewRelationship]) -> None:
    """What is made, with components and relationships of its own. Raises: Forbidden, NotFound."""
    models_by_twin = {twin.dt_id: catalog.interface(twin.model).dtmi for twin in twins}
    for twin in twins:
        dtmi = models_by_twin[twin.dt_id]
        require_made(identity, catalog.node_labels(dtmi), twin.properties)
        for name, value in twin.properties.items():
            part = catalog.contents[dtmi].get(name)
            if isinstance(part, Component) and isinstance(value, dict):
                require_change(identity, catalog.node_labels(part.interface), value)
    for link in links:
        if link.source in models_by_twin:
            require_change(identity, catalog.node_labels(models_by_twin[link.source]), (link.name,))


def _require_below(identity: Identity, new: set[str], links: list[NewRelationship]) -> None:
    reachable = set[str]()
    while (
        below := {k.target for k in links if k.name in identity.via and (k.source not in new or k.source in reachable)}
        & new - reachable
    ):
        reachable |= below
    for dt_id in sorted(new - reachable):
        raise NotFound(
            f"{dt_id} would lie outside what {identity.name} sees",
            hint=f"create it with a relationship ({', '.join(identity.via)}) from a twin that is seen: createTwins",
        )


async def send(info: Any, dt_id: str, command: str, request: Any, timeout: float | None, wait: bool = True) -> CommandResult:
    server, identity = server_of(info), identity_of(info)
    allow(identity, "command")
    if not identity.is_whole:
        labels = await at_work(info, server.gate.labels, identity, (dt_id,))
        require_command(identity, labels[dt_id], command)
    seconds = server.settings.command_timeout if timeout is None else timeout
    site = Site(partial(at_work, info), server.store, server.feed, server.registry.catalog, server.outlets)
    with apart():
        return shown(await issue(site, dt_id, command, request, seconds, wait))


def shown(record: CommandRecord) -> CommandResult:
    return CommandResult(
        id=strawberry.ID(record.id),
        dt_id=strawberry.ID(record.dt_id),
        command=record.command,
        status=record.status,
        request=record.request,
        response=record.response,
        reason=record.reason,
        at=record.at,
        answered_at=record.answered_at,
    )


def shown_alarm(alarm: Alarm) -> AlarmEvent:
    return AlarmEvent(
        id=strawberry.ID(alarm.id),
        dt_id=strawberry.ID(alarm.dt_id),
        code=alarm.code,
        severity=alarm.severity,
        text=alarm.text,
        at=alarm.at,
        ended_at=alarm.ended_at,
        cursor=alarm.recorded.isoformat(),
    )


def _model(catalog: Catalog, dtmi: str) -> Model:
    interface = catalog.interfaces[dtmi]
    return Model(
        dtmi=dtmi,
        label=catalog.labels[dtmi],
        extends=list(interface.extends),
        decommissioned=dtmi in catalog.decommissioned,
        display_name=JSON(dict(interface.display_name)),
        description=JSON(dict(interface.description)),
    )


def _link(relationship: RelationshipInput) -> NewRelationship:
    properties = cast(Any, relationship.properties) or {}
    return NewRelationship(
        str(relationship.source), relationship.relationship, str(relationship.target), properties, relationship.id or ""
    )


def _document(index: int, document: Any) -> Document:
    parsed = parse(f"documents[{index}]", json.dumps(document, indent=2))
    if not isinstance(parsed, Document):
        raise ModelError("not JSON", problems=(parsed,))
    return parsed


def _job(job: Job) -> JobState:
    return JobState(**{**job.__dict__, "id": strawberry.ID(job.id)})
