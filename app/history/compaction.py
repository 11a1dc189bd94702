"""Compaction: many small segments of a twin become one long one, in one transaction per few twins.

In two tiers: segments just written (`:_Fresh`) are joined as soon as there are some, what is still short then (`:_Short`) once
there is enough for a long one. So a point is written about three times, and a year of it lies in few segments.

Crash-safe and idempotent: either the long segment is there and the small ones are not, or the other way round; doubled
points are dropped on the way, the first stored stays."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app import metrics
from app.graph.segment import columns, compose, fault, ordered
from app.graph.statements import statement
from app.graph.store import Store, Transaction

TWINS = 500
TWINS_LOCKED = 5  # a batch that holds one of them waits for the rest
POINTS = 8640
SHORT = POINTS // 4
Column = tuple[Any, Any]  # times and values, numpy


@dataclass(frozen=True, slots=True)
class Tier:
    """`least` and `most` segments of a twin are joined at once; what came late, behind newer points, stays apart for `settle`
    ms: subscribers find it by that."""

    short: bool
    least: int
    most: int
    settle: int = 3_600_000


TIERS = (Tier(False, 30, 600), Tier(True, 20, 200))


def compact(store: Store, tiers: Sequence[Tier] = TIERS, twins: int = TWINS) -> int:
    """One round over the twins with the most small segments; how many segments it has joined. Raises: StoreError."""
    started = time.perf_counter()
    try:
        return sum(_compact_tier(store, tier, twins) for tier in tiers)
    finally:
        metrics.COMPACTION.inc(time.perf_counter() - started)


def _compact_tier(store: Store, tier: Tier, twins: int) -> int:
    asked = {"short": tier.short, "least": tier.least, "twins": twins, "settle": tier.settle}
    rows = store.read(statement("history/fresh"), asked)
    joined = 0
    for first in range(0, len(rows), TWINS_LOCKED):
        some = sorted(dt_id for (dt_id,) in rows[first : first + TWINS_LOCKED])
        joined += store.write(lambda transaction, some=some: _join(transaction, some, tier))  # type: ignore[misc]
    metrics.COMPACTED.inc(joined)
    return joined


def _join(transaction: Transaction, dt_ids: list[str], tier: Tier) -> int:
    ((twins,),) = transaction.run(statement("history/take"), dtIds=dt_ids, short=tier.short, most=tier.most, settle=tier.settle)
    rows, joined = [], 0
    for dt_id, segments in twins:
        whole = [(identifier, properties) for identifier, properties in segments if not fault(properties)]
        if whole:
            merged = merge(properties for _, properties in whole)
            longer = [{"properties": segment.properties, "short": segment.instants < SHORT} for segment in merged]
            rows.append({"dtId": dt_id, "segments": longer, "gone": [identifier for identifier, _ in whole]})
            joined += len(whole)
    if rows:
        transaction.run(statement("history/join"), rows=rows)
    return joined


@dataclass(frozen=True, slots=True)
class Merged:
    """One long segment; `instants`: of all its columns together."""

    properties: dict[str, Any]
    instants: int


def merge(segments: Iterable[Mapping[str, Any]]) -> list[Merged]:
    """Segments, oldest first → as few long ones as hold their points, POINTS instants each; columns with times of their own
    stay so."""
    parts: dict[str, list[tuple[Any, list[Any]]]] = {}
    received = 0
    for segment in segments:
        received = max(received, segment.get("_received", 0))
        for signal, at, values in columns(segment):
            parts.setdefault(signal, []).append((at, values))
    if not parts:
        return []
    joined = {signal: ordered(pieces) for signal, pieces in parts.items()}
    times = np.unique(np.concatenate([times for times, _ in joined.values()]))
    parts_of = (times[start : start + POINTS] for start in range(0, len(times), POINTS))
    return [Merged(_segment(joined, int(part[0]), int(part[-1]), received), len(part)) for part in parts_of]


def _segment(joined: Mapping[str, Column], first: int, last: int, received: int) -> dict[str, Any]:
    inner: dict[str, Column] = {}
    for signal, (times, values) in joined.items():
        inside = slice(np.searchsorted(times, first), np.searchsorted(times, last, "right"))
        if inside.start < inside.stop:
            inner[signal] = times[inside], values[inside]
    shared = max((times for times, _ in inner.values()), key=len)
    own = {signal: times for signal, (times, _) in inner.items() if not np.array_equal(times, shared)}
    values = {signal: values.tolist() for signal, (_, values) in inner.items()}
    return compose(first, last, shared, values, own, received)
