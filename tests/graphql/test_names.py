"""F28: models that cannot be served, names that the API has for itself, and graphs that hold such models already."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from graphql import GraphQLObjectType, introspection_types, specified_scalar_types

from app.dtdl import Catalog, Document, compile_models
from app.dtdl.syntax import parse
from app.errors import ModelError
from app.graph.store import Store
from app.graphql.answer.persisted import Persisted
from app.graphql.answer.schema import SchemaCache, TwinSchema
from app.graphql.schema.types import GROWN_TYPES
from app.main import make_app
from app.settings import Settings
from app.stack.child import Child
from app.twins.edit import NewTwin, create
from app.twins.registry import Registry
from tests.conftest import twingraph


def interface(dtmi: str, *contents: Any, **more: Any) -> dict[str, Any]:
    return {"@context": "dtmi:dtdl:context;3", "@id": dtmi, "@type": "Interface", "contents": list(contents), **more}


def document(*interfaces: dict[str, Any]) -> Document:
    made = parse("names.json", json.dumps(list(interfaces)))
    assert isinstance(made, Document)
    return made


def schema_of(catalog: Catalog) -> TwinSchema:
    return TwinSchema(catalog, Settings(), Persisted("", False))


EMPTY = schema_of(Catalog())
STATIC_TYPES = EMPTY._schema.type_map.keys() - specified_scalar_types.keys() - introspection_types.keys()
ROOTS = [EMPTY._schema.query_type, EMPTY._schema.mutation_type, EMPTY._schema.subscription_type]
FIELDS = sorted({name for root in ROOTS if root for name in root.fields})


def every_reserved_name() -> Iterator[str]:
    for name in (*STATIC_TYPES, *GROWN_TYPES, *specified_scalar_types, *FIELDS):
        yield name[0].upper() + name[1:]
        yield name[0].upper() + name[1:].removesuffix("s")


def test_a_model_named_like_what_is_static_takes_nothing_away() -> None:
    """Every type and every root field of the schema without models is the same beside models of their names."""
    name, request = {"@type": "Command", "name": "properties"}, {"@type": "Property", "name": "p", "schema": "string"}
    labels = sorted(set(every_reserved_name()) | {"Set", "Create"})
    leads = {"@type": "Relationship", "name": "leadsTo"}
    crowd = schema_of(compile_models([document(*(interface(f"dtmi:x:{label};1", name, request, leads) for label in labels))]))
    for before, now in zip(
        ROOTS, (crowd._schema.query_type, crowd._schema.mutation_type, crowd._schema.subscription_type), strict=True
    ):
        assert isinstance(before, GraphQLObjectType)
        assert isinstance(now, GraphQLObjectType)
        for field, made in before.fields.items():
            assert str(now.fields[field].type) == str(made.type), field
            assert now.fields[field].args.keys() == made.args.keys(), field
    assert set(GROWN_TYPES) <= crowd._schema.type_map.keys()
    for one in STATIC_TYPES - {"Query", "Mutation", "Subscription"}:
        alone, crowded = getattr(EMPTY._schema.type_map[one], "fields", {}), getattr(crowd._schema.type_map[one], "fields", {})
        assert alone.keys() == crowded.keys(), one


async def test_twins_of_such_models_are_found(registry: Registry, settings: Settings, broker: Child, secured: Settings) -> None:
    names = ("Job", "Source", "SourceAction", "Series", "PageInfo", "Alarm")
    power = {"@type": "Property", "name": "power", "schema": "double", "writable": True}
    registry.load([document(*(interface(f"dtmi:named:{name};1", power) for name in names))])
    create(registry.store, registry.catalog, [NewTwin(f"n-{name}", name, {"power": 1.0}) for name in names])
    app = make_app(settings)
    headers = {"Authorization": f"Bearer {secured.token}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=headers) as http:
        query = """{ jobs { dtId power } sources { source } sources_: sourceList { dtId } sourceActions { dtId }
          serieses { dtId } pageInfos { dtId } alarms { code } jobsGroups(by: [power]) { count keys }
          twin(dtId: "n-Job") { __typename } }"""
        answer = (await http.post("/graphql", json={"query": query})).json()
        assert "errors" not in answer, answer
        data = answer["data"]
        assert data["jobs"] == [{"dtId": "n-Job", "power": 1.0}]
        assert data["sources_"] == [{"dtId": "n-Source"}]
        assert (data["sourceActions"], data["serieses"]) == ([{"dtId": "n-SourceAction"}], [{"dtId": "n-Series"}])
        assert (data["jobsGroups"], data["twin"]) == ([{"count": 1, "keys": {"power": 1.0}}], {"__typename": "JobTwin"})
        set_power = 'mutation { updateJob(dtId: "n-Job", input: { power: 2 }) { __typename power } }'
        changed = (await http.post("/graphql", json={"query": set_power})).json()
        assert changed["data"]["updateJob"] == {"__typename": "JobTwin", "power": 2.0}
    app.state.server.store.close()


BAD = "a\n"
FIELD = {"name": BAD, "schema": "string"}
HOSTILE: dict[str, Any] = {
    "property": interface("dtmi:h:A;1", {"@type": "Property", "name": BAD, "schema": "string"}),
    "telemetry": interface("dtmi:h:A;1", {"@type": "Telemetry", "name": BAD, "schema": "string"}),
    "relationship": interface("dtmi:h:A;1", {"@type": "Relationship", "name": BAD}),
    "component": interface("dtmi:h:A;1", {"@type": "Component", "name": BAD, "schema": "dtmi:twingraph:core:Asset;1"}),
    "command": interface("dtmi:h:A;1", {"@type": "Command", "name": BAD}),
    "request": interface("dtmi:h:A;1", {"@type": "Command", "name": "c", "request": FIELD}),
    "field": interface("dtmi:h:A;1", {"@type": "Property", "name": "o", "schema": {"@type": "Object", "fields": [FIELD]}}),
    "enum": interface(
        "dtmi:h:A;1",
        {
            "@type": "Property",
            "name": "e",
            "schema": {"@type": "Enum", "valueSchema": "string", "enumValues": [{"name": BAD, "enumValue": "x"}]},
        },
    ),
    "dtmi": interface("dtmi:h:A;1\n"),
    "segment": interface("dtmi:h:A\n;1"),
    "extends": interface("dtmi:h:A;1", extends="dtmi:twingraph:core:Asset;1\n"),
    "target": interface("dtmi:h:A;1", {"@type": "Relationship", "name": "r", "target": "dtmi:h:A;1\n"}),
    "language": interface("dtmi:h:A;1", displayName={"en\n": "x"}),
    "content id": interface("dtmi:h:A;1", {"@id": "dtmi:h:B;1\n", "@type": "Property", "name": "p", "schema": "string"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_F28_a_name_with_a_line_feed_is_refused_before_anything_is_stored(name: str, registry: Registry) -> None:
    before = registry.store.read("MATCH (n) WHERE n:_Interface OR n:_Ddl RETURN count(n), max(n.generation)")
    with pytest.raises(ModelError):
        registry.load([document(HOSTILE[name])])
    assert registry.store.read("MATCH (n) WHERE n:_Interface OR n:_Ddl RETURN count(n), max(n.generation)") == before


def test_F28_the_schema_is_built_before_anything_is_stored(
    registry: Registry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Registry(registry.store, servable=SchemaCache(settings).require)
    before = registry.store.read("MATCH (n:_Interface|_Ddl|_Catalog) RETURN count(n), max(n.generation)")

    def fails(*_: Any) -> Any:
        raise TypeError("a name that graphql-core refuses")

    monkeypatch.setattr("app.graphql.answer.schema.TypeFactory", fails)
    with pytest.raises(ModelError, match="cannot be served as GraphQL"):
        own.load([document(interface("dtmi:unservable:A;1"))])
    assert registry.store.read("MATCH (n:_Interface|_Ddl|_Catalog) RETURN count(n), max(n.generation)") == before


@pytest.fixture
def spoilt(registry: Registry) -> Iterator[Store]:
    """A graph that holds models which cannot be served: one from before names were matched whole, one that needs it, one whose
    text is not JSON, and one without a text; and a twin of each."""
    bad = json.dumps(HOSTILE["property"])
    below = json.dumps(interface("dtmi:h:Below;1", extends="dtmi:h:A;1"))
    rows = [
        ["dtmi:h:A;1", "A", bad],
        ["dtmi:h:Below;1", "Below", below],
        ["dtmi:h:Broken;1", "Broken", "{"],
        ["dtmi:h:No;1", None, None],
    ]
    registry.store.run(
        """UNWIND $rows AS row CREATE (i:_Interface {dtmi: row[0], label: row[1], source: row[2]})
        CREATE (t:Twin {dtId: 'twin-' + row[0], _model: row[0], _etag: 'x', a: 1})
        WITH count(*) AS n MATCH (g:_Catalog) SET g.generation = g.generation + 1""",
        rows=rows,
    )
    yield registry.store
    registry.store.run("MATCH (i:_Interface) WHERE i.dtmi STARTS WITH 'dtmi:h:' DETACH DELETE i")
    registry.store.run("MATCH (t:Twin) WHERE t._model STARTS WITH 'dtmi:h:' DETACH DELETE t")
    registry.changed()


async def test_F28_a_server_starts_and_names_what_it_leaves_out(
    spoilt: Store, settings: Settings, broker: Child, secured: Settings
) -> None:
    app = make_app(settings)
    headers = {"Authorization": f"Bearer {secured.token}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=headers) as http:
        query = """{ modelsLeftOut { dtmi reason } turbinesAggregate { count } models { dtmi }
          twins(where: { dtId: { startsWith: "twin-dtmi:h" } }) { __typename dtId model properties signals { name }
          history(signal: "power") { at } } }"""
        data = (await http.post("/graphql", json={"query": query})).json()["data"]
        left_out = {row["dtmi"]: row["reason"] for row in data["modelsLeftOut"]}
        assert left_out.keys() == {"dtmi:h:A;1", "dtmi:h:Below;1", "dtmi:h:Broken;1", "dtmi:h:No;1"}
        assert "not valid here" in left_out["dtmi:h:A;1"]
        assert data["models"]
        assert not left_out.keys() & {row["dtmi"] for row in data["models"]}
        unserved = {"__typename": "UnservedTwin", "properties": {"a": 1}, "signals": [], "history": []}
        assert data["twins"] == [unserved | {"dtId": f"twin-{dtmi}", "model": dtmi} for dtmi in sorted(left_out)]
        ready = (await http.get("/health/ready")).json()
        assert ready == {"status": "ready", "modelsLeftOut": 4}
    app.state.server.store.close()
    listed = twingraph(settings, "models", "list")
    assert listed.returncode == 0
    assert "dtmi:h:Broken;1 cannot be served" in listed.stderr


def test_F28_a_model_that_is_left_out_can_be_deleted(spoilt: Store) -> None:
    spoilt.run("MATCH (t:Twin) WHERE t._model = 'dtmi:h:Broken;1' DELETE t")
    own = Registry(spoilt)
    own.delete("dtmi:h:Broken;1")
    assert "dtmi:h:Broken;1" not in own.left_out
