"""An accelerated run: history to train on, or the first day of a demo."""

from collections.abc import Iterator
from typing import Any

from app.history.series import Series
from app.simulate.fleet import Fleet, Observation
from app.simulate.layout import KINDS
from app.simulate.messages import component_values, farm_values, turbine_values

STEP = 600.0


def run(fleet: Fleet, until: float, step: float = STEP) -> Iterator[Observation]:
    while fleet.at + step <= until:
        yield fleet.step(step)


def as_series(fleet: Fleet, observations: list[Observation]) -> list[Series]:
    """Every twin's points of these observations, for the write path."""
    layout = fleet.layout
    rows: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for seen in observations:
        at = round(seen.at * 1000)
        for farm in range(layout.farms):
            rows.setdefault(layout.farm(farm), []).append((at, farm_values(seen, farm)))
        for index in range(layout.count):
            dt_id = layout.turbine_id(index)
            rows.setdefault(dt_id, []).append((at, turbine_values(seen, index)))
            for k, kind in enumerate(KINDS):
                values = component_values(seen, index, k)
                if values:
                    rows.setdefault(f"{dt_id}-{kind.suffix}", []).append((at, values))
    return [_series(dt_id, points) for dt_id, points in rows.items()]


def _series(dt_id: str, points: list[tuple[int, dict[str, Any]]]) -> Series:
    own: dict[str, list[int]] = {}
    columns: dict[str, list[Any]] = {}
    for at, values in points:
        for name, value in values.items():
            own.setdefault(name, []).append(at)
            columns.setdefault(name, []).append(value)
    times = max(own.values(), key=len)
    latest = {name: values[-1] for name, values in columns.items()}
    return Series(dt_id, times, columns, latest, {name: t for name, t in own.items() if t != times})
