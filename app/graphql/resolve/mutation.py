"""Mutations grown from the models: typed commands, typed twins; and those that answer with a twin."""

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
)

from app.dtdl import Command
from app.graph.records import plain
from app.graphql.resolve.static import change, create, send
from app.graphql.schema.names import Taken, lower_first, upper_first
from app.graphql.schema.origin import ORIGIN, OneTwin
from app.graphql.schema.types import TypeFactory, text
from app.twins import edit
from app.twins.edit import NewTwin

ReadTwin = Callable[[Any, str], Any]
TEXT, IDENTIFIER = GraphQLNonNull(GraphQLString), GraphQLNonNull(GraphQLID)
ETAG = GraphQLArgument(GraphQLString, description="refused when the twin's etag is another")
DT_ID = GraphQLArgument(IDENTIFIER)


def mutation_fields(factory: TypeFactory, result: GraphQLObjectType, read: ReadTwin, taken: Taken) -> dict[str, GraphQLField]:
    """`read(info, dtId)` answers the twin as the mutation's selection asks."""
    static = _any_twin(factory, read)
    for name in static:
        taken.claim(name)
    return {**static, **_typed_twins(factory, read, taken), **_commands(factory, result, taken)}


def _any_twin(factory: TypeFactory, read: ReadTwin) -> dict[str, GraphQLField]:
    async def set_properties(_: Any, info: Any, dtId: str, patch: Any, etag: str | None = None) -> Any:
        await _patch(info, dtId, patch, etag)
        return await read(info, dtId)

    async def create_twin(_: Any, info: Any, dtId: str, model: str, properties: Any = None) -> Any:
        await create(info, [NewTwin(dtId, model, properties or {})], [])
        return await read(info, dtId)

    json = factory.scalars["JSON"]
    patch = GraphQLArgument(GraphQLNonNull(json), description="name → value; null removes")
    arguments = {
        "dtId": DT_ID,
        "model": GraphQLArgument(TEXT, description="label or DTMI"),
        "properties": GraphQLArgument(json),
    }
    return {
        "setProperties": _twin_field(
            factory.twin, {"dtId": DT_ID, "patch": patch, "etag": ETAG}, set_properties, "Sets writable properties."
        ),
        "createTwin": _twin_field(factory.twin, arguments, create_twin, "Creates a twin."),
    }


async def _patch(info: Any, dt_id: str, patch: Any, etag: str | None, model: str = "") -> None:
    server = info.context["server"]
    names = patch.keys() if isinstance(patch, dict) else ()
    await change(info, dt_id, names, partial(edit.patch, server.store, server.registry.catalog, dt_id, patch, etag, model))


def _twin_field(type_: Any, arguments: dict[str, GraphQLArgument], resolve: Any, description: str) -> GraphQLField:
    return GraphQLField(type_, arguments, resolve, description=description, extensions={ORIGIN: OneTwin("Twin")})


def _typed_twins(factory: TypeFactory, read: ReadTwin, taken: Taken) -> dict[str, GraphQLField]:
    """`create<Label>(dtId, input)` and `update<Label>(dtId, input, etag)` for every model that has properties."""
    fields: dict[str, GraphQLField] = {}
    for dtmi, label in sorted(factory.catalog.labels.items(), key=lambda row: row[1]):
        if factory.catalog.properties(dtmi):
            argument = GraphQLArgument(GraphQLNonNull(_input(factory, dtmi)))
            fields[taken.claim(f"create{label}")] = _create_field(factory, dtmi, argument, read)
            fields[taken.claim(f"update{label}")] = _update_field(factory, dtmi, argument, read)
    return fields


def _input(factory: TypeFactory, dtmi: str) -> GraphQLInputObjectType:
    def fields() -> dict[str, GraphQLInputField]:
        input_fields = {}
        for name, content in factory.catalog.properties(dtmi).items():
            owner = factory.label(content.declared_by) + upper_first(name)
            input_fields[name] = GraphQLInputField(
                factory.schemas.input(content.schema, owner), description=text(content.description)
            )
        return input_fields

    return GraphQLInputObjectType(factory.claimed(dtmi, "Input"), fields)


def _create_field(factory: TypeFactory, dtmi: str, argument: GraphQLArgument, read: ReadTwin) -> GraphQLField:
    async def resolve(_: Any, info: Any, dtId: str, input: Any) -> Any:
        properties = {name: _json(value) for name, value in input.items() if value is not None}
        await create(info, [NewTwin(dtId, dtmi, properties)], [])
        return await read(info, dtId)

    label = factory.label(dtmi)
    return _twin_field(factory.output(dtmi), {"dtId": DT_ID, "input": argument}, resolve, f"Creates a twin of exactly {label}.")


def _update_field(factory: TypeFactory, dtmi: str, argument: GraphQLArgument, read: ReadTwin) -> GraphQLField:
    async def resolve(_: Any, info: Any, dtId: str, input: Any, etag: str | None = None) -> Any:
        await _patch(info, dtId, {name: _json(value) for name, value in input.items()}, etag, dtmi)
        return await read(info, dtId)

    description = "Sets writable properties; null removes, what is not named stays."
    return _twin_field(factory.output(dtmi), {"dtId": DT_ID, "input": argument, "etag": ETAG}, resolve, description)


def _json(value: Any) -> Any:
    """What GraphQL has coerced, as DTDL's checks read it."""
    match value:
        case datetime() | date():
            return value.isoformat()
        case dict():
            return {key: _json(item) for key, item in value.items() if item is not None}
        case list():
            return [_json(item) for item in value]
    return plain(value)


def _commands(factory: TypeFactory, result: GraphQLObjectType, taken: Taken) -> dict[str, GraphQLField]:
    """`<label><Command>` for every command, such as `turbineSetPowerLimit(dtId, limit)`."""
    fields: dict[str, GraphQLField] = {}
    for dtmi, label in sorted(factory.catalog.labels.items(), key=lambda row: row[1]):
        for name, command in factory.catalog.commands(dtmi).items():
            claimed = taken.claim(f"{lower_first(label)}{upper_first(name)}")
            fields[claimed] = _command_field(factory, result, name, command)
    return fields


def _command_field(factory: TypeFactory, result: GraphQLObjectType, name: str, command: Command) -> GraphQLField:
    arguments = {
        "dtId": DT_ID,
        "timeout": GraphQLArgument(GraphQLFloat, description="seconds"),
        "wait": GraphQLArgument(GraphQLBoolean, default_value=True, description="false: answers at once; see command(id)"),
    }
    request = command.request
    argument = ""
    if request is not None:
        argument = request.name if request.name not in arguments else f"{request.name}_"
        owner = factory.label(command.declared_by) + upper_first(name) + upper_first(request.name)
        arguments[argument] = GraphQLArgument(GraphQLNonNull(factory.schemas.input(request.schema, owner)))

    async def resolve(_: Any, info: Any, dtId: str, timeout: float | None = None, wait: bool = True, **inputs: Any) -> Any:
        return await send(info, dtId, name, _json(inputs.get(argument)), timeout, wait)

    return GraphQLField(GraphQLNonNull(result), arguments, resolve, description=text(command.description))
