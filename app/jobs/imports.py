"""Longer work in the background: its state is a node of the graph, so every process can tell how far it is."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import structlog

from app.dtdl import Catalog
from app.errors import Conflict, NotFound, TwinError, TwingraphError
from app.graph.records import plain
from app.graph.statements import statement
from app.graph.store import Store
from app.graph.typed import typed
from app.twins.exchange import Brought, import_documents

log = structlog.get_logger()
MOST_AT_ONCE = 2
MOST_DOCUMENTS = 200_000
MOST_NAMED = 20
BEAT_SECONDS = 15.0  # a job that has not told for a minute counts as lost
_running = threading.Semaphore(MOST_AT_ONCE)


@dataclass(frozen=True)
class Job:
    """`status`: RUNNING, SUCCEEDED or FAILED; a job whose process has ended is FAILED a minute later."""

    id: str
    kind: str
    status: str
    done: int
    total: int
    twins: int
    relationships: int
    reason: str | None
    started_at: str
    ended_at: str | None


def find_job(store: Store, identifier: str) -> Job:
    """Raises: NotFound; Malformed."""
    rows = store.read(statement("job/find"), {"id": identifier})
    if not rows:
        raise NotFound(f"no job {identifier!r}")
    names = [field.name for field in fields(Job)]
    return typed(Job, dict(zip(names, (plain(value) for value in rows[0]), strict=True)))


def start_import(store: Store, catalog: Catalog, documents: Sequence[Any], check: Callable[[], None]) -> Job:
    """Brings documents in a thread of its own; `check` may end it before each batch.

    Raises: TwinError; Conflict while two jobs run in this process."""
    if len(documents) > MOST_DOCUMENTS:
        raise TwinError(f"{len(documents)} documents are more than {MOST_DOCUMENTS}", hint="several jobs, or twin import")
    for index, document in enumerate(documents):
        if not isinstance(document, dict):
            raise TwinError("must be an object", where=f"documents[{index}]", hint="{$dtId, $metadata: {$model}, …}")
    if not _running.acquire(blocking=False):
        raise Conflict(f"{MOST_AT_ONCE} jobs run already", hint="wait for one to end")
    identifier = uuid.uuid4().hex
    try:
        store.run(statement("job/start"), id=identifier, kind="import", total=len(documents))
    except TwingraphError:
        _running.release()
        raise
    arguments = (store, catalog, identifier, documents, check)
    threading.Thread(target=_import, args=arguments, name="import", daemon=True).start()
    return find_job(store, identifier)


def _import(store: Store, catalog: Catalog, identifier: str, documents: Sequence[Any], check: Callable[[], None]) -> None:
    status, reason, done, ended = "SUCCEEDED", None, Brought(), threading.Event()
    read = 0

    def placed() -> Iterator[tuple[str, Any]]:
        nonlocal read
        for document in documents:
            yield f"documents[{read}]", document
            read += 1

    def step() -> None:
        check()
        far = {"done": read, "twins": done.twins, "relationships": done.relationships}
        store.run(statement("job/progress"), id=identifier, properties=far)

    threading.Thread(target=_beat, args=(store, identifier, ended), name="import alive", daemon=True).start()
    try:
        import_documents(store, catalog, placed(), step, done)
        others = ", ".join(done.other_models[:MOST_NAMED]) + (", …" if len(done.other_models) > MOST_NAMED else "")
        reason = f"{len(done.other_models)} twins are there with another model, and stay: {others}" if others else None
    except TwingraphError as error:
        status, reason = "FAILED", str(error)
    except Exception:
        log.exception("job failed", job=identifier)
        status, reason = "FAILED", "internal error; see the server's log"
    finally:
        ended.set()
        _running.release()
    end = {"status": status, "reason": reason, "twins": done.twins, "relationships": done.relationships}
    try:
        whole = len(documents) if status == "SUCCEEDED" else None
        store.run(statement("job/end"), id=identifier, done=whole, properties=end)
    except TwingraphError as error:
        log.warning("cannot record the end of a job", job=identifier, error=str(error))


def _beat(store: Store, identifier: str, ended: threading.Event) -> None:
    """Says that the job's process lives, however long one step takes."""
    while not ended.wait(BEAT_SECONDS):
        try:
            store.run(statement("job/progress"), id=identifier, properties={})
        except TwingraphError as error:
            log.warning("cannot tell that a job is alive", job=identifier, error=str(error))
