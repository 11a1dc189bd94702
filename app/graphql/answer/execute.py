"""The Strawberry extension that answers compiled queries; execution of the others and the transports stay Strawberry's.

A document that was valid once in this schema generation is neither parsed nor validated again. What may take long is done
beside the event loop."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, TypeVar

import orjson
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode
from graphql.execution.values import VariableValues
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types import ExecutionResult

from app import metrics
from app.errors import QueryError, TooLarge, TwingraphError
from app.graph.records import in_json
from app.graph.store import Store
from app.graphql.answer.failures import as_graphql
from app.graphql.compile.documents import Read
from app.graphql.compile.plan import Entry, Plan, bound, run_step
from app.http.workers import begin
from app.identity import Identity

SMALL_BYTES, LARGEST_BYTES = 16 * 1024, 256 * 1024  # of variables: coerced at once; of such as are input objects
T = TypeVar("T")


class Compiled(SchemaExtension):
    def on_operation(self) -> Iterator[None]:
        started = time.perf_counter()
        context = self.execution_context
        schema: Any = context.schema
        context.query = schema.persisted.text(context.query, context.operation_extensions)
        yield
        errors = getattr(context.result, "errors", None) or context.pre_execution_errors
        kind = context.operation_type.value if context.graphql_document else "unparsed"
        metrics.REQUESTS.labels(kind, "failed" if errors else "answered").inc()
        metrics.REQUEST_SECONDS.labels(kind).observe(time.perf_counter() - started)

    async def on_parse(self) -> AsyncIterator[None]:
        context = self.execution_context
        if context.query:
            read = await _read(context.schema, context.query, context.context)
            if read.document is None:
                raise read.errors[0]
            context.graphql_document, context.pre_execution_errors = read.document, read.errors
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        if not context.pre_execution_errors and _is_ambiguous(context):
            context.pre_execution_errors = [GraphQLError("the document has several operations: operationName must name one")]
        if context.operation_type.value == "subscription" and not context.context.get("streams", True):
            what = "a subscription needs graphql-transport-ws, or Accept: text/event-stream"
            context.pre_execution_errors = [GraphQLError(what, extensions={"code": "BAD_REQUEST"})]
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        context = self.execution_context
        schema: Any = context.schema
        assert context.query is not None
        assert context.graphql_document is not None
        entry = schema.plans.entry(context.query, context.graphql_document, context.operation_name)
        request_context, variables = context.context, context.variables or {}
        if context.operation_type.value != "subscription":
            begin(request_context["server"].workers.seconds)
        size = _size(variables)
        if entry is not None:
            require_small(schema, entry, size)
        if entry is not None and entry.introspects:
            context.result = await at_work(request_context, described, schema, context.query, entry, variables)
        elif entry is not None and entry.compiled:
            context.result = await at_work(
                request_context, answer, schema, entry, variables, request_context["server"].store, request_context["identity"]
            )
        elif entry is not None:
            context.variables = await _coerced(request_context, schema, entry, variables, size)
        yield


def described(schema: Any, query: str, entry: Entry, variables: Mapping[str, Any]) -> ExecutionResult:
    """An operation that asks for the schema. Raises: GraphQLError for variables that do not fit."""
    values = schema.plans.variables(entry, variables)
    key = (query, entry.operation.name.value if entry.operation.name else None)
    data: Any = orjson.Fragment(schema.introspection.answer(key, entry.operation, entry.fragments, values))
    return ExecutionResult(data=data, errors=None)


def answer(schema: Any, entry: Entry, raw_variables: Mapping[str, Any], store: Store, identity: Identity) -> ExecutionResult:
    """A compiled operation, run; its data is already JSON. Raises: GraphQLError for variables that do not fit."""
    values = schema.plans.variables(entry, raw_variables)
    try:
        plan: Plan = schema.plans.plan(entry, values, identity.access)
        variables = bound(values.coerced, identity)
        schema.plans.check_explain(plan, store, variables, identity.access)
    except TwingraphError as error:
        return ExecutionResult(data=None, errors=[as_graphql(error)])
    data: dict[str, Any] | None = {}
    errors: list[GraphQLError] = []
    until = time.monotonic() + schema.timeout  # all fields of the operation together
    for step in plan.steps:
        try:
            value = run_step(step, store, variables, until - time.monotonic())
        except TwingraphError as error:
            errors.append(as_graphql(error, [step.key]))
            value = None
            if not step.nullable:
                data = None
                break
        assert data is not None
        data[step.key] = value
    written: Any = None if data is None else orjson.Fragment(orjson.dumps(data, default=in_json))
    return ExecutionResult(data=written, errors=errors or None)


def _is_ambiguous(context: Any) -> bool:
    if context._provided_operation_name is not None:
        return False
    return sum(isinstance(definition, OperationDefinitionNode) for definition in context.graphql_document.definitions) > 1


async def at_work(context: Any, work: Callable[..., T], *arguments: Any) -> T:
    """`work(*arguments)` in a thread of the client whose request this is. Raises: StoreTimeout."""
    return await context["server"].workers.run(context["identity"].client, work, *arguments)  # type: ignore[no-any-return]


async def _read(schema: Any, text: str, context: Any) -> Read:
    cached: Read | None = schema.documents.known(text)
    if cached is not None:
        return cached
    parsed: Read = await context["server"].parsers.run(context["identity"].client, schema.documents.read, text)
    return parsed


class Ready(dict[str, Any]):
    """The variables of a request, which were coerced before its execution began: large ones beside the event loop."""

    coerced: VariableValues


def require_small(schema: Any, entry: Entry, size: int) -> None:
    """`size` [bytes]: of the variables as JSON. Raises: TooLarge."""
    if size > LARGEST_BYTES and not schema.plans.takes_json(entry):
        hint = "several requests; importTwins takes many documents"
        raise TooLarge(f"the variables have {size:,} bytes, at most {LARGEST_BYTES:,} where they are input objects", hint=hint)


def _size(variables: Mapping[str, Any]) -> int:
    try:
        return len(orjson.dumps(variables)) if variables else 0
    except TypeError as error:
        raise QueryError("the variables are nested too deeply", hint="at most 250 levels") from error


async def _coerced(context: Any, schema: Any, entry: Entry, variables: Mapping[str, Any], size: int) -> Ready:
    """Raises: GraphQLError for what does not fit."""
    ready = Ready(variables)
    if size > SMALL_BYTES:
        ready.coerced = await at_work(context, schema.plans.variables, entry, variables)
    else:
        ready.coerced = schema.plans.variables(entry, variables)
    return ready


class Coerced(StrawberryGraphQLCoreExecutionContext):
    """Takes over what is `Ready`. Of graphql-core: `build` with the variables as fifth argument, `operation`,
    `variable_values` (3.3; tests/docs/test_contracts.py holds the contract)."""

    @classmethod
    def build(cls, schema: Any, document: DocumentNode, *arguments: Any, **named: Any) -> Any:
        root, context, variables, *rest = arguments
        if not isinstance(variables, Ready):
            return super().build(schema, document, *arguments, **named)
        bare = DocumentNode(definitions=tuple(map(_without_variables, document.definitions)))
        execution: Any = super().build(schema, bare, root, context, None, *rest, **named)
        if not isinstance(execution, list):
            execution.variable_values = variables.coerced
            execution.operation = document.definitions[bare.definitions.index(execution.operation)]
        return execution


def _without_variables(definition: Any) -> Any:
    if not isinstance(definition, OperationDefinitionNode):
        return definition
    fields = {key: getattr(definition, key) for key in definition.keys if key != "variable_definitions"}
    return OperationDefinitionNode(**fields, variable_definitions=())
