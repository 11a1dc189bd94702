"""The operators of filters, a row each: the types of values it compares, what it is given, and its Cypher."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.errors import QueryError
from app.graph.select.automaton import automaton

TEXT, IDENTIFIER, BOOLEAN, NUMBER, MOMENT, DURATION, POINT = (
    "text",
    "identifier",
    "boolean",
    "number",
    "moment",
    "duration",
    "point",
)
ENUM, LIST, COUNT = "enum", "list", "count"  # `count`: how many related twins fit
ORDERED = frozenset({TEXT, IDENTIFIER, NUMBER, MOMENT, COUNT})
ALIKE = ORDERED | {BOOLEAN, ENUM}
TEXTS = frozenset({TEXT, IDENTIFIER})
COMPARED, MATCHED = 0.05, 1.0  # beside a value that is sent, which is 1

CHUNK = 100_000  # characters of a text that are taken apart at once
STEP = "{value}.next[r][coalesce({value}.classes[c], head([x IN {value}.ranges WHERE x[0] < c AND c < x[1] | x[2]]), 0)]"
CHUNKS = f"[i IN range(0, (size(k) - 1) / {CHUNK}) | substring(k, i * {CHUNK}, {CHUNK})]"
PARTS = f"CASE WHEN size(k) <= {CHUNK} THEN [k] ELSE {CHUNKS} END"
MATCHES = f"{{value}}.accept[reduce(q = 0, part IN {PARTS} | reduce(r = q, c IN split(part, '') | {STEP}))]"


def pair(values: list[Any]) -> list[Any]:
    """Raises: QueryError."""
    if len(values) != 2:
        raise QueryError(f"two values are needed, [least, greatest], not {len(values)}", where="where")
    return values


@dataclass(frozen=True, slots=True)
class Operator:
    """`operand`: `one` or `many` of the value's type, or a type of its own: Boolean, String, PointNear, PointWithin.

    `cypher`: with `{key}`, and `{value}`, which becomes a parameter; empty where the operand decides the text. `convert` makes
    of what a client gives what is bound, and raises QueryError for what does not fit."""

    name: str
    on: frozenset[str]
    cypher: str
    operand: str = "one"
    convert: Callable[[Any], Any] | None = None
    cost: float = COMPARED


NEAR = "point.distance({key}, point({{longitude: {value}.longitude, latitude: {value}.latitude}})) <= {value}.distance"
WITHIN = (
    "point.withinBBox({key}, point({{longitude: {value}.west, latitude: {value}.south}}), "
    "point({{longitude: {value}.east, latitude: {value}.north}}))"
)
ROWS = (
    Operator("eq", ALIKE, "{key} = {value}"),
    Operator("ne", ALIKE, "{key} <> {value}"),
    Operator("in", ALIKE - {BOOLEAN, COUNT}, "{key} IN {value}", "many"),
    Operator("notIn", ALIKE - {BOOLEAN, COUNT}, "NOT {key} IN {value}", "many"),
    Operator("gt", ORDERED, "{key} > {value}"),
    Operator("gte", ORDERED - {IDENTIFIER}, "{key} >= {value}"),
    Operator("lt", ORDERED, "{key} < {value}"),
    Operator("lte", ORDERED - {IDENTIFIER}, "{key} <= {value}"),
    Operator("between", frozenset({TEXT, NUMBER, MOMENT}), "{value}[0] <= {key} <= {value}[1]", "many", pair),
    Operator("has", frozenset({LIST}), "{value} IN {key}"),
    Operator("hasAny", frozenset({LIST}), "any(x IN {key} WHERE x IN {value})", "many"),
    Operator("hasAll", frozenset({LIST}), "all(x IN {value} WHERE x IN {key})", "many"),
    Operator("near", frozenset({POINT}), NEAR, "PointNear"),
    Operator("within", frozenset({POINT}), WITHIN, "PointWithin"),
    Operator("isNull", frozenset({TEXT, BOOLEAN, NUMBER, MOMENT, DURATION, POINT, ENUM, LIST}), "", "Boolean"),
    Operator("contains", TEXTS, "{key} CONTAINS {value}"),
    Operator("startsWith", TEXTS, "{key} STARTS WITH {value}"),
    Operator("endsWith", TEXTS, "{key} ENDS WITH {value}"),
    Operator(
        "matches",
        TEXTS,
        f"any(k IN [{{key}}] WHERE CASE WHEN k IS :: STRING NOT NULL THEN {MATCHES} ELSE false END)",
        "String",
        automaton,
        MATCHED,
    ),
)
OPERATORS = {row.name: row for row in ROWS}


def of_kind(kind: str) -> tuple[Operator, ...]:
    return tuple(row for row in ROWS if kind in row.on)
