"""Segments → points, buckets or columns, in numpy. Right whatever the segments: unordered, overlapping; points doubled, too,
where they are read one by one."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from app.errors import TwingraphError
from app.graph.rollup import SEVEN
from app.graph.segment import are_offsets
from app.graph.typed import passed_over
from app.graphql.compile.cursor import QueryError
from app.graphql.compile.select import HistoryForm

MOST_POINTS = 100_000
HOUR_MS = 3_600_000
YEAR_2, YEAR_9999 = -62_104_060_800_000, 253_370_764_800_000
Segments = list[list[Any]]
Columns = dict[str, Any]


class Unsettled(TwingraphError):
    """What was read changed meanwhile: it is read again."""

    code = "STORE_BUSY"

    def __init__(self) -> None:
        super().__init__("the history is being compacted", hint="ask again")


def build_history(form: HistoryForm, given: list[Any], variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The points of one signal in [from, to), as the form asks. Raises: QueryError when there would be too many."""
    columns = _columns(form, settled(given), variables)
    shown = [(key, _point(name, columns)) for key, name in form.keys]
    return [{key: values[row] for key, values in shown} for row in range(len(columns["at"]))]


def build_series(form: HistoryForm, given: list[Any], variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One object of columns a signal. Raises: QueryError when there would be too many points."""
    return [
        _series(form, signal, unit, _columns(form, settled(read), variables))
        for (signal, unit), read in zip(form.names, given, strict=True)
    ]


def settled(given: list[Any]) -> Segments:
    """Raises: Unsettled when compaction has joined segments while they were read: some may have been passed over."""
    before, segments, after = given
    if before != after:
        raise Unsettled
    return segments  # type: ignore[no-any-return]


def _series(form: HistoryForm, signal: str, unit: str, columns: Columns) -> dict[str, Any]:
    made: dict[str, Callable[[], Any]] = {
        "signal": lambda: signal,
        "unit": lambda: unit or None,
        "count": lambda: len(columns["at"]),
        "timestamps": lambda: _texts(columns["at"]),
        "epochs": lambda: columns["at"].tolist(),
        "values": lambda: _listed(columns["value"]),
        "counts": lambda: _listed(columns["count"]) if "count" in columns else None,
        "__typename": lambda: "Series",
    }
    return {key: made[name]() if name in made else _numbers(name, columns, None) for key, name in form.keys}


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
    found = columns.get(name)
    return otherwise if found is None or _has_texts(found) else _listed(found)


def _columns(form: HistoryForm, segments: Segments, variables: Mapping[str, Any]) -> Columns:
    start, end, every = (given.value(variables) for given in (form.start, form.end, form.every))
    if start >= end:
        raise QueryError("from must lie before to", where="history")
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
    columns = _rolled(rows, times, values, every, form.zone) if any(rows) else _buckets(times, values, every, form.zone)
    columns["value"] = columns[form.shown if form.shown in columns else "last"]
    return columns if form.fill == "none" else _filled(columns, form, start, end, every)


def _are_rows(given: Any) -> bool:
    return isinstance(given, list) and len(given) % SEVEN == 0 and (not given or isinstance(given[0], float | int))


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
    times = np.concatenate([np.asarray(offsets, np.int64) + first for first, offsets, _ in segments])
    values = np.concatenate([_array(given) for _, _, given in segments])
    if len(times) > 1 and not (np.diff(times) > 0).all():
        times, order = np.unique(times, return_index=True)
        values = values[order]
    inside = slice(*np.searchsorted(times, (start, end)))
    return times[inside], values[inside]


def _array(values: list[Any]) -> Any:
    return np.asarray(values, object) if values and isinstance(values[0], str) else np.asarray(values)


def _has_texts(values: Any) -> bool:
    return bool(values.dtype == object) and any(isinstance(value, str) for value in values)


def _buckets(times: Any, values: Any, every: int, zone: ZoneInfo | None) -> Columns:
    starts = _starts(times, every, zone)
    first = np.flatnonzero(np.concatenate(([True], starts[1:] != starts[:-1]))) if len(times) else np.empty(0, np.int64)
    last = np.concatenate((first[1:], [len(times)])).astype(np.int64) - 1 if len(times) else first
    columns: Columns = {"at": starts[first], "count": last - first + 1, "first": values[first], "last": values[last]}
    if values.dtype == object:
        return columns
    numbers, counts = values.astype(np.float64), last - first + 1
    if not len(times):
        return columns | dict.fromkeys(("sum", "avg", "min", "max", "stddev"), numbers)
    sums = np.add.reduceat(numbers, first)
    mean = sums / counts
    spread = np.add.reduceat((numbers - np.repeat(mean, counts)) ** 2, first)
    return columns | {
        "sum": sums,
        "avg": mean,
        "min": np.minimum.reduceat(numbers, first),
        "max": np.maximum.reduceat(numbers, first),
        "stddev": np.sqrt(spread / counts),
    }


def _rolled(rows: list[list[float]], times: Any, values: Any, every: int, zone: ZoneInfo | None) -> Columns:
    """Buckets from rows of roll-ups, and from points, each of which is a row of its own."""
    table = np.asarray(rows[0] if len(rows) == 1 else [number for row in rows for number in row]).reshape(-1, SEVEN)
    if len(times):
        table = np.concatenate([table, _as_rows(times, values)])
    if not (np.diff(table[:, 0]) > 0).all():
        table = table[np.argsort(table[:, 0], kind="stable")]
    at, counts, sums, least, most = table[:, :5].T
    starts = _starts(at.astype(np.int64), every, zone)
    first = np.flatnonzero(np.concatenate(([True], starts[1:] != starts[:-1])))
    if len(first) < len(starts):
        starts, least, most = starts[first], np.minimum.reduceat(least, first), np.maximum.reduceat(most, first)
        counts, sums = np.add.reduceat(counts, first), np.add.reduceat(sums, first)
    return {"at": starts, "count": counts.astype(np.int64), "sum": sums, "avg": sums / counts, "min": least, "max": most}


def _as_rows(times: Any, values: Any) -> Any:
    if values.dtype == object:  # texts of an earlier version of the model
        numeric = np.asarray([isinstance(value, int | float) for value in values], bool)
        times, values = times[numeric], values[numeric]
    numbers = values.astype(np.float64)
    return np.stack([times.astype(np.float64), np.ones(len(times)), *[numbers] * 5], axis=1)


def _starts(times: Any, every: int, zone: ZoneInfo | None) -> Any:
    """The start of each time's bucket. In a zone, buckets are cut in local time: a day is 23 to 25 hours long; up to an hour
    each time keeps its own offset, so that an hour that comes twice has buckets of its own each time."""
    if zone is None or not len(times):
        return times // every * every
    offsets = _offsets(times, zone)
    local = (times + offsets) // every * every
    return local - offsets if every <= HOUR_MS else _utc(local, zone)


def _offsets(times: Any, zone: ZoneInfo) -> Any:
    """What to add to UTC [ms]; zones change on full quarters of an hour."""
    quarters, place = np.unique(times // (HOUR_MS // 4), return_inverse=True)
    found = [_offset(int(quarter) * (HOUR_MS // 4), zone) for quarter in quarters]
    return np.asarray(found, np.int64)[place]


def _offset(at: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(at / 1000, zone).utcoffset()
    return round(offset.total_seconds() * 1000) if offset is not None else 0


def _utc(local: Any, zone: ZoneInfo) -> Any:
    unique, place = np.unique(local, return_inverse=True)
    found = [at - _offset_of_local(int(at), zone) for at in unique]
    return np.asarray(found, np.int64)[place]


def _offset_of_local(at: int, zone: ZoneInfo) -> int:
    wall = datetime.fromtimestamp(at / 1000, UTC).replace(tzinfo=zone)
    offset = wall.utcoffset()
    return round(offset.total_seconds() * 1000) if offset is not None else 0


def _filled(columns: Columns, form: HistoryForm, start: int, end: int, every: int) -> Columns:
    """A row for every bucket that begins in the window, or holds its start."""
    grid = _grid(start, end, every, form.zone)
    place = np.searchsorted(grid, columns["at"])
    return {name: grid if name == "at" else _spread(name, found, place, grid, form.fill) for name, found in columns.items()}


def _grid(start: int, end: int, every: int, zone: ZoneInfo | None) -> Any:
    if zone is None:
        return np.arange(start // every * every, end, every, dtype=np.int64)
    if every <= HOUR_MS:
        times = np.arange(start, end, every, dtype=np.int64)
        return np.unique(_starts(np.append(times, end - 1), every, zone))
    first, last = _starts(np.asarray([start, end - 1]), every, zone) + _offsets(np.asarray([start, end - 1]), zone)
    local = np.arange(first // every * every, last + every, every, dtype=np.int64)
    grid = np.unique(_utc(local, zone))
    return grid[grid < end]


def _spread(name: str, found: Any, place: Any, grid: Any, fill: str) -> Any:
    if name == "count":
        counts = np.zeros(len(grid), np.int64)
        counts[place] = found
        return counts
    spread = np.full(len(grid), None, object)
    spread[place] = found
    if fill == "null" or not len(place):
        return spread
    if fill == "linear" and not _has_texts(spread):
        numbers = np.interp(grid, grid[place], np.asarray(found, np.float64))
        spread = numbers.astype(object)
        spread[(grid < grid[place[0]]) | (grid > grid[place[-1]])] = None
        return spread
    known = np.zeros(len(grid), np.int64)  # before the first one nothing is known: bucket 0 is empty there
    known[place] = place
    return spread[np.maximum.accumulate(known)]


def _listed(values: Any) -> list[Any]:
    return values.tolist()  # type: ignore[no-any-return]


def _texts(times: Any) -> list[str]:
    """RFC 3339, in one pass: a row at a time costs five times as much."""
    return [f"{text}+00:00" for text in np.datetime_as_string(np.asarray(times, "datetime64[ms]")).tolist()]
