"""What /health/ready and the metrics tell before something fails."""

import httpx
import pytest
from fastapi import FastAPI

from app import disk
from app.settings import Settings


async def test_F32_a_full_disk_is_told_before(
    http: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await http.get("/health/ready")).json() == {"status": "ready"}
    disk.measure(settings.home)
    free = disk.room(settings.home).free
    told = next(line for line in (await http.get("/metrics")).text.splitlines() if line.startswith("twingraph_disk_free_bytes"))
    assert float(told.split()[-1]) == pytest.approx(free, rel=0.1)
    monkeypatch.setattr(disk, "LOW", 1 << 60)
    ready = (await http.get("/health/ready")).json()
    assert ready["status"] == "ready"
    assert ready["warnings"][0].startswith("disk LOW: ")


async def test_F36_a_clock_that_differs_is_told(http: httpx.AsyncClient, app: FastAPI) -> None:
    clock = app.state.readiness._clock
    clock.offset, kept = 7200.0, clock.offset
    try:
        warnings = (await http.get("/health/ready")).json()["warnings"]
    finally:
        clock.offset = kept
    assert warnings == ["the database's clock is +7200 s from this host's"]
