"""Jobs end, however they fail."""

import threading
import time
from typing import Any

import pytest

from app.jobs import imports
from app.twins.registry import Registry
from tests.conftest import eventually
from tests.pace import PACE


def ended(registry: Registry, job: imports.Job) -> imports.Job:
    deadline = time.monotonic() + PACE * 60
    while job.status == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.05)
        job = imports.find_job(registry.store, job.id)
    return job


def turbine(dt_id: str, model: str = "Turbine") -> dict[str, Any]:
    return {"$dtId": dt_id, "$metadata": {"$model": model}}


@pytest.mark.parametrize("fault", [RuntimeError("a fault of our own"), KeyError("x")])
def test_a_job_that_fails_in_no_foreseen_way_is_told_failed(
    fault: Exception, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise fault

    monkeypatch.setattr(imports, "import_documents", broken)
    job = imports.start_import(registry.store, registry.catalog, [{"$dtId": "a"}], lambda: None)
    job = ended(registry, job)
    assert (job.status, job.reason) == ("FAILED", "internal error; see the server's log")


def test_what_was_done_before_a_failure_is_told(registry: Registry) -> None:
    """35-job-said-failed."""
    documents = [turbine(f"job-{number}") for number in range(2300)]
    documents[2200] = {"neither": "twin nor relationship"}
    job = ended(registry, imports.start_import(registry.store, registry.catalog, documents, lambda: None))
    ((there,),) = registry.store.read("MATCH (t:Twin) WHERE t.dtId STARTS WITH 'job-' RETURN count(t)")
    assert (job.status, job.twins, "documents[2200]" in str(job.reason)) == ("FAILED", there, True)
    assert there > 0
    assert job.done <= 2200


def test_a_twin_that_is_there_with_another_model_is_told(registry: Registry) -> None:
    documents = [turbine("other", "WindFarm"), turbine("same")]
    ended(registry, imports.start_import(registry.store, registry.catalog, documents[:1], lambda: None))
    again = [turbine("other"), turbine("same")]
    job = ended(registry, imports.start_import(registry.store, registry.catalog, again, lambda: None))
    assert (job.status, job.twins, job.done) == ("SUCCEEDED", 1, 2)
    assert job.reason == "1 twins are there with another model, and stay: other"


def test_a_job_whose_step_takes_long_is_not_told_lost(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two steps it says that it lives; one that has not for a minute counts as lost."""
    monkeypatch.setattr(imports, "BEAT_SECONDS", 0.1)
    waiting = threading.Event()

    def hold() -> None:
        waiting.wait(60)

    job = imports.start_import(registry.store, registry.catalog, [turbine("slow")], hold)
    registry.store.run("MATCH (j:_Job {id: $id}) SET j.toldAt = datetime() - duration('PT2M')", id=job.id)
    assert eventually(lambda: imports.find_job(registry.store, job.id).status == "RUNNING")
    waiting.set()
    assert ended(registry, job).status == "SUCCEEDED"
