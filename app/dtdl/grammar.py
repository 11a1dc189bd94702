"""DTDL's classes, properties and limits as tables, written from the DTDL v2, v3 and v4 specifications.

A row of `CLASSES` says what an element of that class may hold. The kinds:

    dtmi      an identifier            texts     a string or a language map
    string    a string                 name      a name usable as identifier
    boolean   true or false            integer   a whole number
    schema    a schema, by name or in place
    elements  a list of elements of the named class, or one of them
    dtmis     one or several identifiers
    payload   a command payload        any       checked elsewhere
"""

import re
from dataclasses import dataclass

CONTEXT = re.compile(r"^dtmi:dtdl:context;([234])(?:\.\d+)?(?:#.*)?$")
EXTENSION = re.compile(r"^dtmi:(?:dtdl:(?:extension|limits)|iotcentral|iotoperations|aio)[:\w]*;\d+(?:\.\d+)?(?:#.*)?$")
SEGMENT = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"
IDENTIFIER = {
    2: re.compile(rf"^dtmi:{SEGMENT}(?::_?{SEGMENT})*;[1-9]\d{{0,8}}$"),
    3: re.compile(rf"^dtmi:{SEGMENT}(?::_?{SEGMENT})*(?:;[1-9]\d{{0,8}}(?:\.[1-9]\d{{0,5}})?)?$"),
    4: re.compile(rf"^dtmi:{SEGMENT}(?::_?{SEGMENT})*(?:;(?:0|[1-9]\d{{0,8}})(?:\.(?:0|[1-9]\d{{0,5}}))?)?$"),
}
NAME = re.compile(rf"^{SEGMENT}$")
LANGUAGE = re.compile(r"^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*$")

PRIMITIVES: dict[int, tuple[str, ...]] = {
    2: ("boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string", "time"),
}
PRIMITIVES[3] = PRIMITIVES[2]
PRIMITIVES[4] = (
    *PRIMITIVES[3],
    *("byte", "bytes", "decimal", "short", "unsignedByte", "unsignedInteger", "unsignedLong", "unsignedShort", "uuid"),
    "scaledDecimal",
)
GEOSPATIAL = ("point", "lineString", "polygon", "multiPoint", "multiLineString", "multiPolygon")
IOT_CENTRAL = ("vector", "geopoint")  # schemas of the context dtmi:iotcentral:context;2


@dataclass(frozen=True, slots=True)
class Rule:
    kind: str
    required: bool = False
    element: str = ""
    longest: int | None = None


COMMON = {
    "@id": Rule("dtmi"),
    "@type": Rule("any", required=True),
    "@context": Rule("any"),
    "comment": Rule("string", longest=512),
    "displayName": Rule("texts", longest=512),
    "description": Rule("texts", longest=512),
}
NAMED = COMMON | {"name": Rule("name", required=True, longest=512)}
TYPED = NAMED | {"schema": Rule("schema", required=True)}
MEASURED = TYPED | {"unit": Rule("any")}
CLASSES: dict[str, dict[str, Rule]] = {
    "Interface": COMMON
    | {
        "@id": Rule("dtmi", required=True),
        "contents": Rule("elements", element="Content"),
        "extends": Rule("dtmis"),
        "schemas": Rule("elements", element="Schema"),
    },
    "Property": MEASURED | {"writable": Rule("boolean")},
    "Telemetry": MEASURED,
    "Command": NAMED | {"commandType": Rule("any"), "request": Rule("payload"), "response": Rule("payload")},
    "Relationship": NAMED
    | {
        "target": Rule("dtmi"),
        "minMultiplicity": Rule("integer"),
        "maxMultiplicity": Rule("integer"),
        "properties": Rule("elements", element="Property"),
        "writable": Rule("boolean"),
    },
    "Component": NAMED | {"schema": Rule("any", required=True)},
    "CommandPayload": TYPED | {"@type": Rule("any"), "nullable": Rule("boolean")},
    "Field": TYPED | {"@type": Rule("any"), "unit": Rule("any")},
    "EnumValue": NAMED | {"@type": Rule("any"), "enumValue": Rule("any", required=True)},
    "MapKey": TYPED | {"@type": Rule("any")},
    "MapValue": TYPED | {"@type": Rule("any"), "unit": Rule("any")},
    "Array": COMMON | {"elementSchema": Rule("schema", required=True)},
    "Object": COMMON | {"fields": Rule("elements", element="Field")},
    "Map": COMMON | {"mapKey": Rule("any", required=True), "mapValue": Rule("any", required=True)},
    "Enum": COMMON
    | {"valueSchema": Rule("any", required=True), "enumValues": Rule("elements", element="EnumValue", required=True)},
}
CONTENTS = ("Property", "Telemetry", "Command", "Relationship", "Component")
SCHEMAS = ("Array", "Object", "Map", "Enum")
DEEPEST_EXTENDS = {2: 10, 3: 10, 4: 10}
DEEPEST_SCHEMA = {2: 5, 3: 5, 4: 8}
LONGEST_IDENTIFIER = {2: 2048, 3: 2048, 4: 2048}
LONGEST_NAME = {2: 64, 3: 512, 4: 512}
ONE_PER_INTERFACE = {2: 300, 3: 100_000, 4: 100_000}
