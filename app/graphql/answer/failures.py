"""Errors as clients see them: a stable code, the place, the way out; never a stack trace nor Cypher."""

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from app.errors import TwingraphError

log = structlog.get_logger()
OURS = (GraphQLError, InvalidOperationTypeError, CannotGetOperationTypeError)


def as_client_error(error: GraphQLError) -> GraphQLError:
    original = error.original_error
    while isinstance(original, GraphQLError) and original.original_error:
        original = original.original_error
    if isinstance(original, TwingraphError):
        return GraphQLError(original.what, error.nodes, path=error.path, extensions=original.extensions())
    if original is None or isinstance(original, OURS):
        code = "GRAPHQL_PARSE_FAILED" if isinstance(error, GraphQLSyntaxError) else "GRAPHQL_VALIDATION_FAILED"
        if not error.extensions or "code" not in error.extensions:
            error.extensions = {**(error.extensions or {}), "code": code}
        return error
    if isinstance(original, ValueError) and "integer string conversion" in str(original):
        return GraphQLError("a whole number has too many digits", error.nodes, extensions={"code": "GRAPHQL_VALIDATION_FAILED"})
    log.error("request failed", exc_info=original, path=error.path)
    return GraphQLError("internal error", error.nodes, path=error.path, extensions={"code": "INTERNAL"})


def as_graphql(error: TwingraphError, path: list[str | int] | None = None) -> GraphQLError:
    return GraphQLError(error.what, path=path, extensions=error.extensions())
