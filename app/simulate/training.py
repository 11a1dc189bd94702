"""An accelerated simulated history → cases with times to failure → a trained hazard of `app.predict`."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from app.predict import hazard
from app.predict.declaration import declared
from app.predict.features import BIN_SECONDS, BINS, SIGNALS, enough, features
from app.simulate.fleet import Fleet
from app.simulate.layout import KINDS, Layout

SNAPSHOT_BINS = 48  # every eight hours
HEALTHY_SHARE = 0.12
TRAINING_SEED = 90_210  # another fleet than any demo's
Progress = Callable[[float, str], Any]


def train(days: int = 90, farms: int = 6, turbines: int = 42, progress: Progress | None = None) -> hazard.Hazard:
    """Simulates `farms` × `turbines` for `days` and learns from it. Raises: PredictionError."""
    tell = progress or (lambda share, what: None)
    training_cases = cases(days, farms, turbines, tell)
    tell(0.7, "learning")
    version = f"hazard-{datetime.now(UTC):%Y%m%d%H%M%S}"

    def trees(environment: Any) -> None:
        tell(0.7 + 0.3 * environment.iteration / hazard.TREES, "learning")

    predictor = hazard.fit(training_cases, version, trees)
    tell(1.0, "done")
    return predictor


def cases(days: int, farms: int, turbines: int, tell: Progress) -> hazard.Cases:
    """Snapshots of every component, eight hours apart, with what became of it."""
    start = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
    fleet = Fleet(Layout(farms, turbines), TRAINING_SEED, start)
    count = farms * turbines * len(KINDS)
    kind = np.tile([declared().kinds.index(component_kind.label) for component_kind in KINDS], farms * turbines)
    window = np.full((BINS, count, len(SIGNALS)), np.nan, np.float32)
    ends: list[tuple[float, Any, bool]] = []
    snapshots: list[tuple[float, Any, Any, Any]] = []
    steps = days * 86400 // BIN_SECONDS
    for step in range(steps):
        seen = fleet.step(BIN_SECONDS)
        window[step % BINS] = np.stack([seen.component[name].ravel() for name in SIGNALS], axis=1)
        for events, is_failure in ((seen.happenings.failed, True), (seen.happenings.prevented, False)):
            ends += [(seen.at, int(t) * len(KINDS) + int(k), is_failure) for t, k in events]
        if step >= BINS and step % SNAPSHOT_BINS == 0:
            snapshots.append(_snapshot(fleet, np.roll(window, -(step % BINS) - 1, axis=0), kind))
            tell(0.7 * step / steps, "simulating")
    return _label(snapshots, ends, fleet.at, count)


def _snapshot(fleet: Fleet, window: Any, kind: Any) -> tuple[float, Any, Any, Any]:
    running = (fleet.damage.down <= 0).ravel() & enough(window)
    # Damage only thins out the healthy many, whose weight makes up for it; it is no feature.
    damaged = fleet.damage.damaged.ravel()
    chosen = np.flatnonzero(running & (damaged | (fleet.random.random(len(kind)) < HEALTHY_SHARE)))
    weight = np.where(damaged[chosen], 1.0, 1 / HEALTHY_SHARE)
    return fleet.at, chosen, features(window[:, chosen], kind[chosen]), weight


def _label(
    snapshots: list[tuple[float, Any, Any, Any]], ends: list[tuple[float, Any, bool]], last: float, count: int
) -> hazard.Cases:
    by_component: list[list[tuple[float, bool]]] = [[] for _ in range(count)]
    for at, component, is_failure in ends:
        by_component[component].append((at, is_failure))
    seconds, failed, asset = [], [], []
    for at, chosen, _, _ in snapshots:
        for component in chosen:
            end, is_failure = next(((t, f) for t, f in by_component[component] if t > at), (last, False))
            seconds.append(end - at)
            failed.append(is_failure)
            asset.append(component // len(KINDS))
    rows, weight = (np.concatenate([snapshot[part] for snapshot in snapshots]) for part in (2, 3))
    return hazard.Cases(rows, np.array(seconds), np.array(failed), np.array(asset), weight)
