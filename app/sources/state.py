"""What the sources of all ingest processes do, and what is wished of them: nodes of the graph, so every process can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import NotFound
from app.graph.records import plain
from app.graph.statements import statement
from app.graph.store import Store
from app.graph.typed import all_typed

STALE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class SourceState:
    """`state`: STARTING, CONNECTING, RUNNING, DISCONNECTED from its server, PAUSED while the database is unavailable, STOPPED,
    ENDED, FAILED, or GONE when its process no longer reports; rates are those of the last seconds; `delay` [s]: from the newest
    event time to its commit; `at`, `since`: RFC 3339."""

    source: str
    protocol: str
    worker: str
    state: str
    since: str
    at: str
    error: str | None = None
    messages: int = 0
    values: int = 0
    duplicates: int = 0
    rejected: int = 0
    retries: int = 0
    reconnects: int = 0
    waiting: int = 0
    message_rate: float = 0.0
    value_rate: float = 0.0
    batch: float = 0.0
    commit_ms: float = 0.0
    delay: float | None = None


@dataclass(frozen=True, slots=True)
class DesiredState:
    stopped: bool = False
    reload: int = 0


def report(store: Store, worker: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, DesiredState]:
    """Writes `rows` of {source, properties}; answers what is wished of each source. Raises: StoreError."""
    desired = store.run(statement("source/report"), worker=worker, rows=list(rows))
    return {source: DesiredState(stopped, reload) for source, stopped, reload in desired}


def source_states(store: Store) -> list[SourceState]:
    """Of all processes that have reported within a day. Raises: StoreError."""
    rows = store.read(statement("source/list"), {"stale": STALE_SECONDS})
    return list(all_typed(SourceState, (_shown(properties, gone) for properties, gone in rows)))


def _shown(properties: Mapping[str, Any], gone: bool) -> dict[str, Any]:
    return {key: plain(value) for key, value in properties.items()} | ({"state": "GONE"} if gone else {})


def set_desired_state(store: Store, source: str, stopped: bool | None = None, reload: bool = False) -> None:
    """Every process that has the source follows within seconds, also one that starts later. Raises: NotFound, StoreError."""
    ((exists,),) = store.run(statement("source/desired_state"), source=source, stopped=stopped, reload=reload)
    if not exists:
        raise NotFound(f"no source {source!r}", hint="twingraph sources list shows those that have run")
