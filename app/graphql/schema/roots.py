"""The fields of Query that grow from the models."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
)

from app.graphql.schema.names import Taken
from app.graphql.schema.origin import (
    ORIGIN,
    AsIs,
    Converted,
    EnumValue,
    OneTwin,
    Part,
    RelatedTwins,
    TwinGroups,
    TwinList,
    TwinMeasures,
    TwinPages,
    TwinPath,
)
from app.graphql.schema.types import TypeFactory, made_field
from app.graphql.schema.values import listed

Names = tuple[str, str]
GROUPED = (AsIs, Converted, EnumValue)


ANY_TWIN = ("twin", "twins", "twinsConnection", "twinsAggregate", "shortestPath")


def query_fields(factory: TypeFactory, resolve: Callable[..., Any], names: Mapping[str, Names]) -> dict[str, GraphQLField]:
    """`names` are those of `root_names`; none of them is one of ANY_TWIN."""
    fields = _any_twin(factory)
    if factory.relationships:
        fields["shortestPath"] = _shortest_path(factory)
    taken = Taken([*ANY_TWIN, *factory.roots, *(name for pair in names.values() for name in pair)])
    for dtmi, (singular, many) in names.items():
        fields |= _of_model(factory, dtmi, singular, many, taken)
    for field in fields.values():
        field.resolve = resolve
    return fields


def _any_twin(factory: TypeFactory) -> dict[str, GraphQLField]:
    model = {"model": GraphQLArgument(GraphQLString, description="label or DTMI; twins of it and of what extends it")}
    where = {"where": GraphQLArgument(factory.filters.where(""))}
    page = factory.filters.page_arguments("") | model | _as_of(factory)
    return {
        "twin": made_field(factory.twin, OneTwin("Twin"), "The twin with this identifier", _one(factory)),
        "twins": made_field(
            listed(factory.twin), TwinList("Twin"), "Twins", factory.filters.list_arguments("") | model | _as_of(factory)
        ),
        "twinsConnection": made_field(GraphQLNonNull(factory.root_page("", "Twin")), TwinPages("Twin"), "By pages", page),
        "twinsAggregate": made_field(
            GraphQLNonNull(factory.aggregate("")), TwinMeasures("Twin"), "Over all that fit", where | model
        ),
    }


def _of_model(factory: TypeFactory, dtmi: str, singular: str, many: str, taken: Taken) -> dict[str, GraphQLField]:
    label, type_ = factory.catalog.labels[dtmi], factory.output(dtmi)
    where = {"where": GraphQLArgument(factory.filters.where(dtmi))}
    return {
        singular: made_field(type_, OneTwin(label), f"The {label} with this identifier", _one(factory)),
        many: made_field(
            listed(type_), TwinList(label), f"Every {label}", factory.filters.list_arguments(dtmi) | _as_of(factory)
        ),
        taken.claim(f"{many}Connection"): made_field(
            GraphQLNonNull(factory.root_page(dtmi, factory.label(dtmi))),
            TwinPages(label),
            "By pages",
            factory.filters.page_arguments(dtmi) | _as_of(factory),
        ),
        taken.claim(f"{many}Aggregate"): made_field(
            GraphQLNonNull(factory.aggregate(dtmi)), TwinMeasures(label), "Over all that fit", where
        ),
        taken.claim(f"{many}Groups"): made_field(
            listed(factory.aggregate(dtmi, grouped=True)),
            TwinGroups(label, type_.name),
            "For each combination of property values, or for each related twin",
            where | _group_arguments(factory, dtmi),
        ),
    }


def _group_arguments(factory: TypeFactory, dtmi: str) -> dict[str, GraphQLArgument]:
    fields = {name: field.extensions[ORIGIN] for name, field in factory.fields(dtmi).items()}
    keys = {name: name for name, origin in fields.items() if isinstance(origin, GROUPED)}
    arguments = {"first": GraphQLArgument(GraphQLInt)}
    if keys:
        enum = GraphQLEnumType(factory.claimed(dtmi, "Key"), keys)
        arguments["by"] = GraphQLArgument(GraphQLList(GraphQLNonNull(enum)))
    if any(type(origin) is RelatedTwins and not origin.part for origin in fields.values()):
        arguments["via"] = GraphQLArgument(factory.relationship_field, description="a relationship, either way")
    return arguments


def _one(factory: TypeFactory) -> dict[str, GraphQLArgument]:
    return {"dtId": GraphQLArgument(GraphQLNonNull(GraphQLID))} | _as_of(factory)


def _as_of(factory: TypeFactory) -> dict[str, GraphQLArgument]:
    return {"asOf": GraphQLArgument(factory.scalars["DateTime"], description="what the graph said then")}


def _shortest_path(factory: TypeFactory) -> GraphQLField:
    step = GraphQLObjectType(
        "PathStep",
        {
            "relationship": made_field(GraphQLNonNull(GraphQLString), Part(), "its name"),
            "source": made_field(GraphQLNonNull(GraphQLID), Part()),
            "target": made_field(GraphQLNonNull(GraphQLID), Part()),
            "id": made_field(GraphQLString, Part()),
        },
    )
    path = GraphQLObjectType(
        "Path",
        {
            "length": made_field(GraphQLNonNull(GraphQLInt), Part("length"), "how many relationships"),
            "twins": made_field(listed(factory.twin), Part("twins"), "from one end to the other"),
            "steps": made_field(listed(step), Part("steps")),
        },
    )
    arguments = {
        "from": GraphQLArgument(GraphQLNonNull(GraphQLID)),
        "to": GraphQLArgument(GraphQLNonNull(GraphQLID)),
        "via": GraphQLArgument(GraphQLList(GraphQLNonNull(factory.relationship)), description="all"),
        "directed": GraphQLArgument(GraphQLBoolean, default_value=False, description="only in the relationships' direction"),
        "most": GraphQLArgument(GraphQLInt, default_value=16, description="longest path looked for, 1 to 32"),
    }
    return made_field(path, TwinPath(), "A shortest way from one twin to another; null when there is none", arguments)
