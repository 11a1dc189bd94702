"""What a field of the schema reads in the graph: the one thing that types, selection and shape share."""

from dataclasses import dataclass
from typing import Any

ORIGIN = "origin"
TYPE_KEY = "\x00type"


@dataclass(frozen=True, slots=True)
class Origin:
    """`kind` of a twin's field: id, model, etag, last; value (as it lies), plain (temporal, point), enum, enums, array,
    json, object, objects; reading, signals, properties, history, series; related, links, totals, reach.
    Of a root field: one, list, connection, aggregate, groups, path.

    `key` is the property, relationship or label in the graph; `target` the DTMI of the twins beyond; `type_name` what the type
    of the grouped twins is called in this schema."""

    kind: str
    key: str = ""
    outgoing: bool = True
    target: str = ""
    single: bool = False
    fields: tuple[str, ...] = ()
    signal: str = ""
    part: bool = False
    unit: str = ""
    of: "Origin | None" = None
    type_name: str = ""


def by_key(source: Any, info: Any, **arguments: Any) -> Any:
    """In the executor a compiled field's value lies ready under its response key."""
    return source[info.path.key]


def resolve_type(value: Any, info: Any, type_: Any) -> str:
    return str(value[TYPE_KEY])
