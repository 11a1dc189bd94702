"""How slow this machine is, beside the one on which the tests' time limits were chosen: they are multiplied by it."""

import os
import time

USUAL_SECONDS = 0.016  # of `_work` on 2 shared cores, Python 3.11


def _work() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(500_000):
        total += number ^ 5
    return time.perf_counter() - began


def measured() -> float:
    """At least 1; the middle of five, so that one interruption does not count."""
    return max(1.0, sorted(_work() for _ in range(5))[2] / USUAL_SECONDS)


PACE = float(os.environ.get("TWINGRAPH_TEST_PACE") or measured())
