"""Every kind of value that a model can have, written and read through GraphQL, with the conditions it takes."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from app.dtdl import Document
from app.dtdl.syntax import parse
from app.graph.select.operators import ROWS
from app.main import make_app
from app.settings import Settings
from app.stack.child import Child
from app.twins.registry import Registry
from tests.graphql.conftest import Ask

COLOUR = {
    "@type": "Enum",
    "valueSchema": "integer",
    "enumValues": [{"name": "red", "enumValue": 1}, {"name": "true", "enumValue": 2}],
}
SIZE = {"@type": "Object", "fields": [{"name": "width", "schema": "double"}, {"name": "colour", "schema": COLOUR}]}
SCHEMAS: dict[str, Any] = {
    "colour": COLOUR,
    "size": SIZE,
    "sizes": {"@type": "Array", "elementSchema": SIZE},
    "tags": {"@type": "Array", "elementSchema": "string"},
    "rates": {"@type": "Map", "mapKey": {"name": "k", "schema": "string"}, "mapValue": {"name": "v", "schema": "double"}},
    "place": "point",
    "opens": "time",
    "serial": "long",
    "lasts": "duration",
    "note": "string",
    "open": "boolean",
}
KIND = {
    "@context": "dtmi:dtdl:context;3",
    "@id": "dtmi:test:Kind;1",
    "@type": "Interface",
    "contents": [
        *({"@type": "Property", "name": name, "schema": schema, "writable": True} for name, schema in SCHEMAS.items()),
        {
            "@type": "Relationship",
            "name": "leadsTo",
            "target": "dtmi:test:Kind;1",
            "properties": [{"@type": "Property", "name": "weight", "schema": "double"}],
        },
    ],
}
INPUT = """{ colour: true_, size: { width: 2, colour: red }, sizes: [{ width: 1, colour: true_ }], tags: ["a", "b"],
  rates: { x: 1.5 }, place: { type: "Point", coordinates: [13.4, 52.5] }, opens: "08:30:00+02:00", serial: 9007199254740993,
  lasts: "P1M", note: "north gate", open: true }"""
FIELDS = """colour size { width colour __typename } sizes { colour } tags rates place opens serial lasts note open
  leadsToConnection { edges { weight node { dtId } } }"""


@pytest.fixture(scope="module")
def app(registry: Registry, settings: Settings, broker: Child) -> Iterator[FastAPI]:
    document = parse("kind.json", json.dumps(KIND))
    assert isinstance(document, Document)
    registry.load([document])
    made = make_app(settings)
    yield made
    made.state.server.store.close()


@pytest.fixture
async def two(ask: Ask) -> Any:
    """Twins k1 with every value and k2 with none; k1 leads to k2 with weight 3, after 2."""
    made = await ask(
        f"""mutation {{ createKind(dtId: "k1", input: {INPUT}) {{ {FIELDS} }}
        other: createKind(dtId: "k2", input: {{}}) {{ dtId }}
        relate(source: "k1", relationship: "leadsTo", target: "k2", properties: {{ weight: 2 }})
        again: relate(source: "k1", relationship: "leadsTo", target: "k2", properties: {{ weight: 3 }}) }}"""
    )
    yield made
    await ask('mutation { a: deleteTwin(dtId: "k1", relationships: true) b: deleteTwin(dtId: "k2") }')


async def test_what_is_written_is_read(two: Any, ask: Ask) -> None:
    expected = {
        "colour": "true_",
        "size": {"width": 2.0, "colour": "red", "__typename": "KindSize"},
        "sizes": [{"colour": "true_"}],
        "tags": ["a", "b"],
        "rates": {"x": 1.5},
        "place": {"type": "Point", "coordinates": [13.4, 52.5]},
        "opens": "08:30:00+02:00",
        "serial": 9007199254740993,
        "lasts": "P1M",
        "note": "north gate",
        "open": True,
    }
    assert two["data"]["createKind"] == expected | {"leadsToConnection": {"edges": []}}
    read = f'{{ kind(dtId: "k1") {{ {FIELDS} }} }}'
    alone = (await ask(read))["data"]["kind"]
    mixed = (await ask(read.replace("{ kind", "{ me { name } kind", 1)))["data"]["kind"]
    assert alone == mixed == expected | {"leadsToConnection": {"edges": [{"weight": 3.0, "node": {"dtId": "k2"}}]}}
    properties = (await ask('{ kind(dtId: "k1") { properties } }'))["data"]["kind"]["properties"]
    assert properties["sizes"] == [{"width": 1, "colour": 2}]
    assert properties["rates"] == {"x": 1.5}


CONDITIONS = [
    ("colour: { eq: true_ }", ["k1"]),
    ("colour: { ne: true_ }", []),
    ("colour: { in: [true_, red] }", ["k1"]),
    ("colour: { notIn: [true_] }", []),
    ("colour: { isNull: true }", ["k2"]),
    ("size: { width: { between: [1, 2] }, colour: { eq: red } }", ["k1"]),
    ('tags: { has: "b" }', ["k1"]),
    ('tags: { hasAny: ["x", "a"] }', ["k1"]),
    ('tags: { hasAll: ["a", "x"] }', []),
    ("place: { near: { longitude: 13.4, latitude: 52.51, distance: 2000 } }", ["k1"]),
    ("place: { near: { longitude: 13.4, latitude: 52.51, distance: 500 } }", []),
    ("place: { within: { west: 13, south: 52, east: 14, north: 53 } }", ["k1"]),
    ('opens: { gt: "07:00:00+02:00" }', ["k1"]),
    ("serial: { eq: 9007199254740993 }", ["k1"]),
    ("serial: { gte: 9007199254740994 }", []),
    ("serial: { lt: 9007199254740994 }", ["k1"]),
    ("serial: { lte: 9007199254740992 }", []),
    ("open: { eq: true }", ["k1"]),
    ('note: { contains: "gate" }', ["k1"]),
    ('note: { startsWith: "gate" }', []),
    ('note: { endsWith: "gate" }', ["k1"]),
    ('note: { matches: "n.*e" }', ["k1"]),
    ('note: { between: ["a", "o"] }', ["k1"]),
    ('leadsTo: { some: { dtId: { eq: "k2" } } }', ["k1"]),
    ("leadsTo: { count: { gt: 0 } }", ["k1"]),
]


def test_each_operator_has_a_condition() -> None:
    asked = {name for condition, _ in CONDITIONS for name in re.findall(r"(\w+):", condition)}
    assert [row.name for row in ROWS if row.name not in asked] == []


@pytest.mark.parametrize(("condition", "found"), CONDITIONS)
async def test_each_kind_has_its_conditions(condition: str, found: list[str], two: Any, ask: Ask) -> None:
    answer = await ask(f"{{ kinds(where: {{ {condition} }}) {{ dtId }} }}")
    assert "errors" not in answer, answer["errors"]
    assert [twin["dtId"] for twin in answer["data"]["kinds"]] == found


@pytest.mark.parametrize(
    "condition",
    ['dtId: { matches: "[" }', "serial: { between: [1] }", "place: { near: { longitude: 0, latitude: 100, distance: 1 } }"],
)
async def test_a_value_that_neo4j_cannot_use_is_told(condition: str, two: Any, ask: Ask) -> None:
    answer = await ask(f"{{ kinds(where: {{ {condition} }}) {{ dtId }} }}")
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert "Neo." not in str(answer)


async def test_an_object_is_cleared_whole(two: Any, ask: Ask) -> None:
    answer = await ask('mutation { setProperties(dtId: "k1", patch: { size: null }) { ... on Kind { size { width } } } }')
    assert answer["data"]["setProperties"] == {"size": None}
