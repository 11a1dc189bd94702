"""Cypher → the one record, and the values Neo4j has of its own → what JSON has."""

from typing import Any

from neo4j.time import Date, DateTime, Duration, Time

from app.graph.store import Store


def one_record(store: Store, cypher: str, parameters: dict[str, Any], timeout: float) -> list[Any]:
    return store.read(cypher, parameters, timeout)[0]


def plain(value: Any) -> Any:
    """A temporal value as ISO 8601 text; lists and maps of them too; everything else as it is."""
    if isinstance(value, DateTime):
        return value.to_native().isoformat(timespec="milliseconds")
    if isinstance(value, Date | Time):
        return value.to_native().isoformat()
    if isinstance(value, Duration):
        return value.iso_format()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def temporal(text: str) -> Any:
    """The counterpart of `plain` for one date-time."""
    return DateTime.from_iso_format(text)
