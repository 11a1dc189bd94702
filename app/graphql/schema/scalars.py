"""The scalars beyond GraphQL's own, one row each."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import isodate
from graphql import GraphQLError, GraphQLScalarType, ValueNode, value_from_ast_untyped

from app.graph.records import plain
from app.graph.values import parse_instant, parse_time

LARGEST = 2**63
LONG = "Whole number of 64 bits"


def _text(parse: Callable[[str], Any], what: str) -> Callable[[Any], Any]:
    def value(raw_value: Any) -> Any:
        if not isinstance(raw_value, str):
            raise GraphQLError(f"{what} must be a string, not {raw_value!r:.40}")
        try:
            return parse(raw_value)
        except (ValueError, OverflowError, isodate.ISO8601Error) as error:
            raise GraphQLError(f"{raw_value!r:.60} is not {what}") from error

    return value


def whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -LARGEST <= value < LARGEST:
        raise GraphQLError(f"{value!r:.40} is not a whole number of 64 bits")
    return value


def _duration(text: str) -> float:
    """Seconds; a month or a year has no fixed length and is refused."""
    parsed = isodate.parse_duration(text)
    if not hasattr(parsed, "total_seconds") or isinstance(parsed, isodate.Duration):
        raise ValueError("a duration with months or years")
    return float(parsed.total_seconds())


def _anything(value: Any) -> Any:
    return value


ROWS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("DateTime", "RFC 3339 date-time; without an offset it is UTC", _text(parse_instant, "an RFC 3339 date-time")),
    ("Date", "ISO 8601 date", _text(date.fromisoformat, "an ISO 8601 date")),
    ("Time", "ISO 8601 time of day", _text(parse_time, "an ISO 8601 time")),
    ("Duration", "ISO 8601 duration, such as PT10M", _text(_duration, "an ISO 8601 duration without months")),
    ("Long", LONG, whole),
    ("Point", "GeoJSON point, WGS 84: {type: \"Point\", coordinates: [longitude, latitude]}", _anything),
    ("GeoJSON", "GeoJSON geometry", _anything),
    ("Value", "A number, a text or a truth value", _anything),
    ("JSON", "Any JSON value", _anything),
)  # fmt: skip
TEMPORAL = ("DateTime", "Date", "Time", "Duration")


def make_scalars() -> dict[str, GraphQLScalarType]:
    return {name: _scalar(name, description, parse) for name, description, parse in ROWS}


def _scalar(name: str, description: str, parse: Callable[[Any], Any]) -> GraphQLScalarType:
    def literal(node: ValueNode, variables: Any = None) -> Any:
        return parse(value_from_ast_untyped(node, variables))

    return GraphQLScalarType(name, serialize=plain, parse_value=parse, parse_literal=literal, description=description)


def epoch_ms(moment: datetime) -> int:
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
