"""The values a compiled model is made of. All frozen; all printable."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Texts = Mapping[str, str]  # language tag → text


@dataclass(frozen=True, slots=True)
class Primitive:
    name: str


@dataclass(frozen=True, slots=True)
class Recursive(Primitive):
    """Stands where a schema holds itself: the one around it whose `dtmi` it names. Its values are JSON."""

    dtmi: str = ""


@dataclass(frozen=True, slots=True)
class Array:
    element: "Schema"
    dtmi: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    schema: "Schema"


@dataclass(frozen=True, slots=True)
class Object:
    fields: tuple[Field, ...]
    dtmi: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Map:
    value: "Schema"
    dtmi: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class EnumValue:
    name: str
    value: str | int


@dataclass(frozen=True, slots=True)
class Enum:
    base: str
    values: tuple[EnumValue, ...]


Schema = Primitive | Array | Object | Map | Enum


@dataclass(frozen=True, slots=True)
class Content:
    name: str
    display_name: Texts = field(default_factory=dict)
    description: Texts = field(default_factory=dict)
    declared_by: str = ""


@dataclass(frozen=True, slots=True)
class Property(Content):
    schema: Schema = Primitive("string")
    writable: bool = False
    unit: str = ""
    semantic_type: str = ""


@dataclass(frozen=True, slots=True)
class Telemetry(Content):
    schema: Schema = Primitive("double")
    unit: str = ""
    semantic_type: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    name: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Command(Content):
    request: Payload | None = None
    response: Payload | None = None


@dataclass(frozen=True, slots=True)
class Relationship(Content):
    target: str = ""
    min_multiplicity: int = 0
    max_multiplicity: int | None = None
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True)
class Component(Content):
    interface: str = ""


AnyContent = Property | Telemetry | Command | Relationship | Component


@dataclass(frozen=True, slots=True)
class Interface:
    """`contents` are the interface's own; `place` is file:line; `source` the JSON text it was compiled from."""

    dtmi: str
    version: int
    contents: tuple[AnyContent, ...]
    extends: tuple[str, ...] = ()
    display_name: Texts = field(default_factory=dict)
    description: Texts = field(default_factory=dict)
    place: str = ""
    source: str = ""
