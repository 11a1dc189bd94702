"""The engine around the plans: pages, cache, mutations, schema generations."""

import pytest
from fastapi import FastAPI
from graphql import GraphQLObjectType, build_client_schema, get_introspection_query, validate_schema

from app.graph.store import Store
from tests.graphql.conftest import Ask

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


async def test_equal_questions_share_one_plan(app: FastAPI, ask: Ask) -> None:
    schema = next(route for route in app.routes if getattr(route, "path", "") == "/graphql").app.schema
    query = "query Shared($id: ID!) { turbine(dtId: $id) { dtId name } }"
    answers = [(await ask(query, id=name))["data"]["turbine"]["name"] for name in ("t1", "t2", "t3")]
    assert answers == ["Turbine 1", "Turbine 2", "Turbine 3"]
    (entry,) = [e for (text, _), e in schema.plans._entries.items() if text == query]
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


async def test_one_statement_a_field_that_only_reads(app: FastAPI, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    read = Store.read
    monkeypatch.setattr(Store, "read", lambda self, text, *a, **k: (asked.append(text), read(self, text, *a, **k))[1])
    await ask("{ windFarms { contains { hasComponent { name } } } turbinesAggregate { count } }")
    assert len(asked) == 2


def test_metrics_name_what_was_asked(app: FastAPI) -> None:
    from app.metrics import exposition

    assert b"twingraph_graphql_requests_total" in exposition()
