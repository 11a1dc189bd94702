"""Recommendations: what a model may do, but had better not. A piece of advice is a function from interface to warnings."""

from collections.abc import Iterable, Iterator

from app.dtdl.catalog import Catalog
from app.dtdl.model import Interface, Property, Relationship, Telemetry
from app.dtdl.syntax import Problem


def advise(catalog: Catalog, interfaces: Iterable[Interface]) -> list[Problem]:
    return [warning for interface in interfaces for advice in ADVICE for warning in advice(interface, catalog)]


def names_are_shown(interface: Interface, catalog: Catalog) -> Iterator[Problem]:
    if not interface.display_name:
        yield _warning("displayNameMissing", interface, "no displayName", "people see it instead of the DTMI")


def measures_have_units(interface: Interface, catalog: Catalog) -> Iterator[Problem]:
    for content in interface.contents:
        if isinstance(content, Telemetry | Property) and content.semantic_type and not content.unit:
            yield _warning("unitMissing", interface, f"{content.name!r} is a {content.semantic_type} without a unit", "")


def targets_are_known(interface: Interface, catalog: Catalog) -> Iterator[Problem]:
    for content in interface.contents:
        if isinstance(content, Relationship) and content.target and content.target not in catalog.interfaces:
            what = f"{content.name!r} points at {content.target}, which is not among the models"
            yield _warning("targetUnknown", interface, what, "any twin fits until it is loaded")


def versions_are_named(interface: Interface, catalog: Catalog) -> Iterator[Problem]:
    if ";" not in interface.dtmi:
        yield _warning("versionMissing", interface, f"{interface.dtmi} has no version", "a change then replaces it everywhere")


ADVICE = (names_are_shown, measures_have_units, targets_are_known, versions_are_named)


def _warning(rule: str, interface: Interface, what: str, hint: str) -> Problem:
    return Problem(rule, what, interface.place, "", hint)
