"""The Strawberry extension that answers compiled queries; parsing, validation and transports stay Strawberry's.

A document that was valid once in this schema generation is neither parsed nor validated again."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import orjson
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode
from graphql.execution.values import VariableValues
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionResult

from app import metrics
from app.errors import TwingraphError
from app.graph.records import in_json
from app.graph.store import Store
from app.graphql.failures import as_graphql
from app.graphql.plan import Entry, Plan, bound, run_step
from app.identity import Identity

KEPT = 1000
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

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        schema: Any = context.schema
        context.parse_options["max_tokens"] = schema.tokens
        known = _documents(schema).get(context.query or "")
        if known is not None:
            context.graphql_document, context.pre_execution_errors = known, []
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        schema: Any = context.schema
        context.validation_rules = (*context.validation_rules, *schema.rules)
        if _is_ambiguous(context):
            context.pre_execution_errors = [GraphQLError("the document has several operations: operationName must name one")]
        if context.operation_type.value == "subscription" and not context.context.get("streams", True):
            what = "a subscription needs graphql-transport-ws, or Accept: text/event-stream"
            context.pre_execution_errors = [GraphQLError(what, extensions={"code": "BAD_REQUEST"})]
        yield
        if not context.pre_execution_errors and context.query and context.graphql_document:
            documents = _documents(schema)
            documents[context.query] = context.graphql_document
            if len(documents) > KEPT:
                documents.popitem(last=False)

    async def on_execute(self) -> AsyncIterator[None]:
        context = self.execution_context
        schema: Any = context.schema
        assert context.query is not None
        assert context.graphql_document is not None
        entry = schema.plans.entry(context.query, context.graphql_document, context.operation_name)
        if entry is not None and entry.introspects:
            values = schema.plans.variables(entry, context.variables or {})
            key = (context.query, context.operation_name)
            work = schema.introspection.answer
            data = await at_work(context.context, work, key, entry.operation, entry.fragments, values)
            context.result = ExecutionResult(data=orjson.Fragment(data), errors=None)  # type: ignore[arg-type]
        elif entry is not None and entry.compiled:
            values = schema.plans.variables(entry, context.variables or {})
            given = context.context
            context.result = await at_work(given, answer, schema, entry, values, given["server"].store, given["identity"])
        yield


def answer(schema: Any, entry: Entry, values: VariableValues, store: Store, identity: Identity) -> ExecutionResult:
    """A compiled operation, run; its data is already JSON."""
    try:
        plan: Plan = schema.plans.plan(entry, values, identity.access)
        variables = bound(values.coerced, identity)
        schema.plans.look_at(plan, store, variables, identity.access)
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
    return sum(isinstance(one, OperationDefinitionNode) for one in context.graphql_document.definitions) > 1


async def at_work(context: Any, work: Callable[..., T], *arguments: Any) -> T:
    """`work(*arguments)` in a thread of the client whose request this is. Raises: StoreTimeout."""
    return await context["server"].workers.run(context["identity"].client, work, *arguments)  # type: ignore[no-any-return]


def _documents(schema: Any) -> OrderedDict[str, DocumentNode]:
    found: OrderedDict[str, DocumentNode] = schema.__dict__.setdefault("documents", OrderedDict())
    return found
