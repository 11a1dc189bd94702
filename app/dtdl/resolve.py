"""Documents → interfaces: the grammar interpreted, element by element."""

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from app.dtdl import grammar
from app.dtdl.grammar import Rule
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
    Relationship,
    Schema,
    Telemetry,
)
from app.dtdl.syntax import Document, JsonPath, Problem, show

Json = Mapping[str, Any]
UNKNOWN = Primitive("string")  # stands for a schema that has a problem of its own


def resolve(documents: Iterable[Document]) -> tuple[list[Interface], list[Problem]]:
    """Interfaces of all documents, and every problem found on the way."""
    interfaces: list[Interface] = []
    problems: list[Problem] = []
    for document in documents:
        roots = document.json if isinstance(document.json, list) else [document.json]
        for index, root in enumerate(roots):
            path: JsonPath = (index,) if isinstance(document.json, list) else ()
            reader = _Reader(document, problems)
            reader.document(root, path, interfaces)
    return interfaces, problems


class _Reader:
    """Reads one top-level element; carries its version, its shared schemas and where problems go."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self.source, self.problems = document, problems
        self.version = 0
        self.extended = False
        self.schemas: dict[str, Schema] = {}
        self.waiting: dict[str, tuple[Json, JsonPath]] = {}  # shared schemas that nothing has asked for yet
        self.inner: list[Interface] = []

    def problem(self, rule: str, what: str, path: JsonPath, hint: str = "") -> None:
        self.problems.append(Problem(rule, what, self.source.place(path), show(path), hint))

    def document(self, root: Any, path: JsonPath, interfaces: list[Interface]) -> None:
        if not isinstance(root, dict):
            self.problem("jsonRoot", "a model must be a JSON object", path)
        elif self.context(root, path) and (made := self.interface(root, path)):
            interfaces += [made, *self.inner]

    def context(self, root: Json, path: JsonPath) -> bool:
        given = root.get("@context")
        names = given if isinstance(given, list) else [given]
        for name in names:
            match = grammar.CONTEXT.match(name) if isinstance(name, str) else None
            if match:
                self.version = int(match[1])
            elif isinstance(name, str):
                self.extended = True
                if not grammar.EXTENSION.match(name):
                    self.problem("contextKnown", f"context {name!r} is not known", (*path, "@context"))
        if not self.version:
            hint = 'begin with "@context": "dtmi:dtdl:context;3"'
            self.problem("contextPresent", "no DTDL context", path, hint)
        return bool(self.version)

    def interface(self, element: Json, path: JsonPath) -> Interface | None:
        if self.class_of(element, ("Interface",), path) is None:
            return None
        self.properties(element, "Interface", path)
        dtmi = element.get("@id")
        if not isinstance(dtmi, str):
            return None
        shared = [(i, s) for i, s in self.listed(element, "schemas", path) if isinstance(s, dict)]
        self.waiting |= {str(s.get("@id")): (s, (*path, "schemas", i)) for i, s in shared}
        for name in list(self.waiting):
            self.shared_schema(name)
        contents = [
            made
            for index, content in self.listed(element, "contents", path)
            if (made := self.content(content, (*path, "contents", index), dtmi))
        ]
        extends = []
        for index, base in self.listed(element, "extends", path):
            if isinstance(base, str):
                extends.append(base)
            elif isinstance(base, dict) and (inner := self.interface(base, (*path, "extends", index))):
                self.inner.append(inner)
                extends.append(inner.dtmi)
        return Interface(
            dtmi,
            self.version,
            tuple(contents),
            tuple(extends),
            self.texts(element, "displayName"),
            self.texts(element, "description"),
            self.source.place(path),
            json.dumps(element, ensure_ascii=False),
        )

    def content(self, element: Any, path: JsonPath, owner: str) -> AnyContent | None:
        kind = self.class_of(element, grammar.CONTENTS, path)
        if kind is None:
            return None
        self.properties(element, kind, path)
        name = element.get("name")
        if not isinstance(name, str):
            return None
        texts = {"display_name": self.texts(element, "displayName"), "description": self.texts(element, "description")}
        made: AnyContent = CONTENT[kind](self, element, path, {"name": name, "declared_by": owner} | texts)
        return made

    def measured(self, element: Json, path: JsonPath) -> dict[str, Any]:
        types = element["@type"] if isinstance(element["@type"], list) else [element["@type"]]
        semantic = [kind for kind in types if kind not in grammar.CONTENTS]
        unit = element.get("unit", "")
        schema = self.schema(element.get("schema"), (*path, "schema"))
        return {"schema": schema, "unit": str(unit), "semantic_type": semantic[0] if semantic else ""}

    def property(self, element: Json, path: JsonPath, shared: dict[str, Any]) -> Property:
        return Property(**shared, writable=element.get("writable") is True, **self.measured(element, path))

    def telemetry(self, element: Json, path: JsonPath, shared: dict[str, Any]) -> Telemetry:
        return Telemetry(**shared, **self.measured(element, path))

    def command(self, element: Json, path: JsonPath, shared: dict[str, Any]) -> Command:
        payloads: dict[str, Any] = {role: self.payload(element.get(role), (*path, role)) for role in ("request", "response")}
        return Command(**shared, **payloads)

    def payload(self, element: Any, path: JsonPath) -> Payload | None:
        if not isinstance(element, dict):
            return None
        self.properties(element, "CommandPayload", path)
        return Payload(str(element.get("name", "")), self.schema(element.get("schema"), (*path, "schema")))

    def relationship(self, element: Json, path: JsonPath, shared: dict[str, Any]) -> Relationship:
        properties = [
            made
            for index, child in self.listed(element, "properties", path)
            if isinstance(made := self.content(child, (*path, "properties", index), shared["declared_by"]), Property)
        ]
        return Relationship(
            **shared,
            target=element.get("target", ""),
            min_multiplicity=element.get("minMultiplicity", 0),
            max_multiplicity=element.get("maxMultiplicity"),
            properties=tuple(properties),
        )

    def component(self, element: Json, path: JsonPath, shared: dict[str, Any]) -> Component:
        schema = element.get("schema", "")
        if isinstance(schema, dict) and (made := self.interface(schema, (*path, "schema"))):
            self.inner.append(made)
            schema = made.dtmi
        return Component(**shared, interface=str(schema))

    def schema(self, given: Any, path: JsonPath, depth: int = 0) -> Schema:
        if depth > grammar.DEEPEST_SCHEMA[self.version]:
            self.problem("schemaDepth", f"schema nested deeper than {depth - 1}", path)
            return UNKNOWN
        if isinstance(given, str):
            return self.named_schema(given, path)
        if not isinstance(given, dict):
            return UNKNOWN
        kind = self.class_of(given, grammar.SCHEMAS, path)
        if kind is None:
            return UNKNOWN
        self.properties(given, kind, path)
        made: Schema = SCHEMA[kind](self, given, path, depth + 1)
        if isinstance(given.get("@id"), str):
            self.schemas[given["@id"]] = made
        return made

    def named_schema(self, name: str, path: JsonPath) -> Schema:
        known = [
            *grammar.PRIMITIVES[self.version],
            *grammar.GEOSPATIAL,
            *(grammar.IOT_CENTRAL if self.extended else ()),
        ]
        if name in known:
            return Primitive(name)
        self.shared_schema(name)
        if name in self.schemas:
            return self.schemas[name]
        close = difflib.get_close_matches(name, [*known, *self.schemas], 1)
        hint = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(known)}"
        self.problem("schemaKnown", f"unknown schema {name!r}", path, hint)
        return UNKNOWN

    def shared_schema(self, name: str) -> None:
        if name in self.waiting:
            given, path = self.waiting.pop(name)
            self.schemas[name] = self.schema(given, path)

    def array(self, given: Json, path: JsonPath, depth: int) -> Array:
        return Array(self.schema(given.get("elementSchema"), (*path, "elementSchema"), depth))

    def object(self, given: Json, path: JsonPath, depth: int) -> Object:
        fields = []
        for index, field in self.listed(given, "fields", path):
            place = (*path, "fields", index)
            if isinstance(field, dict):
                self.properties(field, "Field", place)
                fields.append(Field(str(field.get("name")), self.schema(field.get("schema"), (*place, "schema"), depth)))
        return Object(tuple(fields))

    def map(self, given: Json, path: JsonPath, depth: int) -> Map:
        value = given.get("mapValue")
        value = value if isinstance(value, dict) else {}
        return Map(self.schema(value.get("schema"), (*path, "mapValue", "schema"), depth))

    def enum(self, given: Json, path: JsonPath, depth: int) -> Enum:
        base = given.get("valueSchema")
        if base not in ("string", "integer"):
            self.problem("enumValueSchema", f"valueSchema {base!r}", path, "string or integer")
        values = []
        for index, value in self.listed(given, "enumValues", path):
            place = (*path, "enumValues", index)
            if isinstance(value, dict):
                self.properties(value, "EnumValue", place)
                fits = isinstance(value.get("enumValue"), str if base == "string" else int)
                if not fits and "enumValue" in value:
                    self.problem("enumValueType", f"enumValue {value['enumValue']!r} is not of {base}", place)
                values.append(EnumValue(str(value.get("name")), value.get("enumValue", "")))
        for role in ("name", "value"):
            if len({getattr(value, role) for value in values}) < len(values):
                self.problem("enumValuesUnique", f"two enum values share one {role}", (*path, "enumValues"))
        return Enum(str(base), tuple(values))

    def class_of(self, element: Any, allowed: tuple[str, ...], path: JsonPath) -> str | None:
        types = element.get("@type") if isinstance(element, dict) else None
        listed = types if isinstance(types, list) else [types]
        found = [kind for kind in listed if kind in allowed]
        if len(found) == 1:
            return str(found[0])
        close = difflib.get_close_matches(str(listed[0]), allowed, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(allowed)}"
        what = "no @type" if types is None else f"@type {types!r} is not one of {', '.join(allowed)}"
        self.problem("typeKnown", what, path, hint)
        return None

    def properties(self, element: Json, kind: str, path: JsonPath) -> None:
        rules = grammar.CLASSES[kind]
        for key, rule in rules.items():
            if rule.required and key not in element:
                self.problem("propertyRequired", f"{kind} has no {key!r}", path)
        for key, value in element.items():
            found = rules.get(key)
            if found is not None:
                self.value(found, key, value, (*path, key))
            elif not self.extended and self.version > 2:
                close = difflib.get_close_matches(key, rules, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"{kind} has {', '.join(rules)}"
                self.problem("propertyKnown", f"{kind} has no property {key!r}", (*path, key), hint)

    def value(self, rule: Rule, key: str, value: Any, path: JsonPath) -> None:
        problem = VALUES[rule.kind](rule, value, self.version)
        if problem:
            self.problem(f"{rule.kind}Valid", f"{key}: {problem}", path)

    def listed(self, element: Json, key: str, path: JsonPath) -> list[tuple[int, Any]]:
        value = element.get(key, [])
        return list(enumerate(value if isinstance(value, list) else [value]))

    def texts(self, element: Json, key: str) -> dict[str, str]:
        value = element.get(key, {})
        return {"en": value} if isinstance(value, str) else dict(value) if isinstance(value, dict) else {}


def _dtmi(rule: Rule, value: Any, version: int) -> str:
    if not isinstance(value, str):
        return "must be an identifier"
    if not grammar.IDENTIFIER[version].match(value):
        return f"{value!r} is not a valid DTMI for DTDL v{version}"
    if len(value) > grammar.LONGEST_IDENTIFIER[version]:
        return f"longer than {grammar.LONGEST_IDENTIFIER[version]} characters"
    return ""


def _dtmis(rule: Rule, value: Any, version: int) -> str:
    given = value if isinstance(value, list) else [value]
    return next((p for item in given if isinstance(item, str) and (p := _dtmi(rule, item, version))), "")


def _name(rule: Rule, value: Any, version: int) -> str:
    if not isinstance(value, str) or not grammar.NAME.match(value):
        return f"{value!r} must begin with a letter, hold letters, digits and _, and not end in _"
    longest = grammar.LONGEST_NAME[version]
    return f"longer than {longest} characters" if len(value) > longest else ""


def _string(rule: Rule, value: Any, version: int) -> str:
    if not isinstance(value, str):
        return "must be a string"
    return f"longer than {rule.longest} characters" if rule.longest and len(value) > rule.longest else ""


def _texts(rule: Rule, value: Any, version: int) -> str:
    if isinstance(value, str):
        return _string(rule, value, version)
    if not isinstance(value, dict):
        return "must be a string or a map of language to string"
    wrong = [tag for tag in value if not grammar.LANGUAGE.match(tag)]
    return f"{wrong[0]!r} is not a language tag" if wrong else ""


def _kind(expected: type, what: str) -> Any:
    return lambda rule, value, version: "" if type(value) is expected else f"must be {what}"


VALUES: dict[str, Any] = {
    "dtmi": _dtmi,
    "dtmis": _dtmis,
    "name": _name,
    "string": _string,
    "texts": _texts,
    "boolean": _kind(bool, "true or false"),
    "integer": _kind(int, "a whole number"),
    "payload": _kind(dict, "an object with name and schema"),
    "elements": lambda rule, value, version: "" if isinstance(value, list | dict) else "must be a list",
    "schema": lambda rule, value, version: "" if isinstance(value, str | dict) else "must be a schema",
    "any": lambda rule, value, version: "",
}
CONTENT: dict[str, Any] = {
    "Property": _Reader.property,
    "Telemetry": _Reader.telemetry,
    "Command": _Reader.command,
    "Relationship": _Reader.relationship,
    "Component": _Reader.component,
}
SCHEMA: dict[str, Any] = {
    "Array": _Reader.array,
    "Object": _Reader.object,
    "Map": _Reader.map,
    "Enum": _Reader.enum,
}
