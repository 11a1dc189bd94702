"""Rules across elements: a rule is a function from one element and the graph to problems; their order is RULES."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.dtdl.elements import Element, Reference
from app.dtdl.extensions import Constraint, Supplement, units_of
from app.dtdl.metamodel import CLASSES, DESCENTS, Descent, Property, concrete, is_a, limit, properties
from app.dtdl.payload import PRIMITIVES
from app.dtdl.syntax import JsonPath, Problem, show


@dataclass(frozen=True, eq=False)
class Graph:
    """All elements of a model set, and the standard ones, by id."""

    elements: Mapping[str, Element]
    standard: Mapping[str, Element]
    tolerant: bool = False
    inner: Mapping[tuple[str, str], Element] = field(default_factory=dict)  # by interface and id, before `elements`
    _contents: dict[int, list[Element]] = field(default_factory=dict, repr=False)

    def find(self, value: Element | Reference, owner: Element) -> Element | None:
        """The element that `value` of `owner` is or refers to."""
        if isinstance(value, Element):
            return value
        if self.inner and (owner.partition, value.id) in self.inner:
            return self.inner[owner.partition, value.id]
        return self.elements.get(value.id) or self.standard.get(value.id)

    def children(self, element: Element, name: str) -> Iterator[Element]:
        for value in element.values.get(name, ()):
            child = self.find(value, element) if isinstance(value, Element | Reference) else None
            if child is not None:
                yield child

    def all_children(self, element: Element) -> Iterator[tuple[str, Element]]:
        for name in element.values:
            for child in self.children(element, name):
                yield name, child

    def ancestors(self, interface: Element) -> list[Element]:
        """All interfaces above, nearest first, each once."""
        seen: dict[int, Element] = {}
        level = [interface]
        while level:
            bases = {
                id(base): base for ancestor in level for base in self.children(ancestor, "extends") if id(base) not in seen
            }
            seen.update(bases)
            level = list(bases.values())
        return [ancestor for ancestor in seen.values() if ancestor is not interface]

    def contents(self, interface: Element) -> list[Element]:
        """Own and inherited contents."""
        contents = self._contents.get(id(interface))
        if contents is None:
            contents = [c for owner in (interface, *self.ancestors(interface)) for c in self.children(owner, "contents")]
            self._contents[id(interface)] = contents
        return contents


def references(elements: Sequence[Element]) -> Iterator[tuple[Element, str, Reference]]:
    for element in elements:
        for table in (element.values, element.extras):
            for name, values in table.items():
                for value in values:
                    if isinstance(value, Reference):
                        yield element, name, value


def unresolved(elements: Sequence[Element], graph: Graph) -> tuple[set[str], list[Problem]]:
    """Identifiers that nothing defines; a reserved one is a problem."""
    missing: set[str] = set()
    problems = []
    for element, name, value in references(elements):
        if graph.find(value, element) is None:
            if value.id.startswith(("dtmi:dtdl:class:", "dtmi:dtdl:property:", "dtmi:standard:class:")):
                what = f"{name!r} names a class or property of DTDL, not an element"
                problems.append(_problem("badType", element, what, value.path, "primitive schemas begin in lower case"))
            elif value.id.startswith(("dtmi:dtdl:", "dtmi:standard:", "dtmi:iotcentral:", "dtmi:iotoperations:")):
                what = f"{name!r} has the value {value.id}, which nothing defines although its prefix is reserved"
                problems.append(_problem("undefinedReservedId", element, what, value.path))
            else:
                missing.add(value.id)
    return missing, problems


def check(elements: Sequence[Element], graph: Graph) -> list[Problem]:
    problems = [problem for element in elements for problem in reference_fits(element, graph)]
    return problems or [problem for element in elements for rule in RULES for problem in rule(element, graph)]


def reference_fits(element: Element, graph: Graph) -> Iterator[Problem]:
    rules = properties(element.kind, element.version)
    for name, values in element.values.items():
        for value in values:
            if isinstance(value, Reference) and (target := graph.find(value, element)) is not None:
                yield from _fits(element, rules[name], target, value.path, graph)


def _fits(element: Element, rule: Property, target: Element, path: JsonPath, graph: Graph) -> Iterator[Problem]:
    if target.version not in rule.accepts(element.version):
        what = f"{rule.name!r} refers to {target.id}, which is written in DTDL v{target.version}"
        versions = " or ".join(map(str, rule.accepts(element.version)))
        yield _problem("disallowedVersionReference", element, what, path, f"allowed here: v{versions}")
        return
    allowed = concrete(rule.target(element.version), target.version)
    named = target.id.rpartition(":")[2].partition(";")[0]
    if target.kind not in allowed or (rule.terms and (target.id not in graph.standard or named not in rule.terms)):
        expected = ", ".join(rule.terms or allowed)
        yield _problem("badType", element, f"{rule.name!r} refers to {target.id}, a {target.kind}", path, f"one of {expected}")
    elif target.partition not in ("", element.partition) and target.kind != "Interface":
        what = f"{rule.name!r} refers to {target.id}, which lies inside {target.partition}"
        yield _problem("crossPartitionReference", element, what, path, "define a copy of it in this interface")


def values_are_unique(element: Element, graph: Graph) -> Iterator[Problem]:
    for name, rule in properties(element.kind, element.version).items():
        for key in rule.unique:
            seen: dict[Any, Element] = {}
            for child in graph.children(element, name):
                value = child.first(key)
                other = seen.setdefault((type(value), value), child)
                if value is not None and other is not child and not _tolerated(child, graph):
                    what = f"two values of {name!r} have the {key} {value!r}"
                    yield _problem("nonUniquePropertyValue", element, what, child.path, "rename one of them")


def _tolerated(element: Element, graph: Graph) -> bool:
    return graph.tolerant and element.version == 2 and "@id" not in element.source


def extra_values_are_unique(element: Element, graph: Graph) -> Iterator[Problem]:
    for name in ("contents", "fields", "enumValues", "properties"):
        seen: dict[Any, Element] = {}
        for child in graph.children(element, name):
            for key, extra in child.used.items():
                value = child.first(key)
                if extra.unique and value is not None and seen.setdefault((key, value), child) is not child:
                    what = f"two values of {name!r} have the {key} {value!r}"
                    yield _problem("nonUniquePropertyValue", element, what, child.path)


def imported_names_are_unique(element: Element, graph: Graph) -> Iterator[Problem]:
    if element.kind != "Interface" or not element.values.get("extends"):
        return
    owners: dict[str, Element] = {str(c.first("name")): element for c in graph.children(element, "contents")}
    for base in graph.ancestors(element):
        for child in graph.children(base, "contents"):
            name = str(child.first("name"))
            other = owners.setdefault(name, base)
            if other is not base:
                what = f"the name {name!r} is in {other.id} and in {base.id}, which {element.id} extends"
                path = (*element.path, "extends")
                yield _problem("nonUniqueImportedPropertyValue", element, what, path, "rename one of them")


def descends_rightly(element: Element, graph: Graph) -> Iterator[Problem]:
    for row in DESCENTS:
        if is_a(element.kind, row.root) and element.version in row.versions:
            yield from _descend(element, row, graph)


def _descend(element: Element, row: Descent, graph: Graph) -> Iterator[Problem]:
    deepest = limit(row.deepest, element.version, element.context.limits)
    most = limit(row.most, element.version, element.context.limits)
    circular = element.version in row.circular
    way = "Narrow" if row.narrow else "Wide"
    chain = " or ".join(row.properties[:2])
    if row.most is not None and row.deepest is None and not row.excluded:
        count = _count(element, row, graph, most or 0)
        if most and count > most:
            yield _problem("excessiveCount", element, f"{element.id} holds more than {most} elements", element.path)
        return
    best: dict[int, int] = {}
    counted = 0
    waiting: list[tuple[Element, int, tuple[int, ...]]] = [(element, 0, ())]
    while waiting:
        parent, depth, above = waiting.pop()
        for name, child in _steps(parent, row, graph):
            level = depth + (name in row.properties)
            if row.excluded and is_a(child.kind, row.excluded):
                what = f"{element.id} holds a {row.excluded}, {child.id}"
                yield _problem("excludedType", element, what, element.path, f"not allowed under a {row.root}")
                return
            if child is element:
                if not circular and not row.excluded:
                    what = f"{element.id} includes itself by {chain}"
                    yield _problem(f"recursiveStructure{way}", element, what, element.path)
                    return
                continue
            if deepest and level > deepest:
                what = f"{element.id} has more than {deepest} levels of {chain}"
                yield _problem(f"excessiveDepth{way}", element, what, element.path, f"{child.id} is at level {level}")
                return
            if child is parent or id(child) in above or best.get(id(child), -1) >= level:
                continue
            counted += id(child) not in best
            best[id(child)] = level
            waiting.append((child, level, (*above, id(parent)) if not row.narrow else ()))
    if most and counted > most:
        yield _problem("excessiveCount", element, f"{counted} {chain}, {most} are allowed", element.path)


def _steps(element: Element, row: Descent, graph: Graph) -> Iterator[tuple[str, Element]]:
    if row.excluded == "Component" and element.kind == "Interface":
        yield from (("contents", child) for child in graph.contents(element))
    elif row.narrow:
        for name in row.properties:
            yield from ((name, child) for child in graph.children(element, name))
    else:
        yield from graph.all_children(element)


def _count(element: Element, row: Descent, graph: Graph, most: int) -> int:
    seen: set[int] = set()
    waiting, count = [element], 0
    while waiting and count <= most:
        parent = waiting.pop()
        for name in row.properties:
            for child in graph.children(parent, name):
                count += 1
                if id(child) not in seen:
                    seen.add(id(child))
                    waiting.append(child)
    return count


def enum_values_fit(element: Element, graph: Graph) -> Iterator[Problem]:
    if element.kind != "Enum":
        return
    schema = next(graph.children(element, "valueSchema"), None)
    value_type = {"Integer": int, "String": str}.get(schema.kind if schema else "")
    for child in graph.children(element, "enumValues"):
        value = child.first("enumValue")
        if value_type is not None and value is not None and type(value) is not value_type:
            what = f"enumValue {value!r} is not of the valueSchema {schema.kind if schema else ''}"
            yield _problem("nonConformantDatatype", element, what, child.path)


def extra_references_fit(element: Element, graph: Graph) -> Iterator[Problem]:
    for name, extra in element.used.items():
        for value in element.extras[name]:
            target = graph.find(value, element) if isinstance(value, Element | Reference) else None
            if target is None:
                continue
            path = value.path
            extra_path = (*element.path, name)
            hint = f"one of {', '.join(units)}" if (units := units_of(extra)) else ""
            if extra.kind in CLASSES:
                if not is_a(target.kind, extra.kind):
                    yield _problem("badType", element, f"{name!r} is a {target.kind}, not a {extra.kind}", path, hint)
                elif extra.family and (target.parent is None or target.parent.id != extra.family):
                    family = extra.family.rpartition(":")[2]
                    yield _problem("wrongParent", element, f"{name!r} is {target.id}, which is no {family}", path, hint)
            elif extra.kind not in {row.id for row in target.supplements}:
                what = f"{name!r} is {target.id}, which is no {extra.kind.rpartition(':')[2]}"
                yield _problem("notRequiredType", element, what, path or extra_path, hint)


def constraints_hold(element: Element, graph: Graph) -> Iterator[Problem]:
    for row in element.supplements:
        for constraint in row.constraints:
            check_one = _inverse if constraint.inverse else _forward
            yield from check_one(element, row, constraint, graph)


def _forward(element: Element, row: Supplement, constraint: Constraint, graph: Graph) -> Iterator[Problem]:
    for value in element.values.get(constraint.property, ()):
        target = graph.find(value, element)
        if target is None:
            continue
        if constraint.values and target.id not in constraint.values:
            names = ", ".join(name.rpartition(":")[2].partition(";")[0] for name in constraint.values)
            what = f"{row.name!r} wants {constraint.property!r} to be one of {names}"
            yield _problem("notRequiredValue", element, what, value.path)
        if constraint.types and not target.types() & set(constraint.types):
            names = " or ".join(name.rpartition(":")[2] for name in constraint.types)
            what = f"{row.name!r} wants {constraint.property!r} to be of {names}, not {target.kind}"
            yield _problem("notRequiredType", element, what, value.path)


def _inverse(element: Element, row: Supplement, constraint: Constraint, graph: Graph) -> Iterator[Problem]:
    parent = element.parent
    if parent is None or element.role != constraint.property or not parent.types() & set(constraint.types):
        names = " or ".join(name.rpartition(":")[2] for name in constraint.types)
        what = f"{row.name!r} may only be in {constraint.property!r} of {names}"
        yield _problem("parentMissingCotype", element, what, element.path)
        return
    siblings = [child for child in graph.children(parent, constraint.property) if child is not element]
    if constraint.alone and any(constraint.alone in sibling.types() for sibling in siblings):
        what = f"two values of {constraint.property!r} are {row.name!r}, one is allowed"
        yield _problem("siblingDuplicatesCotype", element, what, element.path)
    if constraint.beside and not any(constraint.beside in sibling.types() for sibling in siblings):
        what = f"{row.name!r} needs a sibling of type {constraint.beside.rpartition(':')[2]}"
        yield _problem("siblingMissingCotype", element, what, element.path)


def annotations_have_targets(element: Element, graph: Graph) -> Iterator[Problem]:
    """An annotation and what it annotates meet in an interface, where either may be inherited."""
    contents = graph.contents(element) if element.kind == "Interface" else []
    for content in contents:
        name = content.first("annotates")
        if name is None:
            continue
        path = (*content.path, "annotates")
        sibling = next((other for other in contents if other.first("name") == name), None)
        if sibling is None or element not in (content.parent, sibling.parent):
            continue
        if sibling.kind not in ("Property", "Telemetry"):
            what = f"'annotates' names {name!r}, a {sibling.kind}"
            yield _problem("notSiblingRequiredType", content, what, path, "a Property or Telemetry")
        elif "ValueAnnotation" in _names(sibling) and "Override" not in _names(content):
            yield _problem("disallowedType", content, f"'annotates' names {name!r}, an annotation itself", path)
        elif "Override" in _names(content):
            yield from _override(content, sibling, contents, graph)


def _override(element: Element, sibling: Element, contents: Sequence[Element], graph: Graph) -> Iterator[Problem]:
    identifier, name = element.first("overrides"), element.first("annotates")
    if identifier is None:
        return
    path = (*element.path, "overrides")
    term = identifier.rpartition(":")[2].partition(";")[0]
    if term in properties(sibling.kind, sibling.version):
        what = f"{term!r} belongs to the class of {name!r}, not to a co-type"
        yield _problem("matchingPropertyNotSupplemental", element, what, path)
    elif not any(extra.id == identifier or extra.name == term for row in sibling.supplements for extra in row.extras):
        yield _problem("noMatchingSupplementalProperty", element, f"{name!r} has no co-type with {term!r}", path)
    elif any(
        other is not element and (other.first("overrides"), other.first("annotates")) == (identifier, name)
        for other in contents
    ):
        yield _problem("multipleReference", element, f"{term!r} of {name!r} is overridden twice", path)
    else:
        yield from _override_schema(element, sibling, term, graph)


def _override_schema(element: Element, sibling: Element, term: str, graph: Graph) -> Iterator[Problem]:
    schema = next(graph.children(element, "schema"), None)
    value = sibling.extras.get(term, [None])[0]
    target = graph.find(value, sibling) if isinstance(value, Element | Reference) else None
    expected_id = target.parent.id if target is not None and target.parent is not None else ""
    if schema is not None and expected_id and schema.id != expected_id:
        what = f"'schema' is {schema.id}, but the overridden {term!r} is of {expected_id}"
        yield _problem("siblingPropertyMismatch", element, what, (*element.path, "schema"))


def _names(element: Element) -> set[str]:
    return {row.name for row in element.supplements}


def extra_values_conform(element: Element, graph: Graph) -> Iterator[Problem]:
    for name, extra in element.used.items():
        schema = next(graph.children(element, extra.conforms), None) if extra.conforms else None
        check = PRIMITIVES.get(schema.kind[0].lower() + schema.kind[1:]) if schema is not None else None
        value = element.first(name)
        if check is not None and value is not None and (wrong := check(value)):
            yield _problem("nonConformantPropertyValue", element, f"{name!r} {wrong}", (*element.path, name))


RULES = (
    values_are_unique,
    extra_values_are_unique,
    imported_names_are_unique,
    descends_rightly,
    enum_values_fit,
    extra_references_fit,
    constraints_hold,
    annotations_have_targets,
    extra_values_conform,
)


def _problem(rule: str, element: Element, what: str, path: JsonPath, hint: str = "") -> Problem:
    place = element.document.place(path) if element.document else ""
    return Problem(rule, what, place, show(path), hint)
