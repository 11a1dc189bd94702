"""The one adapter between Strawberry and the grown types. It sets Strawberry's private `_schema`, so the version is
pinned and `tests/graphql/test_names.py` holds the contract."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from threading import Lock
from typing import Any

import strawberry
from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    NameNode,
    VariableNode,
    get_named_type,
    specified_rules,
    validate_schema,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionResult

from app.dtdl import Catalog
from app.errors import ModelError, TwingraphError
from app.events.feed import CHANGING, Feed, Kind, Topic
from app.graph.records import one_record
from app.graph.select.printer import print_root
from app.graph.select.tree import Many, Root, Scope, Value, param
from app.graphql.answer.execute import Coerced, Compiled, at_work
from app.graphql.answer.failures import as_client_error
from app.graphql.answer.persisted import Persisted
from app.graphql.compile.conditions import where
from app.graphql.compile.documents import Documents
from app.graphql.compile.guards import Limits
from app.graphql.compile.introspection import Introspection
from app.graphql.compile.plan import CHANGED, Plans, bound, run_step
from app.graphql.resolve.changes import MOST_TWINS, Change, ResumeCache, Seen, SharedLooks, changes
from app.graphql.resolve.mutation import IDENTIFIER, mutation_fields
from app.graphql.resolve.static import SCALARS, Mutation, Query, identity_of, server_of
from app.graphql.resolve.subscription import Subscription, counted, visible, while_allowed
from app.graphql.schema.names import Taken, root_names
from app.graphql.schema.origin import ORIGIN, OneTwin
from app.graphql.schema.roots import ANY_TWIN, Names, query_fields
from app.graphql.schema.scalars import make_scalars
from app.graphql.schema.types import TypeFactory
from app.identity.gate import require_not_revoked
from app.settings import Settings


class TwinSchema(strawberry.Schema):
    """Strawberry's static part and the types grown from `catalog`, as one schema."""

    plans: Plans
    documents: Documents
    timeout: float
    memory: ResumeCache
    looks: SharedLooks
    _labels: frozenset[str]
    _change: GraphQLObjectType | None = None

    def __init__(self, catalog: Catalog, settings: Settings, persisted: Persisted) -> None:
        super().__init__(
            Query,
            mutation=Mutation,
            subscription=Subscription,
            extensions=[Compiled],
            execution_context_class=Coerced,
            config=StrawberryConfig(scalar_map=SCALARS),
        )
        self.memory, self.looks = ResumeCache(), SharedLooks()
        base = self._schema
        shared: Any = {name: base.type_map[name] for name in ("JSON", "Long")}
        roots = base.query_type.fields if base.query_type else ()
        factory = TypeFactory(catalog, make_scalars() | shared, frozenset(base.type_map), frozenset(roots))
        self._schema = self._grown(base, factory)
        self._schema._strawberry_schema = self  # type: ignore[attr-defined]
        errors = validate_schema(self._schema)
        if errors:
            raise ValueError("; ".join(error.message for error in errors[:5]))
        self._labels = frozenset(catalog.by_label)
        limits = Limits(settings.query_depth, settings.query_aliases)
        self.documents = Documents(self._schema, specified_rules, settings.query_tokens, limits)
        self.plans = Plans(self._schema, catalog, settings, self.documents)
        self.introspection = Introspection(self._schema)
        self.persisted = persisted
        self.timeout = settings.query_timeout

    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Users' mistakes are told to the users; what is unexpected is logged in `failures`, once."""
        errors[:] = [as_client_error(error) for error in errors]

    async def stream(self, *arguments: Any, **named: Any) -> Any:
        """As Strawberry's, as long as who asks still may."""
        context = named["context_value"]
        check = partial(require_not_revoked, context["server"].gate, context["credentials"], context["identity"])
        return self._while_allowed(await super().stream(*arguments, **named), check)

    async def _while_allowed(self, results: Any, check: Any) -> AsyncIterator[Any]:
        try:
            async for result in while_allowed(results, check):
                yield result
        except TwingraphError as error:
            errors: list[Any] = [GraphQLError(error.what, original_error=error)]
            self.process_errors(errors)
            yield ExecutionResult(data=None, errors=errors)

    def _grown(self, base: GraphQLSchema, factory: TypeFactory) -> GraphQLSchema:
        assert base.query_type is not None
        assert base.mutation_type is not None
        assert base.subscription_type is not None
        result = base.type_map["CommandResult"]
        assert isinstance(result, GraphQLObjectType)
        names = root_names(factory.catalog, (*ANY_TWIN, *factory.roots))
        query = query_fields(factory, self._resolve, names)
        mutation = mutation_fields(factory, result, self._read_twin, Taken(base.mutation_type.fields))
        subscription = self._subscriptions(factory, names, base.subscription_type.fields)
        arguments: dict[str, Any] = {**base.to_kwargs()}
        arguments |= {
            "query": GraphQLObjectType("Query", {**base.query_type.fields, **query}),
            "mutation": GraphQLObjectType("Mutation", {**base.mutation_type.fields, **mutation}),
            "subscription": GraphQLObjectType("Subscription", {**base.subscription_type.fields, **subscription}),
            "types": [*factory.objects.values()],
        }
        return GraphQLSchema(**arguments)

    async def _resolve(self, _: Any, info: Any, **arguments: Any) -> Any:
        """A compiled field inside an operation that the executor runs."""
        return await self._read(info, info.parent_type.fields[info.field_name], list(info.field_nodes))

    async def _read_twin(self, info: Any, dt_id: str) -> Any:
        """The twin a mutation has changed, as its selection asks."""
        twin = self._schema.query_type.fields["twin"]  # type: ignore[union-attr]
        twin_type: Any = get_named_type(info.return_type)
        field = GraphQLField(
            twin_type, twin.args, extensions={ORIGIN: OneTwin(twin_type.name if twin_type.name in self._labels else "Twin")}
        )
        return await self._read(info, field, [_with_id(node) for node in info.field_nodes], {CHANGED: dt_id})

    async def _read(self, info: Any, field_def: Any, nodes: list[Any], more: Mapping[str, Any] | None = None) -> Any:
        """`more`: variables beside those of the operation."""
        # Strawberry hands its resolvers the coerced values alone, graphql-core's subscribe the whole container.
        coerced = {**getattr(info.variable_values, "coerced", info.variable_values), **(more or {})}
        who = identity_of(info)

        def work() -> Any:
            step = self.plans.field_step(info, field_def, nodes, coerced, who.access)
            return run_step(step, server_of(info).store, bound(coerced, who), self.timeout)

        return await at_work(info.context, work)

    # Subscriptions ---------------------------------------------------------------------------------------------------

    def _subscriptions(
        self, factory: TypeFactory, names: Mapping[str, Names], static: Iterable[str]
    ) -> dict[str, GraphQLField]:
        changed = GraphQLField(
            factory.twin,
            {"dtId": GraphQLArgument(IDENTIFIER)},
            self._resolve,
            self._twin_changes,
            description="The twin at once, then after every change; states between two looks may be passed over.",
            extensions={ORIGIN: OneTwin("Twin")},
        )
        fields = {"twinChanged": changed, "twinsChanged": self._changes_field(factory, "", "Twin")}
        taken = Taken([*fields, *static])
        for dtmi, (_, many) in names.items():
            fields[taken.claim(f"{many}Changed")] = self._changes_field(factory, dtmi, factory.catalog.labels[dtmi])
        return fields

    def _changes_field(self, factory: TypeFactory, dtmi: str, label: str) -> GraphQLField:
        arguments = {
            "where": GraphQLArgument(factory.filters.where(dtmi)),
            "after": GraphQLArgument(GraphQLString, description="the cursor of the last event before a reconnect"),
        }

        async def subscribe(_: Any, info: Any, where: Any = None, after: str | None = None) -> AsyncIterator[Change]:
            question = f"{identity_of(info)} {label} {where!r}"
            look = partial(at_work, info.context, self._look(info, label, where, arguments["where"].type))
            async with aclosing(self.looks.answers(server_of(info).feed, question, look)) as answers:
                async for change in changes(answers, question, self.memory, after):
                    yield change

        return GraphQLField(
            GraphQLNonNull(self._change_type(factory)),
            arguments,
            lambda change, info, **_: change,
            lambda *positional, **named: counted(subscribe(*positional, **named)),
            description=f"What enters, changes in and leaves the {label}s that fit, all of them first",
        )

    def _look(self, info: Any, label: str, condition: Any, type_: Any) -> Callable[[], Seen]:
        columns = (Value("dtId"), *map(Value, CHANGING))
        who, store = identity_of(info), server_of(info).store
        scope = Scope(columns, where(self.plans.catalog, condition, type_), limit=param(MOST_TWINS + 1))
        parted = label in self.plans.catalog.part_labels
        statement = print_root(Root(label, Many(scope), access=who.access, parted=parted))
        parameters = {f"p{index}": parameter.value(bound({}, who)) for index, parameter in enumerate(statement.params)}

        def look() -> Seen:
            return {dt_id: tuple(state) for dt_id, *state in one_record(store, statement.text, parameters, self.timeout)[0]}

        return look

    def _change_type(self, factory: TypeFactory) -> GraphQLObjectType:
        if self._change is None:
            text = GraphQLNonNull(GraphQLString)
            kinds = GraphQLEnumType("ChangeKind", {kind: kind for kind in ("ENTERED", "CHANGED", "LEFT", "RESET")})

            async def twin(change: Change, info: Any) -> Any:
                return None if change.dt_id is None else await self._read_twin(info, change.dt_id)

            fields = {
                "kind": GraphQLField(GraphQLNonNull(kinds), resolve=lambda change, _: change.kind),
                "dtId": GraphQLField(GraphQLID, resolve=lambda change, _: change.dt_id),
                "cursor": GraphQLField(text, resolve=lambda change, _: change.cursor, description="for `after`"),
                "twin": GraphQLField(factory.twin, resolve=twin, description="as it is now"),
            }
            self._change = GraphQLObjectType("TwinChange", fields)
        return self._change

    async def _twin_changes(self, _: Any, info: Any, dtId: str) -> AsyncIterator[str]:
        await visible(info, dtId)
        async for changed in counted(_told(server_of(info).feed, dtId)):
            yield changed


async def _told(feed: Feed, dt_id: str) -> AsyncIterator[str]:
    """The dtId at once, then after every change of the twin."""
    async with feed.listen(Topic(Kind.TWIN, dt_id)) as news:
        while True:
            yield dt_id
            await news.next()


class SchemaCache:
    """The schema of the models that were asked for last: what is checked before a load is what is served after it."""

    def __init__(self, settings: Settings) -> None:
        """Raises: SettingError for operations that cannot be read."""
        self._settings, self._persisted = settings, Persisted(settings.operations, settings.operations_only)
        self._last: tuple[Catalog, TwinSchema] | None = None
        self._lock = Lock()

    def require(self, catalog: Catalog) -> None:
        """Raises: ModelError."""
        self.of(catalog)

    def of(self, catalog: Catalog) -> TwinSchema:
        """Raises: ModelError for models that cannot be served."""
        with self._lock:
            last = self._last
            if last is not None and last[0].interfaces is catalog.interfaces and last[0].labels is catalog.labels:
                return last[1]
            try:
                schema = TwinSchema(catalog, self._settings, self._persisted)
            except Exception as error:  # whatever graphql-core says of a name or a type
                raise ModelError(f"the models cannot be served as GraphQL: {error}"[:500], code="MODEL_UNSERVABLE") from error
            self._last = catalog, schema
            return schema


def _with_id(node: Any) -> Any:
    """`node` as a question for the twin whose dtId is the variable CHANGED."""
    argument = ArgumentNode(name=NameNode(value="dtId"), value=VariableNode(name=NameNode(value=CHANGED)))
    return FieldNode(
        name=node.name,
        alias=node.alias,
        arguments=(argument,),
        directives=node.directives,
        selection_set=node.selection_set,
    )
