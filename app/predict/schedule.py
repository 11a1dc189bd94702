"""Windows → score → the graph, again and again."""

import time
from dataclasses import dataclass
from threading import Event

import structlog

from app import metrics
from app.errors import StoreUnavailable
from app.graph.store import Store
from app.predict.hazard import Hazard
from app.predict.score import as_series, score
from app.predict.windows import Windows
from app.twins.registry import Registry
from app.twins.write import Batch, append

log = structlog.get_logger()
TWINS_PER_COMMIT = 1000


@dataclass(slots=True)
class Scored:
    twins: int
    seconds: float
    weakest: float


def score_once(registry: Registry, hazard: Hazard, windows: Windows) -> Scored:
    """Scores whatever has enough history and writes it back. Raises: StoreError."""
    started = time.monotonic()
    store: Store = registry.store
    windows.read(store, registry.catalog.labels)
    prognoses = score(hazard, windows)
    # Stamped just after the newest measurement it rests on, so that a fleet behind the clock is judged on its own time.
    series = as_series(prognoses, windows.newest + 1, hazard.version)
    for first in range(0, len(series), TWINS_PER_COMMIT):
        append(store, Batch(series[first : first + TWINS_PER_COMMIT]))
    seconds = time.monotonic() - started
    metrics.SCORED.inc(len(prognoses))
    metrics.SCORE_SECONDS.observe(seconds)
    return Scored(len(prognoses), seconds, min((p.health for p in prognoses), default=1.0))


def run(registry: Registry, hazard: Hazard, every: float, stopping: Event) -> None:
    """Until `stopping` is set; while the database is away it waits and goes on."""
    windows = Windows()
    while not stopping.is_set():
        started = time.monotonic()
        try:
            registry.refresh()
            scored = score_once(registry, hazard, windows)
            log.info("fleet scored", twins=scored.twins, seconds=round(scored.seconds, 2), weakest=round(scored.weakest, 4))
        except StoreUnavailable as error:
            log.warning("database unavailable; scoring paused", error=str(error))
        stopping.wait(max(1.0, every - (time.monotonic() - started)))
