"""Points of a twin that were committed since the last look: what a telemetry subscription sends.

A point that is newer than all of its twin is found by its event time. One that comes late, behind newer points of any signal,
lies in a segment of its own, which bears the time of its commit (`_late`) and is left alone by compaction for an hour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.graph.segment import sound, times
from app.graph.statements import statement
from app.graph.store import Store

Points = Mapping[str, list[tuple[int, Any]]]
OVERLAP_MS = 5000  # a transaction that took its time is seen after later ones
NEVER = -(2**62)


@dataclass(frozen=True, slots=True)
class Told:
    """How far a subscriber has been told. `newest`: event time [epoch ms] by signal; `last`: that of the whole twin; `looked`:
    at the late ones, by the database's clock [epoch ms]; `late`: those of them that have been told already."""

    newest: Mapping[str, int]
    last: int
    looked: int
    late: Mapping[str, int] = field(default_factory=dict)


def begin(store: Store, dt_id: str, signals: Sequence[str]) -> Told:
    """From now on: whatever is committed later is new, whenever it was measured. Raises: StoreError."""
    ((newest, last, now),) = store.read(statement("telemetry/newest"), {"dtId": dt_id, "signals": list(signals)})
    times_by_signal = {name: NEVER if at is None else at for name, at in zip(signals, newest, strict=True)}
    ((segments, _, _),) = store.read(statement("telemetry/fresh"), {"dtId": dt_id, "after": 2**62, "late": now - OVERLAP_MS})
    return Told(times_by_signal, NEVER if last is None else last, now, {identifier: late for identifier, late, _ in segments})


def fresh(store: Store, dt_id: str, told: Told, limit: int) -> tuple[Points, Told]:
    """Signal → (epoch ms, value) of the points that are new to who was told so much, up to `limit`, oldest first; and what
    they are told then. Raises: StoreError."""
    since = told.looked - OVERLAP_MS
    ((rows, last, now),) = store.read(statement("telemetry/fresh"), {"dtId": dt_id, "after": told.last, "late": since})
    came_late = {identifier: late for identifier, late, _ in rows if isinstance(late, int) and late > since}
    points: dict[str, dict[int, Any]] = {signal: {} for signal in told.newest}
    for identifier, _, properties in rows:
        new = identifier in came_late and identifier not in told.late
        for segment in sound((properties,)):
            for signal in told.newest.keys() & segment.keys():
                after = NEVER if new else told.newest[signal]
                found = zip(times(segment, signal), segment[signal], strict=True)
                points[signal].update((at, value) for at, value in found if after < at <= limit)
    ordered = {signal: sorted(values.items()) for signal, values in points.items() if values}
    newest = {signal: max(at, *(time for time, _ in ordered.get(signal, ())), NEVER) for signal, at in told.newest.items()}
    return ordered, Told(newest, NEVER if last is None else min(last, limit), now, came_late)
