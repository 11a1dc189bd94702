"""Points of a twin that are new since a moment: what a telemetry subscription sends."""

from collections.abc import Mapping
from typing import Any

from app.graph.segment import sound, times
from app.graph.statements import statement
from app.graph.store import Store

Points = Mapping[str, list[tuple[int, Any]]]


def fresh(store: Store, dt_id: str, after: Mapping[str, int], limit: int) -> Points:
    """Signal → (epoch ms, value) of the points after that of `after`, up to `limit`, oldest first. Raises: StoreError."""
    rows = store.read(statement("telemetry/fresh"), {"dtId": dt_id, "after": min(after.values())})
    points_by_signal: dict[str, dict[int, Any]] = {signal: {} for signal in after}
    for segment in sound(properties for (properties,) in rows):
        for signal, since in after.items():
            if signal in segment:
                points = zip(times(segment, signal), segment[signal], strict=True)
                points_by_signal[signal].update((at, value) for at, value in points if since < at <= limit)
    return {signal: sorted(points.items()) for signal, points in points_by_signal.items() if points}
