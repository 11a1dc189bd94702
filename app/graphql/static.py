"""What does not grow from models, as Strawberry classes."""

import asyncio
from typing import Any, cast

import strawberry
from strawberry.scalars import JSON

from app.commands.issue import CommandRecord, issue, look
from app.server import Server
from app.twins import write
from app.twins.write import NewRelationship

Info = strawberry.Info[Any, Any]


def server_of(info: Any) -> Server:
    return info.context["server"]  # type: ignore[no-any-return]


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
    display_name: JSON
    description: JSON


@strawberry.type
class Query:
    @strawberry.field(description="The state of a command.")
    async def command(self, info: Info, id: strawberry.ID) -> CommandResult:
        return shown(await asyncio.to_thread(look, server_of(info).store, str(id)))

    @strawberry.field(description="The loaded models.")
    def models(self, info: Info) -> list[Model]:
        catalog = server_of(info).registry.catalog
        return [
            Model(
                dtmi=dtmi,
                label=catalog.labels[dtmi],
                extends=list(interface.extends),
                display_name=JSON(dict(interface.display_name)),
                description=JSON(dict(interface.description)),
            )
            for dtmi, interface in sorted(catalog.interfaces.items())
        ]


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Sends a command by name; answers when the device has, or after `timeout` seconds.")
    async def invoke(
        self,
        info: Info,
        dt_id: strawberry.ID,
        command: str,
        request: JSON | None = None,
        timeout: float | None = None,
    ) -> CommandResult:
        return await send(server_of(info), str(dt_id), command, request, timeout)

    @strawberry.mutation(description="Relates one twin to another.")
    async def relate(
        self,
        info: Info,
        source: strawberry.ID,
        relationship: str,
        target: strawberry.ID,
        properties: JSON | None = None,
    ) -> bool:
        server = server_of(info)
        link = NewRelationship(str(source), relationship, str(target), cast(Any, properties) or {})
        await asyncio.to_thread(write.relate, server.store, server.registry.catalog, link)
        return True

    @strawberry.mutation(description="Ends a relationship.")
    async def unrelate(self, info: Info, source: strawberry.ID, relationship: str, target: strawberry.ID) -> bool:
        link = NewRelationship(str(source), relationship, str(target))
        await asyncio.to_thread(write.unrelate, server_of(info).store, link)
        return True

    @strawberry.mutation(description="Deletes a twin that nothing is related to, with its history.")
    async def delete_twin(self, info: Info, dt_id: strawberry.ID) -> bool:
        await asyncio.to_thread(write.delete, server_of(info).store, str(dt_id))
        return True


async def send(server: Server, dt_id: str, command: str, request: Any, timeout: float | None) -> CommandResult:
    seconds = server.settings.command_timeout if timeout is None else timeout
    record = await issue(server.store, server.registry.catalog, server.outlets, dt_id, command, request, seconds)
    return shown(record)


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
