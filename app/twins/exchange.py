"""Twins as Azure Digital Twins writes them: `$dtId`, `$etag`, `$metadata.$model`, properties, components in place; and
relationships as `$sourceId`, `$relationshipName`, `$targetId`. What another server exports can be brought, and taken away."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.dtdl import Catalog
from app.dtdl.model import Property, Telemetry
from app.dtdl.values import gather
from app.errors import NotFound, TwinError
from app.graph.statements import statement
from app.graph.store import Store
from app.twins.write import NewRelationship, NewTwin, ensure

Json = dict[str, Any]
BATCH = 1000


@dataclass
class Brought:
    twins: int = 0
    relationships: int = 0


def twin(store: Store, catalog: Catalog, dt_id: str) -> Json:
    """One twin. Raises: NotFound."""
    for found, _ in _whole(store, catalog, [dt_id]):
        return found
    raise NotFound(f"no twin {dt_id!r}")


def export(store: Store, catalog: Catalog) -> Iterator[Json]:
    """Every twin, then every relationship. Raises: StoreError."""
    relationships: list[Json] = []
    for found, links in _whole(store, catalog, None):
        yield found
        relationships += links
    yield from relationships


def bring(store: Store, catalog: Catalog, documents: Iterable[Json]) -> Brought:
    """Creates what is missing of twins and relationships; what is there stays as it is.

    Raises: TwinError naming the twin and property, NotFound for an unknown model; batches before it stay."""
    done = Brought()
    twins: list[NewTwin] = []
    links: list[NewRelationship] = []
    for document in documents:
        if "$relationshipName" in document:
            links.append(_new_relationship(document))
        elif "$dtId" in document:
            twins.append(new_twin(document))
        elif not _is_section(document):
            raise TwinError("neither a twin nor a relationship", where=f"{document!r:.80}", hint="$dtId or $relationshipName")
        if len(twins) >= BATCH:
            ensure(store, catalog, twins, [])
            done.twins += len(twins)
            twins = []
    ensure(store, catalog, twins, links)
    return Brought(done.twins + len(twins), len(links))


def new_twin(document: Mapping[str, Any]) -> NewTwin:
    """Raises: TwinError when it says no id or no model."""
    dt_id, metadata = document.get("$dtId"), document.get("$metadata")
    model = metadata.get("$model") if isinstance(metadata, Mapping) else None
    if not isinstance(dt_id, str) or not isinstance(model, str):
        raise TwinError("a twin needs $dtId and $metadata.$model", where=str(dt_id or ""))
    return NewTwin(dt_id, model, _plain(document))


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
    return NewRelationship(source, name, target, _plain(document))


def _is_section(document: Mapping[str, Any]) -> bool:
    return "Section" in document or "fileVersion" in document


def _whole(store: Store, catalog: Catalog, dt_ids: Sequence[str] | None) -> Iterator[tuple[Json, list[Json]]]:
    after = ""
    while rows := store.read(statement("twin/whole"), {"dtIds": dt_ids, "after": after, "first": BATCH}):
        for dt_id, properties, components, relationships in rows:
            yield _twin(catalog, dt_id, properties, components), [_relationship(dt_id, *row) for row in relationships]
        after = rows[-1][0]


def _twin(catalog: Catalog, dt_id: str, properties: Mapping[str, Any], components: list[tuple[str, Mapping[str, Any]]]) -> Json:
    model = properties["_model"]
    metadata, values = _values(catalog, model, properties)
    made = {"$dtId": dt_id, "$etag": f'W/"{properties.get("_etag", "")}"', "$metadata": {"$model": model} | metadata, **values}
    for name, part in components:
        known = catalog.components(model).get(name)
        if known is not None:
            inner, held = _values(catalog, known.interface, part)
            made[name] = {"$metadata": inner, **held}
    return made


def _values(catalog: Catalog, model: str, properties: Mapping[str, Any]) -> tuple[Json, Json]:
    metadata: Json = {}
    values: Json = {}
    for name, content in catalog.contents.get(model, {}).items():
        if isinstance(content, Property | Telemetry):
            found = gather(name, content.schema, properties)
            if found is not None:
                values[name] = found
                at = properties.get(f"_at_{name}")
                if isinstance(at, int):
                    metadata[name] = {"lastUpdateTime": datetime.fromtimestamp(at / 1000, UTC).isoformat()}
    return metadata, values


def _relationship(source: str, name: str, target: str, properties: Mapping[str, Any]) -> Json:
    own = {key: value for key, value in properties.items() if not key.startswith("_")}
    identifier = properties.get("_id", f"{source}-{name}-{target}")
    return {"$relationshipId": identifier, "$sourceId": source, "$relationshipName": name, "$targetId": target, **own}
