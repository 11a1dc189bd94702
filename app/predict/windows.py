"""The graph's history → bins of ten minutes, one day deep, kept in memory and moved on with each reading.

A gauge's bin holds its last value, a counter's the sum, so that a sensor that reports every minute looks like the one
that reports every ten. Time is that of measurement: the newest bin is where the newest history lies, not now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app import clock
from app.graph.segment import sound
from app.graph.statements import statement
from app.graph.store import Store
from app.history.read import points
from app.predict.declaration import declared
from app.predict.features import BIN_SECONDS, BINS, SIGNALS, Array

BIN_MS = BIN_SECONDS * 1000
COMPONENTS_AT_ONCE = 400
READ_AGAIN = 6


@dataclass(frozen=True, slots=True)
class Part:
    dt_id: str
    kind: int
    turbine: str
    farm: str


@dataclass(slots=True)
class Windows:
    """`bins` is (bins, components, signals); bin `last` is the newest, counted from the epoch."""

    parts: Sequence[Part] = ()
    bins: Array = field(default_factory=lambda: np.empty((BINS, 0, len(SIGNALS)), np.float32))
    last: int = 0
    newest: int = 0  # newest event time [epoch ms]

    def read(self, store: Store, labels: Mapping[str, str]) -> None:
        """Moves on to the newest history. The last hour is read again: late points fall into it."""
        ((rows, newest),) = store.read(statement("predict/components"), {"limit": clock.limit()})
        kinds = {label: index for index, label in enumerate(declared().kinds)}
        parts = [Part(d, kinds[labels[m]], t, f) for d, m, t, f in rows if labels.get(m) in kinds]
        went_back = newest is not None and newest // BIN_MS < self.last  # after a clock that was ahead
        if went_back or [part.dt_id for part in parts] != [part.dt_id for part in self.parts]:
            self.parts, self.last = parts, 0
            self.bins = np.full((BINS, len(parts), len(SIGNALS)), np.nan, np.float32)
        if newest is not None:
            self.newest = newest
            steps = self._move(newest // BIN_MS)
            self._fill(store, self.last - min(steps + READ_AGAIN, BINS) + 1)

    def _move(self, last: int) -> int:
        """How many bins are new."""
        steps = min(max(last - self.last, 0), BINS)
        if steps:
            self.bins = np.roll(self.bins, -steps, axis=0)
            self.last = last
        return steps

    def _fill(self, store: Store, oldest: int) -> None:
        start = self.last - BINS + 1
        index = {part.dt_id: number for number, part in enumerate(self.parts)}
        names = list(index)
        self.bins[oldest - start :] = np.nan
        for first in range(0, len(names), COMPONENTS_AT_ONCE):
            parameters = {"dtIds": names[first : first + COMPONENTS_AT_ONCE], "from": oldest * BIN_MS}
            ((rows,),) = store.read(statement("predict/window"), parameters)
            for dt_id, segments in rows:
                self._place(index[dt_id], segments, oldest, start)

    def _place(self, number: int, segments: Iterable[Mapping[str, Any]], oldest: int, start: int) -> None:
        declaration = declared()
        columns = declaration.columns
        span = points(sound(map(_present, segments)), columns, oldest * BIN_MS, (self.last + 1) * BIN_MS)
        for signal, (times, values) in span.items():
            if values.dtype.kind not in "if":
                continue
            column, bins, numbers = columns[signal], times // BIN_MS - start, values.astype(np.float32)
            if signal in declaration.counters:
                sums = np.zeros(BINS, np.float32)
                np.add.at(sums, bins, numbers)
                touched = np.unique(bins)
                self.bins[touched, number, column] = np.nan_to_num(self.bins[touched, number, column]) + sums[touched]
            else:
                self.bins[bins, number, column] = numbers


def _present(segment: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in segment.items() if value is not None}
