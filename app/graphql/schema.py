"""The one adapter between Strawberry and the grown types. It sets Strawberry's private `_schema`, so the version is
pinned and `tests/graphql/test_schema.py` holds the contract."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    NameNode,
    StringValueNode,
    validate_schema,
)
from graphql.execution.values import VariableValues

from app import metrics
from app.dtdl import Catalog
from app.graphql.execute import Compiled
from app.graphql.failures import said
from app.graphql.guards import limits
from app.graphql.introspection import Introspection
from app.graphql.mutation import IDENTIFIER, mutation_fields
from app.graphql.names import Taken
from app.graphql.origin import ORIGIN, Origin
from app.graphql.persisted import Persisted
from app.graphql.plan import Plans, bound, run_step, variable_types
from app.graphql.roots import query_fields
from app.graphql.scalars import make_scalars
from app.graphql.static import Mutation, Query, identity_of, server_of
from app.graphql.types import TypeFactory
from app.settings import Settings
from app.twins.write import model_of


@dataclass(frozen=True, slots=True)
class Generation:
    """Everything that one catalog decides; swapped in one assignment, and requests under way keep the old one."""

    catalog: Catalog
    schema: "TwinSchema"


class TwinSchema(strawberry.Schema):
    """Strawberry's static part and the types grown from `catalog`, as one schema."""

    plans: Plans
    rules: tuple[Any, ...]
    tokens: int
    timeout: float

    def __init__(self, catalog: Catalog, settings: Settings, persisted: Persisted) -> None:
        super().__init__(Query, mutation=Mutation, extensions=[Compiled])
        base = self._schema
        json: Any = base.type_map["JSON"]
        factory = TypeFactory(catalog, make_scalars() | {"JSON": json})
        self._schema = self._grown(base, factory)
        self._schema._strawberry_schema = self  # type: ignore[attr-defined]
        errors = validate_schema(self._schema)
        if errors:
            raise ValueError("; ".join(error.message for error in errors[:5]))
        self.plans = Plans(self._schema, catalog, settings)
        self.rules = limits(settings.query_depth, settings.query_aliases)
        self.introspection = Introspection(self._schema)
        self.persisted = persisted
        self.tokens, self.timeout = settings.query_tokens, settings.query_timeout

    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Users' mistakes are told to the users; what is unexpected is logged in `failures`, once."""
        errors[:] = [said(error) for error in errors]

    def _grown(self, base: GraphQLSchema, factory: TypeFactory) -> GraphQLSchema:
        assert base.query_type is not None
        assert base.mutation_type is not None
        result = base.type_map["CommandResult"]
        assert isinstance(result, GraphQLObjectType)
        query = query_fields(factory, self._resolve)
        mutation = mutation_fields(factory, result, self._read_twin, Taken(base.mutation_type.fields))
        arguments = {"dtId": GraphQLArgument(IDENTIFIER)}
        changed = GraphQLField(
            factory.twin,
            arguments,
            self._resolve,
            self._changes,
            description="The twin at once, then after every change; states between two looks may be passed over.",
            extensions={ORIGIN: Origin("one", "Twin")},
        )
        kept: dict[str, Any] = {**base.to_kwargs()}
        kept |= {
            "query": GraphQLObjectType("Query", {**base.query_type.fields, **query}),
            "mutation": GraphQLObjectType("Mutation", {**base.mutation_type.fields, **mutation}),
            "subscription": GraphQLObjectType("Subscription", {"twinChanged": changed}),
            "types": [*factory.objects.values()],
        }
        return GraphQLSchema(**kept)

    async def _resolve(self, _: Any, info: Any, **arguments: Any) -> Any:
        """A compiled field inside an operation that the executor runs."""
        return await self._read(info, info.parent_type.fields[info.field_name], list(info.field_nodes))

    async def _read_twin(self, info: Any, dt_id: str) -> Any:
        """The twin a mutation has changed, as its selection asks."""
        twin = self._schema.query_type.fields["twin"]  # type: ignore[union-attr]
        nodes = [_with_id(node, dt_id) for node in info.field_nodes]
        return await self._read(info, twin, nodes)

    async def _read(self, info: Any, field_def: Any, nodes: list[Any]) -> Any:
        # Strawberry hands its resolvers the coerced values alone, graphql-core's subscribe the whole container.
        coerced = getattr(info.variable_values, "coerced", info.variable_values)
        types = variable_types(self._schema, info.operation)
        who = identity_of(info)
        values = VariableValues({}, coerced)
        step = self.plans.field_step(info.path.key, field_def, nodes, info.fragments, values, types, who.access)
        return await asyncio.to_thread(run_step, step, server_of(info).store, bound(coerced, who), self.timeout)

    async def _changes(self, _: Any, info: Any, dtId: str) -> AsyncIterator[str]:
        server = server_of(info)
        await asyncio.to_thread(model_of, server.store, server.registry.catalog, dtId)
        await asyncio.to_thread(server.gate.sees, identity_of(info), [dtId])
        metrics.SUBSCRIBERS.inc()
        try:
            async for changed in server.watcher.watch(dtId):
                yield changed
        finally:
            metrics.SUBSCRIBERS.dec()


def _with_id(node: Any, dt_id: str) -> Any:
    argument = ArgumentNode(name=NameNode(value="dtId"), value=StringValueNode(value=dt_id))
    return FieldNode(
        name=node.name,
        alias=node.alias,
        arguments=(argument,),
        directives=node.directives,
        selection_set=node.selection_set,
    )
