"""Pauses between tries: doubled, bounded, with jitter."""

import random
from collections.abc import Iterator


def pauses(first: float = 0.2, longest: float = 15.0) -> Iterator[float]:
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(pause * 2, longest)
