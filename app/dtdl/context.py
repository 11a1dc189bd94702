"""`@context`: which DTDL version an element is written in, which terms it may use, which limits bind it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any

from app.dtdl.extensions import BINARY, CENTRAL, DECIMAL, EXTENSION, OPERATIONS, SUPPLEMENTS, Supplement, families
from app.dtdl.metamodel import CLASSES, DTMI, IDENTIFIER, LIMIT_CONTEXTS, VERSIONS, made_in
from app.errors import nearest

CORE = "dtmi:dtdl:context"
GEOSPATIAL = ("point", "lineString", "polygon", "multiPoint", "multiLineString", "multiPolygon")
RESERVED = ("dtmi:dtdl:", "dtmi:standard:")
RESERVED_BY = {CENTRAL: "dtmi:iotcentral:", OPERATIONS: "dtmi:iotoperations:"}
IMPLICIT = {CENTRAL: 2}  # contexts that say a DTDL version without the core's
Report = Callable[[str, str, str], None]  # rule, what, way out


@dataclass(frozen=True, slots=True)
class Context:
    """`undefined` is set once an unknown extension was let in."""

    version: int = 0
    names: tuple[str, ...] = ()
    limits: str = ""
    terms: Mapping[str, str] = field(default_factory=dict)
    undefined: bool = False

    def reserved(self) -> tuple[str, ...]:
        return (*RESERVED, *(prefix for name, prefix in RESERVED_BY.items() if name in self.names))


@dataclass(frozen=True, slots=True)
class Options:
    """`undefined`: whether terms nobody has defined may be used (None: as the DTDL version has it); `greatest`: the highest
    version taken; `limits`: the limit contexts taken (None: all); `tolerant`: quirks of old tools are let pass."""

    undefined: bool | None = None
    greatest: int = 4
    limits: tuple[str, ...] | None = None
    tolerant: bool = False

    def allows_undefined(self, version: int) -> bool:
        return version == 2 if self.undefined is None else self.undefined


@cache
def core_terms(version: int) -> dict[str, str]:
    terms = {}
    for row in CLASSES.values():
        if version in row.versions:
            terms[row.name] = f"dtmi:dtdl:class:{row.name};{version}"
            terms |= {p.name: f"dtmi:dtdl:property:{p.name};{version}" for p in row.properties if version in p.versions}
            if made_in(row, version) and row.parent in ("PrimitiveSchema", "NumericSchema", "TemporalSchema"):
                name = row.name[0].lower() + row.name[1:]
                terms[name] = f"dtmi:dtdl:instance:Schema:{name};{version}"
    for name in ("asynchronous", "synchronous"):
        terms[name] = f"dtmi:dtdl:instance:CommandType:{name};{version}"
    terms |= {name: f"dtmi:standard:schema:geospatial:{name};{version}" for name in GEOSPATIAL}
    if version == 4:
        terms["scaledDecimal"] = "dtmi:standard:schema:scaledDecimal;4"
    terms |= {name: f"dtmi:dtdl:property:{name};{version}" for name in ("exponent", "languageMajorVersion", "symbol")}
    return terms | extension_terms(f"{CORE};{version}")


@lru_cache(maxsize=100)
def extension_terms(context: str) -> dict[str, str]:
    terms: dict[str, str] = {}
    for row in SUPPLEMENTS.values():
        if row.context == context:
            terms[row.name] = row.id
            terms |= {extra.name: extra.id for extra in row.extras}
    if context == f"{CORE};2":
        terms |= {unit: f"dtmi:standard:unit:{unit};2" for _, units in families(0).values() for unit in units}
        prefixes = ("deka" if name == "deca" else name for name in (*DECIMAL, *BINARY))
        terms |= {name: f"dtmi:standard:unitprefix:{name};2" for name in prefixes}
        terms |= {n: f"dtmi:dtdl:property:{n};2" for n in ("baseUnit", "bottomUnit", "topUnit", "prefix", "unit")}
    if context.startswith(f"{EXTENSION}quantitativeTypes;"):
        number = int(context[-1])
        base = f"{EXTENSION}quantitativeTypes:v{number}:"
        for family, (_, units) in families(2 if number == 3 else 1).items():
            terms[family] = f"{base}enum:{family}"
            terms |= {unit: f"{base}unit:{unit}" for unit in units}
        terms["EnergyRateUnit"] = f"{base}enum:PowerUnit"
        terms |= {name: f"{base}unitprefix:{name}" for name in (*DECIMAL, *BINARY)}
        terms |= {f"{kind}Prefix": f"{base}enum:{kind}Prefix" for kind in ("Binary", "Decimal")}
    if context == CENTRAL:
        terms |= {name: f"dtmi:iotcentral:schema:{name};2" for name in ("vector", "geopoint")}
    return terms


KNOWN = {row.context for row in SUPPLEMENTS.values()} | set(LIMIT_CONTEXTS)


@lru_cache(maxsize=1000)
def defined_by(term: str, version: int) -> str:
    """The newest context that defines a term for elements of a version, or ''."""
    fitting = sorted(row.context for row in SUPPLEMENTS.values() if version in row.versions and _names(row, term))
    units = f"{EXTENSION}quantitativeTypes;{1 if version == 3 else 3}"
    if version > 2 and term in extension_terms(units):
        return units
    return next((name for name in reversed(fitting) if not name.startswith(CORE)), "")


def type_with(identifier: str, version: int) -> str:
    """The co-type that has a property, by the property's identifier, or ''."""
    rows = [row for row in SUPPLEMENTS.values() if version in row.versions]
    return next((row.name for row in rows if any(extra.id == identifier for extra in row.extras)), "")


def _names(row: Supplement, term: str) -> bool:
    return term in (row.name, *(extra.name for extra in row.extras))


def enter(specifiers: Any, outer: Context, top: bool, options: Options, report: Report) -> Context | None:
    """The context inside an element whose `@context` is `specifiers`; None when it cannot be told."""
    listed = specifiers if isinstance(specifiers, list) else [specifiers]
    if not listed and not top:
        return outer
    if not listed:
        report("emptyContext", "an empty @context", f'begin with "{CORE};3"')
        return None
    context = outer if outer.version else Context()
    cores = 0
    fresh: list[str] = []  # extensions named here, before or after DTDL's own context
    limitless = ""  # a DTDL context that still waits for its limits
    for item in listed:
        if isinstance(item, dict):
            report("disallowedLocalContext", "local terms are not allowed in @context", "use the extensions' own contexts")
            return None
        if not isinstance(item, str):
            report("invalidContext", f"@context holds {item!r}, which is not a string", "name contexts by their DTMI")
            return None
        name, hash_, fragment = item.partition("#")
        is_core = name == CORE or name.startswith(CORE + ";")
        bounding = (is_core and fragment in ("", "limits")) or name in LIMIT_CONTEXTS
        if limitless and not bounding:
            report("missingLimitContext", f"{limitless!r} must be followed by limits", "such as dtmi:dtdl:limits:onvif;1")
            return None
        if is_core:
            if any(cores or extension not in IMPLICIT for extension in fresh):
                report("dtdlContextFollowsAffiliate", f"{item!r} comes after an extension's context", "put it first")
                return None
            cores += 1
            entered = _core(item, name, hash_, fragment, bool(limitless), context, options, report)
            limitless = item if entered and fragment == "limitless" else ""
        else:
            entered = _affiliate(item, name, hash_, context, bool(limitless), top and not cores, options, report)
            fresh.append(name)
            limitless = ""
        if entered is None:
            return None
        context = entered
    if limitless:
        report("missingLimitContext", f"{limitless!r} must be followed by limits", "such as dtmi:dtdl:limits:onvif;1")
        return None
    if top and not cores:
        report("missingDtdlContext", "no DTDL context", f'begin with "{CORE};3"')
        return None
    return context


def _core(
    item: str, name: str, hash_: str, fragment: str, awaited: bool, context: Context, options: Options, report: Report
) -> Context | None:
    match = re.fullmatch(rf"{CORE};([0-9]+)(\.[0-9]+)?", name)
    if not match:
        if name == CORE:
            report("missingContextVersion", f"{item!r} has no version", f"such as {CORE};3")
        else:
            report("invalidContextSpecifier", f"{item!r} is not a DTMI", f"such as {CORE};3")
        return None
    version = int(match[1])
    if version not in VERSIONS or match[2]:
        report("unrecognizedContextVersion", f"{item!r} is no version of DTDL", "2, 3 or 4")
        return None
    if version > options.greatest:
        report("disallowedContextVersion", f"{item!r} is newer than the highest version allowed, {options.greatest}", "")
        return None
    if hash_ and version < 4:
        report("disallowedContextFragment", f"{item!r} has a fragment, which DTDL v{version} does not know", "leave it out")
        return None
    if hash_ and fragment not in ("limitless", "limits"):
        report("invalidContextFragment", f"{item!r} has an unknown fragment", "#limitless, followed by a limit context")
        return None
    if fragment == "limits" and not awaited:
        report("misplacedLimitContext", f"{item!r} does not follow {CORE};4#limitless", "")
        return None
    extensions = tuple(other for other in context.names if not other.startswith(CORE) and other not in LIMIT_CONTEXTS)
    terms = core_terms(version)
    for other in extensions:
        terms = terms | extension_terms(other)
    return Context(version, (name, *extensions), "", terms, context.undefined)


def _affiliate(
    item: str, name: str, hash_: str, context: Context, awaited: bool, first: bool, options: Options, report: Report
) -> Context | None:
    if not context.version and name in IMPLICIT:
        context = Context(IMPLICIT[name], (), "", core_terms(IMPLICIT[name]))
    if not context.version or (first and name not in IMPLICIT):
        report("missingDtdlContext", f"the first @context is {item!r}", f'begin with "{CORE};3"')
        return None
    if not item.startswith("dtmi:"):
        report("nonDtmiContextSpecifier", f"context {item!r} is not a DTMI", "extensions are named by their DTMI")
        return None
    if not DTMI.fullmatch(item) or (hash_ and name in LIMIT_CONTEXTS):
        report("invalidContextSpecifier", f"context {item!r} is not a valid DTMI", "")
        return None
    if name in LIMIT_CONTEXTS:
        return _limits(name, context, awaited, options, report)
    if ";" not in name:
        report("missingContextVersion", f"context {item!r} has no version", "such as ;1")
        return None
    if not IDENTIFIER[context.version].fullmatch(name) or hash_:
        report("invalidContextSpecifierForVersion", f"context {item!r} is no DTMI of DTDL v{context.version}", "")
        return None
    if name not in KNOWN:
        if options.allows_undefined(context.version):
            return replace(context, names=(*context.names, name), undefined=True)
        stem = name.partition(";")[0]
        versions = sorted(candidate for candidate in KNOWN if candidate.partition(";")[0] == stem)
        rule = "unresolvableContextVersion" if versions else "unresolvableContextSpecifier"
        hint = nearest(name, KNOWN, "--allow-undefined takes unknown extensions", 0.9)
        report(rule, f"context {item!r} is not known", ", ".join(versions) or hint)
        return None
    terms = {**context.terms, **extension_terms(name)}
    return replace(context, names=(*context.names, name), terms=terms)


def _limits(name: str, context: Context, awaited: bool, options: Options, report: Report) -> Context | None:
    if not awaited:
        report("misplacedLimitContext", f"{name!r} does not follow a limitless DTDL context", f'"{CORE};4#limitless" before it')
        return None
    if options.limits is not None and not any(
        name == acceptable or name.startswith(acceptable + ";") for acceptable in options.limits
    ):
        report("disallowedLimitContext", f"limits {name!r} are not acceptable here", ", ".join(options.limits))
        return None
    return replace(context, names=(*context.names, name), limits=LIMIT_CONTEXTS[name])
