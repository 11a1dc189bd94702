"""Cursors: where a row stands in an order, as text that a client hands back."""

import base64
from dataclasses import dataclass
from typing import Any

import orjson

from app.errors import QueryError
from app.graph.records import tagged, untagged
from app.graph.select.tree import Order

LONG = 2**63


@dataclass(frozen=True, slots=True)
class CursorPart:
    """Takes one value out of a cursor; a value itself, so that equal params stay equal."""

    index: int
    signature: str
    name: str = "after"

    def __call__(self, cursor: str) -> Any:
        return read_cursor(cursor, self.signature, self.name)[self.index]


def signature(order: tuple[Order, ...]) -> str:
    parts = []
    for criterion in order:
        beyond = f"{'>' if criterion.hop.outgoing else '<'}{criterion.hop.types[0]}." if criterion.hop else ""
        parts.append(f"{'-' if criterion.descending else ''}{beyond}{criterion.key.key}")
    return ",".join(parts)


def write_cursor(signed: str, values: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([signed, *values], default=tagged)).decode()


def read_cursor(cursor: str, signed: str, name: str = "after") -> list[Any]:
    """Raises: QueryError for what is no cursor, or one of another order."""
    try:
        cursor_order, *values = orjson.loads(base64.urlsafe_b64decode(cursor))
        values = [untagged(value) if isinstance(value, list) else value for value in values]
        if not all(-LONG <= value < LONG for value in values if isinstance(value, int)):
            raise ValueError("no whole number of 64 bits")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise QueryError("not a cursor of this API", where=name, hint="take it from pageInfo or an edge") from error
    if cursor_order != signed or len(values) != signed.count(",") + bool(signed) + 1:
        raise QueryError("the cursor was made for another orderBy", where=name, hint="keep orderBy while paging")
    return values
