"""What runs beside the sources: compaction of history, trimming of dead letters."""

import asyncio

import structlog

from app.errors import StoreError
from app.graph.statements import statement
from app.graph.store import Store
from app.twins.history import compact

log = structlog.get_logger()
IDLE, BUSY = 20.0, 0.5
KEEP_DEADLETTERS = 10_000


async def housekeep(store: Store) -> None:
    """Forever. A failure is logged and tried again; it never touches the sources."""
    while True:
        pause = IDLE
        try:
            joined = await asyncio.to_thread(compact, store)
            pause = BUSY if joined else IDLE
            if not joined:
                await asyncio.to_thread(store.run, statement("telemetry/trim"), keep=KEEP_DEADLETTERS)
                await asyncio.to_thread(store.run, statement("source/forget"))
        except StoreError as error:
            log.warning("housekeeping waits", error=str(error))
        await asyncio.sleep(pause)
