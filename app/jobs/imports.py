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
from app.twins.exchange import BATCH, Brought, import_documents

log = structlog.get_logger()
MOST_AT_ONCE = 2
MOST_DOCUMENTS = 200_000
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
    status, reason, done = "SUCCEEDED", None, Brought()
    try:
        done = import_documents(store, catalog, _told(store, identifier, documents), check)
    except TwingraphError as error:
        status, reason = "FAILED", str(error)
    except Exception:
        log.exception("job failed", job=identifier)
        status, reason = "FAILED", "internal error; see the server's log"
    finally:
        _running.release()
    end = {"status": status, "reason": reason, "twins": done.twins, "relationships": done.relationships}
    try:
        store.run(statement("job/end"), id=identifier, done=len(documents) if reason is None else None, properties=end)
    except TwingraphError as error:
        log.warning("cannot record the end of a job", job=identifier, error=str(error))


def _told(store: Store, identifier: str, documents: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for index, document in enumerate(documents):
        if index % BATCH == 0:
            store.run(statement("job/progress"), id=identifier, done=index)
        yield f"documents[{index}]", document
