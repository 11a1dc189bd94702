"""Is this JSON value of that schema? A schema is compiled once into a function `value → what is wrong, or ''`."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from app.dtdl.model import Array, Enum, EnumValue, Field, Map, Object, Primitive, Recursive, Schema

Check = Callable[[Any], str]
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
PATTERNS = {
    "Date": (DATE, "a date as 2024-12-31"),
    "DateTime": (f"{DATE}T{TIME}", "an instant as 2024-12-31T23:59:59Z"),
    "Time": (TIME, "a time as 23:59:59Z"),
    "Duration": (
        r"P(?!$)(?:(?:(?:\d+Y|\d+\.\d+Y$)?(?:\d+M|\d+\.\d+M$)?)|(?:\d+W|\d+\.\d+W$)?)(?:\d+D|\d+\.\d+D$)?"
        r"(?:T(?!$)(?:\d+H|\d+\.\d+H$)?(?:\d+M|\d+\.\d+M$)?(?:\d+(?:\.\d+)?S)?)?",
        "an ISO 8601 duration",
    ),
    "Decimal": (r"(?:\+|-)?(?:[1-9][0-9]*|0)(?:\.[0-9]*)?", "a decimal number in a string"),
    "Bytes": (r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", "Base64"),
    "Uuid": (r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", "a UUID"),
}
# geometry → how deeply its coordinates nest above a position
GEOMETRIES = {"point": 0, "multiPoint": 1, "lineString": 1, "multiLineString": 2, "polygon": 2, "multiPolygon": 3}
LONGEST_TEXT = 1_000_000
SURROGATE = re.compile(r"[\ud800-\udfff]")
LARGEST_FLOAT = 3.4028235e38
WHOLE = {
    "Byte": (-(2**7), 2**7 - 1),
    "Short": (-(2**15), 2**15 - 1),
    "Integer": (-(2**31), 2**31 - 1),
    "Long": (-(2**63), 2**63 - 1),
    "UnsignedByte": (0, 2**8 - 1),
    "UnsignedShort": (0, 2**16 - 1),
    "UnsignedInteger": (0, 2**32 - 1),
    "UnsignedLong": (0, 2**64 - 1),
}


def compiled(schema: Schema, around: Mapping[str, Check] | None = None) -> Check:
    """The check of a schema; `around` holds those of the schemas it lies in, by id."""
    above = around or {}
    match schema:
        case Recursive(dtmi=dtmi):
            return above[dtmi]
        case Primitive(name=name):
            return PRIMITIVES[name]
        case Enum():
            return _enum(schema)
        case Array(dtmi=dtmi) | Map(dtmi=dtmi) | Object(dtmi=dtmi):
            checks: list[Check] = []
            inside = {**above, dtmi: lambda value: checks[0](value)}
            checks.append(COMPLEX[type(schema)](schema, inside))
            return checks[0]


class NegativeZero(int):
    """`-0` as JSON text has it: a signed integer, but no unsigned one."""


def read(text: str) -> Any:
    """JSON text → value, as the checks want it. Raises: ValueError (JSONDecodeError) when it is not JSON."""
    return json.loads(text, parse_int=lambda digits: NegativeZero(0) if digits == "-0" else int(digits))


def _whole(kind: str) -> Check:
    low, high = WHOLE[kind]
    types: tuple[type, ...] = (int,) if low == 0 else (int, NegativeZero)

    def check(value: Any) -> str:
        if type(value) not in types:
            return "must be a whole number"
        return "" if low <= value <= high else f"must be between {low} and {high}"

    return check


def _pattern(kind: str) -> Check:
    regex, what = re.compile(PATTERNS[kind][0]), PATTERNS[kind][1]
    calendar = CALENDAR.get(kind)

    def check(value: Any) -> str:
        if type(value) is not str or not regex.fullmatch(value):
            return f"must be {what}"
        return "" if calendar is None or calendar(value) else f"must be {what} that exists"

    return check


def _exists(date: str) -> bool:
    year, month, day = int(date[:4]), int(date[5:7]), int(date[8:10])
    lengths = (31, 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return year >= 1 and 1 <= month <= 12 and 1 <= day <= lengths[month - 1]


def _clock(time: str) -> bool:
    hour, minute, second = int(time[:2]), int(time[3:5]), int(time[6:8])
    zone = time[-6:] if time[-1] != "Z" else "+00:00"
    return hour <= 23 and minute <= 59 and second <= 59 and int(zone[1:3]) <= 23 and int(zone[4:6]) <= 59


CALENDAR: Mapping[str, Callable[[str], bool]] = {
    "Date": _exists,
    "Time": _clock,
    "DateTime": lambda value: _exists(value[:10]) and _clock(value[11:]),
}


def _double(value: Any) -> str:
    if type(value) not in (int, float, NegativeZero):
        return "must be a number"
    try:
        return "" if math.isfinite(float(value)) else "must be a finite number"
    except OverflowError:
        return "must be a finite number"


def _float(value: Any) -> str:
    return _double(value) or ("" if abs(value) <= LARGEST_FLOAT else "must fit into single precision")


def _string(value: Any) -> str:
    if type(value) is not str:
        return "must be a string"
    if len(value) > LONGEST_TEXT:
        return f"longer than {LONGEST_TEXT} characters"
    if "\x00" in value or (not value.isascii() and SURROGATE.search(value)):
        return "holds a NUL or a lone surrogate"
    return ""


SIMPLE: Mapping[str, Check] = {
    "Boolean": lambda value: "" if type(value) is bool else "must be true or false",
    "String": _string,
    "Double": _double,
    "Float": _float,
}


def _below(step: str, wrong: str) -> str:
    """`.a` and `[0] must be …` → `.a[0] must be …`."""
    return f"{step}{wrong}" if wrong[0] in ".[" else f"{step} {wrong}"


def _array(schema: Array, around: Mapping[str, Check]) -> Check:
    element = compiled(schema.element, around)

    def check(value: Any) -> str:
        if type(value) is not list:
            return "must be an array"
        for index, item in enumerate(value):
            wrong = element(item)
            if wrong:
                return _below(f"[{index}]", wrong)
        return ""

    return check


def _map(schema: Map, around: Mapping[str, Check]) -> Check:
    inner = compiled(schema.value, around)

    def check(value: Any) -> str:
        if type(value) is not dict:
            return "must be an object"
        for key, item in value.items():
            wrong = inner(item)
            if wrong:
                return _below(f".{key}", wrong)
        return ""

    return check


def _object(schema: Object, around: Mapping[str, Check]) -> Check:
    fields = {field.name: compiled(field.schema, around) for field in schema.fields}

    def check(value: Any) -> str:
        if type(value) is not dict:
            return "must be an object"
        for key, item in value.items():
            field = fields.get(key)
            if field is None:
                return f"has no field {key!r}; fields are {', '.join(fields)}"
            wrong = field(item)
            if wrong:
                return _below(f".{key}", wrong)
        return ""

    return check


def _enum(schema: Enum) -> Check:
    values = {(type(entry.value), entry.value) for entry in schema.values}
    shown = ", ".join(repr(entry.value) for entry in schema.values[:20])
    return lambda value: "" if value.__hash__ and (type(value), value) in values else f"must be one of {shown}"


COMPLEX: Mapping[type, Callable[[Any, Mapping[str, Check]], Check]] = {Array: _array, Map: _map, Object: _object}


def _fields(**fields: str) -> Check:
    return _object(Object(tuple(Field(name, Primitive(kind)) for name, kind in fields.items())), {})


def _geometry(name: str, depth: int) -> Check:
    coordinates: Schema = Array(Primitive("double"))
    for _ in range(depth):
        coordinates = Array(coordinates)
    kind = Enum("string", (EnumValue(name, name[0].upper() + name[1:]),))
    return _object(Object((Field("type", kind), Field("coordinates", coordinates))), {})


PRIMITIVES: dict[str, Check] = {
    **{kind[0].lower() + kind[1:]: check for kind, check in SIMPLE.items()},
    **{kind[0].lower() + kind[1:]: _whole(kind) for kind in WHOLE},
    **{kind[0].lower() + kind[1:]: _pattern(kind) for kind in PATTERNS},
    "json": lambda value: "",
}
PRIMITIVES |= {name: _geometry(name, depth) for name, depth in GEOMETRIES.items()}
PRIMITIVES |= {
    "vector": _fields(x="double", y="double", z="double"),
    "geopoint": _fields(lon="double", lat="double", alt="double"),
    "scaledDecimal": _fields(value="decimal", scale="short"),
}
