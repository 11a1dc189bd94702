"""Our tables against the reference's machine-readable metamodel."""

import json
from functools import cache
from typing import Any

import pytest

from app.dtdl.context import core_terms, extension_terms
from app.dtdl.extensions import SUPPLEMENTS, families
from app.dtdl.metamodel import (
    CLASSES,
    IDENTIFIER,
    LITERALS,
    LONGEST_IDENTIFIER,
    LONGEST_INTERFACE_ID,
    VERSIONS,
    concrete,
    limit,
    properties,
)
from tests.conftest import SHARED, needs_shared

pytestmark = needs_shared
LIMITS = {"": "", "aio_1": "aio", "onvif_1": "onvif"}


@cache
def digest() -> Any:
    return json.loads((SHARED / "dtdl" / "metamodel" / "dtdl_digest.json").read_text(encoding="utf-8-sig"))


def limits(ours: Any, version: int, theirs: dict[str, int]) -> bool:
    return all(limit(ours, version, LIMITS[name]) == number for name, number in theirs.items())


@pytest.mark.parametrize("version", VERSIONS)
def test_classes(version: int) -> None:
    theirs = digest()["materialClasses"]
    for name, row in theirs.items():
        ours = CLASSES[name]
        assert ours.parent == (row["parentClass"] or "")
        assert (version in ours.versions) == (version in row["dtdlVersions"])
        assert (version in ours.untyped) == (version in row.get("typeOptionalVersions", []))
        if version in ours.versions and not ours.open:
            assert set(concrete(name, version)) == set(row["concreteSubclasses"][str(version)])
    assert set(CLASSES) == set(theirs)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_properties(name: str, version: int) -> None:
    theirs = digest()["materialClasses"][name]["properties"]
    known = {key: row[str(version)] | {"shared": row["_"]} for key, row in theirs.items() if str(version) in row}
    known = {key: row for key, row in known.items() if row["allowed"]}
    ours = properties(name, version) if version in CLASSES[name].versions else {}
    assert set(ours) == (set(known) if version in CLASSES[name].versions else set())
    for key, rule in ours.items():
        row = known[key]
        assert (version in rule.required) == bool(row.get("minCount")), key
        assert rule.plural == (row["shared"]["plural"] and rule.kind not in LITERALS), key
        assert limits(rule.longest, version, row.get("maxLength", {})), key
        assert not rule.plural or limit(rule.most, version) == row.get("maxCount"), key
        assert rule.pattern == row.get("pattern", "") or rule.kind == "dtmi", key
        assert (version in rule.ids) == row["idRequired"] or rule.kind == "dtmi", key
        assert list(rule.terms) == row.get("values", []), key
        assert set(rule.unique) == set(row.get("uniqueProperties", [])), key
        if rule.kind not in (*LITERALS, "dtmi"):
            assert rule.target(version) == row["class"], key
            assert set(rule.accepts(version)) == set(row["versions"]), key


def test_identifiers() -> None:
    for version in VERSIONS:
        row = digest()["identifierDefinition"][str(version)]
        assert IDENTIFIER[version].pattern == row["pattern"]
        assert limits(LONGEST_IDENTIFIER, version, row["maxLength"])
        assert limits(LONGEST_INTERFACE_ID, version, digest()["identifierDefinition"]["Interface"][str(version)]["maxLength"])


def test_contexts() -> None:
    for name, terms in digest()["contexts"].items():
        core = name.startswith("dtmi:dtdl:context;")
        ours = core_terms(int(name[-1])) if core else extension_terms(name)
        assert {key: ours.get(key) for key, value in terms.items() if ":meta:" not in value} == {
            key: value for key, value in terms.items() if ":meta:" not in value
        }


def test_supplemental_types() -> None:
    theirs = digest()["supplementalTypes"]
    assert set(SUPPLEMENTS) >= set(theirs)
    for identifier, row in theirs.items():
        ours = SUPPLEMENTS[identifier]
        assert ours.abstract == row["abstract"]
        assert set(ours.cotypes) == set(row["cotypes"])
        assert list(ours.versions) == row["cotypeVersions"]
        assert list(ours.excludes) == row.get("discotypes", [])
        assert ([ours.needs] if ours.needs else []) == row.get("cocotypes", [])
        if ours.extras:
            assert {extra.id: extra.required for extra in ours.extras} == {
                key: not value["optional"] for key, value in row["properties"].items()
            }


@pytest.mark.parametrize(("edition", "context"), [(0, "context;2"), (1, "extension:quantitativeTypes;1")])
def test_units(edition: int, context: str) -> None:
    theirs = digest()["units"][f"dtmi:dtdl:{context}"]
    assert {family: sorted(units) for family, (_, units) in families(edition).items()} == {
        family: sorted(units) for family, units in theirs.items()
    }
