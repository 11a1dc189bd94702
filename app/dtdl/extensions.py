"""What contexts beside the core add: supplemental types an element may be co-typed with, and their properties.

Written from the DTDL language extensions' specifications. An identifier is spelt as its extension does; `Supplement.id` is
the full one. Prefixes: `annotation;2` stands for `dtmi:dtdl:extension:annotation;2`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.dtdl.metamodel import CLASSES, NAME, made_in

EXTENSION = "dtmi:dtdl:extension:"
CENTRAL, OPERATIONS = "dtmi:iotcentral:context;2", "dtmi:iotoperations:context;4"
TOPIC_LEVEL = r"(?:[!$-*,-.0-z|~]+)|(?:{(?:[A-Za-z]+:)?[A-Za-z]+})"
TOPIC = rf"^(?:(?:[!%-*,-.0-z|~][!$-*,-.0-z|~]*)|(?:{{(?:[A-Za-z]+:)?[A-Za-z]+}}))(?:\/(?:{TOPIC_LEVEL}))*$"
GROUP = r"^[!$-*,-.0-z|~]+$"


@dataclass(frozen=True, slots=True)
class Extra:
    """A property that a supplemental type adds. `kind` is a literal's datatype, a class, or the id of a unit family.

    `family` demands a child of that standard Enum; `conforms` a value that fits the schema in the named property."""

    name: str
    id: str
    kind: str
    required: bool = True
    longest: int | None = None
    pattern: str = ""
    least: int | None = None
    family: str = ""
    conforms: str = ""
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Constraint:
    """Values of `property` must be of one of `types`, or one of the standard elements `values`.

    With `inverse`, the element itself must be a value of `property` in a parent co-typed with one of `types`, where no
    other value has the type `alone` and some other has `beside`."""

    property: str
    types: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    inverse: bool = False
    alone: str = ""
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Supplement:
    """`versions` are those of the elements it may be put on, `cotypes` their classes."""

    name: str
    id: str
    context: str
    versions: tuple[int, ...]
    cotypes: tuple[str, ...]
    kind: str = "AdjunctType"
    parents: tuple[str, ...] = ()
    abstract: bool = False
    extras: tuple[Extra, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    needs: str = ""
    excludes: tuple[str, ...] = ()
    instead: str = ""


NUMERIC = Constraint("schema", ("NumericSchema",))
VALUES = ("CommandRequest", "CommandResponse", "Field", "MapValue", "Property", "Telemetry")
MEASURED = ("Property", "Telemetry")
UNITS = Path(__file__).with_name("units.txt")
DECIMAL = (
    *("yocto", "zepto", "atto", "femto", "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "mega"),
    *("giga", "tera", "peta", "exa", "zetta", "yotta"),
)
BINARY = ("kibi", "mebi", "gibi", "tebi", "pebi", "exbi", "zebi", "yobi")


@cache
def families(edition: int) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Unit family → (quantitative types, units). Editions: 0 DTDL v2, 1 QuantitativeTypes 1 and 2, 2 QuantitativeTypes 3."""
    by_family = {}
    for line in UNITS.read_text().splitlines():
        if line.startswith("#"):
            continue
        family, _, rest = line.partition(":")
        names, units = (
            tuple(word for part in side.split("|")[: edition + 1] for word in part.split()) for side in rest.split("=")
        )
        if units:
            by_family[family] = (names, units)
    return by_family


def units_of(extra: Extra) -> tuple[str, ...]:
    """The units that a `unit` property takes."""
    where = extra.family or extra.kind
    edition = 2 if ":v3:" in where else 1 if ":quantitativeTypes:" in where else 0
    return families(edition).get(where.rpartition(":")[2].partition(";")[0], ((), ()))[1]


def _all_classes(versions: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(row.name for row in CLASSES.values() if any(made_in(row, version) for version in versions))


def _quantities(number: int) -> list[Supplement]:
    context = f"{EXTENSION}quantitativeTypes;{number}"
    base = f"{EXTENSION}quantitativeTypes:v{number}:"
    version = 3 if number == 1 else 4
    shared = {"context": context, "versions": (version,), "cotypes": VALUES, "kind": "SemanticType"}
    root = f"{base}class:QuantitativeType"
    unit = f"{base}property:unit"
    above = (f"dtmi:dtdl:class:SemanticType;{version}", root)
    rows = [Supplement("QuantitativeType", root, abstract=True, constraints=(NUMERIC,), **shared)]  # type: ignore[arg-type]
    for family, (names, _) in families(2 if number == 3 else 1).items():
        rows += [
            Supplement(
                name,
                f"{base}class:{name}",
                parents=above,
                extras=(Extra("unit", unit, "EnumValue", family=f"{base}enum:{family}"),),
                constraints=(NUMERIC,),
                **shared,  # type: ignore[arg-type]
            )
            for name in names
        ]
    everything = _all_classes(tuple(range(2, version + 1)))
    prop, classes = f"{base}property:", f"{base}class:"
    symbol = Extra("symbol", f"dtmi:dtdl:property:symbol;{version}", "string")
    scaled = (Extra("baseUnit", f"{prop}baseUnit", "EnumValue"), Extra("prefix", f"{prop}prefix", "EnumValue", required=False))
    ratio = (Extra("bottomUnit", f"{prop}bottomUnit", "EnumValue"), Extra("topUnit", f"{prop}topUnit", "EnumValue"))
    exponent = Extra("exponent", f"dtmi:dtdl:property:exponent;{version}", "integer")
    older = (2, 3) if version == 3 else (2, 3, 4)
    rows += [
        Supplement("BinaryUnit", f"{classes}BinaryUnit", context, older, everything, extras=scaled),
        Supplement("DecimalUnit", f"{classes}DecimalUnit", context, (version,), ("EnumValue",), extras=scaled),
        Supplement("RatioUnit", f"{classes}RatioUnit", context, (version,), ("EnumValue",), extras=ratio),
        Supplement("SymbolicUnit", f"{classes}SymbolicUnit", context, (version,), ("EnumValue",), extras=(symbol,)),
        Supplement("UnitPrefix", f"{classes}UnitPrefix", context, (version,), ("EnumValue",), extras=(exponent, symbol)),
    ]
    return rows


def _quantities_of_v2() -> list[Supplement]:
    context, unit = "dtmi:dtdl:context;2", "dtmi:dtdl:property:unit;2"
    root = "dtmi:standard:class:QuantitativeType;2"
    rows = [
        Supplement("SemanticType", "dtmi:dtdl:class:SemanticType;2", context, (2,), (*MEASURED, "Relationship"), abstract=True),
        Supplement("SemanticUnit", "dtmi:dtdl:class:SemanticUnit;2", context, (2,), ("Unit",), abstract=True),
        Supplement("QuantitativeType", root, context, (2,), MEASURED, "SemanticType", abstract=True, constraints=(NUMERIC,)),
    ]
    for family, (names, _) in families(0).items():
        extra = Extra("unit", unit, f"dtmi:standard:class:{family};2")
        rows += [
            Supplement(
                name,
                f"dtmi:standard:class:{name};2",
                context,
                (2,),
                MEASURED,
                "SemanticType",
                parents=("dtmi:dtdl:class:SemanticType;2", root),
                extras=(extra,),
                constraints=(NUMERIC,),
            )
            for name in names
        ]
        rows.append(Supplement(family, f"dtmi:standard:class:{family};2", context, (), (), "Unit"))
    rows += [
        Supplement(f"{kind}Prefix", f"dtmi:standard:class:{kind}Prefix;2", context, (), (), "UnitAttribute")
        for kind in ("Binary", "Decimal")
    ]
    rows += [
        Supplement(f"{kind}Unit", f"dtmi:standard:class:{kind}Unit;2", context, (2,), ("Unit",), "SemanticUnit")
        for kind in ("Binary", "Decimal", "Ratio")
    ]
    return rows


def _core(version: int) -> list[Supplement]:
    context = f"dtmi:dtdl:context;{version}"
    semantic = ("CommandPayload", *VALUES, "Relationship") if version == 4 else (*VALUES, "Relationship")
    older = tuple(range(2, version + 1))
    alias = Extra("aliasFor", f"dtmi:dtdl:property:aliasFor;{version}", "Entity")
    return [
        Supplement("AdjunctType", f"dtmi:dtdl:class:AdjunctType;{version}", context, older, _all_classes(older), abstract=True),
        Supplement("Alias", f"dtmi:dtdl:class:Alias;{version}", context, (version,), _all_classes((version,)), extras=(alias,)),
        Supplement(
            "SemanticType",
            f"dtmi:dtdl:class:SemanticType;{version}",
            context,
            (3,) if version == 3 else older,
            semantic,
            abstract=True,
        ),
        Supplement("SemanticUnit", f"dtmi:dtdl:class:SemanticUnit;{version}", context, (version,), ("Unit",), abstract=True),
    ]


def _annotation(number: int) -> list[Supplement]:
    prefix, versions = f"{EXTENSION}annotation:v{number}:ValueAnnotation", (3,) if number == 1 else (3, 4)
    extras = (Extra("annotates", f"{prefix}:annotates", "string"),)
    return [Supplement("ValueAnnotation", prefix, f"{EXTENSION}annotation;{number}", versions, MEASURED, extras=extras)]


def _historization(number: int) -> list[Supplement]:
    versions = (3,) if number == 1 else (3, 4)
    identifier = f"{EXTENSION}historization:v{number}:Historized"
    return [Supplement("Historized", identifier, f"{EXTENSION}historization;{number}", versions, MEASURED)]


def _overriding(number: int) -> list[Supplement]:
    prefix, versions = f"{EXTENSION}overriding:v{number}:Override", (3,) if number == 1 else (3, 4)
    return [
        Supplement(
            "Override",
            prefix,
            f"{EXTENSION}overriding;{number}",
            versions,
            ("Property",),
            extras=(Extra("overrides", f"{prefix}:overrides", "term"),),
            needs=f"{EXTENSION}annotation:v{number}:ValueAnnotation",
            excludes=(f"{EXTENSION}initialization:v{number}:Initialized",),
        )
    ]


def _requirement(number: int) -> list[Supplement]:
    classes = ("Field",) if number == 1 else ("Field", "Property")
    identifier = f"{EXTENSION}requirement:v{number}:Required"
    return [Supplement("Required", identifier, f"{EXTENSION}requirement;{number}", (3, 4), classes)]


def _mqtt(number: int) -> list[Supplement]:
    context, prefix = f"{EXTENSION}mqtt;{number}", f"{EXTENSION}mqtt:v{number}:"
    versions = (3,) if number == 1 else (3, 4)
    required = f"{EXTENSION}requirement:v1:Required"

    def row(name: str, *cotypes: str, **more: object) -> Supplement:
        return Supplement(name, prefix + name, context, versions, cotypes, **more)  # type: ignore[arg-type]

    def inside(types: str, alone: str, beside: str = "") -> Constraint:
        ids = tuple(prefix + name for name in types.split())
        return Constraint("fields", ids, inverse=True, alone=prefix + alone, beside=beside and prefix + beside)

    def topic(name: str, pattern: str) -> Extra:
        return Extra(name, f"{prefix}Mqtt:{name}", "string", required=False, pattern=pattern)

    topics = [topic("commandTopic", TOPIC), topic("telemetryTopic", TOPIC)]
    if number > 1:
        topics += [topic("cmdServiceGroupId", GROUP), topic("telemServiceGroupId", GROUP)]
    if number > 3:
        topics.append(topic("propertyTopic", TOPIC))
    index = Extra("index", f"{prefix}Indexed:index", "integer", least=1, unique=True)
    rows = [
        row("Idempotent", "Command"),
        row(
            "Cacheable",
            "Command",
            needs=f"{prefix}Idempotent",
            extras=(Extra("ttl", f"{prefix}Cacheable:ttl", "duration"),),
        ),
        row("Indexed", "EnumValue", "Field", *(MEASURED if number > 3 else ("Telemetry",)), extras=(index,)),
        row(
            "Mqtt",
            "Interface",
            extras=(Extra("payloadFormat", f"{prefix}Mqtt:payloadFormat", "string"), *topics),
        ),
    ]
    if number > 1:
        payloads = ("CommandRequest", "CommandResponse")
        rows.append(row("Transparent", *payloads, constraints=(Constraint("schema", ("Object",)),)))
    if number > 2:
        results = ("NormalResult", "ErrorResult", *(("ErrorCode", "ErrorInfo") if number > 3 else ()))
        message = (inside("Error", "ErrorMessage"), Constraint("schema", ("String",)))
        failed = (inside("Result", "ErrorResult"), Constraint("schema", (f"{prefix}Error",)))
        rows += [
            row("Error", "Object"),
            row("ErrorMessage", "Field", constraints=message),
            row("ErrorResult", "Field", excludes=(required,), constraints=failed),
            row("NormalResult", "Field", excludes=(required,), constraints=(inside("Result", "NormalResult"),)),
            row("Result", "Object", constraints=(Constraint("fields", tuple(prefix + name for name in results)),)),
        ]
    if number > 3:
        own = ("PropertyValue", "ReadError", "WriteError")
        code = (inside("Result Error", "ErrorCode"), Constraint("schema", ("Enum",)))
        info = (inside("Result Error", "ErrorInfo", "ErrorCode"), Constraint("schema", ("Object",)))
        rows += [
            row("Indirect", "Field", excludes=(required,)),
            row("ErrorCode", "Field", constraints=code),
            row("ErrorInfo", "Field", constraints=info),
            row(
                "Fragmented",
                "Property",
                constraints=(Constraint("schema", ("Map",)),),
                instead=f"{prefix}PropertyValue",
            ),
            row("PropertyResult", "Object", constraints=(Constraint("fields", tuple(prefix + name for name in own)),)),
        ]
        for name in own:
            schema = () if name == "PropertyValue" else (Constraint("schema", (f"{prefix}Error",)),)
            rows.append(
                row(name, "Field", excludes=(required,), constraints=(inside("PropertyResult", name), *schema)),
            )
    return rows


def _central() -> list[Supplement]:
    geo = ("point", "multiPoint", "lineString", "multiLineString", "polygon", "multiPolygon")
    places = (*(f"dtmi:standard:schema:geospatial:{name};2" for name in geo), "dtmi:iotcentral:schema:geopoint;2")
    vector = Constraint("schema", values=("dtmi:iotcentral:schema:vector;2",))
    rows = [
        ("Event", Constraint("schema", ("NumericSchema", "String")), ""),
        ("Location", Constraint("schema", values=places), ""),
        ("State", Constraint("schema", ("Enum",)), ""),
        ("AccelerationVector", vector, "AccelerationUnit"),
        ("VelocityVector", vector, "VelocityUnit"),
    ]
    return [
        Supplement(
            name,
            f"dtmi:iotcentral:class:{name};2",
            CENTRAL,
            (2,),
            MEASURED,
            "SemanticType",
            parents=("dtmi:dtdl:class:SemanticType;2",),
            extras=(Extra("unit", "dtmi:dtdl:property:unit;2", f"dtmi:standard:class:{unit};2", required=False),)
            if unit
            else (),
            constraints=(constraint,),
        )
        for name, constraint, unit in rows
    ]


def _operations() -> list[Supplement]:
    prefix = "dtmi:iotoperations:"

    def row(name: str, cotypes: tuple[str, ...], *extras: Extra, **more: object) -> Supplement:
        return Supplement(name, f"{prefix}class:{name};4", OPERATIONS, (4,), cotypes, extras=extras, **more)  # type: ignore[arg-type]

    def extra(name: str, kind: str = "string", **more: object) -> Extra:
        return Extra(name, f"{prefix}property:{name};4", kind, longest=128 if kind == "string" else None, **more)  # type: ignore[arg-type]

    detail, subject = f"{prefix}class:Detail;4", f"{prefix}class:Subject;4"
    return [
        row("Composite", ("Interface",), extra("ontology"), excludes=(f"{prefix}class:Event;4",)),
        row("Congruence", ("Array", "Enum", "Interface", "Map", "Object"), extra("typeRef")),
        row("Detail", ("Object",)),
        row("Event", ("Interface",)),
        row("GroupMember", ("Command",), extra("group", pattern=NAME)),
        row("HasCapability", ("Relationship",), excludes=(f"{prefix}class:HasComponent;4",)),
        row("HasComponent", ("Relationship",)),
        row(
            "Limited",
            VALUES,
            extra("maximum", "numeric", required=False, conforms="schema"),
            extra("minimum", "numeric", required=False, conforms="schema"),
            constraints=(NUMERIC,),
        ),
        row("Precise", VALUES, extra("decimalPlaces", "integer"), constraints=(NUMERIC,)),
        row("Qualified", ("Command", "Component", "Field", "Property", "Relationship", "Telemetry"), extra("namespace")),
        row("ScaledStatically", VALUES, extra("scaleFactor", "numeric", conforms="schema"), constraints=(NUMERIC,)),
        row("Subject", ("Field",), constraints=(Constraint("fields", (detail,), inverse=True, alone=subject),)),
    ]


SUPPLEMENTS = {
    row.id: row
    for rows in (
        _quantities_of_v2(),
        *(_core(version) for version in (3, 4)),
        *(_quantities(number) for number in (1, 2, 3)),
        *(_annotation(number) for number in (1, 2)),
        *(_historization(number) for number in (1, 2)),
        *(_overriding(number) for number in (1, 2)),
        *(_requirement(number) for number in (1, 2)),
        *(_mqtt(number) for number in (1, 2, 3, 4)),
        _central(),
        _operations(),
    )
    for row in rows
}
