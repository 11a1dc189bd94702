"""A checked graph of elements → the frozen interfaces everything else works with."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from app.dtdl.analysis import Analysis
from app.dtdl.check import Graph
from app.dtdl.elements import Element, Reference
from app.dtdl.metamodel import is_a
from app.dtdl.model import (
    AnyContent,
    Array,
    Command,
    Component,
    Enum,
    EnumValue,
    Field,
    Interface,
    Map,
    Object,
    Payload,
    Primitive,
    Property,
    Recursive,
    Relationship,
    Schema,
    Telemetry,
    Texts,
)


def interfaces(analysis: Analysis) -> list[Interface]:
    """Every interface of an analysis without problems, nested ones as well."""
    schemas = Schemas(analysis.graph)
    return [_interface(element, schemas) for element in analysis.elements if element.kind == "Interface"]


class Schemas:
    """Schemas by element; each is made once. Raises: TypeError for an element that is no schema."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._made: dict[int, Schema] = {}
        self._open: set[int] = set()

    def of(self, element: Element, name: str) -> Schema:
        return self.made(next(self.graph.children(element, name)))

    def made(self, schema: Element) -> Schema:
        if id(schema) in self._open:
            return Recursive("json", schema.id)
        resolved = self._made.get(id(schema))
        if resolved is None:
            self._open.add(id(schema))
            resolved = self._make(schema)
            self._open.discard(id(schema))
            self._made[id(schema)] = resolved
        return resolved

    def _make(self, schema: Element) -> Schema:
        name = _last(schema.id)
        if schema.id in self.graph.standard and is_a(schema.kind, "Schema"):
            return Primitive(name)
        match schema.kind:
            case "Array":
                return Array(self.of(schema, "elementSchema"), schema.id)
            case "Map":
                return Map(self.of(next(self.graph.children(schema, "mapValue")), "schema"), schema.id)
            case "Object":
                fields = self.graph.children(schema, "fields")
                return Object(tuple(Field(str(f.first("name")), self.of(f, "schema")) for f in fields), schema.id)
            case "Enum":
                base = _last(next(self.graph.children(schema, "valueSchema")).id)
                values = self.graph.children(schema, "enumValues")
                return Enum(base, tuple(EnumValue(str(v.first("name")), v.first("enumValue")) for v in values))
            case _:
                raise TypeError(f"{schema.id} is a {schema.kind}, not a schema")


def _interface(element: Element, schemas: Schemas) -> Interface:
    return Interface(
        element.id,
        element.version,
        tuple(_content(child, element.id, schemas) for child in schemas.graph.children(element, "contents")),
        tuple(base.id for base in schemas.graph.children(element, "extends")),
        _texts(element, "displayName"),
        _texts(element, "description"),
        element.document.place(element.path) if element.document else "",
        json.dumps(_source(element), ensure_ascii=False),
    )


def _content(element: Element, owner: str, schemas: Schemas) -> AnyContent:
    shared = {
        "name": str(element.first("name")),
        "display_name": _texts(element, "displayName"),
        "description": _texts(element, "description"),
        "declared_by": owner,
    }
    return CONTENT[element.kind](element, shared, schemas)


def _measured(element: Element, schemas: Schemas) -> dict[str, Any]:
    return {"schema": schemas.of(element, "schema"), "unit": _unit(element), "semantic_type": _semantic(element)}


def _property(element: Element, shared: dict[str, Any], schemas: Schemas) -> Property:
    return Property(**shared, writable=element.first("writable") is True, **_measured(element, schemas))


def _telemetry(element: Element, shared: dict[str, Any], schemas: Schemas) -> Telemetry:
    return Telemetry(**shared, **_measured(element, schemas))


def _command(element: Element, shared: dict[str, Any], schemas: Schemas) -> Command:
    payloads: dict[str, Any] = {}
    for role in ("request", "response"):
        for payload in schemas.graph.children(element, role):
            payloads[role] = Payload(str(payload.first("name")), schemas.of(payload, "schema"))
    return Command(**shared, **payloads)


def _relationship(element: Element, shared: dict[str, Any], schemas: Schemas) -> Relationship:
    properties = [_content(child, shared["declared_by"], schemas) for child in schemas.graph.children(element, "properties")]
    return Relationship(
        **shared,
        target=element.first("target") or "",
        min_multiplicity=element.first("minMultiplicity") or 0,
        max_multiplicity=element.first("maxMultiplicity"),
        properties=tuple(content for content in properties if isinstance(content, Property)),
    )


def _component(element: Element, shared: dict[str, Any], schemas: Schemas) -> Component:
    return Component(**shared, interface=next(schemas.graph.children(element, "schema")).id)


CONTENT: Mapping[str, Callable[[Element, dict[str, Any], Schemas], AnyContent]] = {
    "Property": _property,
    "Telemetry": _telemetry,
    "Command": _command,
    "Relationship": _relationship,
    "Component": _component,
}


def _unit(element: Element) -> str:
    value = element.first("unit")
    if isinstance(value, Element | Reference):
        return _last(value.id)
    return str(element.source.get("unit", "")) if element.foreign else ""


def _semantic(element: Element) -> str:
    named = [row.name for row in element.supplements if row.kind == "SemanticType"]
    if not named and element.foreign:
        listed = element.source["@type"]
        named = [kind for kind in listed if isinstance(kind, str) and kind != element.kind] if isinstance(listed, list) else []
    return named[0] if named else ""


def _texts(element: Element, name: str) -> Texts:
    return dict(element.first(name) or {})


def _last(identifier: str) -> str:
    return identifier.rpartition(":")[2].partition(";")[0]


def _source(element: Element) -> Any:
    """The interface as JSON that stands alone: with its context, and nested interfaces by their id."""
    holder: Element | None = element
    while holder is not None and "@context" not in holder.source:
        holder = holder.parent
    context = {} if holder is element or holder is None else {"@context": holder.source["@context"]}
    return context | {key: _detached(value) for key, value in element.source.items()}


def _detached(value: Any) -> Any:
    if isinstance(value, list):
        return [_detached(item) for item in value]
    if not isinstance(value, dict):
        return value
    types = value.get("@type")
    if "@id" in value and "Interface" in (types if isinstance(types, list) else [types]):
        return value["@id"]
    return {key: _detached(item) for key, item in value.items()}
