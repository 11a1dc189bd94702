"""What several do at once to one twin: the past stays in order, each move is made and told once."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from app.dtdl import Document
from app.twins.edit import NewRelationship, NewTwin, create, patch, relate, unrelate
from app.twins.migrate import migrate
from app.twins.registry import Registry


def at_once(work: Callable[[int], Any], count: int) -> list[Any]:
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(work, range(count)))


def test_the_versions_of_a_property_are_in_the_order_of_its_changes(registry: Registry) -> None:
    """30-asof-concurrent-patches."""
    names = [f"patched-{number}" for number in range(10)]
    create(registry.store, registry.catalog, [NewTwin(name, "Turbine", {"maintenanceNote": "first"}) for name in names])

    def change(number: int) -> None:
        patch(registry.store, registry.catalog, names[number % len(names)], {"maintenanceNote": f"v{number}"})

    at_once(change, 160)
    rows = registry.store.read(
        """MATCH (t:Twin)-[:_PAST]->(v:_Version) WHERE t.dtId STARTS WITH 'patched-' WITH t, v ORDER BY v._until
           WITH t, collect(v.maintenanceNote) AS notes, count(v) AS versions, count(DISTINCT v._until) AS moments,
             max(v._until) AS last
           RETURN t.dtId, notes, versions, moments, last = t._changed"""
    )
    assert len(rows) == len(names)
    for _, notes, versions, moments, last in rows:
        assert notes[0] == "first"
        assert versions == moments == 16
        assert last


def test_the_past_of_a_relationship_is_in_the_order_of_its_changes(registry: Registry) -> None:
    create(registry.store, registry.catalog, [NewTwin("rel-a", "WindFarm"), NewTwin("rel-b", "Turbine")])
    link = NewRelationship("rel-a", "contains", "rel-b")
    for _ in range(20):
        relate(registry.store, registry.catalog, link)
        unrelate(registry.store, link)
    rows = registry.store.read("MATCH (:Twin {dtId: 'rel-a'})-[:_PAST]->(l:_Link) RETURN l._since, l._until ORDER BY l._since")
    assert len(rows) == 20
    assert all(since < until for since, until in rows)
    assert all(until <= since for (_, until), (since, _) in pairwise(rows))


@pytest.fixture(scope="module")
def three(registry: Registry) -> Registry:
    """Three versions of a model, and a thousand twins of the first."""
    for number in (1, 2, 3):
        dtmi = f"dtmi:concurrent:Valve;{number}"
        contents = [{"@type": "Property", "name": f"p{number}", "schema": "string"}]
        document = {"@context": "dtmi:dtdl:context;3", "@id": dtmi, "@type": "Interface", "contents": contents}
        registry.load([Document(dtmi, json.dumps(document), document)])
    create(registry.store, registry.catalog, [NewTwin(f"valve-{n:04}", "dtmi:concurrent:Valve;1") for n in range(1000)])
    return registry


def test_two_migrations_at_once_move_each_twin_once(three: Registry) -> None:
    """31-migrate-two-at-once."""
    targets = ["dtmi:concurrent:Valve;2", "dtmi:concurrent:Valve;3"]
    done = at_once(lambda n: migrate(three.store, three.catalog, "dtmi:concurrent:Valve;1", targets[n]), 2)
    rows = three.store.read(
        "MATCH (t:Twin) WHERE t.dtId STARTS WITH 'valve-' RETURN t._model, count(*), collect(DISTINCT labels(t))"
    )
    moved = {model: count for model, count, _ in rows}
    assert sum(moved.values()) == 1000
    assert [one.moved for one in done] == [moved.get(target, 0) for target in targets]
    for model, _, labels in rows:
        assert [set(each) for each in labels] == [{"Twin", three.catalog.labels[model]}]
