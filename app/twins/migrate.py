"""Twins from one version of an interface to another: planned, tried without effect, in batches, resumable.

A twin is moved in one transaction with its labels and model. A value that the new version has no place for stays on the
node and is reported; a twin whose value does not fit the new schema stays in the old version and is reported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.dtdl import Catalog
from app.dtdl.diff import Change, diff
from app.dtdl.model import Property
from app.dtdl.values import fits
from app.graph.statements import statement
from app.graph.store import Store

BATCH = 500


@dataclass
class Migration:
    """`moved` twins; `kept` values per property that found no place; `refused` twins with the reason."""

    changes: list[Change]
    moved: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def migrate(
    store: Store, catalog: Catalog, before: str, after: str, dry: bool = False, tell: Callable[[int], None] = lambda _: None
) -> Migration:
    """Moves all twins whose model is exactly `before`. Started again, it goes on with those not yet moved.

    Raises: NotFound for an unknown model, StoreError."""
    old, new = catalog.interface(before).dtmi, catalog.interface(after).dtmi
    done = Migration(diff(catalog, old, new))
    labels = {"away": list(catalog.node_labels(old)), "labels": list(catalog.node_labels(new))}
    last = ""
    while rows := store.read(statement("twin/of_model"), {"model": old, "after": last, "first": BATCH}):
        last = rows[-1][0]
        fitting = [dt_id for dt_id, properties in rows if _may_move(catalog, old, new, dt_id, properties, done)]
        if fitting and not dry:
            store.run(statement("twin/remodel"), dtIds=fitting, model=new, **labels)
        done.moved += len(fitting)
        tell(len(rows))
    return done


def _may_move(catalog: Catalog, old: str, new: str, dt_id: str, properties: Mapping[str, Any], done: Migration) -> bool:
    was, now = catalog.contents[old], catalog.properties(new)
    for key, value in properties.items():
        name = key.partition(".")[0]
        if key.startswith("_") or not isinstance(was.get(name), Property):
            continue
        if name not in now:
            done.kept[name] = done.kept.get(name, 0) + 1
        elif "." not in key and not fits(now[name].schema, value):
            done.refused[dt_id] = f"{name} = {value!r:.60} does not fit the new schema"
            return False
    return True
