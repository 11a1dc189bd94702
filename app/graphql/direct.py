"""A query that this schema generation has answered before, sent as plain JSON by POST: read, run and written without the
transports' machinery, which costs more than the query. Everything else, and every doubt, goes the stock way; so do requests
that end in an error before they run, and the two ways answer alike (tests/graphql/test_direct.py)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import GraphQLError
from graphql.execution.values import VariableValues
from strawberry.types import ExecutionResult

from app import metrics
from app.errors import TwingraphError
from app.graphql.execute import answer, in_thread
from app.graphql.plan import Entry
from app.graphql.schema import TwinSchema
from app.identity import Identity
from app.server import Server

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request whose operation is known; `values` are its coerced variables."""

    entry: Entry
    values: VariableValues


def is_plain(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
    """A POST of JSON. Bodies in several parts or encoded otherwise are not for this way."""
    return scope["method"] == "POST" and headers.get(b"content-type", b"").partition(b";")[0].strip() == b"application/json"


def known(schema: TwinSchema, message: Message) -> Asked | None:
    """What `message`, the first of the body, asks; None where the stock way must answer."""
    if message["type"] != "http.request" or message.get("more_body"):
        return None
    try:
        given = orjson.loads(message["body"])
        if not isinstance(given, dict):
            return None
        return _known(schema, given)
    except (orjson.JSONDecodeError, TwingraphError, GraphQLError):
        return None


def _known(schema: TwinSchema, given: Mapping[str, Any]) -> Asked | None:
    query, variables, name = given.get("query"), given.get("variables") or {}, given.get("operationName")
    extensions = given.get("extensions") or {}
    well_formed = isinstance(query, str | None) and isinstance(variables, dict) and isinstance(name, str | None)
    if not well_formed or not isinstance(extensions, dict):
        return None
    text = schema.persisted.text(query, extensions)
    entry = schema.plans.known(text, name) if text else None
    if entry is None or not entry.compiled or entry.introspects:
        return None
    return Asked(entry, schema.plans.variables(entry, variables))


async def answered(schema: TwinSchema, asked: Asked, server: Server, identity: Identity) -> ExecutionResult:
    started = time.perf_counter()
    try:
        result = await in_thread(answer, schema, asked.entry, asked.values, server.store, identity)
    except Exception as error:  # noqa: BLE001 as Strawberry does: what nobody expected is logged and answered as INTERNAL
        result = ExecutionResult(data=None, errors=[GraphQLError(str(error), original_error=error)])
    if result.errors:
        schema.process_errors(result.errors)
    metrics.REQUESTS.labels("query", "failed" if result.errors else "answered").inc()
    metrics.REQUEST_SECONDS.labels("query").observe(time.perf_counter() - started)
    return result
