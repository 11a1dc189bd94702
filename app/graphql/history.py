"""Segments → points or buckets, in numpy. Right whatever the segments: unordered, overlapping, doubled."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from app.graphql.select import HistoryForm, QueryError

MOST_POINTS = 100_000
Segments = list[list[Any]]


def build_history(form: HistoryForm, segments: Segments, variables: dict[str, Any]) -> list[dict[str, Any]]:
    """The points of one signal in [from, to), as the form asks. Raises: QueryError when there would be too many."""
    start, end, every = (param.value(variables) for param in (form.start, form.end, form.every))
    if start >= end:
        raise QueryError("from must lie before to", where="history")
    times, values = _points(segments, start, end)
    if every is None:
        if len(times) > MOST_POINTS:
            hint = "give every, or a shorter span"
            raise QueryError(f"{len(times)} points are more than {MOST_POINTS}", where="history", hint=hint)
        rows = [{"at": at, "value": value} for at, value in zip(times.tolist(), _listed(values), strict=True)]
    else:
        if (end - start) / every > MOST_POINTS:
            raise QueryError(f"more than {MOST_POINTS} buckets", where="history", hint="a wider every")
        rows = _buckets(times, values, every, form.shown)
    return [_said(row, form.keys) for row in rows]


def _points(segments: Segments, start: int, end: int) -> tuple[Any, Any]:
    if not segments:
        return np.empty(0, np.int64), np.empty(0)
    times = np.concatenate([np.asarray(offsets, np.int64) + first for first, offsets, _ in segments])
    values = np.concatenate([_array(given) for _, _, given in segments])
    if len(times) > 1 and not (np.diff(times) > 0).all():
        times, order = np.unique(times, return_index=True)
        values = values[order]
    inside = slice(*np.searchsorted(times, (start, end)))
    return times[inside], values[inside]


def _array(values: list[Any]) -> Any:
    return np.asarray(values, object) if values and isinstance(values[0], str) else np.asarray(values)


def _buckets(times: Any, values: Any, every: int, shown: str) -> list[dict[str, Any]]:
    if not len(times):
        return []
    bucket = times // every
    first = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
    last = np.concatenate((first[1:], [len(times)])) - 1
    columns: dict[str, list[Any]] = {"at": (bucket[first] * every).tolist(), "count": (last - first + 1).tolist()}
    columns["first"], columns["last"] = _listed(values[first]), _listed(values[last])
    if values.dtype != object:
        numbers = values.astype(np.float64)
        sums = np.add.reduceat(numbers, first)
        columns |= {"sum": sums.tolist(), "avg": (sums / (last - first + 1)).tolist()}
        columns |= {
            "min": np.minimum.reduceat(numbers, first).tolist(),
            "max": np.maximum.reduceat(numbers, first).tolist(),
        }
    columns["value"] = columns.get(shown, columns["last"])
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _listed(values: Any) -> list[Any]:
    return values.tolist()  # type: ignore[no-any-return]


def _said(row: dict[str, Any], keys: list[tuple[str, str]]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key, name in keys:
        if name == "__typename":
            said[key] = "HistoryPoint"
        elif name == "at":
            said[key] = datetime.fromtimestamp(row["at"] / 1000, UTC).isoformat(timespec="milliseconds")
        else:
            value = row.get(name)
            said[key] = value if name == "value" or not isinstance(value, str) else None
    return said
