"""The wall clock of this process: what lies beyond it was stamped by a clock that was ahead; a jump is told."""

import time
from collections.abc import Callable

import structlog

from app import metrics

log = structlog.get_logger()
SKEW_SECONDS = 600.0
JUMP_SECONDS = 5.0  # more than clocks are corrected by in a second
AGAIN_SECONDS = 3600.0


def limit(skew: float = SKEW_SECONDS) -> int:
    """The latest time that can be one of measure, or of a receipt [epoch ms]."""
    return round((time.time() + skew) * 1000)


class Clock:
    """Compared with the steady clock, and with the database's."""

    def __init__(self, database: Callable[[], float]) -> None:
        """`database`: its time, in seconds since 1970."""
        self._database = database
        self._offset = time.time() - time.monotonic()
        self._jumped_at = float("-inf")
        self._told = False
        self.offset = 0.0  # of the database's clock [s]

    def look(self) -> None:
        """Once a second. Raises: StoreError."""
        offset = time.time() - time.monotonic()
        jump, self._offset = offset - self._offset, offset
        if abs(jump) > JUMP_SECONDS:
            metrics.CLOCK_JUMPS.inc()
            self._jumped_at = time.monotonic()
            log.warning("system clock jumped", seconds=round(jump, 1), hint="keep it by NTP; latest values follow it")
        asked_at = time.time()
        self.offset = self._database() - (asked_at + time.time()) / 2
        metrics.CLOCK_OFFSET.set(self.offset)
        differs = abs(self.offset) > JUMP_SECONDS
        if differs and not self._told:
            log.warning(
                "the clocks of this host and of the database differ", seconds=round(self.offset, 1), hint="keep both by NTP"
            )
        self._told = differs

    @property
    def steady(self) -> bool:
        """Whether it has not jumped within the last hour: what is deleted by age waits until then."""
        return time.monotonic() - self._jumped_at > AGAIN_SECONDS
