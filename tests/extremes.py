"""The extremes of every DTDL schema, as JSON has them: what is at the edge of a type, of the driver, of the database."""

import json
from collections.abc import Iterator
from typing import Any

from app.dtdl.syntax import Document, parse

NAN, INFINITE = float("nan"), float("inf")
LARGE = 10**400
LONG_TEXT = "a" * 40_000


def whole(low: int, high: int) -> list[Any]:
    return [low, high, low - 1, high + 1, 0, -1, 1.0, LARGE, "1", True, NAN]


def nested(depth: int) -> Any:
    made: Any = [0.0, 0.0]
    for _ in range(depth):
        made = [made]
    return made


def geometry(kind: str, *coordinates: Any) -> list[Any]:
    made: list[Any] = [{"type": kind, "coordinates": one} for one in coordinates]
    return [*made, {"type": "Other", "coordinates": []}, {"type": kind}, {"coordinates": nested(1)}, [], "x", None, LARGE]


FLOATS = [0.0, -0.0, 5e-324, 1e308, -1e308, 3.4028235e38, 3.5e38, 10**308, LARGE, NAN, INFINITE, -INFINITE, "1", True, None]
OFFSETS = ["Z", "+18:00", "-18:00", "+18:01", "-18:01", "+23:59", "-23:59", "+00:30", "+24:00", "+99:99", "", "+00:00:30"]
EXTREMES: dict[str, list[Any]] = {
    "boolean": [True, False, 0, "true", None, LARGE],
    "byte": whole(-(2**7), 2**7 - 1),
    "short": whole(-(2**15), 2**15 - 1),
    "integer": whole(-(2**31), 2**31 - 1),
    "long": whole(-(2**63), 2**63 - 1),
    "unsignedByte": whole(0, 2**8 - 1),
    "unsignedShort": whole(0, 2**16 - 1),
    "unsignedInteger": whole(0, 2**32 - 1),
    "unsignedLong": [*whole(0, 2**63 - 1), 2**64 - 1, 2**64],
    "float": FLOATS,
    "double": FLOATS,
    "decimal": ["0", "-0", "1e999999999", "NaN", "sNaN", "Infinity", "1" * 5000, "", "x", "٣", 1, None],
    "scaledDecimal": [
        {"value": "1.5", "scale": 2}, {"value": "1", "scale": 2**40}, {"value": "NaN", "scale": 1}, {}, "x", LARGE
    ],
    "string": ["", "a", LONG_TEXT, "a" * 1_000_001, "\0", "\ud800", "\uffff", "😀", "\n", 1, None],
    "uuid": ["12345678-1234-5678-1234-567812345678", "{12345678-1234-5678-1234-567812345678}", "", "x" * 36, 1],
    "bytes": ["", "AAAA", "AAA", "A===", "\ud800", LONG_TEXT, 1],
    "date": ["0001-01-01", "9999-12-31", "0000-01-01", "10000-01-01", "2023-02-29", "-0001-01-01", "1" * 5000, 1],
    "dateTime": [
        *(f"{day}T{clock}{offset}" for day in ("0001-01-01", "9999-12-31") for clock in ("00:00:00", "23:59:59.999999999")
          for offset in OFFSETS),
        "2016-12-31T23:59:60Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00." + "9" * 5000 + "Z", "9" * 5000, 1,
    ],
    "time": [
        *(f"{clock}{offset}" for clock in ("00:00:00", "23:59:59", "23:59:59.999999999") for offset in OFFSETS), "24:00", 1
    ],
    "duration": [
        "PT0S", "P9999Y", "P9999999999Y", "P9223372036854775807M", "P9223372036854775808M", "P106751991167300D", "P1Y-1D",
        "-P1D",
        "PT9223372036854775807S", "PT1e400S", "P0.5Y", "P1.5M", "P1W", "PT0.0000000001S", "P" + "9" * 5000 + "D", "P", "", 1,
    ],
    "point": geometry("Point", [0, 0], [180, 90], [-180, -90], [180.1, 0], [0, 90.1], [0, 0, 1e308], [0, 0, LARGE],
                      [0, 0, 0, 0], [0], [], [NAN, 0], [True, 0], [None, 0], ["0", 0], nested(3)),
    "lineString": geometry("LineString", nested(1), [[INFINITE, 0]], nested(300)),
    "polygon": geometry("Polygon", nested(2), nested(300), [[[LARGE, 0]]]),
    "multiPoint": geometry("MultiPoint", nested(1), nested(260)),
    "multiLineString": geometry("MultiLineString", nested(2), nested(260)),
    "multiPolygon": geometry("MultiPolygon", nested(3), nested(260)),
}  # fmt: skip
ARRAYS: dict[str, list[Any]] = {
    "integer": [[], [1, 2**31], [1] * 10_000, [None], [[1]], [LARGE], {}, 1],
    "long": [[2**63 - 1, -(2**63)], [2**63]],
    "double": [[1, 2.5], [NAN], [LARGE], [1e308]],
    "string": [["\ud800"], [LONG_TEXT] * 3, [1, "a"]],
    "time": [["12:00:00Z", "13:00:00+18:00"], ["12:00:00+23:59"]],
    "dateTime": [["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"], ["0001-01-01T00:00:00+01:00"]],
    "duration": [["P1D", "P1Y"], ["P0.5Y"]],
    "point": [
        [{"type": "Point", "coordinates": [0, 0]}, {"type": "Point", "coordinates": [181, 0]}],
        [{"type": "Point", "coordinates": [0, 0]}, {"type": "Point", "coordinates": [0, 0, 1]}],
    ],
}  # fmt: skip


def signals() -> Iterator[tuple[str, Any, list[Any]]]:
    """Name, schema and extremes of every signal of the model."""
    for name, values in EXTREMES.items():
        yield f"t_{name}", name, values
    for name, values in ARRAYS.items():
        yield f"l_{name}", {"@type": "Array", "elementSchema": name}, values
    fields = [{"name": "at", "schema": "time"}, {"name": "n", "schema": "long"}]
    yield "o_nested", {"@type": "Object", "fields": fields}, [
        {"at": "12:00:00Z", "n": 1}, {"at": "12:00:00+23:59"}, {"n": LARGE}, {"m": 1}, {}, [], 1, {"n": 2**63}
    ]  # fmt: skip
    key, value = {"name": "k", "schema": "string"}, {"name": "v", "schema": "time"}
    yield "m_times", {"@type": "Map", "mapKey": key, "mapValue": value}, [
        {"a": "12:00:00Z"}, {"a": "12:00:00+23:59"}, {"a" * 5000: "12:00:00Z"}, {"\ud800": "12:00:00Z"}, {}, []
    ]  # fmt: skip


def model() -> Document:
    """A DTDL v4 interface with a signal and a writable property of every schema."""
    contents: list[Any] = []
    for name, schema, _ in signals():
        contents.append({"@type": "Telemetry", "name": name, "schema": schema})
        contents.append({"@type": "Property", "name": f"p_{name}", "schema": schema, "writable": True})
    contents.append({"@type": "Property", "name": "serialNumber", "schema": "string", "writable": True})
    text = json.dumps(
        {
            "@context": "dtmi:dtdl:context;4",
            "@id": "dtmi:test:Extreme;1",
            "@type": "Interface",
            "contents": contents,
        }
    )
    document = parse("extreme.json", text)
    assert isinstance(document, Document)
    return document
