"""A query that this schema generation has answered before, sent as plain JSON by POST: read, run and written without the
transports' machinery, which costs more than the query. Everything else, and every doubt, goes the stock way; so do requests
that end in an error before they run, and the two ways answer alike (tests/graphql/test_direct.py)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import GraphQLError
from strawberry.types import ExecutionResult

from app import metrics
from app.errors import TwingraphError
from app.graphql.answer.execute import answer, require_small
from app.graphql.answer.schema import TwinSchema
from app.graphql.compile.plan import Entry
from app.identity import Identity
from app.server import Server

Message = Mapping[str, Any]
LONGEST = 1024**2  # bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """One request whose operation is known."""

    entry: Entry
    variables: Mapping[str, Any]


def is_plain(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
    """A POST of JSON."""
    return scope["method"] == "POST" and headers.get(b"content-type", b"").partition(b";")[0].strip() == b"application/json"


async def read(receive: Any) -> list[Message]:
    """The messages of the body; not all of them where it is longer than a query is, or the client has gone."""
    messages, size, more = [], 0, True
    while more and size <= LONGEST:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        more = bool(message.get("more_body"))
    return messages


def replay(messages: list[Message], receive: Any) -> Any:
    """`receive` for one who has not read `messages` yet."""
    waiting = iter(messages)

    async def receive_all() -> Message:
        message = next(waiting, None)
        return message if message is not None else await receive()  # type: ignore[no-any-return]

    return receive_all


def known(schema: TwinSchema, messages: list[Message]) -> Asked | None:
    """What the body asks; None where the stock way must answer."""
    if messages[-1]["type"] != "http.request" or messages[-1].get("more_body"):
        return None
    try:
        body = b"".join(message["body"] for message in messages)
        request = orjson.loads(body)
        return _known(schema, request, len(body)) if isinstance(request, dict) else None
    except (orjson.JSONDecodeError, TwingraphError):
        return None


def _known(schema: TwinSchema, request: Mapping[str, Any], size: int) -> Asked | None:
    query, variables, name, extensions = (request.get(key) for key in ("query", "variables", "operationName", "extensions"))
    texts = isinstance(query, str | None) and isinstance(name, str | None)
    if not texts or not isinstance(variables, dict | None) or not isinstance(extensions, dict | None):
        return None
    text = schema.persisted.text(query, extensions)
    entry = schema.plans.known(text, name) if text else None
    if entry is None or not entry.compiled or entry.introspects:
        return None
    require_small(schema, entry, size)
    return Asked(entry, variables or {})


async def answered(schema: TwinSchema, request: Asked, server: Server, identity: Identity) -> ExecutionResult:
    started = time.perf_counter()
    try:
        result = await server.workers.run(
            identity.client, answer, schema, request.entry, request.variables, server.store, identity
        )
    except GraphQLError as error:
        result = ExecutionResult(data=None, errors=[error])
    except Exception as error:  # noqa: BLE001 as Strawberry does: what nobody expected is logged and answered as INTERNAL
        result = ExecutionResult(data=None, errors=[GraphQLError(str(error), original_error=error)])
    if result.errors:
        schema.process_errors(result.errors)
    metrics.REQUESTS.labels("query", "failed" if result.errors else "answered").inc()
    metrics.REQUEST_SECONDS.labels("query").observe(time.perf_counter() - started)
    return result
