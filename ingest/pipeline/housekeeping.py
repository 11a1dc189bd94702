"""What runs beside the sources: compaction of history, what is older than it is kept, trimming of dead letters."""

import asyncio
import time
from collections.abc import Sequence

import structlog

from app.clock import Clock
from app.errors import SettingError, StoreError
from app.graph.statements import statement
from app.graph.store import Store
from app.history.compaction import compact
from app.history.retention import Keep, forget
from app.twins.registry import Registry

log = structlog.get_logger()
IDLE, BUSY = 20.0, 0.5
FORGET_SECONDS = 3600.0
KEEP_DEADLETTERS = 10_000


async def housekeep(store: Store, registry: Registry, clock: Clock, retention: Sequence[Keep] = ()) -> None:
    """Forever. A failure is logged and tried again; it never touches the sources."""
    forgot_at = float("-inf")
    while True:
        pause = IDLE
        try:
            joined = await asyncio.to_thread(compact, store)
            pause = BUSY if joined else IDLE
            if retention and clock.steady and time.monotonic() - forgot_at > FORGET_SECONDS:
                forgot_at = time.monotonic()
                gone = await asyncio.to_thread(forget, store, registry.catalog, retention)
                log.info("history deleted by retention", columns=gone)
            if not joined:
                await asyncio.to_thread(store.run, statement("telemetry/trim"), keep=KEEP_DEADLETTERS)
                await asyncio.to_thread(store.run, statement("source/forget"))
        except (StoreError, SettingError) as error:
            log.warning("housekeeping paused", error=str(error))
        await asyncio.sleep(pause)
