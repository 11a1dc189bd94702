"""Liveness, readiness, metrics."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from app import metrics
from app.errors import StoreError
from app.identity import allow
from app.rest.api import Held, Who

router = APIRouter(tags=["operation"])


@router.get("/health/live", summary="The process runs")
async def live() -> dict[str, str]:
    return {"status": "live"}


@router.get("/health/ready", summary="The database answers")
async def ready(server: Held, response: Response) -> dict[str, Any]:
    try:
        await asyncio.to_thread(server.store.read, "RETURN 1", {}, 2.0)
    except StoreError as error:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
        return {"status": "not ready", "reason": str(error)}
    left_out = len(server.registry.left_out)
    return {"status": "ready"} | ({"modelsLeftOut": left_out} if left_out else {})


@router.get("/metrics", summary="Prometheus metrics of all processes of the stack")
def exposition(who: Who) -> Response:
    allow(who, "metrics")
    return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
