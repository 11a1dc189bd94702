"""Failed logins of an address: after many in a minute, credentials that are not known to be good are refused unseen."""

import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from app import metrics
from app.errors import Busy

log = structlog.get_logger()
MOST, SECONDS = 20, 60.0
KEPT = 10_000


@dataclass(slots=True)
class _Address:
    since: float
    count: int = 0


class Logins:
    """Bounded: the address that failed longest ago is forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Address] = OrderedDict()

    def require_few(self, address: str) -> None:
        """Raises: Busy."""
        attempts = self._known.get(address)
        if attempts is not None and attempts.count >= MOST and time.monotonic() - attempts.since < SECONDS:
            attempts.count += 1
            metrics.LOGINS.labels("TOO_MANY").inc()
            raise Busy("too many failed logins from this address", hint="wait a minute", code="TOO_MANY_LOGINS")

    def failed(self, address: str, code: str) -> None:
        metrics.LOGINS.labels(code).inc()
        now = time.monotonic()
        attempts = self._known.get(address)
        if attempts is None or now - attempts.since >= SECONDS:
            if attempts is not None and attempts.count > MOST:
                log.warning("login attempts rejected without a check", address=address, count=attempts.count - MOST)
            attempts = self._known[address] = _Address(now)
            log.warning("login failed", address=address, reason=code)
        attempts.count += 1
        self._known.move_to_end(address)
        if attempts.count == MOST:
            log.warning(
                "too many failed logins; further attempts are rejected without a check", address=address, seconds=SECONDS
            )
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
