"""Segments → points, buckets or columns, in numpy. Right whatever the segments: unordered, overlapping; points doubled, too,
where they are read one by one."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from app.errors import QueryError, TwingraphError
from app.graph.rollup import SEVEN
from app.graph.segment import are_offsets, ordered
from app.graph.typed import passed_over
from app.graphql.compile.select import HistoryForm
from app.history.buckets import Columns, buckets, filled, has_texts, of_rollups

MOST_POINTS = 100_000
YEAR_2, YEAR_9999 = -62_104_060_800_000, 253_370_764_800_000
Segments = list[list[Any]]


class Unsettled(TwingraphError):
    """What was read changed meanwhile: it is read again."""

    code = "STORE_BUSY"

    def __init__(self) -> None:
        super().__init__("the history is being compacted", hint="ask again")


def build_history(form: HistoryForm, reading: list[Any], variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The points of one signal in [from, to), as the form asks. Raises: QueryError when there would be too many."""
    columns = _columns(form, settled(reading), variables)
    shown = [(key, _point(name, columns)) for key, name in form.keys]
    return [{key: values[row] for key, values in shown} for row in range(len(columns["at"]))]


def build_series(form: HistoryForm, readings: list[Any], variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One object of columns a signal. Raises: QueryError when there would be too many points."""
    return [
        _series(form, signal, unit, _columns(form, settled(read), variables))
        for (signal, unit), read in zip(form.names, readings, strict=True)
    ]


def settled(reading: list[Any]) -> Segments:
    """Raises: Unsettled when compaction has joined segments while they were read: some may have been passed over."""
    before, segments, after = reading
    if before != after:
        raise Unsettled
    return segments  # type: ignore[no-any-return]


def _series(form: HistoryForm, signal: str, unit: str, columns: Columns) -> dict[str, Any]:
    builders: dict[str, Callable[[], Any]] = {
        "signal": lambda: signal,
        "unit": lambda: unit or None,
        "count": lambda: len(columns["at"]),
        "timestamps": lambda: _texts(columns["at"]),
        "epochs": lambda: columns["at"].tolist(),
        "values": lambda: _listed(columns["value"]),
        "counts": lambda: _listed(columns["count"]) if "count" in columns else None,
        "__typename": lambda: "Series",
    }
    return {key: builders[name]() if name in builders else _numbers(name, columns, None) for key, name in form.keys}


def _point(name: str, columns: Columns) -> list[Any]:
    length = len(columns["at"])
    if name == "at":
        return _texts(columns["at"])
    if name == "__typename":
        return ["HistoryPoint"] * length
    if name in ("value", "count"):
        return _listed(columns[name]) if name in columns else [None] * length
    return _numbers(name, columns, [None] * length)  # type: ignore[no-any-return]


def _numbers(name: str, columns: Columns, otherwise: Any) -> Any:
    column = columns.get(name)
    return otherwise if column is None or has_texts(column) else _listed(column)


def _columns(form: HistoryForm, segments: Segments, variables: Mapping[str, Any]) -> Columns:
    start, end, every = (parameter.value(variables) for parameter in (form.start, form.end, form.every))
    if start >= end:
        raise QueryError("from must lie before to", where="history")
    if [False] in segments:
        hint = "PT10M, PT1H, P1D, or a multiple of one"
        raise QueryError("points of this span are no longer kept, nor roll-ups for this every", where="history", hint=hint)
    rows = [segment[0] for segment in segments if len(segment) == 1 and _are_rows(segment[0])]
    rows += [_inside(segment[1], start, end) for segment in segments if len(segment) == 2 and _are_rows(segment[1])]
    times, values = _points([segment for segment in segments if len(segment) == 3 and _is_whole(*segment)], start, end)
    if every is None:
        if len(times) > MOST_POINTS:
            hint = "give every, or a shorter span"
            raise QueryError(f"{len(times)} points are more than {MOST_POINTS}", where="history", hint=hint)
        return {"at": times, "value": values}
    if form.zone is not None and (start < YEAR_2 or end > YEAR_9999):
        raise QueryError("tz goes with the years 2 to 9998", where="history")
    if (end - start) / every > MOST_POINTS:
        raise QueryError(f"more than {MOST_POINTS} buckets", where="history", hint="a wider every")
    columns = of_rollups(rows, times, values, every, form.zone) if any(rows) else buckets(times, values, every, form.zone)
    columns["value"] = columns[form.shown if form.shown in columns else "last"]
    return columns if form.fill == "none" else filled(columns, form.fill, form.zone, start, end, every)


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and len(value) % SEVEN == 0 and (not value or isinstance(value[0], float | int))


def _is_whole(first: Any, offsets: Any, values: Any) -> bool:
    whole = type(first) is int and are_offsets(offsets) and isinstance(values, list) and len(values) == len(offsets)
    if not whole:
        passed_over("segment", str(first), "its column is not as long as its times")
    return whole


def _inside(rows: list[float], start: int, end: int) -> list[float]:
    """Roll-ups whose points are no longer kept, of a segment that the window may cut: those whose buckets begin in it."""
    table = np.asarray(rows).reshape(-1, SEVEN)
    return table[(table[:, 0] >= start) & (table[:, 0] < end)].ravel().tolist()  # type: ignore[no-any-return]


def _points(segments: Segments, start: int, end: int) -> tuple[Any, Any]:
    if not segments:
        return np.empty(0, np.int64), np.empty(0)
    times, values = ordered([(np.asarray(offsets, np.int64) + first, column) for first, offsets, column in segments])
    inside = slice(*np.searchsorted(times, (start, end)))
    return times[inside], values[inside]


def _listed(values: Any) -> list[Any]:
    return values.tolist()  # type: ignore[no-any-return]


def _texts(times: Any) -> list[str]:
    """RFC 3339, in one pass: a row at a time costs five times as much."""
    return [f"{text}+00:00" for text in np.datetime_as_string(np.asarray(times, "datetime64[ms]")).tolist()]
