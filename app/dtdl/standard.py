"""The elements DTDL itself defines: primitive schemas, command types, geospatial schemas, units."""

from functools import cache

from app.dtdl.context import CORE, GEOSPATIAL, Context, Options, core_terms, extension_terms
from app.dtdl.elements import Element, Reader, Reference
from app.dtdl.extensions import BINARY, CENTRAL, DECIMAL, EXTENSION, SUPPLEMENTS, families
from app.dtdl.metamodel import CLASSES, VERSIONS
from app.dtdl.payload import GEOMETRIES
from app.dtdl.syntax import Document

GEO = "dtmi:standard:schema:geospatial"


@cache
def standard() -> dict[str, Element]:
    """Every standard element by id."""
    elements: dict[str, Element] = {}
    for version in VERSIONS:
        context = Context(version, (f"{CORE};{version}",), "", core_terms(version))
        for term, identifier in core_terms(version).items():
            if identifier.startswith("dtmi:dtdl:instance:Schema:"):
                kind = next(name for name in CLASSES if name.lower() == term.lower())
                elements[identifier] = Element(identifier, kind, context, None, ())
            elif identifier.startswith("dtmi:dtdl:instance:CommandType:"):
                elements[identifier] = Element(identifier, "CommandType", context, None, ())
        elements |= _read(version)
    return elements | _units_of_v2() | _units()


def _read(version: int) -> dict[str, Element]:
    """Geospatial and other complex schemas, written as DTDL and read by the reader itself."""
    context: list[str] = [f"{CORE};{version}"] + ([CENTRAL] if version == 2 else [])
    schemas = [schema for name in GEOSPATIAL for schema in _geospatial(name, version)]
    schemas.append({"@id": f"{GEO}:position;{version}", "@type": "Array", "elementSchema": "double"})
    if version == 2:
        for name, axes in (("vector", "xyz"), ("geopoint", ("lon", "lat", "alt"))):
            fields = [{"@id": f"dtmi:iotcentral:schema:{name}:{axis};2", "name": axis, "schema": "double"} for axis in axes]
            schemas.append({"@id": f"dtmi:iotcentral:schema:{name};2", "@type": "Object", "fields": fields})
    if version == 4:
        scaled = [{"name": "value", "schema": "decimal"}, {"name": "scale", "schema": "short"}]
        schemas.append({"@id": "dtmi:standard:schema:scaledDecimal;4", "@type": "Object", "fields": scaled})
    holder = {"@context": context, "@id": f"dtmi:standard:holder;{version}", "@type": "Interface", "schemas": schemas}
    reader = Reader(Options())
    reader.read(Document("standard", "", holder))
    for element in reader.found:
        element.document, element.partition = None, ""
    return {name: e for name, e in reader.elements.items() if "holder" not in name}


def _geospatial(name: str, version: int) -> list[dict[str, object]]:
    upper = name[0].upper() + name[1:]
    value = {"@id": f"{GEO}:enumValue:{name};{version}", "name": name, "enumValue": upper}
    kind = f"dtmi:standard:schema:geospatial{upper}Type;{version}"
    coordinates: object = f"{GEO}:position;{version}"
    for level in range(GEOMETRIES[name]):
        identifier = f"{GEO}:{name}Coordinates{level};{version}"
        coordinates = {"@id": identifier, "@type": "Array", "elementSchema": coordinates}
    fields = [
        {"@id": f"{GEO}:{name}:type;{version}", "name": "type", "schema": kind},
        {"@id": f"{GEO}:{name}:coordinates;{version}", "name": "coordinates", "schema": coordinates},
    ]
    return [
        {"@id": kind, "@type": "Enum", "valueSchema": "string", "enumValues": [value]},
        {"@id": f"{GEO}:{name};{version}", "@type": "Object", "fields": fields},
    ]


def _units_of_v2() -> dict[str, Element]:
    context = Context(2, (f"{CORE};2",), "", core_terms(2))
    elements = {}
    for family, (_, units) in families(0).items():
        supplement = SUPPLEMENTS[f"dtmi:standard:class:{family};2"]
        for unit in units:
            element = Element(f"dtmi:standard:unit:{unit};2", "Unit", context, None, ())
            element.supplements = (supplement,)
            elements[element.id] = element
    for kind, names in (("Binary", BINARY), ("Decimal", DECIMAL)):
        for name in names:
            identifier = f"dtmi:standard:unitprefix:{'deka' if name == 'deca' else name};2"
            element = Element(identifier, "UnitAttribute", context, None, ())
            element.supplements = (SUPPLEMENTS[f"dtmi:standard:class:{kind}Prefix;2"],)
            elements[identifier] = element
    return elements


def _units() -> dict[str, Element]:
    elements = {}
    for number in (1, 2, 3):
        version = 3 if number == 1 else 4
        name = f"{EXTENSION}quantitativeTypes;{number}"
        terms = {**core_terms(version), **extension_terms(name)}
        context = Context(version, (f"{CORE};{version}", name), "", terms)
        base = f"{EXTENSION}quantitativeTypes:v{number}:"
        groups = {family: ("unit", units) for family, (_, units) in families(2 if number == 3 else 1).items()}
        groups |= {"BinaryPrefix": ("unitprefix", BINARY), "DecimalPrefix": ("unitprefix", DECIMAL)}
        for family, (word, units) in groups.items():
            enum = Element(f"{base}enum:{family}", "Enum", context, None, ())
            enum.values["valueSchema"] = [Reference(f"dtmi:dtdl:instance:Schema:string;{version}", ())]
            for unit in units:
                value = Element(f"{base}{word}:{unit}", "EnumValue", context, None, (), enum, "enumValues")
                value.values = {"name": [unit], "enumValue": [unit]}
                enum.values.setdefault("enumValues", []).append(value)
                elements[value.id] = value
            elements[enum.id] = enum
    return elements
