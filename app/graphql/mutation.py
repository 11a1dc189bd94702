"""Mutations grown from the models: typed commands; and those that answer with a twin."""

import asyncio
from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
)

from app.dtdl import Command
from app.graphql.names import lower_first, upper_first
from app.graphql.origin import ORIGIN, Origin
from app.graphql.static import send, server_of
from app.graphql.types import TypeFactory
from app.twins import write
from app.twins.write import NewTwin

ReadTwin = Callable[[Any, str], Any]
TEXT, IDENTIFIER = GraphQLNonNull(GraphQLString), GraphQLNonNull(GraphQLID)


def mutation_fields(factory: TypeFactory, result: GraphQLObjectType, read: ReadTwin) -> dict[str, GraphQLField]:
    """`read(info, dtId)` answers the twin as the mutation's selection asks."""

    async def set_properties(_: Any, info: Any, dtId: str, patch: Any, etag: str | None = None) -> Any:
        server = server_of(info)
        await asyncio.to_thread(write.patch, server.store, server.registry.catalog, dtId, patch, etag)
        return await read(info, dtId)

    async def create_twin(_: Any, info: Any, dtId: str, model: str, properties: Any = None) -> Any:
        server = server_of(info)
        twin = NewTwin(dtId, model, properties or {})
        await asyncio.to_thread(write.create, server.store, server.registry.catalog, [twin])
        return await read(info, dtId)

    json = factory.scalars["JSON"]
    fields = {
        "setProperties": GraphQLField(
            factory.twin,
            {
                "dtId": GraphQLArgument(IDENTIFIER),
                "patch": GraphQLArgument(GraphQLNonNull(json), description="name → value; null removes"),
                "etag": GraphQLArgument(GraphQLString, description="refused when the twin's etag is another"),
            },
            set_properties,
            description="Sets writable properties.",
        ),
        "createTwin": GraphQLField(
            factory.twin,
            {
                "dtId": GraphQLArgument(IDENTIFIER),
                "model": GraphQLArgument(TEXT, description="label or DTMI"),
                "properties": GraphQLArgument(json),
            },
            create_twin,
            description="Creates a twin.",
        ),
    }
    for made in fields.values():
        made.extensions = {ORIGIN: Origin("one", "Twin")}
    return fields | command_fields(factory, result)


def command_fields(factory: TypeFactory, result: GraphQLObjectType) -> dict[str, GraphQLField]:
    """`<label><Command>` for every command, such as `turbineSetPowerLimit(dtId, limit)`."""
    fields: dict[str, GraphQLField] = {}
    for dtmi, label in sorted(factory.catalog.labels.items(), key=lambda row: row[1]):
        for name, command in factory.catalog.commands(dtmi).items():
            fields[f"{lower_first(label)}{name[0].upper()}{name[1:]}"] = _command_field(factory, result, label, name, command)
    return fields


def _command_field(factory: TypeFactory, result: GraphQLObjectType, label: str, name: str, command: Command) -> GraphQLField:
    arguments = {"dtId": GraphQLArgument(IDENTIFIER), "timeout": GraphQLArgument(GraphQLFloat, description="seconds")}
    request = command.request
    argument = ""
    if request is not None:
        argument = request.name if request.name not in arguments else f"{request.name}_"
        owner = upper_first(label) + upper_first(name) + upper_first(request.name)
        arguments[argument] = GraphQLArgument(GraphQLNonNull(factory.schemas.input(request.schema, owner)))

    async def resolve(_: Any, info: Any, dtId: str, timeout: float | None = None, **given: Any) -> Any:
        return await send(server_of(info), dtId, name, given.get(argument), timeout)

    description = command.description.get("en") or command.display_name.get("en")
    return GraphQLField(GraphQLNonNull(result), arguments, resolve, description=description)
