"""Alarms of twins: those that are open, and those that begin or end while somebody looks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.graph.records import native, plain
from app.graph.select.printer import seen
from app.graph.select.tree import Access
from app.graph.store import Store
from app.graph.typed import all_typed

MOST = 1000
# as text it comes back as it went: a driver's moments name their zone otherwise, and Neo4j calls equal instants unequal then
RECORDED = "coalesce(e._recorded, datetime({epochMillis: 0}))"


@dataclass(frozen=True, slots=True)
class Alarm:
    id: str
    dt_id: str
    code: str
    severity: str | None
    text: str | None
    at: str
    ended_at: str | None
    recorded: datetime

    @property
    def state(self) -> tuple[str, str | None]:
        return self.id, self.ended_at


def alarms(
    store: Store,
    access: Access | None,
    roots: Sequence[str],
    dt_id: str | None = None,
    opened: bool | None = None,
    since: datetime | None = None,
    first: int = MOST,
) -> list[Alarm]:
    """Newest first; with `since` those recorded after it, oldest first. `access` and `roots` are those of an identity."""
    order = "e._recorded, e.id" if since is not None else "e.at DESC, e.id"
    conditions, parameters = _chosen(access, roots, dt_id, opened, since)
    return _typed(_page(store, conditions, order, parameters | {"first": min(first, MOST)}))


def all_alarms(
    store: Store,
    access: Access | None,
    roots: Sequence[str],
    dt_id: str | None = None,
    opened: bool | None = None,
    since: datetime | None = None,
) -> Iterator[list[Alarm]]:
    """Every one of them by pages, in the order they were recorded; one that ends or begins meanwhile shifts no other."""
    conditions, parameters = _chosen(access, roots, dt_id, opened, since)
    behind: list[str] = []
    while True:
        page = _page(store, [*conditions, *behind], f"{RECORDED}, e.id", parameters | {"first": MOST})
        yield _typed(page)
        if len(page) < MOST:
            return
        behind = [f"({RECORDED} > datetime($last) OR {RECORDED} = datetime($last) AND e.id > $id)"]
        parameters |= {"last": page[-1]["key"], "id": page[-1]["id"]}


def _chosen(
    access: Access | None, roots: Sequence[str], dt_id: str | None, opened: bool | None, since: datetime | None
) -> tuple[list[str], dict[str, Any]]:
    """(conditions, their parameters)."""
    conditions = ["e.kind = 'alarm'", seen("t", access, "$roots")]
    conditions += ["t.dtId = $dtId"] if dt_id is not None else []
    conditions += [f"e.endedAt IS {'' if opened else 'NOT '}NULL"] if opened is not None else []
    conditions += ["e._recorded > $since"] if since is not None else []
    return conditions, {"roots": list(roots), "dtId": dt_id, "since": since}


def _page(store: Store, conditions: list[str], order: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Values as the graph holds them."""
    text = (
        f"MATCH (t:Twin)-[:_EVENT]->(e:_Event) WHERE {' AND '.join(conditions)}"
        f" WITH t, e ORDER BY {order} LIMIT $first"
        f" RETURN e.id, t.dtId, e.code, e.severity, e.text, e.at, e.endedAt, e._recorded, toString({RECORDED})"
    )
    return [dict(zip(NAMES, row, strict=True)) for row in store.read(text, parameters, 10.0)]


NAMES = ("id", "dt_id", "code", "severity", "text", "at", "ended_at", "recorded", "key")


def _typed(page: list[dict[str, Any]]) -> list[Alarm]:
    return list(all_typed(Alarm, (row | _values(row) for row in page)))


def _values(row: dict[str, Any]) -> dict[str, Any]:
    severity, recorded = row["severity"], row["recorded"]
    return {
        "severity": str(severity) if isinstance(severity, int | float) else severity,
        "recorded": datetime.now(UTC) if recorded is None else native(recorded),
        "at": plain(row["at"]),
        "ended_at": plain(row["ended_at"]),
    }
