"""How much one client may ask: a rate over time, and so many requests at once."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app import metrics
from app.errors import Busy
from app.settings import Settings

KEPT = 10_000


@dataclass(slots=True)
class _Client:
    tokens: float
    at: float
    running: int = 0


class Clients:
    """One token bucket a client; a client is an identity's name and key."""

    def __init__(self, settings: Settings) -> None:
        self._rate, self._most = settings.client_rate, settings.client_concurrency
        self._known: OrderedDict[str, _Client] = OrderedDict()

    @contextmanager
    def served(self, name: str) -> Iterator[None]:
        """Raises: Busy when the client has asked too much, or asks too much at once."""
        client = self._client(name)
        now = time.monotonic()
        client.tokens = min(client.tokens + (now - client.at) * self._rate, 2 * self._rate)
        client.at = now
        if client.running >= self._most or client.tokens < 1:
            metrics.REFUSED.inc()
            what = f"more than {self._most} requests at once" if client.running >= self._most else f"more than {self._rate:g}/s"
            raise Busy(f"{name} exceeds its limits: {what}", hint="wait, then ask less often")
        client.tokens -= 1
        client.running += 1
        try:
            yield
        finally:
            client.running -= 1

    def _client(self, name: str) -> _Client:
        client_state = self._known.get(name)
        if client_state is None:
            client_state = self._known[name] = _Client(2 * self._rate, time.monotonic())
            if len(self._known) > KEPT:
                idle = next((key for key, client in self._known.items() if client.running == 0), None)
                if idle is not None:
                    del self._known[idle]
        return client_state
