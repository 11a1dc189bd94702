"""DTDL's classes, properties and limits as tables, written from the DTDL v2, v3 and v4 specifications.

A limit is a number for all versions, or a table of version → number; beside the versions 2, 3 and 4 it may name the limit
specifications `aio` and `onvif`, which a v4 model chooses with `@context` and which else follow v4."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

Limit = int | None | Mapping[int | str, int]
VERSIONS = (2, 3, 4)
ALL: tuple[int, ...] = VERSIONS

SEGMENT = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"
_ID3 = rf"^dtmi:{SEGMENT}(?::{SEGMENT})*(?:;[1-9][0-9]{{0,8}}(?:\.[1-9][0-9]{{0,5}})?)?$"
IDENTIFIER = {2: re.compile(rf"^dtmi:{SEGMENT}(?::{SEGMENT})*;[1-9][0-9]{{0,8}}$"), 3: re.compile(_ID3), 4: re.compile(_ID3)}
# What a program may hand over as an identifier: also generated segments, and a fragment.
DTMI = re.compile(
    r"^dtmi:_?_?[A-Za-z0-9](?:[A-Za-z0-9_]*[A-Za-z0-9])?(?::_?_?[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?)*"
    r"(?:;[1-9][0-9]{0,8}(?:\.[1-9][0-9]{0,5})?)?(?:#(?:_?_?[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?)?)?$"
)
NAME = rf"^{SEGMENT}$"
LANGUAGE = re.compile(r"^[a-z]{2,4}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?$")
LONGEST_IDENTIFIER: Limit = {2: 2048, 3: 2048, 4: 2048, "aio": 512, "onvif": 512}
LONGEST_INTERFACE_ID: Limit = {2: 128, 3: 128, 4: 128, "aio": 256, "onvif": 256}
LARGEST_INTERFACE: Limit = {3: 1_048_576, 4: 1_048_576}
LIMIT_CONTEXTS = {"dtmi:dtdl:limits:aio;1": "aio", "dtmi:dtdl:limits:onvif;1": "onvif"}
# DTDL v2 lets a model use terms that nobody has defined; later versions only where the caller allows it.
UNDEFINED_BY_DEFAULT = (2,)


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a class. `kind` is a literal's datatype, `dtmi`, or the class its values must be of.

    `required` and `ids` name versions: those that demand a value, those that demand an identifier for each value.
    `older` says whether a value may be an element of an older DTDL version; `key` is what makes a value's own identifier;
    `unique` are the properties of its values in which no two may agree; `terms` the only standard values allowed."""

    name: str
    kind: str
    required: tuple[int, ...] = ()
    versions: tuple[int, ...] = ALL
    plural: bool = False
    longest: Limit = None
    most: Limit = None
    pattern: str = ""
    least: int | None = None
    greatest: Limit = None
    ids: tuple[int, ...] = ()
    older: bool = False
    key: str = ""
    unique: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    narrowed: Mapping[int, str] | None = None

    def target(self, version: int) -> str:
        return (self.narrowed or {}).get(version, self.kind)

    def accepts(self, version: int) -> tuple[int, ...]:
        """DTDL versions an element given here may be of, in a model of `version`."""
        return tuple(v for v in VERSIONS if v == version or (self.older and v < version))


@dataclass(frozen=True, slots=True)
class Class:
    """`abstract` are the versions that know no element of it, `ids` those that demand an @id, `untyped` those in which the
    @type may be left out."""

    name: str
    parent: str = ""
    abstract: tuple[int, ...] = ()
    versions: tuple[int, ...] = ALL
    properties: tuple[Property, ...] = ()
    ids: tuple[int, ...] = ()
    untyped: tuple[int, ...] = ()
    open: bool = False  # extensions may define elements of it, models may not


LITERALS = ("string", "integer", "boolean", "langString", "literal", "numeric", "duration", "json")
_SCHEMA = Property("schema", "Schema", required=ALL, older=True)
CLASSES = {
    row.name: row
    for row in (
        Class(
            "Entity",
            abstract=ALL,
            properties=(
                Property("comment", "string", longest=512),
                Property("description", "langString", longest={2: 512, 3: 512, 4: 512, "aio": 2048, "onvif": 4096}),
                Property("displayName", "langString", longest={2: 64, 3: 512, 4: 512}),
            ),
        ),
        Class(
            "NamedEntity",
            "Entity",
            abstract=ALL,
            properties=(Property("name", "string", required=ALL, longest={2: 64, 3: 512, 4: 512}, pattern=NAME),),
        ),
        Class(
            "Interface",
            "Entity",
            ids=ALL,
            properties=(
                Property("contents", "Content", plural=True, most={2: 300}, older=True, key="name", unique=("name",)),
                Property("extends", "Interface", plural=True, most={2: 2}, older=True, ids=ALL),
                Property("schemas", "ComplexSchema", plural=True, ids=ALL),
            ),
        ),
        Class("Content", "NamedEntity", abstract=ALL),
        Class(
            "Command",
            "Content",
            properties=(
                Property("commandType", "CommandType", ids=ALL, terms=("asynchronous", "synchronous")),
                Property("request", "CommandPayload", narrowed={3: "CommandRequest", 4: "CommandRequest"}),
                Property("response", "CommandPayload", narrowed={3: "CommandResponse", 4: "CommandResponse"}),
            ),
        ),
        Class("Component", "Content", properties=(Property("schema", "Interface", required=ALL, older=True, ids=ALL),)),
        Class("Property", "Content", properties=(_SCHEMA, Property("writable", "boolean"))),
        Class("Telemetry", "Content", properties=(_SCHEMA,)),
        Class(
            "Relationship",
            "Content",
            properties=(
                Property("maxMultiplicity", "integer", least=1, greatest={2: 500}),
                Property("minMultiplicity", "integer", least=0, greatest=0),
                Property("properties", "Property", plural=True, most={2: 300}, older=True, key="name", unique=("name",)),
                Property("target", "dtmi", longest=2048),
                Property("writable", "boolean"),
            ),
        ),
        Class("SchemaField", "NamedEntity", abstract=ALL, properties=(_SCHEMA,)),
        Class(
            "CommandPayload",
            "SchemaField",
            abstract=(3, 4),
            untyped=(2,),
            properties=(Property("nullable", "boolean", versions=(4,)),),
        ),
        Class("CommandRequest", "CommandPayload", versions=(3, 4), untyped=(3, 4)),
        Class("CommandResponse", "CommandPayload", versions=(3, 4), untyped=(3, 4)),
        Class("Field", "SchemaField", untyped=ALL),
        Class("MapValue", "SchemaField", untyped=ALL),
        Class(
            "MapKey",
            "NamedEntity",
            untyped=ALL,
            properties=(Property("schema", "String", required=ALL, older=True, ids=ALL, terms=("string",)),),
        ),
        Class("EnumValue", "NamedEntity", untyped=ALL, properties=(Property("enumValue", "literal", required=ALL),)),
        Class("Schema", "Entity", abstract=ALL),
        Class("ComplexSchema", "Schema", abstract=ALL),
        Class("Array", "ComplexSchema", properties=(Property("elementSchema", "Schema", required=ALL, older=True),)),
        Class(
            "Object",
            "ComplexSchema",
            properties=(Property("fields", "Field", required=(2,), plural=True, most={2: 30}, key="name", unique=("name",)),),
        ),
        Class(
            "Map",
            "ComplexSchema",
            properties=(Property("mapKey", "MapKey", required=ALL), Property("mapValue", "MapValue", required=ALL)),
        ),
        Class(
            "Enum",
            "ComplexSchema",
            properties=(
                Property(
                    "enumValues",
                    "EnumValue",
                    required=(2,),
                    plural=True,
                    most={2: 100},
                    key="name",
                    unique=("name", "enumValue"),
                ),
                Property("valueSchema", "PrimitiveSchema", required=ALL, older=True, ids=ALL, terms=("integer", "string")),
            ),
        ),
        Class("PrimitiveSchema", "Schema", abstract=ALL),
        Class("NumericSchema", "PrimitiveSchema", abstract=ALL),
        Class("TemporalSchema", "PrimitiveSchema", abstract=ALL),
        Class("CommandType", "Entity", ids=ALL),
        Class("Unit", "Entity", open=True, properties=(Property("symbol", "string"),)),
        Class("UnitAttribute", "NamedEntity", open=True),
        Class("LatentType", "Entity", versions=(3, 4), open=True),
        Class("NamedLatentType", "NamedEntity", versions=(3, 4), open=True),
        *(Class(name, "PrimitiveSchema") for name in ("Boolean", "String")),
        *(Class(name, "PrimitiveSchema", versions=(4,)) for name in ("Bytes", "Uuid")),
        *(Class(name, "NumericSchema") for name in ("Double", "Float", "Integer", "Long")),
        *(
            Class(name, "NumericSchema", versions=(4,))
            for name in (*("Byte", "Decimal", "Short", "UnsignedByte", "UnsignedInteger", "UnsignedLong", "UnsignedShort"),)
        ),
        *(Class(name, "TemporalSchema") for name in ("Date", "DateTime", "Duration", "Time")),
    )
}


@dataclass(frozen=True, slots=True)
class Descent:
    """A rule about what hangs below an element: how deep the chain of `properties` may go, whether it may come back.

    `narrow` follows only those properties; else every property is followed and those count as a level."""

    root: str
    properties: tuple[str, ...]
    narrow: bool = False
    deepest: Limit = None
    most: Limit = None
    circular: tuple[int, ...] = ()
    versions: tuple[int, ...] = ALL
    excluded: str = ""
    imports: str = ""


DESCENTS = (
    Descent(
        "ComplexSchema",
        ("elementSchema", "schema"),
        deepest={2: 5, 3: 5, 4: 8, "aio": 12, "onvif": 24},
        circular=(4,),
    ),
    Descent("Component", ("schema", "contents"), narrow=True, excluded="Component", circular=()),
    Descent(
        "Interface",
        ("extends",),
        narrow=True,
        deepest={2: 10, 3: 10, 4: 12},
        most={3: 1024, 4: 1024},
        imports="contents",
    ),
    Descent(
        "Interface",
        (
            *("contents", "fields", "enumValues", "request", "response", "properties", "schema", "elementSchema"),
            "mapValue",
        ),
        narrow=True,
        most={3: 100_000, 4: 100_000},
        circular=(4,),
        versions=(3, 4),
    ),
    Descent("Property", ("schema",), excluded="Array", versions=(2,)),
)


def limit(limits: Limit, version: int, specification: str = "") -> int | None:
    if limits is None or isinstance(limits, int):
        return limits
    return limits.get(specification, limits.get(version)) if specification else limits.get(version)


@cache
def lineage(name: str) -> tuple[str, ...]:
    """A class and all above it."""
    row = CLASSES[name]
    return (name, *lineage(row.parent)) if row.parent else (name,)


@cache
def properties(name: str, version: int) -> Mapping[str, Property]:
    """Every property an element of a class has in a version, inherited ones first."""
    inherited = {p.name: p for ancestor in reversed(lineage(name)) for p in CLASSES[ancestor].properties}
    return {key: p for key, p in inherited.items() if version in p.versions}


@cache
def concrete(name: str, version: int) -> tuple[str, ...]:
    """The classes a value of class `name` may be of."""
    return tuple(row.name for row in CLASSES.values() if not row.open and made_in(row, version) and name in lineage(row.name))


def made_in(row: Class, version: int) -> bool:
    """Whether a version knows elements of a class."""
    return version in row.versions and version not in row.abstract


def is_a(name: str, base: str) -> bool:
    return base in lineage(name)
