"""One step of the whole fleet: weather → power → loads → damage → what the sensors show."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from app.simulate.damage import Damage, Happenings
from app.simulate.layout import KINDS, RATED_POWER, Layout
from app.simulate.weather import Weather, power_curve

Array = np.ndarray[Any, np.dtype[np.float64]]
DROPOUT, MISSING = 0.004, 0.002  # share of messages, of single values, that never come
ALARM_ON, ALARM_OFF = 1.9, 1.4  # vibration against what load explains
STATES = ("running", "limited", "stopped", "failed", "maintenance")
VIBRATION = np.array([kind.vibration for kind in KINDS])
RISE = np.array([kind.rise for kind in KINDS])


@dataclass(slots=True)
class Observation:
    """What the sensors show at one moment. Arrays: farms; turbines; (turbines, kinds). NaN: dropped out."""

    at: float  # epoch seconds
    farm: dict[str, Array]
    turbine: dict[str, Array]
    state: list[str]
    component: dict[str, Array]
    happenings: Happenings
    alarms: list[tuple[int, int, bool]]


@dataclass(slots=True)
class Control:
    """What operators have set; NaN: no limit."""

    limit: Array
    stopped: Any


@dataclass(slots=True)
class Fleet:
    layout: Layout
    seed: int
    at: float
    random: np.random.Generator = field(init=False)
    weather: Weather = field(init=False)
    damage: Damage = field(init=False)
    control: Control = field(init=False)
    load: Array = field(init=False)
    alarmed: Any = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        shape = (self.layout.count, len(KINDS))
        self.weather = Weather(self.layout.farms, self.layout.turbines, self.random)
        self.damage = Damage(shape, self.random)
        self.control = Control(np.full(self.layout.count, np.nan), np.zeros(self.layout.count, bool))
        self.load = np.full(shape, 0.4)
        self.alarmed = np.zeros(shape, bool)

    def step(self, seconds: float) -> Observation:
        self.at += seconds
        farm_wind, direction, wind, outdoor = self.weather.step(seconds, self.at)
        failed = (self.damage.down > 0).any(axis=1)
        possible = power_curve(wind, RATED_POWER)
        power = np.where(np.isnan(self.control.limit), possible, np.fmin(possible, self.control.limit))
        power = np.where(failed | self.control.stopped, 0.0, power)
        share = (power / RATED_POWER)[:, None]
        keep = np.exp(-seconds / 1200)
        self.load = self.load * keep + np.clip(share * (1 + 0.05 * self._noise(self.load.shape)), 0, 1.2) * (1 - keep)
        happenings = self.damage.step(seconds, self.load)
        component = self._component(seconds, np.repeat(outdoor, self.layout.turbines))
        turbine = self._turbine(wind, power, np.repeat(direction, self.layout.turbines), outdoor)
        per_farm = power.reshape(self.layout.farms, -1).sum(axis=1)
        farm = {"windSpeed": farm_wind, "windDirection": direction, "power": per_farm * 0.98}
        return Observation(self.at, farm, turbine, self._states(failed), component, happenings, self._alarms(component))

    def _turbine(self, wind: Array, power: Array, direction: Array, outdoor: Array) -> dict[str, Array]:
        count = self.layout.count
        running = power > 0
        speed = np.where(running, 6 + 7 * np.clip(power / RATED_POWER, 0, 1), 0.4)
        pitch = np.where(running, np.clip((wind - 12.5) * 2.2, 0, 25), 88.0)
        vane = 3 * self._noise((count,))
        values = {
            "windSpeed": wind,
            "windDirection": (direction + 2 * self._noise((count,))) % 360,
            "power": power,
            "powerLimit": np.where(np.isnan(self.control.limit), RATED_POWER, self.control.limit),
            "rotorSpeed": speed,
            "generatorSpeed": speed * 113,
            "pitchAngle": pitch,
            "nacelleAngle": (direction - vane) % 360,
            "vaneAngle": vane,
            "outdoorTemperature": np.repeat(outdoor, self.layout.turbines) + 0.2 * self._noise((count,)),
        }
        return {name: self._dropped(value) for name, value in values.items()}

    def _component(self, seconds: float, outdoor: Array) -> dict[str, Array]:
        damage = np.clip(self.damage.level, 0, 1)
        explained = VIBRATION * (0.35 + 0.65 * self.load)
        vibration = explained * (1 + 0.25 * damage + 1.3 * damage**3) * np.exp(0.07 * self._noise(damage.shape))
        rate = seconds / 3600 * (0.01 + 2.5 * damage**4)
        values = {
            "vibrationMean": vibration,
            "vibrationStd": 0.18 * vibration * (1 + 0.9 * damage**2) * np.exp(0.1 * self._noise(damage.shape)),
            "temperature": outdoor[:, None] + RISE * self.load * (1 + 0.22 * damage**2) + 0.8 * self._noise(damage.shape),
            "errorCount": self.random.poisson(rate).astype(float),
            "load": self.load,
            "wear": 6 * (1 + 9 * damage) * np.exp(0.25 * self._noise(damage.shape)) * (0.5 + self.load),
        }
        down = self.damage.down > 0
        for name in ("vibrationMean", "vibrationStd"):
            values[name] = np.where(down, 0.01, values[name])
        silent = self.random.random(damage.shape) < DROPOUT
        return {name: np.where(silent, np.nan, self._dropped(value)) for name, value in values.items()}

    def _alarms(self, component: Mapping[str, Array]) -> list[tuple[int, int, bool]]:
        ratio = component["vibrationMean"] / (VIBRATION * (0.35 + 0.65 * self.load))
        raised = ~self.alarmed & (ratio > ALARM_ON)
        ended = self.alarmed & (ratio < ALARM_OFF)
        self.alarmed = (self.alarmed | raised) & ~ended
        return [(int(t), int(k), True) for t, k in np.argwhere(raised)] + [
            (int(t), int(k), False) for t, k in np.argwhere(ended)
        ]

    def _states(self, failed: Any) -> list[str]:
        limited = ~np.isnan(self.control.limit)
        codes = np.select([failed, self.control.stopped, limited], [3, 2, 1], 0)
        return [STATES[code] for code in codes.tolist()]

    def _noise(self, shape: tuple[int, ...]) -> Array:
        return self.random.standard_normal(shape)

    def _dropped(self, values: Array) -> Array:
        return np.where(self.random.random(values.shape) < MISSING, np.nan, values)

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        part.write_bytes(pickle.dumps(self))
        part.replace(path)

    @staticmethod
    def restore(path: Path, layout: Layout, seed: int) -> "Fleet | None":
        """The saved fleet when it is of this layout and seed. The file is our own, in the state folder."""
        if not path.exists():
            return None
        saved = pickle.loads(path.read_bytes())  # noqa: S301
        return saved if isinstance(saved, Fleet) and (saved.layout, saved.seed) == (layout, seed) else None
