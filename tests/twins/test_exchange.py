"""Twins in the form of Azure Digital Twins: out, in again, the same; components in place."""

import json
from typing import Any

import pytest

from app.dtdl import Document
from app.errors import NotFound, TwinError
from app.settings import Settings
from app.twins.exchange import bring, export, twin
from app.twins.registry import Registry
from app.twins.write import delete
from tests.conftest import twingraph

MOTOR = {"@id": "dtmi:exchange:Motor;1", "contents": [{"@type": "Property", "name": "speed", "schema": "integer"}]}
ADDRESS = {"@type": "Object", "fields": [{"name": "city", "schema": "string"}, {"name": "number", "schema": "integer"}]}
PUMP = {
    "@id": "dtmi:exchange:Pump;1",
    "contents": [
        {"@type": "Component", "name": "motor", "schema": "dtmi:exchange:Motor;1"},
        {"@type": "Property", "name": "address", "schema": ADDRESS},
        {"@type": "Property", "name": "tags", "schema": {"@type": "Array", "elementSchema": "string"}},
        {"@type": "Property", "name": "built", "schema": "date"},
        {"@type": "Property", "name": "place", "schema": "point"},
        {"@type": "Relationship", "name": "feeds"},
    ],
}
VALUES: dict[str, Any] = {
    "motor": {"$metadata": {}, "speed": 3},
    "address": {"city": "Bremen", "number": 4},
    "tags": ["a", "b"],
    "built": "2020-02-29",
    "place": {"type": "Point", "coordinates": [8.8, 53.1]},
}


def given(number: int, **values: Any) -> dict[str, Any]:
    return {"$dtId": f"ex-{number}", "$metadata": {"$model": "dtmi:exchange:Pump;1"}, **values}


LINK = {"$sourceId": "ex-1", "$relationshipName": "feeds", "$targetId": "ex-2"}


@pytest.fixture(scope="module")
def loaded(registry: Registry) -> Registry:
    models = [{"@context": "dtmi:dtdl:context;3", "@type": "Interface", **model} for model in (MOTOR, PUMP)]
    registry.load([Document(str(model["@id"]), json.dumps(model), model) for model in models])
    bring(registry.store, registry.catalog, [given(1, **VALUES), given(2), LINK])
    return registry


def test_what_was_brought_comes_out(loaded: Registry) -> None:
    found = twin(loaded.store, loaded.catalog, "ex-1")
    assert {key: found[key] for key in VALUES} == VALUES
    assert found["$metadata"]["$model"] == "dtmi:exchange:Pump;1"
    assert twin(loaded.store, loaded.catalog, "ex-2")["motor"] == {"$metadata": {}}
    rows = loaded.store.read("MATCH (:Twin {dtId: 'ex-1'})-[:motor]->(c) RETURN labels(c), c.speed")
    assert rows == [[["Component", "Motor"], 3]]
    ((metres,),) = loaded.store.read(
        "MATCH (t:Twin {dtId: 'ex-1'}) RETURN point.distance(t.place, point({longitude: 8.8, latitude: 53.2}))"
    )
    assert 11_000 < metres < 11_200


def test_an_export_can_be_brought_again(loaded: Registry) -> None:
    documents = list(export(loaded.store, loaded.catalog))
    assert [d.get("$relationshipName") for d in documents] == [None, None, "feeds"]
    done = bring(loaded.store, loaded.catalog, documents)
    assert (done.twins, done.relationships) == (2, 1)
    assert list(export(loaded.store, loaded.catalog)) == documents


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (given(3, colour="red"), "no property 'colour'"),
        (given(3, motor={"$metadata": {}, "speed": "fast"}), "ex-3.motor.speed"),
        ({"$dtId": "ex-3"}, r"needs \$dtId and \$metadata"),
        ({"other": 1}, "neither a twin nor a relationship"),
    ],
)
def test_what_does_not_fit_is_named(loaded: Registry, document: dict[str, Any], said: str) -> None:
    with pytest.raises(TwinError, match=said):
        bring(loaded.store, loaded.catalog, [document])
    with pytest.raises(NotFound):
        twin(loaded.store, loaded.catalog, "ex-3")


def test_the_command_creates_and_shows(loaded: Registry, settings: Settings, tmp_path: Any) -> None:
    file = tmp_path / "pump.json"
    file.write_text(json.dumps({"address": {"city": "Kiel"}, "motor": {"speed": 9}}))
    made = twingraph(settings, "twin", "create", "ex-9", "--model", "dtmi:exchange:Pump;1", "--file", str(file))
    assert made.returncode == 0, made.stderr
    shown = json.loads(twingraph(settings, "twin", "show", "ex-9").stdout)
    assert (shown["address"], shown["motor"]["speed"]) == ({"city": "Kiel"}, 9)
    taken = twingraph(settings, "twin", "create", "ex-9", "--model", "dtmi:exchange:Pump;1")
    assert (taken.returncode, "taken" in taken.stderr) == (1, True)
    delete(loaded.store, "ex-9")
    left = loaded.store.read("MATCH (c:Component) WHERE NOT (:Twin)-->(c) RETURN count(c)")
    assert left == [[0]]
