"""Compaction: many small segments of a twin become one long one, in one transaction per few twins.

Crash-safe and idempotent: either the long segment is there and the small ones are not, or the other way round; doubled
points are dropped on the way, the first stored stays."""

from collections.abc import Iterable, Mapping
from typing import Any

from app import metrics
from app.graph.statements import statement
from app.graph.store import Store, Transaction

LEAST, MOST, TWINS = 30, 600, 500
TWINS_LOCKED = 5  # a batch that holds one of them waits for the rest
POINTS = 8640


def compact(store: Store, least: int = LEAST, most: int = MOST, twins: int = TWINS) -> int:
    """One round over the twins with the most small segments; how many segments it has joined. Raises: StoreError."""
    rows = store.read(statement("history/fresh"), {"least": least, "twins": twins})
    if not rows:
        return 0
    joined = 0
    for first in range(0, len(rows), TWINS_LOCKED):
        some = [dt_id for (dt_id,) in rows[first : first + TWINS_LOCKED]]
        joined += _compact_some(store, sorted(some), most)
    metrics.COMPACTED.inc(joined)
    return joined


def _compact_some(store: Store, dt_ids: list[str], most: int) -> int:
    return store.write(lambda transaction: _join(transaction, dt_ids, most))


def _join(transaction: Transaction, dt_ids: list[str], most: int) -> int:
    ((found,),) = transaction.run(statement("history/take"), dtIds=dt_ids, most=most)
    rows, joined = [], 0
    for dt_id, segments in found:
        if segments:
            made = merge(properties for _, properties in segments)
            rows.append({"dtId": dt_id, "segments": made, "gone": [identifier for identifier, _ in segments]})
            joined += len(segments)
    if rows:
        transaction.run(statement("history/join"), rows=rows)
    return joined


def merge(segments: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Segments, oldest first → as few long ones as hold their points; columns with times of their own stay so."""
    points: dict[str, dict[int, Any]] = {}
    for segment in segments:
        shared = segment["_dt"]
        for signal, values in segment.items():
            if not signal.startswith("_"):
                known = points.setdefault(signal, {})
                first = segment["_from"]
                for offset, value in zip(segment.get(f"_dt_{signal}", shared), values, strict=True):
                    known.setdefault(first + offset, value)
    columns = {signal: dict(sorted(known.items())) for signal, known in points.items()}
    times = sorted(set().union(*columns.values()))
    return [_segment(columns, times[start : start + POINTS]) for start in range(0, len(times), POINTS)]


def _segment(columns: Mapping[str, Mapping[int, Any]], times: list[int]) -> dict[str, Any]:
    first, last = times[0], times[-1]
    own = {s: [t for t in known if first <= t <= last] for s, known in columns.items()}
    own = {signal: kept for signal, kept in own.items() if kept}
    shared = max(own.values(), key=len)
    made: dict[str, Any] = {"_from": first, "_to": last, "_n": len(shared), "_dt": [t - first for t in shared]}
    for signal, kept in own.items():
        made[signal] = [columns[signal][time] for time in kept]
        if kept != shared:
            made[f"_dt_{signal}"] = [time - first for time in kept]
    return made
