"""Twins from one version of an interface to another: planned, tried without effect, in batches, resumable.

A twin is moved in one transaction with its labels, model and new components. What the new version has no place for stays on
the node and is reported by name; a twin that does not fit the new version stays in the old one, with every reason."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.dtdl import Catalog, is_indexed
from app.dtdl.diff import Change, diff
from app.dtdl.model import Object, Property, Schema, Telemetry
from app.errors import Conflict
from app.graph.statements import statement
from app.graph.store import Store
from app.graph.values import fits
from app.twins.edit import LONGEST_INDEXED

BATCH = 500


@dataclass
class Migration:
    """`moved` twins; `kept` how many twins hold something that found no place; `refused` twins with the reasons."""

    changes: list[Change]
    moved: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)


def migrate(
    store: Store,
    catalog: Catalog,
    before: str,
    after: str,
    dry: bool = False,
    other_units: bool = False,
    tell: Callable[[int], None] = lambda _: None,
) -> Migration:
    """Moves all twins whose model is exactly `before`. Started again, it goes on with those not yet moved.

    Raises: NotFound for an unknown model; Conflict when the two are not versions of one interface, the new one takes no
    twins, or a value would silently be read in another unit (`other_units`: they are in the new unit already)."""
    old, new = catalog.interface(before).dtmi, catalog.interface(after).dtmi
    _refuse(catalog, old, new, other_units)
    done = Migration(diff(catalog, old, new))
    labels = {"away": list(catalog.node_labels(old)), "labels": list(catalog.node_labels(new))}
    components = [
        {"name": name, "labels": list(catalog.node_labels(part.interface)), "properties": {"_model": part.interface}}
        for name, part in catalog.components(new).items()
    ]
    last = ""
    while rows := store.read(statement("twin/of_model"), {"model": old, "after": last, "first": BATCH}):
        last = rows[-1][0]
        fitting = []
        for dt_id, properties, parts, links in rows:
            reasons = [*_unfit(catalog, new, properties), *_unrelatable(catalog, new, links)]
            if reasons:
                done.refused[dt_id] = "; ".join(reasons)
            else:
                fitting.append({"dtId": dt_id, "etag": properties.get("_etag")})
                done.kept.update(set(_homeless(catalog, new, properties, parts, links)))
        moved = [twin["dtId"] for twin in fitting]
        if fitting and not dry:
            both = {"before": old, "model": new, "components": components, **labels}
            ((moved,),) = store.run(statement("twin/remodel"), twins=fitting, **both)
        done.moved += len(moved)
        for twin in fitting:
            if twin["dtId"] not in moved:
                done.refused[twin["dtId"]] = "changed while it was looked at; migrate again"
        tell(len(rows))
    return done


def _refuse(catalog: Catalog, old: str, new: str, other_units: bool) -> None:
    if old == new or _stem(old) != _stem(new):
        raise Conflict(f"{old} and {new} are not two versions of one interface")
    if new in catalog.decommissioned:
        raise Conflict(f"{new} is decommissioned and takes no twins")
    was, now = catalog.contents[old], catalog.contents[new]
    units = [
        f"{name} from {old_content.unit or 'no unit'} to {other.unit or 'no unit'}"
        for name, old_content in was.items()
        if isinstance(old_content, Property | Telemetry)
        and isinstance(other := now.get(name), Property | Telemetry)
        and old_content.unit != other.unit
    ]
    if units and not other_units:
        hint = "--other-units when the stored values are in the new unit already"
        raise Conflict(f"units change and values would be read wrongly: {', '.join(units)}", hint=hint)


def _unfit(catalog: Catalog, new: str, properties: Mapping[str, Any]) -> Iterator[str]:
    for key, value in properties.items():
        schema = _schema(catalog, new, key)
        if schema is not None and not fits(schema, value):
            yield f"{key} = {value!r:.60} does not fit the new schema"
        content = catalog.contents[new].get(key)
        if content is not None and is_indexed(content) and isinstance(value, str) and len(value.encode()) > LONGEST_INDEXED:
            yield f"{key} has more than the {LONGEST_INDEXED} bytes that an index holds"


def _unrelatable(catalog: Catalog, new: str, links: Sequence[tuple[str, str]]) -> Iterator[str]:
    relationships = catalog.relationships(new)
    for name, count in Counter(name for name, _ in links).items():
        most = relationships[name].max_multiplicity if name in relationships else None
        if most is not None and count > most:
            yield f"{count} relationships {name!r}, at most {most} are allowed"
    for name, model in links:
        target = relationships[name].target if name in relationships else ""
        versions = _stem(target) in {_stem(dtmi) for dtmi in (model, *catalog.ancestors.get(model, ()))}
        if target in catalog.interfaces and not versions:
            yield f"{name!r} points at a {catalog.labels.get(model, model)}, not a {catalog.labels[target]}"


def _homeless(
    catalog: Catalog, new: str, properties: Mapping[str, Any], parts: Sequence[str], links: Sequence[tuple[str, str]]
) -> Iterator[str]:
    yield from (key for key in properties if key[0] != "_" and key != "dtId" and _schema(catalog, new, key) is None)
    yield from (f"component {name}" for name in parts if name not in catalog.components(new))
    yield from (f"relationship {name}" for name, _ in links if name not in catalog.relationships(new))


def _schema(catalog: Catalog, model: str, key: str) -> Schema | None:
    """The schema of a key as a node has it: `name`, or `name.field` of an object."""
    name, *fields = key.split(".")
    content = catalog.contents[model].get(name)
    schema = content.schema if isinstance(content, Property | Telemetry) else None
    for field_name in fields:
        schemas = {f.name: f.schema for f in schema.fields} if isinstance(schema, Object) else {}
        schema = schemas.get(field_name)
    return None if isinstance(schema, Object) else schema


def _stem(dtmi: str) -> str:
    return dtmi.partition(";")[0]
