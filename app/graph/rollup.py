"""Roll-ups: what a column says of each minute, ten minutes, hour and day, kept in the segment beside it.

The rows of one level lie flat in one list, `_10m_power: [at, n, sum, min, max, first, last, …]`: SEVEN numbers a bucket, `at`
its start in epoch ms. A bucket that several segments share has a row in each: rows add up, since no point is stored twice. A
level that has fewer than DENSE points a bucket is left out: its points are read as fast."""

from typing import Any

import numpy as np

LEVELS = {"_1d_": 86_400_000, "_1h_": 3_600_000, "_10m_": 600_000, "_1m_": 60_000}
COARSEST = next(iter(LEVELS))
SEVEN, DENSE = 7, 5
LEAST = 240  # points of a segment; shorter ones are joined soon


def rolled(signal: str, times: Any, values: Any) -> dict[str, list[float]]:
    """Properties of the segment for one column, given as lists or arrays; none for a short one, or of anything but numbers."""
    if len(times) < LEAST or np.asarray(values[:1]).dtype.kind not in "if":
        return {}
    at, numbers = np.asarray(times, np.int64), np.asarray(values, np.float64)
    properties = {}
    for level, width in LEVELS.items():
        rows = _rows(at, numbers, width)
        if len(rows) * DENSE <= len(at):
            properties[f"{level}{signal}"] = rows.ravel().tolist()
    return properties


def _rows(at: Any, numbers: Any, width: int) -> Any:
    starts = at // width * width
    first = np.flatnonzero(np.concatenate(([True], starts[1:] != starts[:-1])))
    last = np.concatenate((first[1:], [len(at)])) - 1
    columns = (
        starts[first],
        last - first + 1,
        np.add.reduceat(numbers, first),
        np.minimum.reduceat(numbers, first),
        np.maximum.reduceat(numbers, first),
        numbers[first],
        numbers[last],
    )
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)


def coarsest(every: int, zoned: bool) -> int:
    """The widest level [ms] whose buckets fall whole into buckets of `every` [ms]; 0: points alone will do. In a time zone
    buckets begin at any full minute of UTC."""
    fits = (width for width in LEVELS.values() if every % width == 0 and not (zoned and width > 60_000))
    return next(fits, 0)
