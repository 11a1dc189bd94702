"""Documents → elements: the metamodel interpreted. What needs other elements than itself is left to `check`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.dtdl import literals
from app.dtdl.context import Context, Options, defined_by, enter, type_with
from app.dtdl.extensions import SUPPLEMENTS, Extra, Supplement, units_of
from app.dtdl.metamodel import (
    CLASSES,
    DTMI,
    IDENTIFIER,
    LARGEST_INTERFACE,
    LITERALS,
    LONGEST_IDENTIFIER,
    LONGEST_INTERFACE_ID,
    Property,
    concrete,
    limit,
    lineage,
    properties,
)
from app.dtdl.syntax import Document, JsonPath, Problem, show
from app.errors import nearest

# What DTDL says of a co-type or a property that is none of its own: taken, refused, or taken where the caller allows it.
UNDEFINED: Mapping[tuple[str, str], Mapping[int, str]] = {
    ("type", "InvalidDtmi"): {2: "refused", 3: "refused", 4: "refused"},
    ("type", "IrrelevantDtmiOrTerm"): {2: "asked", 3: "asked", 4: "asked"},
    ("type", "NotDtmiNorTerm"): {2: "taken", 3: "refused", 4: "refused"},
    ("type", "UndefinedTerm"): {2: "taken", 3: "asked", 4: "asked"},
    ("property", "InvalidDtmi"): {2: "taken", 3: "refused", 4: "refused"},
    ("property", "IrrelevantDtmiOrTerm"): {2: "taken", 3: "asked", 4: "asked"},
    ("property", "NotDtmiNorTerm"): {2: "taken", 3: "refused", 4: "refused"},
    ("property", "UndefinedTerm"): {2: "taken", 3: "asked", 4: "asked"},
}


DEEPEST = 100  # elements inside elements; DTDL's own limits come long before
HINTS = 100  # near matches are looked for this often: a file of nothing but mistakes must not take forever
STANDARD = {"PrimitiveSchema", "CommandType", "Unit", "UnitAttribute"}  # classes only DTDL itself has elements of


@dataclass(frozen=True, slots=True)
class Reference:
    id: str
    path: JsonPath


@dataclass(slots=True, eq=False)
class Element:
    """One element of a model. `values` holds literals, elements and references by property; `extras` those of co-types."""

    id: str
    kind: str
    context: Context
    document: Document | None
    path: JsonPath
    parent: "Element | None" = None
    role: str = ""
    partition: str = ""
    supplements: tuple[Supplement, ...] = ()
    foreign: bool = False  # co-typed with something nobody has defined
    refused: bool = False  # and told so: its properties need no telling
    values: dict[str, list[Any]] = field(default_factory=dict)
    extras: dict[str, list[Any]] = field(default_factory=dict)
    used: dict[str, Extra] = field(default_factory=dict)
    source: Any = None

    @property
    def version(self) -> int:
        return self.context.version

    def types(self) -> set[str]:
        """Class names and the ids of co-types."""
        named = {row.id for row in self.supplements} | {p for row in self.supplements for p in row.parents}
        return {*lineage(self.kind), *named}

    def first(self, name: str) -> Any:
        values = self.values.get(name) or self.extras.get(name)
        return values[0] if values else None


class Reader:
    """Reads documents into `elements` by id; `problems` gathers what is wrong."""

    def __init__(self, options: Options, standard: Mapping[str, Element] | None = None) -> None:
        self.options, self.standard = options, standard or {}
        self.elements: dict[str, Element] = {}
        self.roots: list[Element] = []
        self.problems: list[Problem] = []
        self.reserved_allowed = standard is None
        self.resolving = False
        self.found: list[Element] = []
        self.inner: dict[tuple[str, str], Element] = {}  # by interface, what has its id from another as well
        self._depth = 0
        self._hints = 0
        self._document: Document = Document("", "", None)

    def problem(self, rule: str, what: str, path: JsonPath, hint: str = "") -> None:
        self.problems.append(Problem(rule, what, self._document.place(path), show(path), hint))

    def _near(self, word: str, candidates: Iterable[str], otherwise: str) -> str:
        self._hints += 1
        return nearest(word, candidates, otherwise) if self._hints <= HINTS else otherwise

    def read(self, document: Document) -> None:
        self._document = document
        listed = isinstance(document.json, list)
        for index, root in enumerate(document.json if listed else [document.json]):
            path: JsonPath = (index,) if listed else ()
            if isinstance(root, dict):
                self._root(root, path)
            else:
                self.problem("notJsonObject", "a model must be a JSON object or a list of them", path)

    def _root(self, root: dict[str, Any], path: JsonPath) -> None:
        if "@context" not in root:
            self.problem("missingContext", "no @context", path, 'begin with "@context": "dtmi:dtdl:context;3"')
            return
        if "@graph" in root:
            self.problem("topLevelGraphDisallowed", "@graph is not allowed", path, "put its elements in a list")
            return
        context = self._context(root["@context"], Context(), path, top=True)
        if context is None:
            return
        keywords = [key for key in root if key.startswith("@") and key not in ("@context", "@id", "@type", "@graph")]
        if context.version > 2 and keywords:
            self.problem("topLevelKeywordDisallowed", f"{keywords[0]!r} is not allowed", (*path, keywords[0]))
        kinds, _, _ = self._types(root, context, path, quiet=True)
        if "Interface" not in kinds:
            what = f"@type is {root.get('@type')!r}" if "@type" in root else "no @type"
            self.problem("typeNotRootable", f"{what}, but a model's top level must be an Interface", path)
            return
        if "@id" not in root:
            self.problem("missingTopLevelId", "no @id", path, "an interface needs a DTMI")
            return
        element = self._element(root, context, path, ("Interface",), None, None)
        if element is not None:
            self.roots.append(element)

    def _context(self, context_value: Any, outer: Context, path: JsonPath, top: bool) -> Context | None:
        place = (*path, "@context")
        return enter(context_value, outer, top, self.options, lambda rule, what, hint: self.problem(rule, what, place, hint))

    # -- one element

    def _element(
        self,
        source: dict[str, Any],
        context: Context,
        path: JsonPath,
        allowed: tuple[str, ...],
        parent: Element | None,
        by: Property | Extra | None,
    ) -> Element | None:
        if self._depth > DEEPEST:
            self.problem("jsonDepth", f"elements nested deeper than {DEEPEST} levels", path, "name inner ones by their @id")
            return None
        before = len(self.problems)
        kind, supplements, foreign = self._kind(source, context, path, allowed, by)
        if not kind:
            return None
        if isinstance(source.get("@id"), str) and "#" in source["@id"]:
            # A fragment names a layer of an element; layers are refused whole, as nothing in them would be found.
            self.problem("invalidId", f"{source['@id']!r} has a fragment", (*path, "@id"), "layering is not supported")
            return None
        identifier = self._identifier(source, context, path, kind, parent, by)
        element = Element(identifier, kind, context, self._document, path, parent, by.name if by else "", source=source)
        element.supplements, element.foreign = supplements, foreign
        element.refused = foreign and len(self.problems) > before
        element.partition = identifier if kind == "Interface" else parent.partition if parent else ""
        self._register(element, "@id" in source)
        if kind == "Interface":
            self._size(element)
        self._depth += 1
        self._properties(source, element)
        self._depth -= 1
        self._missing(element)
        self._cotypes(element)
        return element

    def _register(self, element: Element, named: bool) -> None:
        self.found.append(element)
        earlier = self.elements.get(element.id)
        if earlier is None or not element.id or (named and not self._named(earlier)):
            self.elements[element.id] = element
        elif named and self._apart(earlier, element):
            self.inner[element.partition, element.id] = element
        elif named:
            place = earlier.document.place(earlier.path) if earlier.document else "the standard"
            what = f"{element.id} is defined twice, also at {place}"
            self.problem("duplicateDefinition", what, (*element.path, "@id"))

    @staticmethod
    def _apart(earlier: Element, element: Element) -> bool:
        """Versions of one interface may each define an inner schema of the same id; so may files that copy it word by word."""
        if element.parent is None or earlier.partition == element.partition:
            return False
        versions = earlier.partition.partition(";")[0] == element.partition.partition(";")[0]
        return versions or (earlier.document is not element.document and earlier.source == element.source)

    @staticmethod
    def _named(element: Element) -> bool:
        return isinstance(element.source, dict) and "@id" in element.source

    def _size(self, element: Element) -> None:
        largest = limit(LARGEST_INTERFACE, element.version, element.context.limits)
        if largest and len(self._document.text) > largest // 4 and (size := self._document.size(element.path)) > largest:
            self.problem("partitionTooLarge", f"{element.id} is {size} bytes long, {largest} are allowed", element.path)

    def _kind(
        self, source: dict[str, Any], context: Context, path: JsonPath, allowed: tuple[str, ...], by: Property | Extra | None
    ) -> tuple[str, tuple[Supplement, ...], bool]:
        problems_before = len(self.problems)
        kinds, supplements, foreign = self._types(source, context, path)
        if len(kinds) > 1:
            self.problem("multipleMaterialTypes", f"@type names several classes: {', '.join(kinds)}", (*path, "@type"))
            return "", (), False
        if not kinds:
            untyped = [name for name in allowed if context.version in CLASSES[name].untyped]
            if untyped and "@type" not in source:
                return untyped[0], tuple(supplements), foreign
            what = f"@type {source['@type']!r} names no class" if "@type" in source else "no @type"
            if len(self.problems) == problems_before:
                self.problem("badType", what, path, f"one of {', '.join(allowed)}")
            return "", (), False
        if kinds[0] not in allowed:
            hint = self._near(kinds[0], allowed, f"one of {', '.join(allowed)}")
            self.problem("badType", f"@type {kinds[0]!r} does not fit here", (*path, "@type"), hint)
            return "", (), False
        return kinds[0], tuple(supplements), foreign

    def _types(
        self, source: dict[str, Any], context: Context, path: JsonPath, quiet: bool = False
    ) -> tuple[list[str], list[Supplement], bool]:
        listed = source.get("@type", [])
        listed = listed if isinstance(listed, list) else [listed]
        kinds: list[str] = []
        supplements: list[Supplement] = []
        foreign = False
        place = (*path, "@type")
        for item in listed:
            if not isinstance(item, str):
                if not quiet:
                    self.problem("typeNotString", f"@type holds {item!r}, which is not a string", place)
                continue
            identifier = context.terms.get(item, item)
            name = _class_of(identifier, context.version)
            if name and not CLASSES[name].open:
                kinds += [name] if name not in kinds else []
            elif identifier in SUPPLEMENTS:
                supplements.append(SUPPLEMENTS[identifier])
            else:
                foreign = True
                if not quiet:
                    self._undefined("type", item, context, place, item)
        return kinds, supplements, foreign

    def _undefined(self, role: str, name: str, context: Context, path: JsonPath, shown: str) -> bool:
        """Whether a co-type or property that DTDL does not define may stay; tells so if not."""
        how = _way(name, context)
        verdict = UNDEFINED[role, how][context.version]
        if verdict == "taken" or (verdict == "asked" and self.options.allows_undefined(context.version)):
            return True
        defining_context = defined_by(name, context.version)
        if lacking := type_with(context.terms.get(name, ""), context.version):
            hint = f"add {lacking!r} to @type"
        elif defining_context:
            hint = f"add {defining_context!r} to @context"
        else:
            hint = self._near(name, context.terms, "no context of DTDL defines it")
        self.problem(f"{role}{how}", f"{shown!r} is not a {role} that DTDL v{context.version} defines here", path, hint)
        return False

    def _identifier(
        self,
        source: dict[str, Any],
        context: Context,
        path: JsonPath,
        kind: str,
        parent: Element | None,
        by: Property | Extra | None,
    ) -> str:
        if "@id" not in source:
            required = context.version in CLASSES[kind].ids or (isinstance(by, Property) and context.version in by.ids)
            if required:
                self.problem("missingRequiredId", f"a {kind} needs an @id here", path)
            return _generated(source, parent, by)
        identifier, place = source["@id"], (*path, "@id")
        if not isinstance(identifier, str) or not identifier:
            self.problem("idNotString", "@id must be a string that is not empty", place)
            return _generated(source, parent, by)
        if self.reserved_allowed:
            return identifier
        if not IDENTIFIER[context.version].fullmatch(identifier):
            self.problem("invalidId", f"{identifier!r} is not a DTMI of DTDL v{context.version}", place)
        else:
            self._length(identifier, context, kind, place)
        if not self._tolerates(context) and identifier.startswith(context.reserved()):
            self.problem("reservedId", f"{identifier!r} begins with a reserved prefix", place, "use your own")
        return identifier

    def _tolerates(self, context: Context) -> bool:
        """Old tools wrote DTDL v2 that later ones refuse; what a resolver finds is held to the rules."""
        return self.options.tolerant and context.version == 2 and not self.resolving

    def _length(self, identifier: str, context: Context, kind: str, place: JsonPath) -> None:
        longest = limit(LONGEST_INTERFACE_ID, context.version, context.limits) if kind == "Interface" else None
        if longest and len(identifier) > longest:
            self.problem("idTooLongForType", f"{len(identifier)} characters; an Interface may have {longest}", place)
        longest = limit(LONGEST_IDENTIFIER, context.version, context.limits)
        if longest and len(identifier) > longest:
            self.problem("idTooLong", f"{len(identifier)} characters; {longest} are allowed", place)

    # -- its properties

    def _properties(self, source: dict[str, Any], element: Element) -> None:
        rules = properties(element.kind, element.version)
        for key, value in source.items():
            if key in ("@id", "@type", "@context"):
                continue
            path = (*element.path, key)
            if key.startswith("@"):
                self._keyword(key, element, path)
                continue
            identifier = element.context.terms.get(key, key)
            name = _property_of(identifier, element.version)
            extra = next((e for row in element.supplements for e in row.extras if e.id == identifier), None)
            if name in rules and name != "languageMajorVersion":
                self._known(element, rules[name], value, path)
            elif extra is not None:
                self._extra(element, extra, value, path)
            else:
                self._unknown(element, key, path)

    def _keyword(self, key: str, element: Element, path: JsonPath) -> None:
        if key == "@graph":
            if element.parent is not None:
                self.problem("graphDisallowed", "@graph is not allowed", path)
        elif element.version > 2 and element.parent is not None:
            self.problem("keywordDisallowed", f"{key!r} is not allowed", path)

    def _unknown(self, element: Element, key: str, path: JsonPath) -> None:
        if element.refused:
            return
        if self._undefined("property", key, element.context, path, key) and not element.foreign:
            names = [*properties(element.kind, element.version)]
            hint = self._near(key, names, f"{element.kind} has {', '.join(names)}")
            self.problem("noTypeThatAllows", f"no @type of this element has a property {key!r}", path, hint)

    def _known(self, element: Element, rule: Property, value: Any, path: JsonPath) -> None:
        if rule.name in element.values:
            self.problem("duplicatePropertyName", f"{rule.name!r} is given twice", path)
            return
        version, limits = element.version, element.context.limits
        if rule.kind in LITERALS or rule.kind == "dtmi":
            report = self._reporter(path)
            parsed = literals.read(
                rule.kind,
                value,
                report,
                version=version,
                longest=limit(rule.longest, version, limits),
                pattern=rule.pattern,
                least=rule.least,
                greatest=limit(rule.greatest, version, limits),
                terms=element.context.terms,
                required=version in rule.required,
            )
            element.values[rule.name] = parsed
        else:
            element.values[rule.name] = self._objects(element, rule, value, path)

    def _extra(self, element: Element, extra: Extra, value: Any, path: JsonPath) -> None:
        if extra.name in element.extras:
            self.problem("duplicatePropertyName", f"{extra.name!r} is given twice", path)
            return
        element.used[extra.name] = extra
        if extra.kind in LITERALS or extra.kind == "term":
            element.extras[extra.name] = literals.read(
                extra.kind,
                value,
                self._reporter(path),
                version=element.version,
                longest=extra.longest,
                pattern=extra.pattern,
                least=extra.least,
                greatest=None,
                terms=element.context.terms,
                required=extra.required,
            )
        else:
            element.extras[extra.name] = self._objects(element, extra, value, path)

    def _reporter(self, path: JsonPath) -> literals.Report:
        return lambda rule, what, hint="", *more: self.problem(rule, what, (*path, *more), hint)

    # -- objects as values

    def _objects(self, element: Element, by: Property | Extra, value: Any, path: JsonPath) -> list[Any]:
        plural = isinstance(by, Property) and by.plural
        listed = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        elements = []
        for index, item in listed:
            place = path if index is None else (*path, index)
            inner = self._object(element, by, item, place)
            if inner is not None:
                elements.append(inner)
        version = element.version
        most = limit(by.most, version, element.context.limits) if isinstance(by, Property) else None
        required = version in by.required if isinstance(by, Property) else by.required
        if not plural and len(listed) > 1:
            self.problem("objectMultipleValues", f"{by.name!r} has {len(listed)} values, one is allowed", path)
        elif required and not listed:
            self.problem("objectCountBelowMin", f"{by.name!r} has no valid value, one is required", path)
        elif most and len(elements) > most:
            self.problem("objectCountAboveMax", f"{by.name!r} has {len(elements)} values, {most} are allowed", path)
        return elements

    def _object(self, element: Element, by: Property | Extra, item: Any, path: JsonPath) -> Any:
        if isinstance(item, str):
            return self._reference(element, by, item, path)
        if not isinstance(item, dict):
            rule = "propertyValueNull" if item is None else "refNotStringOrObject"
            self.problem(rule, f"{by.name!r} must be an element or a reference to one", path)
            return None
        if list(item) == ["@id"]:
            if not self._tolerates(element.context):
                self.problem("idReference", f"{by.name!r} has an element with nothing but an @id", path, "write the id alone")
                return None
            return self._reference(element, by, item["@id"], (*path, "@id")) if isinstance(item["@id"], str) else None
        context = element.context
        if "@context" in item:
            inner = self._context(item["@context"], context, path, top=False)
            if inner is None:
                return None
            context = inner
            versions = by.accepts(element.version) if isinstance(by, Property) else (element.version,)
            if context.version not in versions:
                what = f"{by.name!r} of a v{element.version} element cannot be written in DTDL v{context.version}"
                self.problem("disallowedVersionDefinition", what, path, f"one of {', '.join(map(str, versions))}")
                return None
        return self._element(item, context, path, self._allowed(by, context.version), element, by)

    @staticmethod
    def _allowed(by: Property | Extra, version: int) -> tuple[str, ...]:
        kind = by.target(version) if isinstance(by, Property) else by.kind
        return (
            tuple(name for name in concrete(kind, version) if not STANDARD.intersection(lineage(name)))
            if kind in CLASSES
            else ()
        )

    def _reference(self, element: Element, by: Property | Extra, item: str, path: JsonPath) -> Reference | None:
        identifier = element.context.terms.get(item, item)
        if identifier == item and not IDENTIFIER[element.version].fullmatch(item):
            units = units_of(by) if isinstance(by, Extra) else ()
            otherwise = f"one of {', '.join(units)}" if units else "a DTMI, or a term of an active context"
            hint = self._near(item, units or element.context.terms, otherwise)
            self.problem("badDtmiOrTerm", f"{item!r} is neither a DTMI nor a term of DTDL v{element.version}", path, hint)
            return None
        return Reference(identifier, path)

    # -- what must be there

    def _missing(self, element: Element) -> None:
        for name, rule in properties(element.kind, element.version).items():
            if element.version in rule.required and name not in element.values:
                literal = rule.kind in LITERALS
                if literal and self._keyed(element, name):
                    rule_name = "missingLiteralProperty" if "@id" in element.source else "missingDtmiSegPropertyValue"
                    self.problem(rule_name, f"a {element.kind} needs a {name!r}", element.path)
                    continue
                self.problem(
                    "missingLiteralProperty" if literal else "missingObjectProperty",
                    f"a {element.kind} needs {name!r}",
                    element.path,
                )

    @staticmethod
    def _keyed(element: Element, name: str) -> bool:
        if element.parent is None or name != "name":
            return False
        rule = properties(element.parent.kind, element.parent.version).get(element.role)
        return rule is not None and rule.key == name

    def _cotypes(self, element: Element) -> None:
        place = (*element.path, "@type") if isinstance(element.source, dict) and "@type" in element.source else element.path
        present = {row.id for row in element.supplements}
        for row in element.supplements:
            if row.abstract:
                self.problem("abstractSupplementalType", f"{row.name!r} is abstract", place)
                continue
            if element.kind not in row.cotypes and row.instead not in present:
                what = f"{row.name!r} can be put on {', '.join(row.cotypes) or 'nothing'}, not on a {element.kind}"
                self.problem("invalidCotype", what, place)
                continue
            if element.version not in row.versions:
                versions = " or ".join(map(str, row.versions))
                self.problem("invalidCotypeVersion", f"{row.name!r} is for elements of DTDL v{versions}", place)
                continue
            if row.needs and row.needs not in present:
                self.problem("missingCocotype", f"{row.name!r} needs {row.needs} beside it", place)
            for other in row.excludes:
                if other in present:
                    self.problem("disallowedCocotype", f"{row.name!r} cannot stand beside {other}", place)
            for extra in row.extras:
                if extra.required and extra.name not in element.extras:
                    rule = "missingSupplementalLiteralProperty"
                    if extra.kind not in LITERALS and extra.kind != "term":
                        rule = "missingSupplementalObjectProperty"
                    self.problem(rule, f"{row.name!r} needs {extra.name!r}", element.path)
        self._conflicts(element, place)

    def _conflicts(self, element: Element, place: JsonPath) -> None:
        owners: dict[str, str] = {}
        for row in element.supplements:
            for extra in row.extras:
                if owners.setdefault(extra.id, row.name) != row.name:
                    what = f"{owners[extra.id]!r} and {row.name!r} both add {extra.name!r}"
                    self.problem("conflictingSupplementalTypes", what, place)


def _way(name: str, context: Context) -> str:
    if name.startswith("dtmi:"):
        return "IrrelevantDtmiOrTerm" if DTMI.fullmatch(name) else "InvalidDtmi"
    if name in context.terms:
        return "IrrelevantDtmiOrTerm"
    return "NotDtmiNorTerm" if ":" in name else "UndefinedTerm"


def _class_of(identifier: str, version: int) -> str:
    prefix, suffix = "dtmi:dtdl:class:", f";{version}"
    name = identifier[len(prefix) : -len(suffix)] if identifier.startswith(prefix) and identifier.endswith(suffix) else ""
    return name if name in CLASSES and version in CLASSES[name].versions else ""


def _property_of(identifier: str, version: int) -> str:
    prefix, suffix = "dtmi:dtdl:property:", f";{version}"
    return identifier[len(prefix) : -len(suffix)] if identifier.startswith(prefix) and identifier.endswith(suffix) else ""


def _generated(source: dict[str, Any], parent: Element | None, by: Property | Extra | None) -> str:
    if parent is None or by is None:
        return ""
    base, semicolon, version = parent.id.partition(";")
    segment = f"_{by.name}"
    if isinstance(by, Property) and by.key:
        segment += f":__{source.get(by.key)}"
    return f"{base}:{segment}{semicolon}{version}"
