"""Checks across interfaces. A check is a function from one interface and all of them to problems; order is CHECKS."""

import difflib
from collections.abc import Iterator, Mapping

from app.dtdl import grammar
from app.dtdl.model import Component, Interface, Relationship
from app.dtdl.syntax import Problem

Interfaces = Mapping[str, Interface]


def check(interfaces: Interfaces) -> list[Problem]:
    return [found for interface in interfaces.values() for rule in CHECKS for found in rule(interface, interfaces)]


def ancestors(dtmi: str, interfaces: Interfaces) -> list[str]:
    """Every interface above `dtmi`, nearest first, each once; one that is missing or circular is passed over."""
    seen: dict[str, None] = {}
    level = [dtmi]
    while level:
        level = [base for name in level if name in interfaces for base in interfaces[name].extends if base not in seen]
        seen.update(dict.fromkeys(level))
    return [name for name in seen if name != dtmi]


def extends_exist(interface: Interface, interfaces: Interfaces) -> Iterator[Problem]:
    for base in interface.extends:
        if base not in interfaces:
            yield _problem(
                "extendsExists", interface, f"extends {base}, which is not among the models", _near(base, interfaces)
            )


def extends_is_acyclic(interface: Interface, interfaces: Interfaces) -> Iterator[Problem]:
    reached, level = set(), list(interface.extends)
    while level:
        name = level.pop()
        if name == interface.dtmi:
            yield _problem("extendsAcyclic", interface, f"{interface.dtmi} extends itself")
            return
        if name not in reached and name in interfaces:
            reached.add(name)
            level += interfaces[name].extends


def extends_is_shallow(interface: Interface, interfaces: Interfaces) -> Iterator[Problem]:
    limit, level, depth = grammar.DEEPEST_EXTENDS[interface.version], {interface.dtmi}, 0
    while level and depth <= limit:
        level = {base for name in level if name in interfaces for base in interfaces[name].extends}
        if interface.dtmi in level:
            return  # a circle, which is a problem of its own
        depth += bool(level)
    if depth > limit:
        yield _problem("extendsDepth", interface, f"extends more than {limit} levels deep")


def components_exist(interface: Interface, interfaces: Interfaces) -> Iterator[Problem]:
    # A relationship may point at an interface that is not loaded (the language allows it): any twin fits then.
    for content in interface.contents:
        if isinstance(content, Component) and content.interface not in interfaces:
            what = f"component {content.name!r} has the schema {content.interface}, which is not among the models"
            yield _problem("componentExists", interface, what, _near(content.interface, interfaces))


def component_is_flat(interface: Interface, interfaces: Interfaces) -> Iterator[Problem]:
    for content in interface.contents:
        if isinstance(content, Component) and content.interface in interfaces:
            inner = [content.interface, *ancestors(content.interface, interfaces)]
            nested = [c for name in inner if name in interfaces for c in interfaces[name].contents if isinstance(c, Component)]
            if nested and interface.version < 4:
                what = f"component {content.name!r} holds a component itself ({nested[0].name!r})"
                yield _problem("componentFlat", interface, what)


def names_are_unique(interface: Interface, interfaces: Interfaces) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name in [interface.dtmi, *ancestors(interface.dtmi, interfaces)]:
        for content in interfaces[name].contents if name in interfaces else ():
            if content.name in owners:
                what = f"the name {content.name!r} is in {owners[content.name]} and in {name}"
                yield _problem("contentNameUnique", interface, what, "rename one of them")
            owners.setdefault(content.name, name)


def multiplicity_is_ordered(interface: Interface, interfaces: Interfaces) -> Iterator[Problem]:
    for content in interface.contents:
        most = content.max_multiplicity if isinstance(content, Relationship) else None
        if isinstance(content, Relationship) and most is not None and most < max(1, content.min_multiplicity):
            yield _problem("multiplicityOrdered", interface, f"{content.name!r} has maxMultiplicity below its minimum")


CHECKS = (
    extends_exist,
    extends_is_acyclic,
    extends_is_shallow,
    components_exist,
    component_is_flat,
    names_are_unique,
    multiplicity_is_ordered,
)


def _problem(rule: str, interface: Interface, what: str, hint: str = "") -> Problem:
    return Problem(rule, what, interface.place, interface.dtmi, hint)


def _near(dtmi: str, interfaces: Interfaces) -> str:
    close = difflib.get_close_matches(dtmi, interfaces, 1, 0.8)
    return f"did you mean {close[0]}?" if close else "load its file as well"
