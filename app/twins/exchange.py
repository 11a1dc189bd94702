"""Twins as Azure Digital Twins writes them: `$dtId`, `$etag`, `$metadata.$model`, properties, components in place; and
relationships as `$sourceId`, `$relationshipName`, `$targetId`. What another server exports can be brought, and taken away."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from app.dtdl import Catalog
from app.dtdl.model import Component, Property, Telemetry
from app.errors import Malformed, NotFound, TwinError, TwingraphError
from app.graph.statements import statement
from app.graph.store import Store
from app.graph.typed import passed_over
from app.graph.values import gather, parse_instant
from app.twins.edit import NewRelationship, NewTwin, checked_link, relate_all, twin_row

Json = dict[str, Any]
log = structlog.get_logger()
BATCH = 1000


@dataclass
class Brought:
    """What was new; `other_models` are twins that are there with another model, `models` definitions passed over."""

    twins: int = 0
    relationships: int = 0
    other_models: list[str] = field(default_factory=list)
    models: int = 0


def twin(store: Store, catalog: Catalog, dt_id: str) -> Json:
    """One twin. Raises: NotFound."""
    for document, _ in _whole(store, catalog, [dt_id]):
        return document
    raise NotFound(f"no twin {dt_id!r}")


def export(store: Store, catalog: Catalog) -> Iterator[Json]:
    """Every twin, then every relationship. Raises: StoreError."""
    relationships: list[Json] = []
    for document, links in _whole(store, catalog, None):
        yield document
        relationships += links
    yield from relationships


def import_documents(
    store: Store,
    catalog: Catalog,
    documents: Iterable[tuple[str, Json]],
    check: Callable[[], None] = lambda: None,
    done: Brought | None = None,
) -> Brought:
    """Creates what is missing of twins and relationships; what is there stays as it is. `documents` come with their place;
    `check` is called before each batch, and may raise; `done` counts as it goes.

    Raises: TwinError naming place, twin and property, NotFound for an unknown model; batches before it stay."""
    done = Brought() if done is None else done
    seen: set[str] = set()
    rows: list[Json] = []
    links: list[tuple[str, NewRelationship]] = []
    for place, document in documents:
        with _at(place):
            if "$relationshipName" in document:
                links.append((place, _new_relationship(document)))
            elif "$dtId" in document:
                row = twin_row(catalog, new_twin(document))
                if row["dtId"] in seen:
                    raise TwinError(f"{row['dtId']} is there twice")
                seen.add(row["dtId"])
                rows.append(row)
            elif "@context" in document and "@id" in document:
                done.models += 1
            elif not _is_section(document):
                raise TwinError("neither a twin nor a relationship", hint="it has no $dtId and no $relationshipName")
        if len(rows) >= BATCH:
            check()
            _ensure(store, rows, done)
            rows = []
    check()
    _ensure(store, rows, done)
    for start in range(0, len(links), BATCH):
        check()
        _relate(store, catalog, links[start : start + BATCH], done)
    return done


def _ensure(store: Store, rows: list[Json], done: Brought) -> None:
    models = _models(store, [row["dtId"] for row in rows])
    done.twins += len(rows) - len(models)
    done.other_models += [
        row["dtId"] for row in rows if models.get(row["dtId"], row["properties"]["_model"]) != row["properties"]["_model"]
    ]
    others = set(done.other_models)  # stay as they are, without the components of a model that is not theirs
    store.run(statement("twin/ensure"), rows=[row for row in rows if row["dtId"] not in others])


def _relate(store: Store, catalog: Catalog, links: Sequence[tuple[str, NewRelationship]], done: Brought) -> None:
    models = _models(store, sorted({end for _, link in links for end in (link.source, link.target)}))
    rows = []
    for place, link in links:
        with _at(place):
            for end in (link.source, link.target):
                if end not in models:
                    raise TwinError(f"no twin {end!r}", hint="bring it first, or in the same file")
            rows.append(checked_link(catalog, link, models[link.source], models[link.target]))
    done.relationships += relate_all(store, rows)


def _models(store: Store, dt_ids: Sequence[str]) -> dict[str, str]:
    rows = store.read(statement("twin/models"), {"dtIds": list(dt_ids)})
    return {str(dt_id): str(model) for dt_id, model in rows}


@contextmanager
def _at(place: str) -> Iterator[None]:
    try:
        yield
    except TwingraphError as error:
        where = f"{place} {error.where}".strip()
        raise TwinError(error.what, where=where, hint=error.hint) from error


def new_twin(document: Mapping[str, Any]) -> NewTwin:
    """Raises: TwinError when it says no id or no model."""
    dt_id, metadata = document.get("$dtId"), document.get("$metadata")
    model = metadata.get("$model") if isinstance(metadata, Mapping) else None
    if not isinstance(dt_id, str) or not isinstance(metadata, Mapping) or not isinstance(model, str):
        raise TwinError("a twin needs $dtId and $metadata.$model", where=str(dt_id or ""))
    return NewTwin(dt_id, model, _plain(document), dict(_times(dt_id, metadata)))


def _times(dt_id: str, metadata: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, entry in metadata.items():
        text = entry.get("lastUpdateTime") if isinstance(entry, Mapping) else None
        if isinstance(text, str):
            try:
                yield name, round(parse_instant(text).timestamp() * 1000)
            except ValueError as error:
                raise TwinError(f"lastUpdateTime {text!r:.40} is no instant", where=f"{dt_id}.{name}") from error


def _plain(document: Mapping[str, Any]) -> Json:
    """Properties and components without the system's own keys."""
    return {
        key: _plain(value) if isinstance(value, Mapping) and "$metadata" in value else value
        for key, value in document.items()
        if not key.startswith("$")
    }


def _new_relationship(document: Mapping[str, Any]) -> NewRelationship:
    ends = [document.get(key) for key in ("$sourceId", "$relationshipName", "$targetId")]
    if not all(isinstance(end, str) for end in ends):
        raise TwinError("a relationship needs $sourceId, $relationshipName and $targetId", where=f"{document!r:.80}")
    source, name, target = map(str, ends)
    return NewRelationship(source, name, target, _plain(document), str(document.get("$relationshipId") or ""))


def _is_section(document: Mapping[str, Any]) -> bool:
    return "Section" in document or "fileVersion" in document


def _whole(store: Store, catalog: Catalog, dt_ids: Sequence[str] | None) -> Iterator[tuple[Json, list[Json]]]:
    after = ""
    while rows := store.read(statement("twin/whole"), {"dtIds": dt_ids, "after": after, "first": BATCH}):
        for dt_id, properties, components, relationships in rows:
            try:
                document = _twin(catalog, dt_id, properties, components)
            except Malformed as error:
                passed_over("twin", str(dt_id), error.what)
                continue
            model = document["$metadata"]["$model"]
            yield document, list(_relationships(catalog, model, dt_id, relationships))
        after = rows[-1][0]


def _twin(catalog: Catalog, dt_id: str, properties: Mapping[str, Any], components: list[tuple[str, Mapping[str, Any]]]) -> Json:
    model = properties.get("_model")
    if not isinstance(model, str):
        raise Malformed("_model is missing or no text", where=dt_id)
    metadata, values = _values(catalog, model, properties)
    document = {
        "$dtId": dt_id,
        "$etag": f'W/"{properties.get("_etag", "")}"',
        "$metadata": {"$model": model} | metadata,
        **values,
    }
    for name, part in components:
        content = catalog.contents.get(model, {}).get(name)
        if isinstance(content, Component):
            inner, part_values = _values(catalog, content.interface, part)
            document[name] = {"$metadata": inner, **part_values}
    return document


def _values(catalog: Catalog, model: str, properties: Mapping[str, Any]) -> tuple[Json, Json]:
    metadata: Json = {}
    values: Json = {}
    for name, content in catalog.contents.get(model, {}).items():
        if isinstance(content, Property | Telemetry):
            value = gather(name, content.schema, properties)
            if value is not None:
                values[name] = value
                at = properties.get(f"_at_{name}")
                if isinstance(at, int):
                    metadata[name] = {"lastUpdateTime": datetime.fromtimestamp(at / 1000, UTC).isoformat()}
    return metadata, values


def _relationships(catalog: Catalog, model: str, source: str, rows: list[tuple[str, str, Mapping[str, Any]]]) -> Iterator[Json]:
    """Those that the twin's model has: others could not be taken back, and are told."""
    known = catalog.relationships(model) if model in catalog.interfaces else {}
    for name, target, properties in rows:
        identifier = properties.get("_id", f"{source}-{name}-{target}")
        if name not in known:
            log.warning("relationship not exported", relationship=identifier, reason=f"{model} has no relationship {name!r}")
            continue
        values = {one.name: gather(one.name, one.schema, properties) for one in known[name].properties}
        own = {key: value for key, value in values.items() if value is not None}
        yield {"$relationshipId": identifier, "$sourceId": source, "$relationshipName": name, "$targetId": target, **own}
