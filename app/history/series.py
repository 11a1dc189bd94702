"""Points of one twin, in columns: what every source hands to the write path."""

from dataclasses import dataclass, field
from typing import Any

from app.graph.segment import compose


@dataclass(slots=True)
class Series:
    """`times` are epoch milliseconds, ascending and unique; each column has their length, or is named in `own_times`."""

    dt_id: str
    times: list[int]
    columns: dict[str, list[Any]]
    latest: dict[str, Any]
    own_times: dict[str, list[int]] = field(default_factory=dict)
    received: int = 0  # when the last of them came [epoch ms]; 0: not known

    def span(self) -> tuple[int, int]:
        if not self.own_times:
            return self.times[0], self.times[-1]
        every = [times for times in (self.times, *self.own_times.values()) if times]
        return min(times[0] for times in every), max(times[-1] for times in every)

    def points(self) -> int:
        return sum(map(len, self.columns.values()))

    def signal_times(self, signal: str) -> list[int]:
        return self.own_times.get(signal, self.times)


def latest_properties(series: Series, last: int) -> dict[str, Any]:
    """Properties of the twin node: every signal's newest value and its time, and the newest time of all."""
    properties = dict(series.latest)
    for signal in series.columns:
        properties[f"_at_{signal}"] = series.signal_times(signal)[-1]
    properties["_last"] = last
    if series.received:
        properties["_received"] = series.received
    return properties


def segment_properties(series: Series, first: int, last: int) -> dict[str, Any]:
    return compose(first, last, series.times, series.columns, series.own_times, series.received)


def without(
    series: Series, stored: dict[str, set[int]], forgotten: dict[str, list[tuple[int, int]]]
) -> tuple[Series | None, int]:
    """The points of `series` whose instants are neither `stored` yet nor in a span that is `forgotten`, and how many were."""
    columns: dict[str, list[Any]] = {}
    own_times: dict[str, list[int]] = {}
    latest: dict[str, Any] = {}
    duplicates = 0
    for signal, values in series.columns.items():
        seen = stored.get(signal, set())
        gone = forgotten.get(signal, ())
        points = zip(series.signal_times(signal), values, strict=True)
        remaining = [(t, v) for t, v in points if t not in seen and not any(first <= t <= last for first, last in gone)]
        duplicates += len(values) - len(remaining)
        if remaining:
            own_times[signal] = [time for time, _ in remaining]
            columns[signal] = [value for _, value in remaining]
            latest |= {key: v for key, v in series.latest.items() if key.partition(".")[0] == signal}
    if not columns:
        return None, duplicates
    times = next(iter(own_times.values()))
    shared = {signal for signal, own in own_times.items() if own == times}
    rest = {signal: own for signal, own in own_times.items() if signal not in shared}
    return Series(series.dt_id, times, columns, latest, rest, series.received), duplicates
