"""Pauses between tries: doubled, bounded, with jitter; from the beginning again once it has gone well for a while."""

import asyncio
import random
import time
from collections.abc import Iterator

CALM_SECONDS = 60.0


def pauses(first: float = 0.2, longest: float = 15.0) -> Iterator[float]:
    pause = first
    while True:
        jittered, at = pause * random.uniform(0.5, 1.5), time.monotonic()
        yield jittered
        pause = first if time.monotonic() - at > jittered + CALM_SECONDS else min(pause * 2, longest)


def stop_if_asked() -> None:
    """Where a library, or what fails while a connection is closed, has put its own failure in the place of a cancellation."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
