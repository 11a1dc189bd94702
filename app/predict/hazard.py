"""LightGBM discrete-time hazard: one classifier over (features, interval) gives the whole survival curve, and a
component that was still running when it was last seen counts for every interval it survived."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from app.errors import PredictionError
from app.predict.features import NAMES

Array = np.ndarray[Any, np.dtype[np.float64]]
DAY = 86400.0
EDGES = np.array([0, 0.5, 1, 2, 3, 5, 7, 10, 14, 21, 30]) * DAY
HEALTH_HORIZON = 14 * DAY
PARAMETERS = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.06,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "num_threads": 2,
    "verbosity": -1,
    "deterministic": True,
    "seed": 7,
}
TREES = 160
BINS_OF_RELIABILITY = 10


@dataclass(frozen=True, slots=True)
class Hazard:
    """`reliability[i]`: share of held-out cases whose predicted P(failure within the horizon) fell in tenth i and that
    did fail; NaN-free, monotone by construction of the fit."""

    booster: Any
    version: str
    reliability: tuple[float, ...]

    def survival(self, rows: Any) -> Array:
        """P(still running at each edge) per row: (rows, len(EDGES)); the first column is 1."""
        intervals = len(EDGES) - 1
        stacked = np.repeat(rows, intervals, axis=0)
        index = np.tile(np.arange(intervals, dtype=np.float32), len(rows))[:, None]
        hazard = self.booster.predict(np.hstack([stacked, index])).reshape(len(rows), intervals)
        return np.hstack([np.ones((len(rows), 1)), np.cumprod(1 - hazard, axis=1)])

    def confidence(self, failing: Array) -> Array:
        """How often the likelier outcome came true on held-out assets, for each P(failure within the horizon)."""
        tenth = np.clip((failing * BINS_OF_RELIABILITY).astype(int), 0, BINS_OF_RELIABILITY - 1)
        share = np.asarray(self.reliability)[tenth]
        surer: Array = np.maximum(share, 1 - share)
        return surer

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.booster.save_model(str(folder / "hazard.txt"))
        (folder / "hazard.json").write_text(json.dumps({"version": self.version, "reliability": self.reliability}))

    @classmethod
    def read(cls, folder: Path) -> "Hazard":
        if not (folder / "hazard.json").exists():
            raise PredictionError("no trained model", where=str(folder), hint="twingraph predict train")
        note = json.loads((folder / "hazard.json").read_text())
        booster = lightgbm.Booster(model_file=str(folder / "hazard.txt"))
        return cls(booster, note["version"], tuple(note["reliability"]))


@dataclass(frozen=True, slots=True)
class Cases:
    """`seconds` to failure, or to the last sight where `failed` is False; `asset` splits training from calibration."""

    rows: Any
    seconds: Array
    failed: Any
    asset: Any
    weight: Array

    def where(self, mask: Any) -> "Cases":
        return Cases(*(getattr(self, name)[mask] for name in ("rows", "seconds", "failed", "asset", "weight")))


def expand(cases: Cases) -> tuple[Any, Any, Array]:
    """Person-period rows: each case once for every interval it entered. Returns (features + interval, label, weight)."""
    entered = np.searchsorted(EDGES[1:], cases.seconds, side="left")  # the interval in which the time lies
    survived_all = entered >= len(EDGES) - 1
    lengths = np.where(survived_all, len(EDGES) - 1, entered + cases.failed)
    case = np.repeat(np.arange(len(cases.rows)), lengths)
    interval = np.arange(len(case)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    label = (interval == entered[case]) & cases.failed[case] & ~survived_all[case]
    return (
        np.hstack([cases.rows[case], interval[:, None].astype(np.float32)]),
        label.astype(np.int8),
        cases.weight[case],
    )


def fit(cases: Cases, version: str, progress: Any = None) -> Hazard:
    """Raises: PredictionError when there are too few failures to learn from."""
    if cases.failed.sum() < 30:
        what, hint = f"only {int(cases.failed.sum())} cases before a failure", "a longer history, or more assets"
        raise PredictionError(what, hint=hint)
    held_out = cases.asset % 4 == 0
    table, label, weight = expand(cases.where(~held_out))
    data = lightgbm.Dataset(table, label, weight=weight, feature_name=[*NAMES, "interval"], categorical_feature=["kind"])
    booster = lightgbm.train(PARAMETERS, data, TREES, callbacks=[progress] if progress else [])
    plain = Hazard(booster, version, tuple([0.5] * BINS_OF_RELIABILITY))
    return Hazard(booster, version, _reliability(plain, cases.where(held_out)))


def _reliability(hazard: Hazard, cases: Cases) -> tuple[float, ...]:
    horizon = int(np.searchsorted(EDGES, HEALTH_HORIZON))
    observed = cases.where(cases.failed | (cases.seconds >= HEALTH_HORIZON))  # the others were lost from sight before
    predicted = 1 - hazard.survival(observed.rows)[:, horizon]
    happened = observed.failed & (observed.seconds <= HEALTH_HORIZON)
    tenth = np.clip((predicted * BINS_OF_RELIABILITY).astype(int), 0, BINS_OF_RELIABILITY - 1)
    share = []
    for index in range(BINS_OF_RELIABILITY):
        weight = observed.weight[tenth == index]
        prior = (index + 0.5) / BINS_OF_RELIABILITY
        counted = (weight * happened[tenth == index]).sum() + 4 * prior
        share.append(float(counted / (weight.sum() + 4)))  # few cases lean on the forecast itself
    return tuple(np.maximum.accumulate(share).tolist())


def median_time(survival: Array) -> Array:
    """Seconds until P(still running) falls to one half, linear within an interval; NaN when it does not."""
    below = survival <= 0.5
    first = below.argmax(axis=1)
    rows = np.arange(len(survival))
    before, after = survival[rows, first - 1], survival[rows, first]
    share = (before - 0.5) / np.maximum(before - after, 1e-9)
    inside = EDGES[first - 1] + share * (EDGES[first] - EDGES[first - 1])
    return np.where(below.any(axis=1), inside, np.nan)
