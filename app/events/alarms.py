"""Alarms of twins: those that are open, and those that begin or end while somebody looks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

from app.graph.records import native, plain
from app.graph.select.printer import seen
from app.graph.select.tree import Access
from app.graph.store import Store
from app.graph.typed import all_typed

MOST = 1000


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
    order = "e._recorded" if since is not None else "e.at DESC"
    return _page(store, access, roots, dt_id, opened, since, order, min(first, MOST), 0)[0]


def all_alarms(
    store: Store,
    access: Access | None,
    roots: Sequence[str],
    dt_id: str | None = None,
    opened: bool | None = None,
    since: datetime | None = None,
) -> Iterator[list[Alarm]]:
    """Every one of them, the oldest first, by pages."""
    order = "e._recorded" if since is not None else "e.at"
    for skip in count(0, MOST):
        page, more = _page(store, access, roots, dt_id, opened, since, order, MOST, skip)
        yield page
        if not more:
            return


def _page(
    store: Store,
    access: Access | None,
    roots: Sequence[str],
    dt_id: str | None,
    opened: bool | None,
    since: datetime | None,
    order: str,
    first: int,
    skip: int,
) -> tuple[list[Alarm], bool]:
    """The alarms, and whether there may be more behind them."""
    conditions = ["e.kind = 'alarm'", seen("t", access, "$roots")]
    conditions += ["t.dtId = $dtId"] if dt_id is not None else []
    conditions += [f"e.endedAt IS {'' if opened else 'NOT '}NULL"] if opened is not None else []
    conditions += ["e._recorded > $since"] if since is not None else []
    text = (
        f"MATCH (t:Twin)-[:_EVENT]->(e:_Event) WHERE {' AND '.join(conditions)}"
        f" WITH t, e ORDER BY {order}, e.id SKIP $skip LIMIT $first"
        " RETURN e.id, t.dtId, e.code, e.severity, e.text, e.at, e.endedAt, e._recorded"
    )
    parameters = {"roots": list(roots), "dtId": dt_id, "since": since, "first": first, "skip": skip}
    rows = store.read(text, parameters, 10.0)
    return list(all_typed(Alarm, (_row(*row) for row in rows))), len(rows) == first


NAMES = ("id", "dt_id", "code", "severity", "text", "at", "ended_at", "recorded")


def _row(*values: Any) -> dict[str, Any]:
    row = dict(zip(NAMES, values, strict=True))
    severity, recorded = row["severity"], row["recorded"]
    row["severity"] = str(severity) if isinstance(severity, int | float) else severity
    row["recorded"] = datetime.now(UTC) if recorded is None else native(recorded)
    return row | {"at": plain(row["at"]), "ended_at": plain(row["ended_at"])}
