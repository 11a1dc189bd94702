"""The engine around the plans: pages, cache, mutations, schema generations."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from graphql import GraphQLObjectType, build_client_schema, get_introspection_query, validate_schema

from app.graph.select.cost import Sizes
from app.graph.store import Store
from app.twins.edit import NewTwin, create
from tests.graphql.conftest import Ask, schema_of

PAGE = """query Page($after: String) {
  turbinesConnection(first: 1, after: $after, orderBy: [{ %s: %s }]) { pageInfo { hasNextPage endCursor } nodes { dtId } } }"""


@pytest.mark.parametrize(
    ("key", "direction", "expected"),
    [
        ("power", "ASC", ["t2", "t1", "t3"]),  # t3 has measured nothing: null comes last
        ("power", "DESC", ["t3", "t1", "t2"]),
        ("ratedPower", "ASC", ["t1", "t2", "t3"]),  # all equal: by dtId
        ("dtId", "DESC", ["t3", "t2", "t1"]),
        ("commissioned", "ASC", ["t2", "t1", "t3"]),
        ("expectedFailureTime", "DESC", ["t3", "t1", "t2"]),
    ],
)
async def test_pages_pass_each_twin_once(key: str, direction: str, expected: list[str], ask: Ask) -> None:
    seen: list[str] = []
    after, more = None, True
    while more:
        page = (await ask(PAGE % (key, direction), after=after))["data"]["turbinesConnection"]
        seen += [node["dtId"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == expected


async def test_null_is_compared_as_null(ask: Ask) -> None:
    query = (
        "{ a: turbines(where: { windSpeed: { eq: null } }) { dtId } b: turbines(where: { windSpeed: { ne: null } }) { dtId } }"
    )
    answer = (await ask(query))["data"]
    assert [twin["dtId"] for twin in answer["a"]] == ["t1", "t3"]
    assert [twin["dtId"] for twin in answer["b"]] == ["t2"]


async def test_introspection_describes_a_valid_schema(ask: Ask) -> None:
    schema = build_client_schema((await ask(get_introspection_query()))["data"])
    assert validate_schema(schema) == []
    turbine = schema.type_map["Turbine"]
    assert isinstance(turbine, GraphQLObjectType)
    assert {"power", "contains", "containsOf", "hasComponentOf"} & turbine.fields.keys() == {
        "power",
        "containsOf",
        "hasComponentOf",
    }
    assert {interface.name for interface in turbine.interfaces} == {"Twin", "Asset"}


def noted(texts: list[str], work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, a method whose first argument is a text, with each text noted."""

    def run(self: Store, text: str, *given: Any, **named: Any) -> Any:
        texts.append(text)
        return work(self, text, *given, **named)

    return run


async def test_equal_questions_share_one_plan(app: FastAPI, ask: Ask) -> None:
    schema = schema_of(app)
    query = "query Shared($id: ID!) { turbine(dtId: $id) { dtId name } }"
    answers = [(await ask(query, id=name))["data"]["turbine"]["name"] for name in ("t1", "t2", "t3")]
    assert answers == ["Turbine 1", "Turbine 2", "Turbine 3"]
    read = schema.documents.known(query)
    assert read is not None
    (entry,) = read.entries.values()
    assert len(entry.plans) == 1


async def test_a_models_name_in_a_variable_is_followed(ask: Ask) -> None:
    query = "query($model: String) { twins(model: $model) { __typename } }"
    for model in ("WindFarm", "Substation", "WindFarm"):
        names = {twin["__typename"] for twin in (await ask(query, model=model))["data"]["twins"]}
        assert names == {model}


async def test_twin_is_created_changed_related_and_deleted(ask: Ask) -> None:
    made = await ask(
        'mutation { createTwin(dtId: "new", model: "Turbine", properties: { name: "New", ratedPower: 5 })'
        " { dtId etag ... on Turbine { name ratedPower } } }"
    )
    twin = made["data"]["createTwin"]
    assert (twin["name"], twin["ratedPower"]) == ("New", 5.0)
    patch = """mutation($etag: String) { setProperties(dtId: "new", patch: { maintenanceNote: "greased" }, etag: $etag)
      { etag ... on Turbine { maintenanceNote } } }"""
    changed = (await ask(patch, etag=twin["etag"]))["data"]["setProperties"]
    assert changed["maintenanceNote"] == "greased"
    assert (await ask(patch, etag=twin["etag"]))["errors"][0]["extensions"]["code"] == "CONFLICT"
    assert (await ask('mutation { relate(source: "south", relationship: "contains", target: "new") }'))["data"]["relate"]
    assert (await ask('mutation { deleteTwin(dtId: "new") }'))["errors"][0]["extensions"]["code"] == "CONFLICT"
    await ask('mutation { unrelate(source: "south", relationship: "contains", target: "new") }')
    assert (await ask('mutation { deleteTwin(dtId: "new") }'))["data"]["deleteTwin"]
    assert (await ask('{ twin(dtId: "new") { dtId } }'))["data"]["twin"] is None


async def test_twins_move_to_another_version_of_their_model(ask: Ask) -> None:
    def fan(version: int) -> dict[str, Any]:
        speed = {"@type": "Property", "name": "speed", "schema": "double", "writable": True}
        dtmi = f"dtmi:engine:Fan;{version}"
        return {"@context": "dtmi:dtdl:context;3", "@id": dtmi, "@type": "Interface", "contents": [speed]}

    load = "mutation($d: [JSON!]!) { loadModels(documents: $d) { dtmi label } }"
    loaded = (await ask(load, d=[fan(1), fan(2)]))["data"]["loadModels"]
    assert [model["dtmi"] for model in loaded] == ["dtmi:engine:Fan;1", "dtmi:engine:Fan;2"]
    await ask('mutation { createTwin(dtId: "fan", model: "dtmi:engine:Fan;1", properties: { speed: 3 }) { dtId } }')
    move = 'mutation($dry: Boolean!) { migrateTwins(source: "dtmi:engine:Fan;1", target: "dtmi:engine:Fan;2", dryRun: $dry) }'
    where = '{ twin(dtId: "fan") { model } }'
    assert (await ask(move, dry=True))["data"]["migrateTwins"] == 1
    assert (await ask(where))["data"]["twin"]["model"] == "dtmi:engine:Fan;1"
    assert (await ask(move, dry=False))["data"]["migrateTwins"] == 1
    assert (await ask(where))["data"]["twin"]["model"] == "dtmi:engine:Fan;2"
    wrong = await ask('mutation { migrateTwins(source: "dtmi:engine:Fan;1", target: "Turbine") }')
    assert wrong["errors"][0]["extensions"]["code"] == "CONFLICT"
    await ask('mutation { deleteTwin(dtId: "fan") }')


async def test_an_update_names_the_model_that_the_twin_has(ask: Ask) -> None:
    update = 'mutation { update%s(dtId: "%s", input: { maintenanceNote: "x" }) { dtId } }'
    error = (await ask(update % ("Turbine", "north")))["errors"][0]
    assert (error["message"], error["extensions"]["code"]) == ("north is a WindFarm, not a Turbine", "TWIN_INVALID")
    assert (await ask(update % ("Turbine", "nobody")))["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_one_statement_a_field_that_only_reads(app: FastAPI, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    read = Store.read
    monkeypatch.setattr(Store, "read", noted(asked, read))
    await ask("{ windFarms { contains { hasComponent { name } } } turbinesAggregate { count } }")
    assert len(asked) == 2


def test_metrics_name_what_was_asked(app: FastAPI) -> None:
    from app.metrics import exposition

    assert b"twingraph_graphql_requests_total" in exposition()


async def test_neo4js_own_plan_is_looked_at_once(app: FastAPI, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own estimate knows nothing of twins that were created since the graph was measured last."""
    store, registry = app.state.server.store, app.state.server.registry
    create(store, registry.catalog, [NewTwin(f"crowd-{i}", "Substation") for i in range(300)])
    schema = schema_of(app)
    monkeypatch.setattr(schema.plans, "sizes", Sizes())
    monkeypatch.setattr(schema.plans, "settings", replace(schema.plans.settings, query_cost=200))
    explained: list[str] = []
    plan = Store.plan
    monkeypatch.setattr(Store, "plan", noted(explained, plan))
    error = (await ask("{ substationsAggregate(where: { name: { isNull: true } }) { count } }"))["errors"][0]
    assert error["extensions"]["code"] == "QUERY_TOO_LARGE"
    assert "rows" in error["message"]
    for _ in range(3):
        assert len((await ask("{ substations(first: 3) { dtId } }"))["data"]["substations"]) == 3
    assert len(explained) == 2
    assert (await ask('{ substation(dtId: "crowd-7") { dtId } }'))["data"]["substation"]
    assert len(explained) == 2

    store.run("MATCH (t:Twin) WHERE t.dtId STARTS WITH 'crowd-' DETACH DELETE t")
