"""Points of one signal → buckets, in numpy; from roll-ups where they are kept. Cut in local time where a zone is given."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from app.graph.rollup import SEVEN

HOUR_MS = 3_600_000
Columns = dict[str, Any]


def buckets(times: Any, values: Any, every: int, zone: ZoneInfo | None) -> Columns:
    starts = starts_of(times, every, zone)
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


def of_rollups(rows: list[list[float]], times: Any, values: Any, every: int, zone: ZoneInfo | None) -> Columns:
    """Buckets from rows of roll-ups, and from points, each of which is a row of its own."""
    table = np.asarray(rows[0] if len(rows) == 1 else [number for row in rows for number in row]).reshape(-1, SEVEN)
    if len(times):
        table = np.concatenate([table, _as_rows(times, values)])
    if not (np.diff(table[:, 0]) > 0).all():
        table = table[np.argsort(table[:, 0], kind="stable")]
    at, counts, sums, least, most = table[:, :5].T
    starts = starts_of(at.astype(np.int64), every, zone)
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


def starts_of(times: Any, every: int, zone: ZoneInfo | None) -> Any:
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
    offsets = [_offset(int(quarter) * (HOUR_MS // 4), zone) for quarter in quarters]
    return np.asarray(offsets, np.int64)[place]


def _offset(at: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(at / 1000, zone).utcoffset()
    return round(offset.total_seconds() * 1000) if offset is not None else 0


def _utc(local: Any, zone: ZoneInfo) -> Any:
    unique, place = np.unique(local, return_inverse=True)
    instants = [at - _offset_of_local(int(at), zone) for at in unique]
    return np.asarray(instants, np.int64)[place]


def _offset_of_local(at: int, zone: ZoneInfo) -> int:
    wall = datetime.fromtimestamp(at / 1000, UTC).replace(tzinfo=zone)
    offset = wall.utcoffset()
    return round(offset.total_seconds() * 1000) if offset is not None else 0


def filled(columns: Columns, fill: str, zone: ZoneInfo | None, start: int, end: int, every: int) -> Columns:
    """A row for every bucket that begins in the window, or holds its start."""
    grid = _grid(start, end, every, zone)
    place = np.searchsorted(grid, columns["at"])
    return {name: grid if name == "at" else _spread(name, column, place, grid, fill) for name, column in columns.items()}


def _grid(start: int, end: int, every: int, zone: ZoneInfo | None) -> Any:
    if zone is None:
        return np.arange(start // every * every, end, every, dtype=np.int64)
    if every <= HOUR_MS:
        times = np.arange(start, end, every, dtype=np.int64)
        return np.unique(starts_of(np.append(times, end - 1), every, zone))
    first, last = starts_of(np.asarray([start, end - 1]), every, zone) + _offsets(np.asarray([start, end - 1]), zone)
    local = np.arange(first // every * every, last + every, every, dtype=np.int64)
    grid = np.unique(_utc(local, zone))
    return grid[grid < end]


def _spread(name: str, column: Any, place: Any, grid: Any, fill: str) -> Any:
    if name == "count":
        counts = np.zeros(len(grid), np.int64)
        counts[place] = column
        return counts
    spread = np.full(len(grid), None, object)
    spread[place] = column
    if fill == "null" or not len(place):
        return spread
    if fill == "linear" and not has_texts(spread):
        numbers = np.interp(grid, grid[place], np.asarray(column, np.float64))
        spread = numbers.astype(object)
        spread[(grid < grid[place[0]]) | (grid > grid[place[-1]])] = None
        return spread
    last_filled = np.zeros(len(grid), np.int64)  # before the first one nothing is known: bucket 0 is empty there
    last_filled[place] = place
    return spread[np.maximum.accumulate(last_filled)]


def has_texts(values: Any) -> bool:
    return bool(values.dtype == object) and any(isinstance(value, str) for value in values)
