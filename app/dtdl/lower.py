"""Catalog → what Neo4j must hold for it. A plan can be printed without a database."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.dtdl.catalog import Catalog
from app.dtdl.kinds import column_kind
from app.dtdl.model import (
    AnyContent,
    Array,
    Command,
    Component,
    Enum,
    Interface,
    Map,
    Object,
    Primitive,
    Property,
    Recursive,
    Relationship,
    Schema,
    Telemetry,
)
from app.dtdl.syntax import Problem

SYSTEM_CONSTRAINTS = (
    ("_twin_dtid", "Twin", "dtId"),
    ("_interface_dtmi", "_Interface", "dtmi"),
    ("_ddl_name", "_Ddl", "name"),
    ("_event_id", "_Event", "id"),
    ("_key_id", "_Key", "id"),
    ("_job_id", "_Job", "id"),
    ("_deadletter_id", "_DeadLetter", "id"),
    ("_source_id", "_Source", "id"),
    ("_wish_source", "_Wish", "source"),
    ("_position_id", "_Position", "id"),
)
SYSTEM_INDEXES = (
    ("_key_certificate", "_Key", "certificate"),
    ("_event_at", "_Event", "at"),
    ("_event_kind", "_Event", "kind"),
    ("_event_recorded", "_Event", "_recorded"),
    ("_deadletter_at", "_DeadLetter", "at"),
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A constraint or range index on one property of one label; `name` is stable.

    `kind`: unique, index, and on Enterprise exists and typed (`of` is then the Cypher type)."""

    name: str
    label: str
    key: str
    kind: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class GraphPlan:
    definitions: tuple[Definition, ...]
    interfaces: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        lines = [f"{d.kind:6} (:{d.label} {{{d.key}}}){' ' + d.of if d.of else ''}  {d.name}" for d in self.definitions]
        lines += [f"model   {row['dtmi']} → :{':'.join(row['labels'])}" for row in self.interfaces]
        return "\n".join(lines)


TAKEN = ("dtId",)  # keys of a twin that are no DTDL name's to have; the others begin with `_`


def unstorable(interfaces: Iterable[Interface]) -> list[Problem]:
    """What DTDL allows and the graph cannot keep apart from what is its own."""
    return [
        Problem(
            "nameTaken",
            f"{type(content).__name__} {content.name!r} bears the name of a twin's own identifier",
            interface.place,
            f"contents of {interface.dtmi}",
            "give it another name, such as deviceId",
        )
        for interface in interfaces
        for content in interface.contents
        if isinstance(content, Property | Telemetry) and content.name in TAKEN
    ]


REQUIRED = (("Twin", "dtId"), ("Twin", "_model"), ("_Interface", "dtmi"))
TYPES = {"bool": "BOOLEAN", "int": "INTEGER", "float": "INTEGER | FLOAT", "str": "STRING"}
TEMPORAL = {
    "date": "DATE",
    "dateTime": "ZONED DATETIME",
    "time": "ZONED TIME | LOCAL TIME",
    "duration": "DURATION",
}


def lower(catalog: Catalog, enterprise: bool = False) -> GraphPlan:
    """`enterprise` adds constraints that Community does not know: what must be there, and of which type."""
    definitions = [Definition(name, label, key, "unique") for name, label, key in SYSTEM_CONSTRAINTS]
    definitions += [Definition(name, label, key, "index") for name, label, key in SYSTEM_INDEXES]
    if enterprise:
        definitions += [Definition(f"{label}_{key}_exists".lower(), label, key, "exists") for label, key in REQUIRED]
    for dtmi, interface in sorted(catalog.interfaces.items()):
        label = catalog.labels[dtmi]
        definitions.append(Definition(f"{label}_dtid".lower(), label, "dtId", "index"))  # pages are read in its order
        definitions += [
            Definition(f"{label}_{c.name}".lower(), label, c.name, "index") for c in interface.contents if is_indexed(c)
        ]
        if enterprise:
            definitions += _typed(label, interface)
    rows = tuple(_row(catalog, interface) for _, interface in sorted(catalog.interfaces.items()))
    return GraphPlan(tuple(definitions), rows)


def _typed(label: str, interface: Interface) -> list[Definition]:
    return [
        Definition(f"{label}_{c.name}_type".lower(), label, c.name, "typed", of)
        for c in interface.contents
        if isinstance(c, Property | Telemetry) and (of := _cypher_type(c.schema))
    ]


def _cypher_type(schema: Schema) -> str:
    match schema:
        case Primitive(name=name):
            return TEMPORAL.get(name) or TYPES[column_kind(schema)]
        case Enum():
            return TYPES[column_kind(schema)]
        case Array(element=Primitive(name=name) as element) if name not in TEMPORAL:
            return f"LIST<{'FLOAT' if column_kind(element) == 'float' else TYPES[column_kind(element)]} NOT NULL>"
        case _:
            return ""  # an object's fields are properties of their own, the rest is JSON text


def is_indexed(content: AnyContent) -> bool:
    # Names and serial numbers are looked up; an index on what changes with every message would cost each write.
    looked_up = content.name.lower().endswith(("name", "number", "code", "tag"))
    return isinstance(content, Property) and content.schema == Primitive("string") and looked_up


def _row(catalog: Catalog, interface: Interface) -> dict[str, Any]:
    return {
        "dtmi": interface.dtmi,
        "labels": catalog.node_labels(interface.dtmi),
        "properties": {
            "label": catalog.labels[interface.dtmi],
            "dtdlVersion": interface.version,
            "source": interface.source,
            "place": interface.place,
            **{f"displayName.{tag}": text for tag, text in interface.display_name.items()},
            **{f"description.{tag}": text for tag, text in interface.description.items()},
        },
        "extends": list(interface.extends),
        "contents": [_content(content) for content in interface.contents],
    }


def _content(content: AnyContent) -> dict[str, Any]:
    row: dict[str, Any] = {"name": content.name, "kind": type(content).__name__, "target": None, "properties": {}}
    match content:
        case Property() | Telemetry():
            row["properties"] = {"schema": schema_text(content.schema), "unit": content.unit or None}
            if isinstance(content, Property):
                row["properties"]["writable"] = content.writable
        case Relationship():
            row["target"] = content.target or None
            row["properties"] = {"maxMultiplicity": content.max_multiplicity}
        case Component():
            row["target"] = content.interface
        case Command():
            payloads = {"request": content.request, "response": content.response}
            row["properties"] = {role: f"{p.name}: {schema_text(p.schema)}" for role, p in payloads.items() if p}
    row["properties"] |= {f"displayName.{tag}": text for tag, text in content.display_name.items()}
    row["properties"] |= {f"description.{tag}": text for tag, text in content.description.items()}
    return row


def schema_text(schema: Schema) -> str:
    """A schema in one line: `double`, `[double]`, `{city: string}`, `{*: integer}`, `on | off`."""
    match schema:
        case Recursive(dtmi=dtmi):
            return dtmi
        case Primitive(name=name):
            return name
        case Array(element=element):
            return f"[{schema_text(element)}]"
        case Map(value=value):
            return f"{{*: {schema_text(value)}}}"
        case Object(fields=fields):
            return f"{{{', '.join(f'{field.name}: {schema_text(field.schema)}' for field in fields)}}}"
        case Enum(values=values):
            return " | ".join(str(entry.value) for entry in values)
