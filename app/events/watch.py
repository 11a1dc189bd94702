"""Changes of twins, seen by asking the graph: works whichever process has written, and costs nothing while nobody looks."""

import asyncio
from collections.abc import AsyncIterator

import structlog

from app import metrics
from app.errors import StoreError
from app.graph.statements import statement
from app.graph.store import Store

log = structlog.get_logger()
POLL_SECONDS = 0.2


class Watcher:
    """One question to the graph serves all who watch. A slow watcher misses states, which are counted, never the last one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._seen: dict[str, tuple[str | None, int | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def watch(self, dt_id: str) -> AsyncIterator[str]:
        """The dtId at once, then after every change of the twin."""
        changed = asyncio.Event()
        self._waiting.setdefault(dt_id, []).append(changed)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        try:
            yield dt_id
            while True:
                await changed.wait()
                changed.clear()
                yield dt_id
        finally:
            self._waiting[dt_id].remove(changed)
            if not self._waiting[dt_id]:
                del self._waiting[dt_id]
                self._seen.pop(dt_id, None)

    async def _poll(self) -> None:
        while self._waiting:
            try:
                ((found,),) = await asyncio.to_thread(self._store.read, statement("twin/watch"), {"dtIds": list(self._waiting)})
            except StoreError as error:
                log.warning("change detection failed", error=str(error))
                found = []
            except Exception:
                log.exception("change detection failed")  # who waits must not wait for ever
                found = []
            for dt_id, etag, last in found:
                before = self._seen.get(dt_id)
                self._seen[dt_id] = (etag, last)
                if before is not None and before != (etag, last):
                    for event in self._waiting.get(dt_id, ()):
                        metrics.PASSED_OVER.inc(event.is_set())
                        event.set()
            await asyncio.sleep(POLL_SECONDS)
