"""Twins in the form of Azure Digital Twins: out, in again, the same; components in place."""

import json
from typing import Any

import httpx
import pytest
import structlog

from app.dtdl import Document
from app.errors import NotFound, TwinError
from app.main import make_app
from app.settings import Settings
from app.stack.child import Child
from app.twins.edit import delete
from app.twins.exchange import export, import_documents, twin
from app.twins.registry import Registry
from tests.conftest import twingraph

DRIVE = {"@id": "dtmi:exchange:Drive;1", "contents": [{"@type": "Property", "name": "speed", "schema": "integer"}]}
ADDRESS = {"@type": "Object", "fields": [{"name": "city", "schema": "string"}, {"name": "number", "schema": "integer"}]}
LIMITS = {"@type": "Map", "mapKey": {"name": "k", "schema": "string"}, "mapValue": {"name": "v", "schema": "double"}}
BOOSTER = {
    "@id": "dtmi:exchange:Booster;1",
    "contents": [
        {"@type": "Component", "name": "drive", "schema": "dtmi:exchange:Drive;1"},
        {"@type": "Property", "name": "address", "schema": ADDRESS},
        {"@type": "Property", "name": "tags", "schema": {"@type": "Array", "elementSchema": "string"}},
        {"@type": "Property", "name": "built", "schema": "date"},
        {"@type": "Property", "name": "place", "schema": "point"},
        {"@type": "Telemetry", "name": "pressure", "schema": "double"},
        {
            "@type": "Relationship",
            "name": "feeds",
            "target": "dtmi:exchange:Booster;1",
            "maxMultiplicity": 2,
            "properties": [
                {"@type": "Property", "name": "flow", "schema": "double"},
                {"@type": "Property", "name": "route", "schema": ADDRESS},
                {"@type": "Property", "name": "stops", "schema": {"@type": "Array", "elementSchema": ADDRESS}},
                {"@type": "Property", "name": "limits", "schema": LIMITS},
                {"@type": "Property", "name": "since", "schema": "date"},
            ],
        },
    ],
}
VALUES: dict[str, Any] = {
    "drive": {"$metadata": {}, "speed": 3},
    "address": {"city": "Bremen", "number": 4},
    "tags": ["a", "b"],
    "built": "2020-02-29",
    "place": {"type": "Point", "coordinates": [8.8, 53.1]},
}


def given(number: int, **values: Any) -> dict[str, Any]:
    return {"$dtId": f"ex-{number}", "$metadata": {"$model": "dtmi:exchange:Booster;1"}, **values}


def placed(*documents: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(f"file:{number}", document) for number, document in enumerate(documents, 1)]


LINK = {"$sourceId": "ex-1", "$relationshipName": "feeds", "$targetId": "ex-2"}


@pytest.fixture(scope="module")
def loaded(registry: Registry) -> Registry:
    models = [{"@context": "dtmi:dtdl:context;3", "@type": "Interface", **model} for model in (DRIVE, BOOSTER)]
    registry.load([Document(str(model["@id"]), json.dumps(model), model) for model in models])
    import_documents(registry.store, registry.catalog, placed(given(1, **VALUES), given(2), LINK))
    return registry


def test_what_was_brought_comes_out(loaded: Registry) -> None:
    found = twin(loaded.store, loaded.catalog, "ex-1")
    assert {key: found[key] for key in VALUES} == VALUES
    assert found["$metadata"]["$model"] == "dtmi:exchange:Booster;1"
    assert twin(loaded.store, loaded.catalog, "ex-2")["drive"] == {"$metadata": {}}
    rows = loaded.store.read("MATCH (:Twin {dtId: 'ex-1'})-[:drive]->(c) RETURN labels(c), c.speed")
    assert [(sorted(labels), speed) for labels, speed in rows] == [(["Component", "Drive"], 3)]
    ((metres,),) = loaded.store.read(
        "MATCH (t:Twin {dtId: 'ex-1'}) RETURN point.distance(t.place, point({longitude: 8.8, latitude: 53.2}))"
    )
    assert 11_000 < metres < 11_200


async def test_graphql_creates_and_shows_components(
    loaded: Registry, settings: Settings, secured: Settings, broker: Child
) -> None:
    headers = {"Authorization": f"Bearer {secured.token}"}
    create = (
        """mutation { createTwin(dtId: "ex-8", model: "Booster", properties: {tags: ["x"], drive: {speed: 5}}) { dtId } }"""
    )
    transport = httpx.ASGITransport(make_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://t", headers=headers) as client:
        made = (await client.post("/graphql", json={"query": create})).json()
        query = (
            '{ booster(dtId: "ex-8") { tags place drive { speed } } first: booster(dtId: "ex-1") { place drive { speed } } }'
        )
        found = (await client.post("/graphql", json={"query": query})).json()
    assert made == {"data": {"createTwin": {"dtId": "ex-8"}}}
    assert found["data"] == {
        "booster": {"tags": ["x"], "place": None, "drive": {"speed": 5}},
        "first": {"place": VALUES["place"], "drive": {"speed": 3}},
    }
    delete(loaded.store, "ex-8")


def test_an_export_can_be_brought_again(loaded: Registry) -> None:
    documents = list(export(loaded.store, loaded.catalog))
    assert [d.get("$relationshipName") for d in documents] == [None, None, "feeds"]
    done = import_documents(loaded.store, loaded.catalog, placed(*documents))
    assert (done.twins, done.relationships) == (0, 0)
    assert list(export(loaded.store, loaded.catalog)) == documents


def test_properties_of_a_relationship_come_back_whatever_their_schema(loaded: Registry) -> None:
    """34-export-import."""
    values = {
        "flow": 1.5,
        "route": {"city": "Bremen", "number": 4},
        "stops": [{"city": "Verden"}, {"city": "Nienburg", "number": 1}],
        "limits": {"least": 0.5},
        "since": "2020-02-29",
    }
    link = {**LINK, "$sourceId": "ex-2", "$targetId": "ex-1", "$relationshipId": "whole", **values}
    import_documents(loaded.store, loaded.catalog, placed(link))
    (written,) = [d for d in export(loaded.store, loaded.catalog) if d.get("$relationshipId") == "whole"]
    assert written == link
    loaded.store.run("MATCH ()-[r:feeds {_id: 'whole'}]->() DELETE r")
    assert import_documents(loaded.store, loaded.catalog, placed(written)).relationships == 1
    assert [d for d in export(loaded.store, loaded.catalog) if d.get("$relationshipId") == "whole"] == [link]
    loaded.store.run("MATCH ()-[r:feeds {_id: 'whole'}]->() DELETE r")


def test_a_relationship_that_the_model_has_no_more_is_told_and_left_out(loaded: Registry) -> None:
    loaded.store.run("MATCH (a:Twin {dtId: 'ex-1'}), (b:Twin {dtId: 'ex-2'}) CREATE (a)-[:old {_id: 'o'}]->(b)")
    with structlog.testing.capture_logs() as logs:
        documents = list(export(loaded.store, loaded.catalog))
    assert [d.get("$relationshipName") for d in documents] == [None, None, "feeds"]
    assert any("no relationship 'old'" in str(entry) for entry in logs)
    loaded.store.run("MATCH ()-[r:old]->() DELETE r")


def test_a_twin_of_another_model_gets_none_of_its_components(loaded: Registry) -> None:
    drive = {"$dtId": "ex-9", "$metadata": {"$model": "dtmi:exchange:Drive;1"}}
    import_documents(loaded.store, loaded.catalog, placed(drive))
    done = import_documents(loaded.store, loaded.catalog, placed(given(9, **VALUES)))
    assert done.other_models == ["ex-9"]
    assert loaded.store.read("MATCH (:Twin {dtId: 'ex-9'})-[:drive]->(c) RETURN c") == []
    delete(loaded.store, "ex-9")


def test_telemetry_comes_back_with_its_time(loaded: Registry) -> None:
    known = {"$model": "dtmi:exchange:Booster;1", "pressure": {"lastUpdateTime": "2024-05-01T12:00:00+00:00"}}
    measured = {"$dtId": "ex-5", "$metadata": known, "pressure": 2.5}
    import_documents(loaded.store, loaded.catalog, placed(measured))
    found = twin(loaded.store, loaded.catalog, "ex-5")
    assert (found["pressure"], found["$metadata"]) == (2.5, known)
    delete(loaded.store, "ex-5")


def test_relationships_keep_their_ids_and_their_number(loaded: Registry) -> None:
    links = [{**LINK, "$sourceId": "ex-2", "$targetId": "ex-1", "$relationshipId": f"r{i}", "flow": i} for i in range(3)]
    with pytest.raises(TwinError, match="at most 2 are allowed"):
        import_documents(loaded.store, loaded.catalog, placed(*links))
    done = import_documents(loaded.store, loaded.catalog, placed(*links[:2]))
    assert done.relationships == 2
    again = import_documents(loaded.store, loaded.catalog, placed({**links[0], "flow": 9}))
    assert again.relationships == 0
    found = [d for d in export(loaded.store, loaded.catalog) if d.get("$sourceId") == "ex-2"]
    assert sorted((d["$relationshipId"], d["flow"]) for d in found) == [("r0", 0.0), ("r1", 1.0)]
    loaded.store.run("MATCH (:Twin {dtId: 'ex-2'})-[r:feeds]->() DELETE r")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (given(3, colour="red"), "no property 'colour'"),
        (given(3, drive={"$metadata": {}, "speed": "fast"}), "ex-3.drive.speed"),
        ({"$dtId": "ex-3"}, r"needs \$dtId and \$metadata"),
        ({"other": 1}, "file:1.*neither a twin nor a relationship|neither a twin nor a relationship"),
        ({**LINK, "$targetId": "nobody"}, "no twin 'nobody'"),
        ({**LINK, "$relationshipName": "fedes"}, "no relationship 'fedes'"),
        ({**LINK, "$relationshipName": "_HISTORY"}, "no relationship '_HISTORY'"),
        ({**LINK, "$relationshipName": "drive"}, "no relationship 'drive'"),
        ({**LINK, "flow": "much"}, "must be a finite number"),
        ({**LINK, "_id": "evil"}, "no property '_id'"),
    ],
)
def test_what_does_not_fit_is_named(loaded: Registry, document: dict[str, Any], said: str) -> None:
    with pytest.raises(TwinError, match=said):
        import_documents(loaded.store, loaded.catalog, placed(document))
    with pytest.raises(NotFound):
        twin(loaded.store, loaded.catalog, "ex-3")
    assert loaded.store.read("MATCH (:Twin {dtId: 'ex-1'})-[r]->(:Twin) RETURN count(r)") == [[1]]


def test_the_command_creates_and_shows(loaded: Registry, settings: Settings, tmp_path: Any) -> None:
    file = tmp_path / "pump.json"
    file.write_text(json.dumps({"address": {"city": "Kiel"}, "drive": {"speed": 9}}))
    made = twingraph(settings, "twin", "create", "ex-9", "--model", "dtmi:exchange:Booster;1", "--file", str(file))
    assert made.returncode == 0, made.stderr
    shown = json.loads(twingraph(settings, "twin", "show", "ex-9").stdout)
    assert (shown["address"], shown["drive"]["speed"]) == ({"city": "Kiel"}, 9)
    taken = twingraph(settings, "twin", "create", "ex-9", "--model", "dtmi:exchange:Booster;1")
    assert (taken.returncode, "taken" in taken.stderr) == (1, True)
    delete(loaded.store, "ex-9")
    left = loaded.store.read("MATCH (c:Component) WHERE NOT (:Twin)-->(c) RETURN count(c)")
    assert left == [[0]]
