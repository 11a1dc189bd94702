"""Jobs end, however they fail."""

import time
from typing import Any

import pytest

from app.jobs import imports
from app.twins.registry import Registry
from tests.pace import PACE


@pytest.mark.parametrize("fault", [RuntimeError("a fault of our own"), KeyError("x")])
def test_a_job_that_fails_in_no_foreseen_way_is_told_failed(
    fault: Exception, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise fault

    monkeypatch.setattr(imports, "import_documents", broken)
    job = imports.start_import(registry.store, registry.catalog, [{"$dtId": "a"}], lambda: None)
    deadline = time.monotonic() + PACE * 30
    while job.status == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.05)
        job = imports.find_job(registry.store, job.id)
    assert (job.status, job.reason) == ("FAILED", "internal error; see the server's log")
