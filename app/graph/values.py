"""One row a schema: how a JSON value is checked, what Neo4j stores, what GraphQL shows.

`ROWS[name] = Row(graphql, check)`: `graphql` is the scalar's name; `check(value)` returns the value Neo4j stores or raises
ValueError saying why."""

import base64
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import isodate
import orjson
import pytz  # type: ignore[import-untyped]
from neo4j.spatial import WGS84Point
from neo4j.time import Duration, Time

from app.dtdl.model import Array, Enum, Map, Object, Primitive, Schema
from app.dtdl.payload import PRIMITIVES, compiled
from app.errors import TwinError

Json = Any


@dataclass(frozen=True, slots=True)
class Row:
    graphql: str
    check: Callable[[Json], Any]


def _boolean(value: Json) -> bool:
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value


def _whole(low: int, high: int) -> Callable[[Json], int]:
    def check(value: Json) -> int:
        if type(value) is not int:
            raise ValueError("must be a whole number")
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    return check


def _of_kind(kind: str) -> Callable[[Json], None]:
    """Raises ValueError where the payload check of a primitive kind refuses."""
    check = PRIMITIVES[kind]

    def require(value: Json) -> None:
        if wrong := check(value):
            raise ValueError(wrong)

    return require


def _number(kind: str) -> Callable[[Json], float]:
    require = _of_kind(kind)

    def check(value: Json) -> float:
        if type(value) not in (int, float):
            raise ValueError("must be a finite number")
        require(value)
        return float(value)

    return check


_require_text = _of_kind("string")


def _text(value: Json) -> str:
    _require_text(value)
    return str(value)


def _parsed(parse: Callable[[str], Any], what: str) -> Callable[[Json], Any]:
    def check(value: Json) -> Any:
        try:
            return parse(_text(value))
        except (ValueError, OverflowError, isodate.ISO8601Error, InvalidOperation) as error:
            raise ValueError(f"must be {what}") from error

    return check


def parse_instant(text: str) -> datetime:
    """RFC 3339, in UTC so that equal instants are equal values in Neo4j; a text without an offset is UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def parse_time(text: str) -> Any:
    """Neo4j's own time. With an offset it needs a zone that answers without a date: the driver asks it with the time alone."""
    parsed = time.fromisoformat(text)
    local_time, offset = Time.from_native(parsed.replace(tzinfo=None)), parsed.utcoffset()
    if offset is None:
        return local_time
    if abs(offset) > LARGEST_OFFSET or offset.total_seconds() % 60:
        raise ValueError("an offset that Neo4j does not hold")  # it closes the connection over one beyond 18 hours
    return local_time.replace(tzinfo=pytz.FixedOffset(round(offset.total_seconds() / 60)))


def _json(value: Json) -> str:
    """The value as JSON text. Raises: ValueError for what JSON, or a reader of it with numbers of 64 bits, cannot hold."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError as error:
        reason = "must nest at most 254 levels deep" if "Recursion" in str(error) else f"cannot be kept as JSON: {error}"
        raise ValueError(reason) from error
    if not _is_finite(value):  # orjson writes null for infinity
        raise ValueError("must have finite numbers")
    return text


def _is_finite(value: Json) -> bool:
    if isinstance(value, list):
        return all(map(_is_finite, value))
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, float) or math.isfinite(value)


def _geojson(kind: str) -> Callable[[Json], str]:
    name = kind[0].upper() + kind[1:]

    def check(value: Json) -> str:
        if not isinstance(value, dict) or value.get("type") != name or not isinstance(value.get("coordinates"), list):
            raise ValueError(f"must be a GeoJSON {name} with coordinates")
        return _json(value)

    return check


_point_text = _geojson("point")


def _point(value: Json) -> Any:
    """A Neo4j point, which Cypher measures distances with; what lies nowhere on Earth stays GeoJSON text."""
    text = _point_text(value)
    place = value["coordinates"]
    if not all(type(part) in (int, float) for part in place):
        raise ValueError("must have numbers as coordinates")
    on_earth = len(place) in (2, 3) and abs(place[0]) <= 180 and abs(place[1]) <= 90
    return WGS84Point(tuple(map(float, place))) if on_earth else text


def _json_of(kind: str) -> Callable[[Json], str]:
    require = _of_kind(kind)

    def check(value: Json) -> str:
        require(value)
        return _json(value)

    return check


def _base64(text: str) -> str:
    base64.b64decode(text, validate=True)
    return text


def _decimal(text: str) -> str:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError("not finite")
    return str(number)


def _duration(text: str) -> Any:
    parsed = isodate.parse_duration(text)
    years, months = (getattr(parsed, part, 0) for part in ("years", "months"))
    if years != int(years) or months != int(months):
        raise ValueError("a part of a month has no length")
    delta = getattr(parsed, "tdelta", parsed)
    parts = {"days": delta.days, "seconds": delta.seconds, "microseconds": delta.microseconds}
    return Duration(years=int(years), months=int(months), **parts)


LONG = 2**63 - 1
LARGEST_OFFSET = timedelta(hours=18)
ROWS: dict[str, Row] = {
    "boolean": Row("Boolean", _boolean),
    "byte": Row("Int", _whole(-128, 127)),
    "short": Row("Int", _whole(-(2**15), 2**15 - 1)),
    "integer": Row("Int", _whole(-(2**31), 2**31 - 1)),
    "long": Row("Long", _whole(-LONG - 1, LONG)),
    "unsignedByte": Row("Int", _whole(0, 255)),
    "unsignedShort": Row("Int", _whole(0, 65535)),
    "unsignedInteger": Row("Long", _whole(0, 2**32 - 1)),
    "unsignedLong": Row("Long", _whole(0, LONG)),
    "float": Row("Float", _number("float")),
    "double": Row("Float", _number("double")),
    "decimal": Row("String", _parsed(_decimal, "a decimal number in a string")),
    "scaledDecimal": Row("JSON", _json_of("scaledDecimal")),
    "string": Row("String", _text),
    "uuid": Row("String", _parsed(lambda text: str(uuid.UUID(text)), "a UUID")),
    "bytes": Row("String", _parsed(_base64, "Base64")),
    "date": Row("Date", _parsed(date.fromisoformat, "an ISO 8601 date")),
    "dateTime": Row("DateTime", _parsed(parse_instant, "an RFC 3339 date-time")),
    "time": Row("Time", _parsed(parse_time, "an ISO 8601 time with an offset of whole minutes up to 18:00")),
    "duration": Row("Duration", _parsed(_duration, "an ISO 8601 duration of whole years and months")),
    "json": Row("JSON", _json),
    "vector": Row("JSON", _json_of("vector")),
    "geopoint": Row("JSON", _json_of("geopoint")),
    "point": Row("JSON", _point),
    **{name: Row("JSON", _geojson(name)) for name in ("lineString", "polygon")},
    **{name: Row("JSON", _geojson(name)) for name in ("multiPoint", "multiLineString", "multiPolygon")},
}


def flatten(name: str, schema: Schema, value: Json) -> dict[str, Any]:
    """Neo4j properties for one DTDL value: primitives as they are, object fields as `name.field`, arrays of
    primitives as lists, the rest as JSON text. Raises: TwinError naming the path."""
    match schema:
        case Object():
            return _flatten_object(name, schema, value)
        case Array(element=Primitive() | Enum() as element):
            if not isinstance(value, list):
                raise TwinError("must be a list", where=name)
            stored = [_checked(f"{name}[{i}]", element, item) for i, item in enumerate(value)]
            if len({_kind(item) for item in stored}) > 1:
                hint = "all on Earth and of as many coordinates; all times with an offset, or none"
                raise TwinError("holds values that Neo4j cannot keep in one list", where=name, hint=hint)
            return {name: stored}
        case Array() | Map():
            checker(name, schema)(value)
            try:
                return {name: _json(value)}
            except ValueError as error:
                raise TwinError(str(error), where=name) from error
        case _:
            return {name: _checked(name, schema, value)}


def _kind(stored: Any) -> Any:
    """What must be alike in a list of Neo4j: points have two or three coordinates, times an offset or none."""
    return type(stored), getattr(stored, "srid", None), getattr(stored, "tzinfo", None) is None


def _flatten_object(name: str, schema: Object, value: Json) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TwinError("must be an object", where=name)
    schemas = {field.name: field.schema for field in schema.fields}
    for key in value:
        if key not in schemas:
            raise TwinError(f"unknown field {key!r}", where=name, hint=f"fields are {', '.join(schemas)}")
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= flatten(f"{name}.{key}", schemas[key], item)
    return flat


def stored_keys(name: str, schema: Schema) -> list[str]:
    """Every key that `flatten` may make."""
    if not isinstance(schema, Object):
        return [name]
    return [key for field in schema.fields for key in stored_keys(f"{name}.{field.name}", field.schema)]


def checker(name: str, schema: Schema) -> Callable[[Json], None]:
    """A check, compiled once, that raises TwinError where a value is not of `schema`."""
    check = compiled(schema)

    def refuse(value: Json) -> None:
        wrong = check(value)
        if wrong:
            path, _, what = wrong.partition(" ") if wrong[0] in ".[" else ("", "", wrong)
            raise TwinError(what if path else f"{value!r:.80} {what}", where=f"{name}{path}")

    return refuse


HELD_WHOLE = {"boolean", "string", "float", "double", "byte", "short", "integer", "long"}  # all that the check lets through
HELD_WHOLE |= {"unsignedByte", "unsignedShort", "unsignedInteger"}


def storable(name: str, schema: Schema) -> Callable[[Json], None]:
    """As `checker`, and raises TwinError too where the value is of `schema` but the graph cannot hold it."""
    check = checker(name, schema)
    if isinstance(schema, Enum) or (isinstance(schema, Primitive) and schema.name in HELD_WHOLE):
        return check

    def refuse(value: Json) -> None:
        check(value)
        flatten(name, schema, value)

    return refuse


def _checked(name: str, schema: Schema, value: Json) -> Any:
    try:
        if isinstance(schema, Enum):
            return _enum(schema, value)
        return ROWS[schema.name].check(value)  # type: ignore[union-attr]
    except ValueError as error:
        raise TwinError(f"{value!r:.80} {error}", where=name) from error


def _enum(schema: Enum, value: Json) -> str | int:
    allowed = [entry.value for entry in schema.values]
    if type(value) is bool or value not in allowed:
        raise ValueError(f"is not one of {', '.join(map(str, allowed))}")
    return value  # type: ignore[no-any-return]


def gather(name: str, schema: Schema, stored: Mapping[str, Any]) -> Json:
    """The DTDL value that `flatten` has made Neo4j properties of; None where there is none."""
    match schema:
        case Object():
            parts = {field.name: gather(f"{name}.{field.name}", field.schema, stored) for field in schema.fields}
            return {key: value for key, value in parts.items() if value is not None} or None
        case Array(element=Primitive() | Enum() as element):
            values = stored.get(name)
            return None if values is None else [_plain(element, value) for value in values]
        case _:
            value = stored.get(name)
            return None if value is None else _plain(schema, value)


def _plain(schema: Schema, value: Any) -> Json:
    if isinstance(schema, Map | Array | Object) or (isinstance(schema, Primitive) and ROWS[schema.name].graphql == "JSON"):
        return orjson.loads(value) if isinstance(value, str) else {"type": "Point", "coordinates": list(value)}
    return value.iso_format() if hasattr(value, "iso_format") else value


TEMPORAL = ("date", "dateTime", "time", "duration")


def fits(schema: Schema, stored: Any) -> bool:
    """Whether a value as Neo4j holds it is one of `schema`; composite values are JSON text there."""
    match schema:
        case Enum():
            return any(type(entry.value) is type(stored) and entry.value == stored for entry in schema.values)
        case Array(element=Primitive() | Enum() as element):
            return isinstance(stored, list) and all(fits(element, item) for item in stored)
        case Primitive(name=name) if name in TEMPORAL:
            return not isinstance(stored, str | int | float)
        case Primitive(name=name):
            try:
                ROWS[name].check(stored)
            except ValueError:
                return ROWS[name].graphql == "JSON" and isinstance(stored, str)
            return True
        case _:
            return isinstance(stored, str)


def graphql_scalar(schema: Schema) -> str:
    match schema:
        case Primitive(name=name):
            return ROWS[name].graphql
        case Enum(base=base):
            return "Int" if base == "integer" else "String"
        case _:
            return "JSON"
