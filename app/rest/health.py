"""Liveness, readiness, metrics."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from app import disk, metrics
from app.clock import JUMP_SECONDS, Clock
from app.errors import StoreError, StoreUnavailable
from app.graph.store import Store
from app.identity import allow
from app.rest.api import Held, Who

router = APIRouter(tags=["operation"])
PATIENCE_SECONDS = 2.0
KEPT_SECONDS = 1.0
WRITE_SECONDS = 10.0


class Readiness:
    """One question to the database at a time, in a thread of its own, so that neither a silent database nor busy clients hold
    up the answer; now and then whether it can write, too."""

    def __init__(self, store: Store, clock: Clock, home: Path) -> None:
        self._clock, self._home = clock, home
        self._store, self._pool = store, ThreadPoolExecutor(1, "readiness")
        self._asking: asyncio.Future[None] | None = None
        self._known: tuple[float, StoreError | None] = float("-inf"), None
        self._wrote_at = float("-inf")

    async def problem(self) -> StoreError | None:
        """Why the database does not serve; None when it does."""
        at, last_failure = self._known
        if time.monotonic() - at < KEPT_SECONDS:
            return last_failure
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().run_in_executor(self._pool, self._ask)
        asking = self._asking
        done, _ = await asyncio.wait((asking,), timeout=PATIENCE_SECONDS)
        failure = asking.exception() if done else StoreUnavailable(f"no answer within {PATIENCE_SECONDS:g} s")
        if failure is not None and not isinstance(failure, StoreError):
            raise failure
        self._known = time.monotonic(), failure
        return failure

    def warnings(self) -> list[str]:
        """What does not keep it from serving yet."""
        room = disk.room(self._home)
        says = [] if room.state == "OK" else [f"disk {room.state}: {room}"]
        if abs(self._clock.offset) > JUMP_SECONDS:
            says.append(f"the database's clock is {self._clock.offset:+.0f} s from this host's")
        if not self._clock.steady:
            says.append("this host's clock has jumped within the last hour")
        return says

    def _ask(self) -> None:
        """Raises: StoreError."""
        self._store.read("RETURN 1", {}, PATIENCE_SECONDS)
        if time.monotonic() - self._wrote_at > WRITE_SECONDS:
            if not self._store.writes():
                raise StoreUnavailable("the database answers but cannot write", where=self._store.uri)
            self._wrote_at = time.monotonic()


@router.get("/health/live", summary="The process runs")
async def live() -> dict[str, str]:
    return {"status": "live"}


@router.get("/health/ready", summary="The database answers")
async def ready(request: Request, server: Held, response: Response) -> dict[str, Any]:
    readiness: Readiness = request.app.state.readiness
    problem = await readiness.problem()
    if problem is not None:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
        return {"status": "not ready", "reason": str(problem)}
    details = {"modelsLeftOut": len(server.registry.left_out), "warnings": readiness.warnings()}
    return {"status": "ready"} | {name: value for name, value in details.items() if value}


@router.get("/metrics", summary="Prometheus metrics of all processes of the stack")
async def exposition(who: Who) -> Response:
    allow(who, "metrics")
    return Response(await asyncio.to_thread(metrics.exposition), media_type="text/plain; version=0.0.4; charset=utf-8")
