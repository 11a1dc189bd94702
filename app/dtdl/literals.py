"""Literal values of properties: strings, integers, booleans, language maps, durations, identifiers."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from app.dtdl.metamodel import IDENTIFIER, LANGUAGE
from app.dtdl.payload import PRIMITIVES

INTEGERS = range(-(2**31), 2**31)


class Report(Protocol):
    def __call__(self, rule: str, what: str, hint: str = "", *more: str | int) -> None: ...


def read(
    kind: str,
    value: Any,
    report: Report,
    *,
    version: int,
    longest: int | None,
    pattern: str,
    least: int | None,
    greatest: int | None,
    terms: Mapping[str, str],
    required: bool = False,
) -> list[Any]:
    """The values of a literal property, without those that have a problem."""
    if kind == "langString":
        return [texts] if (texts := _texts(value, version, longest, report)) is not None else []
    if kind == "dtmi":
        return _identifiers(value, version, longest, terms, report)
    if kind == "term":
        return _terms(value, terms, report)
    if isinstance(value, list):
        if not value and not required:
            return []
        if len(value) > 1:
            report(f"{NAMES[kind]}MultipleValues", f"{len(value)} values, one is allowed")
            return []
        if not value:
            report(f"{NAMES[kind]}CountBelowMin", "no value, one is required")
            return []
        value = value[0]
    literal = _single(kind, value, version, report)
    if literal is None:
        return []
    if isinstance(literal, str):
        if longest is not None and len(literal) > longest:
            report("stringTooLong", f"{len(literal)} characters, {longest} are allowed")
            return []
        if pattern and not re.fullmatch(pattern, literal):
            report("stringInvalid", f"{literal!r} is not valid here", f"it must match {pattern}")
            return []
    elif kind == "integer":
        return _bounded(literal, least, greatest, report)
    return [literal]


NAMES = {"string": "string", "integer": "integer", "boolean": "boolean", "literal": "literal", "numeric": "numeric"}
NAMES |= {"duration": "duration"}
MATCHES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "duration": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int and value in INTEGERS,
    "boolean": lambda value: type(value) is bool,
    "numeric": lambda value: type(value) in (int, float),
    "literal": lambda value: type(value) in (str, bool) or (type(value) is int and value in INTEGERS),
}
XSD = {
    "string": ("xsd:string", "http://www.w3.org/2001/XMLSchema#string"),
    "integer": ("xsd:integer", "http://www.w3.org/2001/XMLSchema#integer"),
    "boolean": ("xsd:boolean", "http://www.w3.org/2001/XMLSchema#boolean"),
    "duration": ("xsd:duration", "http://www.w3.org/2001/XMLSchema#duration"),
    "numeric": ("xsd:decimal", "http://www.w3.org/2001/XMLSchema#decimal"),
}


def _single(kind: str, value: Any, version: int, report: Report) -> Any:
    if isinstance(value, dict):
        return _value_object(kind, value, version, report)
    if not MATCHES[kind](value):
        kinds = {"literal": "a string, an integer or a boolean", "numeric": "a number", "duration": "a string"}
        rule = "literalNotValid" if kind == "literal" else f"{kind}Not{WORDS[kind]}"
        report(rule, f"{value!r} must be {kinds.get(kind, 'a ' + kind)}")
        return None
    if kind == "duration" and PRIMITIVES["duration"](value):
        report("durationInvalid", f"{value!r} is not an ISO 8601 duration", "such as PT30S")
        return None
    return value


WORDS = {"string": "String", "integer": "Integer", "boolean": "Boolean", "numeric": "Numeric", "duration": "String"}


def _value_object(kind: str, value: dict[str, Any], version: int, report: Report) -> Any:
    right = True
    for key in value:
        if key not in ("@value", "@type"):
            if version == 2 and key.startswith("@") and key not in ("@context", "@graph", "@id"):
                continue
            right = False
            rule = VALUE_OBJECT.get(key, "valueObjectInvalidProp")
            if key.startswith("@") and key not in VALUE_OBJECT:
                rule = "valueObjectKeyword"
            report(rule, f"{key!r} is not allowed in a value object", "", key)
    if "@value" not in value:
        report(f"{NAMES[kind]}ObjectNoValue", "a value object needs '@value'")
        return None
    inner = value["@value"]
    if "@type" in value:
        stated = value["@type"]
        stated = stated[0] if isinstance(stated, list) and len(stated) == 1 else stated
        if kind == "literal":
            matched = next((k for k, names in XSD.items() if stated in names), "") if isinstance(stated, str) else ""
            if not matched:
                report("literalTypeNotSingular", "'@type' must be one XSD type")
                return None
            kind = matched
        elif stated not in XSD[kind]:
            single = isinstance(stated, str)
            rule = f"{kind}TypeNot{'Duration' if kind == 'duration' else WORDS[kind]}"
            report(rule if single else "literalTypeNotSingular", f"'@type' must be {XSD[kind][0]}")
            return None
    if not MATCHES[kind](inner):
        rule = "literalNotValid" if kind == "literal" else f"{kind}ValueNot{WORDS[kind]}"
        report(rule, f"'@value' {inner!r} does not fit")
        return None
    return inner if right else None


VALUE_OBJECT = {
    "@context": "valueObjectContext",
    "@graph": "valueObjectGraph",
    "@id": "valueObjectId",
    "@language": "valueObjectLanguage",
}


def _bounded(value: int, least: int | None, greatest: int | None, report: Report) -> list[int]:
    if least is not None and least == greatest:
        if value != least:
            report("valueNotExact", f"{value} must be {least}")
        return [value] if value == least else []
    low, high = least is not None and value < least, greatest is not None and value > greatest
    both = least is not None and greatest is not None
    if low:
        report("valueBelowRange" if both else "valueBelowMin", f"{value} is below {least}")
    if high:
        report("valueAboveRange" if both else "valueAboveMax", f"{value} is above {greatest}")
    return [] if low or high else [value]


def _texts(value: Any, version: int, longest: int | None, report: Report) -> dict[str, str] | None:
    if isinstance(value, dict):
        return _language_map(value, version, longest, report)
    texts: dict[str, str] = {}
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        more = (index,) if isinstance(value, list) else ()
        tag, text = "en", item
        if isinstance(item, dict):
            pair = _tagged(item, version, report, more)
            if pair is None:
                return None
            tag, text = pair
        if not isinstance(text, str):
            report("langStringElementNotStringOrObject", f"{text!r} must be a string or a tagged value", "", *more)
            return None
        if tag in texts:
            report("langStringElementCodeNotUnique", f"the language {tag!r} is there twice", "", *more)
        if longest is not None and len(text) > longest:
            report("langStringValueTooLong", f"{len(text)} characters, {longest} are allowed", "", *more)
        texts[tag] = text
    return texts


def _tagged(item: dict[str, Any], version: int, report: Report, more: tuple[int, ...]) -> tuple[str, Any] | None:
    right = True
    for key in item:
        if key in ("@language", "@value"):
            continue
        rule = TAGGED.get(key, "langStringElementInvalidProp")
        if key.startswith("@") and key not in TAGGED:
            rule = "langStringElementKeyword"
        if rule in ("langStringElementKeyword", "langStringElementType") and version == 2:
            continue
        report(rule, f"{key!r} is not allowed beside '@language' and '@value'", "", *more, key)
        right = False
    tag = item.get("@language", "en")
    if not isinstance(tag, str):
        report("langStringElementCodeNotString", "'@language' must be a string", "", *more)
        right = False
    elif not LANGUAGE.fullmatch(tag):
        report("langStringElementInvalidCode", f"{tag!r} is not a language", "such as en or de-AT", *more)
        right = False
    if "@value" not in item:
        report("langStringElementNoValue", "no '@value'", "", *more)
        right = False
    elif not isinstance(item["@value"], str):
        report("langStringElementValueNotString", "'@value' must be a string", "", *more)
        right = False
    return (tag, item["@value"]) if right else None


TAGGED = {
    "@context": "langStringElementContext",
    "@graph": "langStringElementGraph",
    "@id": "langStringElementId",
    "@type": "langStringElementType",
}


def _language_map(value: dict[str, Any], version: int, longest: int | None, report: Report) -> dict[str, str]:
    texts: dict[str, str] = {}
    for tag, text in value.items():
        if tag.startswith("@"):
            report("langMapObjKeyword", f"{tag!r} has no place in a language map", "", tag)
        elif not LANGUAGE.fullmatch(tag):
            report("langStringInvalidCode", f"{tag!r} is not a language", "such as en or de-AT", tag)
        elif not isinstance(text, str):
            report("langStringValueNotString", f"the text for {tag!r} must be a string", "", tag)
        elif longest is not None and len(text) > longest:
            report("langStringValueTooLong", f"{len(text)} characters, {longest} are allowed", "", tag)
        else:
            texts[tag] = text
    return texts


def _identifiers(value: Any, version: int, longest: int | None, terms: Mapping[str, str], report: Report) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    if len(listed) > 1:
        report("identifierMultipleValues", f"{len(listed)} values, one is allowed")
        return []
    identifiers = []
    for item in listed:
        if not isinstance(item, str):
            report("identifierNotString", f"{item!r} must be an identifier")
            continue
        identifier = terms.get(item, item)
        if not IDENTIFIER[version].fullmatch(identifier):
            report("identifierNotDtmi", f"{item!r} is not a DTMI of DTDL v{version}")
        elif longest is not None and len(identifier) > longest:
            report("identifierTooLong", f"{len(identifier)} characters, {longest} are allowed")
        else:
            identifiers.append(identifier)
    return identifiers


def _terms(value: Any, terms: Mapping[str, str], report: Report) -> list[str]:
    """A property named by its term or its DTMI, as Override has it."""
    if not isinstance(value, str):
        report("identifierNotString", f"{value!r} must name a property")
        return []
    identifier = terms.get(value, value)
    if not identifier.startswith("dtmi:"):
        report("identifierNotDtmi", f"{value!r} is no property of an active context")
        return []
    return [identifier]
