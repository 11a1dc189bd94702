"""Hazard + windows → prognoses of components, rolled up to turbines and farms, as Series for the write path."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from app.history.series import Series
from app.predict.features import enough, features
from app.predict.hazard import EDGES, HEALTH_HORIZON, Hazard, median_time
from app.predict.windows import BIN_MS, Windows


@dataclass(frozen=True, slots=True)
class Prognosis:
    """`failure_at` in epoch ms, or None while none is foreseen within the horizon."""

    dt_id: str
    health: float
    failure_at: int | None
    confidence: float


def score(hazard: Hazard, windows: Windows) -> list[Prognosis]:
    """A prognosis for every component that has measured enough, every turbine that has one, every farm."""
    judged = np.flatnonzero(enough(windows.bins))
    if not len(judged):
        return []
    kind = np.array([windows.parts[index].kind for index in judged.tolist()])
    survival = hazard.survival(features(windows.bins[:, judged], kind))
    health = survival[:, int(np.searchsorted(EDGES, HEALTH_HORIZON))]
    confidence = hazard.confidence(1 - health)
    now = (windows.last + 1) * BIN_MS
    by_turbine: dict[str, list[Prognosis]] = {}
    farms: dict[str, set[str]] = {}
    parts: list[Prognosis] = []
    for place, seconds in enumerate(median_time(survival).tolist()):
        part = windows.parts[int(judged[place])]
        at = None if seconds != seconds else round(now + seconds * 1000)
        prognosis = Prognosis(part.dt_id, float(health[place]), at, float(confidence[place]))
        parts.append(prognosis)
        by_turbine.setdefault(part.turbine, []).append(prognosis)
        farms.setdefault(part.farm, set()).add(part.turbine)
    turbines = {name: _weakest(name, below) for name, below in by_turbine.items()}
    rolled = [_mean(farm, [turbines[name] for name in sorted(names)]) for farm, names in farms.items()]
    return [*parts, *turbines.values(), *rolled]


def as_series(prognoses: Iterable[Prognosis], at: int, version: str) -> list[Series]:
    return [_series(prognosis, at, version) for prognosis in prognoses]


def _weakest(dt_id: str, below: Sequence[Prognosis]) -> Prognosis:
    """A turbine runs while all its components run: healths multiply, the earliest failure counts."""
    health = float(np.prod([prognosis.health for prognosis in below]))
    first = min(below, key=lambda prognosis: (prognosis.failure_at is None, prognosis.failure_at or 0, prognosis.health))
    return Prognosis(dt_id, health, first.failure_at, first.confidence)


def _mean(dt_id: str, below: Sequence[Prognosis]) -> Prognosis:
    """A farm's health is the mean of its turbines': one that fails does not stop the others."""
    first = min(below, key=lambda prognosis: (prognosis.failure_at is None, prognosis.failure_at or 0, prognosis.health))
    return Prognosis(dt_id, float(np.mean([prognosis.health for prognosis in below])), first.failure_at, first.confidence)


def _series(prognosis: Prognosis, at: int, version: str) -> Series:
    columns: dict[str, list[Any]] = {
        "healthScore": [round(prognosis.health, 5)],
        "confidence": [round(prognosis.confidence, 4)],
        "modelVersion": [version],
    }
    latest: dict[str, Any] = {name: values[0] for name, values in columns.items()}
    latest["expectedFailureTime"] = None
    if prognosis.failure_at is not None:
        moment = datetime.fromtimestamp(prognosis.failure_at / 1000, UTC)
        columns["expectedFailureTime"] = [moment.isoformat()]
        latest["expectedFailureTime"] = moment
    return Series(prognosis.dt_id, [at], columns, latest)
