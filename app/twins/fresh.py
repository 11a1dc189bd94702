"""Points of a twin that are new since a moment: what a telemetry subscription sends."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.graph.segment import sound, times
from app.graph.statements import statement
from app.graph.store import Store

Points = Mapping[str, list[tuple[int, Any]]]


def fresh(store: Store, dt_id: str, signals: Sequence[str], after: int, limit: int) -> Points:
    """Signal → (epoch ms, value) of every point measured after `after`, up to `limit`, oldest first. Raises: StoreError."""
    rows = store.read(statement("telemetry/fresh"), {"dtId": dt_id, "after": after})
    points_by_signal: dict[str, dict[int, Any]] = {signal: {} for signal in signals}
    for segment in sound(properties for (properties,) in rows):
        for signal in signals:
            if signal in segment:
                points = zip(times(segment, signal), segment[signal], strict=True)
                points_by_signal[signal].update((at, value) for at, value in points if after < at <= limit)
    return {signal: sorted(points.items()) for signal, points in points_by_signal.items() if points}
