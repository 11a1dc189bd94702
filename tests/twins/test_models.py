"""Versions of a model side by side in a real graph; twins move between them; what is needed cannot be deleted."""

import json
from typing import Any

import pytest

from app.dtdl import Document
from app.errors import Conflict, ModelError, TwinError
from app.twins.edit import NewRelationship, NewTwin, create, delete, relate
from app.twins.migrate import migrate
from app.twins.registry import Registry


def version(number: int, *contents: dict[str, Any]) -> Document:
    dtmi = f"dtmi:migration:Fan;{number}"
    made = {"@context": "dtmi:dtdl:context;3", "@id": dtmi, "@type": "Interface", "contents": list(contents)}
    return Document(dtmi, json.dumps(made), made)


def prop(name: str, schema: str) -> dict[str, Any]:
    return {"@type": "Property", "name": name, "schema": schema, "writable": True}


@pytest.fixture(scope="module")
def loaded(registry: Registry) -> Registry:
    registry.load([version(1, prop("speed", "long"), prop("oldName", "string"))])
    registry.load([version(2, prop("speed", "integer"), prop("newName", "string"))])
    twins = [NewTwin(f"fan-{i}", "dtmi:migration:Fan;1", {"speed": i, "oldName": "x"}) for i in range(1200)]
    create(registry.store, registry.catalog, [*twins, NewTwin("fan-big", "dtmi:migration:Fan;1", {"speed": 2**40})])
    return registry


def counts(registry: Registry) -> dict[str, int]:
    rows = registry.store.read(
        "MATCH (t:Twin) WHERE t.dtId STARTS WITH 'fan-' RETURN t._model, count(*), collect(DISTINCT labels(t))"
    )
    return {model: count for model, count, _ in rows}


def test_a_dry_run_changes_nothing(loaded: Registry) -> None:
    done = migrate(loaded.store, loaded.catalog, "dtmi:migration:Fan;1", "dtmi:migration:Fan;2", dry=True)
    assert (done.moved, list(done.refused), done.kept) == (1200, ["fan-big"], {"oldName": 1200})
    assert counts(loaded) == {"dtmi:migration:Fan;1": 1201}


def test_twins_move_and_what_does_not_fit_stays(loaded: Registry) -> None:
    migrate(loaded.store, loaded.catalog, "dtmi:migration:Fan;1", "dtmi:migration:Fan;2")
    assert counts(loaded) == {"dtmi:migration:Fan;1": 1, "dtmi:migration:Fan;2": 1200}
    ((labels, old_name),) = loaded.store.read("MATCH (t:Twin {dtId: 'fan-7'}) RETURN labels(t), t.oldName")
    assert set(labels) == {"Twin", loaded.catalog.labels["dtmi:migration:Fan;2"]}
    assert old_name == "x"
    again = migrate(loaded.store, loaded.catalog, "dtmi:migration:Fan;1", "dtmi:migration:Fan;2")
    assert again.moved == 0


def test_only_versions_of_one_interface(loaded: Registry) -> None:
    for other in ("Turbine", "dtmi:migration:Fan;1"):
        with pytest.raises(Conflict, match="not two versions"):
            migrate(loaded.store, loaded.catalog, "dtmi:migration:Fan;1", other)


def fridge(number: int, unit: str, most: int, *more: dict[str, Any]) -> Document:
    """A model whose next version has another unit, fewer neighbours, a component."""
    dtmi = f"dtmi:migration:Fridge;{number}"
    made = {
        "@context": ["dtmi:dtdl:context;3", "dtmi:dtdl:extension:quantitativeTypes;1"],
        "@id": dtmi,
        "@type": "Interface",
        "contents": [
            {"@type": ["Telemetry", "Temperature"], "name": "inside", "schema": "double", "unit": unit},
            {"@type": "Relationship", "name": "cools", "target": dtmi, "maxMultiplicity": most},
            *more,
        ],
    }
    return Document(dtmi, json.dumps(made), made)


def test_units_neighbours_and_components(loaded: Registry) -> None:
    part = {"@type": "Component", "name": "endpoint", "schema": "dtmi:migration:Fan;2"}
    loaded.load([fridge(1, "degreeCelsius", 2, prop("gone", "string")), fridge(2, "kelvin", 1, part)])
    before, after = "dtmi:migration:Fridge;1", "dtmi:migration:Fridge;2"
    twins = [NewTwin(f"fridge-{i}", before, {"gone": "x", "inside": 4.0}, {"inside": 1}) for i in range(3)]
    create(loaded.store, loaded.catalog, twins)
    for target in ("fridge-1", "fridge-2"):
        relate(loaded.store, loaded.catalog, NewRelationship("fridge-0", "cools", target))
    relate(loaded.store, loaded.catalog, NewRelationship("fridge-1", "cools", "fridge-2"))
    with pytest.raises(Conflict, match="inside from degreeCelsius to kelvin"):
        migrate(loaded.store, loaded.catalog, before, after)
    done = migrate(loaded.store, loaded.catalog, before, after, other_units=True)
    assert (done.moved, done.kept) == (2, {"gone": 2})
    assert done.refused == {"fridge-0": "2 relationships 'cools', at most 1 are allowed"}
    rows = loaded.store.read("MATCH (t:Twin)-[:endpoint]->(c:Component) RETURN t.dtId, c._model ORDER BY t.dtId")
    assert rows == [["fridge-1", "dtmi:migration:Fan;2"], ["fridge-2", "dtmi:migration:Fan;2"]]


def test_a_model_with_twins_is_not_deleted(loaded: Registry) -> None:
    with pytest.raises(Conflict, match="needed by 1 twins"):
        loaded.delete("dtmi:migration:Fan;1")
    delete(loaded.store, "fan-big")
    loaded.delete("dtmi:migration:Fan;1")
    assert "dtmi:migration:Fan;1" not in Registry(loaded.store).catalog.interfaces


def test_a_model_that_others_extend_is_not_deleted(loaded: Registry) -> None:
    with pytest.raises(Conflict, match="the models"):
        loaded.delete("dtmi:twingraph:core:Asset;1")


def test_a_decommissioned_model_takes_no_new_twins(loaded: Registry) -> None:
    loaded.decommission("dtmi:migration:Fan;2")
    with pytest.raises(TwinError, match="decommissioned"):
        create(loaded.store, Registry(loaded.store).catalog, [NewTwin("fan-late", "dtmi:migration:Fan;2")])
    loaded.decommission("dtmi:migration:Fan;2", away=False)
    create(loaded.store, loaded.catalog, [NewTwin("fan-late", "dtmi:migration:Fan;2")])


def test_a_model_that_the_graph_cannot_keep_apart_is_refused_whole(loaded: Registry) -> None:
    generation = loaded.catalog.generation
    with pytest.raises(ModelError, match="nameTaken"):
        loaded.load([fridge(9, "kelvin", 1, prop("dtId", "string"))])
    assert Registry(loaded.store).catalog.generation == generation
