"""Wind per farm: a slow process, turbulence at each turbine, wakes kept simple."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
MEAN_WIND, SPREAD = 8.2, 0.42  # m/s at hub height; standard deviation of its logarithm
SLOW, TURN = 9 * 3600.0, 30 * 3600.0  # correlation times [s]
TURBULENCE, WAKE = 0.10, 0.055  # intensity; loss of speed per row in front


class Weather:
    def __init__(self, farms: int, turbines: int, random: np.random.Generator) -> None:
        self.turbines, self.random = turbines, random
        self.level, self.turn = random.standard_normal(farms), random.standard_normal(farms)
        row, column = np.divmod(np.arange(turbines), 7)
        self.x, self.y = column - column.mean(), row - row.mean()

    def step(self, seconds: float, at: float) -> tuple[Array, Array, Array, Array]:
        """(farm wind [m/s], farm direction [°], wind at each turbine [m/s], outdoor temperature per farm [°C])."""
        self.level = _relax(self.level, seconds / SLOW, self.random)
        self.turn = _relax(self.turn, seconds / TURN, self.random)
        wind = MEAN_WIND * np.exp(SPREAD * self.level - SPREAD**2 / 2)
        direction = (240 + 55 * self.turn) % 360
        angle = np.radians(direction)[:, None]
        depth = self.x * np.sin(angle) + self.y * np.cos(angle)
        rows_in_front = np.clip((depth.max(axis=1, keepdims=True) - depth) / 2, 0, 4)
        gust = 1 + TURBULENCE * self.random.standard_normal(depth.shape)
        local = wind[:, None] * (1 - WAKE * rows_in_front) * np.clip(gust, 0.5, 1.6)
        day = at / 86400
        temperature = 9 + 9 * np.sin(2 * np.pi * (day - 110) / 365.25) + 4 * np.sin(2 * np.pi * (day - 0.4))
        return wind, direction, local.ravel(), np.full(wind.shape, temperature)


def power_curve(wind: Array, rated: float) -> Array:
    """Active power [kW]: cubic from cut-in 3 m/s to rated 12.5 m/s, nothing above cut-out 25 m/s."""
    share = np.clip((wind**3 - 27) / (12.5**3 - 27), 0, 1)
    power: Array = np.where(wind < 25, rated * share, 0.0)
    return power


def _relax(value: Array, share: float, random: np.random.Generator) -> Array:
    keep = np.exp(-share)
    relaxed: Array = value * keep + np.sqrt(1 - keep**2) * random.standard_normal(value.shape)
    return relaxed
