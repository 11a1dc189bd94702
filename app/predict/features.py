"""A window of bins → one row of numbers per component. The same function for training and for scoring."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]
SIGNALS = ("vibrationMean", "vibrationStd", "temperature", "errorCount", "load", "wear")
BIN_SECONDS = 600
BINS = 144
RECENT = 36
FEWEST = 12
STATISTICS = ("mean", "recent", "trend", "spread", "peak")
NAMES = [f"{signal}_{statistic}" for signal in (*SIGNALS[:4], "wear", "vibrationPerLoad") for statistic in STATISTICS]
NAMES += ["load_mean", "load_recent", "kind"]


def features(window: Array, kind: Any) -> Array:
    """`window` is (bins, components, signals) with NaN where nothing was measured, oldest bin first; `kind` the kind's
    number per component. Returns (components, features)."""
    vibration, deviation, temperature, errors, load, wear = np.moveaxis(window, 2, 0)
    per_load = vibration / (0.35 + 0.65 * np.clip(load, 0, 1.2))
    with np.errstate(invalid="ignore", divide="ignore"):
        blocks = [_statistics(signal) for signal in (vibration, deviation, temperature, errors, wear, per_load)]
        loads = np.stack([_mean(load), _mean(load[-RECENT:])])
    return np.concatenate([*blocks, loads, np.asarray(kind, np.float32)[None]]).T.astype(np.float32)


def enough(window: Array) -> Any:
    """Which components have measured often enough to be judged."""
    return (~np.isnan(window[:, :, 0])).sum(axis=0) >= FEWEST


def _statistics(values: Array) -> Array:
    mean = _mean(values)
    measured = ~np.isnan(values)
    count = np.maximum(measured.sum(axis=0), 1)
    spread = np.sqrt(np.where(measured, (values - mean) ** 2, 0).sum(axis=0) / count)
    time = np.linspace(-1, 1, len(values), dtype=np.float32)[:, None]
    centred = np.where(measured, time - (np.where(measured, time, 0).sum(axis=0) / count), 0)
    trend = np.where(measured, centred * (values - mean), 0).sum(axis=0) / np.maximum((centred**2).sum(axis=0), 1e-9)
    peak = np.where(measured, values, -np.inf).max(axis=0)
    return np.stack([mean, _mean(values[-RECENT:]), trend, spread, np.where(np.isfinite(peak), peak, np.nan)])


def _mean(values: Array) -> Array:
    measured = ~np.isnan(values)
    total = np.where(measured, values, 0).sum(axis=0)
    return np.where(measured.any(axis=0), total / np.maximum(measured.sum(axis=0), 1), np.nan)  # type: ignore[no-any-return]
