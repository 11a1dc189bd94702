"""Cypher → the one record, and the values Neo4j has of its own → what JSON has."""

import base64
from datetime import UTC, datetime
from typing import Any

from neo4j.graph import Node, Path, Relationship
from neo4j.spatial import Point
from neo4j.time import Date, DateTime, Duration, Time

from app.graph.store import Store


def one_record(store: Store, cypher: str, parameters: dict[str, Any], timeout: float) -> list[Any]:
    return store.read(cypher, parameters, timeout)[0]


def plain(value: Any) -> Any:
    """A temporal value as ISO 8601 text, a point as GeoJSON, bytes as Base64; lists and maps of them too; the rest as it is."""
    if isinstance(value, DateTime | Date | Time):
        return _iso(value)
    if isinstance(value, Duration):
        return value.iso_format()
    if isinstance(value, Point):
        return {"type": "Point", "coordinates": list(value)}
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def shown(value: Any) -> Any:
    """A node as its labels and properties, a relationship as its type, ends and properties, a path as both in turn."""
    match value:
        case Node():
            return {"id": value.element_id, "labels": sorted(value.labels), "properties": dict(value)}
        case Relationship():
            ends = [None if end is None else end.element_id for end in (value.start_node, value.end_node)]
            return {"id": value.element_id, "type": value.type, "start": ends[0], "end": ends[1], "properties": dict(value)}
        case Path():
            return {
                "nodes": [shown(item) for item in value.nodes],
                "relationships": [shown(item) for item in value.relationships],
            }
        case list():
            return [shown(item) for item in value]
        case dict():
            return {key: shown(item) for key, item in value.items()}
    return value


def native(value: Any) -> Any:
    """A moment as Python has it, in UTC; everything else, and what lies beyond the year 9999, as it is."""
    try:
        return value.to_native().astimezone(UTC) if isinstance(value, DateTime) else value
    except (ValueError, OverflowError):
        return value


def _iso(value: DateTime | Date | Time) -> str:
    try:
        native = value.to_native()
    except (ValueError, OverflowError):  # the year 10000, or an offset of seconds, that somebody has written by hand
        return value.iso_format()
    return native.isoformat(timespec="milliseconds") if isinstance(value, DateTime) else native.isoformat()  # type: ignore[call-arg]


def in_json(value: Any) -> Any:
    """For orjson: what somebody has written into the graph by hand, in the place of a number or a text."""
    converted = plain(value)
    return str(value) if converted is value else converted


TEMPORAL = {kind.__name__: kind for kind in (Date, Time, Duration)}


def tagged(value: Any) -> list[str]:
    """A temporal value with its kind, for where it must come back as it was."""
    if isinstance(value, DateTime):
        return ["DateTime", value.to_native().astimezone(UTC).isoformat()]
    return [type(value).__name__, value.iso_format()]


def untagged(tag: list[str]) -> Any:
    """Raises: KeyError, ValueError for what `tagged` has not made."""
    kind, text = tag
    if kind == "DateTime":  # as an offset: a named zone is another value to Neo4j, even for the same instant
        return datetime.fromisoformat(text)
    return TEMPORAL[kind].from_iso_format(text)
