"""Twins and relationships created, changed and deleted, one request at a time; each is checked against its model first."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.dtdl import Catalog, Property, is_indexed
from app.errors import Conflict, NotFound, TwinError
from app.graph.statements import statement
from app.graph.store import Store, Transaction
from app.graph.values import flatten, stored_keys

LONGEST_INDEXED = 8000  # bytes of a text in a range index of Neo4j


@dataclass(frozen=True, slots=True)
class NewTwin:
    """`times` are those of measure [epoch ms] by signal; a latest value of telemetry is only taken with its time."""

    dt_id: str
    model: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    times: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewRelationship:
    source: str
    name: str
    target: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


def create(store: Store, catalog: Catalog, twins: Sequence[NewTwin], links: Sequence[NewRelationship] = ()) -> None:
    """Twins and the relationships from and to them, in one transaction: all of it, or nothing.

    Raises: NotFound for an unknown model or twin, TwinError for what does not fit, Conflict for a taken dtId."""
    rows = [twin_row(catalog, twin) for twin in twins]
    models = {row["dtId"]: row["properties"]["_model"] for row in rows}
    for end in {end for link in links for end in (link.source, link.target)} - models.keys():
        models[end] = model_of(store, catalog, end)
    checked = [checked_link(catalog, link, models[link.source], models[link.target]) for link in links]

    def work(transaction: Transaction) -> None:
        transaction.run(statement("twin/create"), rows=rows)
        if checked:
            _relate(transaction, checked, update=False)

    store.write(work)


def ensure(store: Store, catalog: Catalog, twins: Sequence[NewTwin], relationships: Sequence[NewRelationship]) -> None:
    """Creates what is missing of twins and relationships; what is there stays as it is."""
    rows = [twin_row(catalog, twin) for twin in twins]
    links = [_link_row(link) for link in relationships]
    for start in range(0, max(len(rows), len(links)), 1000):
        store.run(statement("twin/ensure"), rows=rows[start : start + 1000])
    for start in range(0, len(links), 1000):
        store.run(statement("twin/relate"), rows=links[start : start + 1000], update=False)


def relate(store: Store, catalog: Catalog, link: NewRelationship) -> None:
    """Relates two twins, or gives their relationship other properties.

    Raises: NotFound for a missing twin, TwinError when the model knows no such relationship, target or property."""
    source, target = model_of(store, catalog, link.source), model_of(store, catalog, link.target)
    relate_all(store, [checked_link(catalog, link, source, target)], update=True)


def relate_all(store: Store, links: Sequence[Mapping[str, Any]], update: bool = False) -> int:
    """Writes links made by `checked_link`; how many are new. Raises: TwinError when a twin has more than its model allows;
    nothing is written then."""
    return store.write(lambda transaction: _relate(transaction, links, update))


def _relate(transaction: Transaction, links: Sequence[Mapping[str, Any]], update: bool) -> int:
    ((written,),) = transaction.run(statement("twin/relate"), rows=list(links), update=update)
    bounded = [{"source": link["source"], "name": link["name"], "most": link["most"]} for link in links if link["most"]]
    if bounded and (crowded := transaction.run(statement("twin/over_max_multiplicity"), rows=bounded)):
        source, name, count, most = crowded[0]
        raise TwinError(f"{count} relationships {name!r}, at most {most} are allowed", where=source)
    return int(written)


def checked_link(catalog: Catalog, link: NewRelationship, source: str, target: str) -> dict[str, Any]:
    """A row of twin/relate; `source` and `target` are the twins' models. Raises: TwinError."""
    relationships = catalog.relationships(source)
    if link.name not in relationships:
        names = ", ".join(relationships) or "none"
        raise TwinError(f"no relationship {link.name!r}", where=link.source, hint=f"{catalog.labels[source]} has {names}")
    target_model = relationships[link.name].target
    if target_model in catalog.interfaces and not catalog.is_a(target, target_model):
        what = f"{link.name!r} must point at a {catalog.labels[target_model]}, {link.target} is a {catalog.labels[target]}"
        raise TwinError(what, where=link.source)
    _require_object(link.properties, link.source)
    checked = {p.name: p for p in relationships[link.name].properties}
    properties: dict[str, Any] = {}
    for name, value in link.properties.items():
        if name not in checked:
            hint = f"properties are {', '.join(checked) or 'none'}"
            raise TwinError(f"no property {name!r} on {link.name!r}", where=link.source, hint=hint)
        properties |= _located(link.source, name, checked[name].schema, value)
    return _link_row(link) | {"properties": properties, "most": relationships[link.name].max_multiplicity}


def unrelate(store: Store, link: NewRelationship) -> None:
    ((ended,),) = store.run(statement("twin/unrelate"), source=link.source, name=link.name, target=link.target)
    if not ended:
        raise NotFound(f"no {link.name!r} from {link.source} to {link.target}", where=link.source)


def delete(store: Store, dt_id: str, relationships: bool = False) -> None:
    """Raises: NotFound; Conflict while another twin is related to it, unless its `relationships` go with it."""
    rows = store.run(statement("twin/delete"), dtId=dt_id, relationships=relationships)
    if not rows:
        raise NotFound(f"no twin {dt_id!r}")
    require_free(dt_id, rows[0][0])


def related(store: Store, dt_id: str) -> list[tuple[str, str, list[str]]]:
    """Of each relationship of a twin the dtId at the other end, its name, the labels where it begins. Raises: StoreError."""
    text = "MATCH (:Twin {dtId: $dtId})-[r]-(o:Twin) RETURN o.dtId, type(r), labels(startNode(r))"
    return [(other, name, labels) for other, name, labels in store.read(text, {"dtId": dt_id})]


def require_free(dt_id: str, relationships: int) -> None:
    """Raises: Conflict."""
    if relationships:
        raise Conflict(f"{relationships} relationship(s) hold {dt_id}", where=dt_id, hint="end them first with unrelate")


def patch(
    store: Store, catalog: Catalog, dt_id: str, changes: Mapping[str, Any], etag: str | None = None, model: str = ""
) -> str:
    """Sets writable properties (null removes) and returns the new etag. `model`: the twin must be of it, or of one below it.

    Raises: NotFound; TwinError naming the property, or a twin of another model; Conflict when `etag` is not the twin's."""
    _require_object(changes, dt_id)
    declared = catalog.properties(model or model_of(store, catalog, dt_id))
    properties: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in declared:
            raise TwinError(f"no property {name!r}", where=dt_id, hint=f"properties are {', '.join(declared)}")
        if not declared[name].writable:
            writable = ", ".join(n for n, p in declared.items() if p.writable) or "none"
            raise TwinError(f"{name!r} is read-only", where=dt_id, hint=f"writable properties: {writable}")
        cleared = dict.fromkeys(stored_keys(name, declared[name].schema))
        properties |= cleared if value is None else _property(dt_id, declared[name], value)
    following = new_etag()
    parameters = {"dtId": dt_id, "etag": etag, "label": catalog.labels.get(model), "next": following, "properties": properties}
    rows = store.once(statement("twin/patch"), **parameters)
    if not rows:
        raise NotFound(f"no twin {dt_id!r}", hint="twins(model:) lists those that are")
    stored_etag, changed, actual = rows[0]
    if model and not catalog.is_a(actual, model):
        raise TwinError(f"{dt_id} is a {catalog.labels[actual]}, not a {catalog.labels[model]}", where=dt_id)
    if not changed:
        raise Conflict(f"the twin has etag {stored_etag}, not {etag}", where=dt_id, hint="read it again and repeat")
    return following


def model_of(store: Store, catalog: Catalog, dt_id: str) -> str:
    rows = store.read(statement("twin/model"), {"dtId": dt_id})
    if not rows:
        raise NotFound(f"no twin {dt_id!r}", hint="twins(model:) lists those that are")
    return catalog.interface(rows[0][0]).dtmi


def new_etag() -> str:
    return secrets.token_hex(8)


def twin_row(catalog: Catalog, twin: NewTwin) -> dict[str, Any]:
    """A row of twin/create and twin/ensure. Raises: NotFound for an unknown model, TwinError naming the property."""
    dtmi = catalog.interface(twin.model).dtmi
    check_dt_id(twin.dt_id)
    if dtmi in catalog.decommissioned:
        raise TwinError(f"{dtmi} is decommissioned", where=twin.dt_id, hint="use a newer version of the model")
    _require_object(twin.properties, twin.dt_id)
    parts = catalog.components(dtmi)
    signals = catalog.telemetry(dtmi) if twin.times else {}
    own = {name: value for name, value in twin.properties.items() if name not in parts and name not in signals}
    components = [
        {
            "name": name,
            "labels": list(catalog.node_labels(part.interface)),
            "properties": {"_model": part.interface}
            | _fitting(catalog, part.interface, f"{twin.dt_id}.{name}", twin.properties.get(name, {})),
        }
        for name, part in parts.items()
    ]
    properties = {"_model": dtmi, "_etag": new_etag()} | _fitting(catalog, dtmi, twin.dt_id, own)
    for name, signal in signals.items():
        if name in twin.properties and name in twin.times:
            properties |= _located(twin.dt_id, name, signal.schema, twin.properties[name])
            properties[f"_at_{name}"] = twin.times[name]
            properties["_last"] = max(properties.get("_last", 0), twin.times[name])
    return {"dtId": twin.dt_id, "labels": list(catalog.node_labels(dtmi)), "properties": properties, "components": components}


def _fitting(catalog: Catalog, model: str, where: str, values: Mapping[str, Any]) -> dict[str, Any]:
    _require_object(values, where)
    declared = catalog.properties(model)
    properties: dict[str, Any] = {}
    for name, value in values.items():
        if name not in declared:
            raise TwinError(f"no property {name!r}", where=where, hint=f"properties are {', '.join(declared)}")
        properties |= _property(where, declared[name], value)
    return properties


def _property(where: str, content: Property, value: Any) -> dict[str, Any]:
    stored = _located(where, content.name, content.schema, value)
    if is_indexed(content) and (size := len(value.encode())) > LONGEST_INDEXED:
        what = f"{size} bytes are more than the {LONGEST_INDEXED} that an index holds"
        raise TwinError(what, where=f"{where}.{content.name}", hint="properties named …name, …number, …code, …tag are indexed")
    return stored


def _require_object(value: object, where: str) -> None:
    if not isinstance(value, Mapping):
        raise TwinError(f"properties must be an object, not {value!r:.60}", where=where, hint="{name: value}")


def check_dt_id(dt_id: str) -> None:
    if not 1 <= len(dt_id) <= 128 or not all(c.isalnum() or c in "-._:~@" for c in dt_id):
        hint = "1 to 128 letters, digits and - . _ : ~ @"
        raise TwinError(f"{dt_id!r:.140} cannot be a dtId", hint=hint)


def _located(dt_id: str, name: str, schema: Any, value: Any) -> dict[str, Any]:
    try:
        return flatten(name, schema, value)
    except TwinError as error:
        raise TwinError(error.what, where=f"{dt_id}.{error.where}", hint=error.hint) from error


def _link_row(link: NewRelationship) -> dict[str, Any]:
    identifier = link.id or f"{link.source}-{link.name}-{link.target}"
    row = {"source": link.source, "name": link.name, "target": link.target, "id": identifier}
    return row | {"properties": dict(link.properties)}
