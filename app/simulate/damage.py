"""The hidden state of each component: healthy → onset → gamma process → failure → repair."""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
DAY = 86400.0
DAYS_TO_ONSET = 320.0  # mean, at mean load
EPISODE = (3.5, 28.0)  # days from onset to failure at mean load
STEPS_TO_FAILURE = 40.0  # shape of the gamma process over a whole episode: 16 % scatter
MEAN_LOAD = 0.45
REPAIR_DAYS = 0.8
PREVENTIVE_PER_DAY = (1 / 900, 0.012)  # healthy, damaged


@dataclass(slots=True)
class Happenings:
    """What happened in one step, as (turbine, kind) index pairs."""

    onset: Any
    failed: Any
    repaired: Any
    prevented: Any


class Damage:
    """Arrays are (turbines, kinds). `level` is 0 while healthy and reaches 1 at failure."""

    def __init__(self, shape: tuple[int, int], random: np.random.Generator) -> None:
        self.random = random
        self.level = np.zeros(shape)
        self.budget = random.exponential(DAYS_TO_ONSET, shape)  # load-weighted days until onset
        self.pace = _pace(random, shape)
        self.damaged = random.random(shape) < 13 / (DAYS_TO_ONSET + 13)
        self.level[self.damaged] = random.random(int(self.damaged.sum())) * 0.95
        self.down = np.zeros(shape)  # days until a failed component is repaired

    def step(self, seconds: float, load: Array) -> Happenings:
        days = seconds / DAY
        wear = days * (0.4 + 0.6 * load / MEAN_LOAD)
        running = self.down <= 0
        self.budget -= np.where(running & ~self.damaged, wear, 0)
        onset = running & ~self.damaged & (self.budget <= 0)
        self.damaged |= onset
        grow = running & self.damaged
        shape = np.where(grow, STEPS_TO_FAILURE * wear * self.pace, 0)
        self.level += self.random.gamma(np.maximum(shape, 1e-12)) / STEPS_TO_FAILURE * grow
        failed = grow & (self.level >= 1)
        self.down = np.where(failed, self.random.exponential(REPAIR_DAYS, self.level.shape) + 0.2, self.down - days)
        repaired = ~running & (self.down <= 0)
        rate = np.where(self.damaged, PREVENTIVE_PER_DAY[1], PREVENTIVE_PER_DAY[0])
        prevented = running & ~failed & (self.random.random(self.level.shape) < rate * days)
        self._renew(repaired | prevented)
        return Happenings(*(np.argwhere(mask) for mask in (onset, failed, repaired, prevented)))

    def _renew(self, mask: Any) -> None:
        count = int(mask.sum())
        self.level[mask], self.damaged[mask], self.down[mask] = 0, False, 0
        self.budget[mask] = self.random.exponential(DAYS_TO_ONSET, count)
        self.pace[mask] = _pace(self.random, (count,))


def _pace(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    low, high = np.log(EPISODE)
    return 1 / np.exp(random.uniform(low, high, shape))
