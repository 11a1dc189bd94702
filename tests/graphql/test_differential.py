"""Random queries over a random graph: the compiled engine and plain resolvers over a copy in memory answer alike."""

import json
import random
from typing import Any

import httpx
import pytest
from graphql import GraphQLSchema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.graphql.answer.persisted import Persisted
from app.graphql.answer.schema import TwinSchema
from app.history.series import Series
from app.identity import keys
from app.identity.keys import Grant
from app.settings import Settings
from app.twins.edit import NewRelationship, NewTwin, ensure
from app.twins.registry import Registry
from app.twins.write import Batch, append
from tests.graphql.reference import Plant, answer, instrument

Reference = tuple[GraphQLSchema, Plant]
STATES = ("running", "limited", "stopped", "failed", "maintenance")
PARTS = ("Gearbox", "Generator", "Blade")


@pytest.fixture(scope="module")
def plant(registry: Registry) -> Registry:
    """Another graph than the one of the other tests; what the server in this module serves."""
    made = random_plant(registry)
    twins = [NewTwin(t["dtId"], t["_model"], {k: v for k, v in t.items() if k in PROPERTIES}) for t in made.twins.values()]
    ensure(registry.store, registry.catalog, twins, [NewRelationship(s, n, t) for n, s, t in made.links])
    measured = [
        Series(t["dtId"], [1_700_000_000_000], {k: [v] for k, v in signals.items()}, signals)
        for t in made.twins.values()
        if (signals := {k: v for k, v in t.items() if k in SIGNALS})
    ]
    append(registry.store, Batch(measured))
    return registry


PROPERTIES = ("name", "region", "ratedPower", "manufacturer")
SIGNALS = ("power", "healthScore", "operatingState")


def random_plant(registry: Registry) -> Plant:
    rng = random.Random(7)
    dtmis = registry.catalog.by_label
    twins: dict[str, dict[str, Any]] = {}
    links: list[tuple[str, str, str]] = []

    def add(dt_id: str, label: str, **values: Any) -> str:
        kept = {key: value for key, value in values.items() if rng.random() < 0.8}
        twins[dt_id] = {"dtId": dt_id, "_model": dtmis[label], **kept}
        return dt_id

    add("sub", "Substation", name="Sub")
    for farm in range(4):
        north = add(f"f{farm}", "WindFarm", name=rng.choice("ABC"), region=rng.choice(("Coast", "Hills")), healthScore=0.5)
        for number in range(rng.randint(0, 5)):
            state, power = rng.choice(STATES), float(rng.randint(0, 5))
            turbine = add(f"f{farm}t{number}", "Turbine", name=rng.choice("AaBb"), power=power, operatingState=state,
                          healthScore=rng.randint(0, 4) / 4, ratedPower=float(rng.randint(1, 3)))  # fmt: skip
            links.append(("contains", north, turbine))
            links += [("feeds", turbine, "sub")] * (rng.random() < 0.5)
            for part in rng.sample(PARTS, rng.randint(0, 3)):
                score, maker = rng.randint(0, 4) / 4, rng.choice(("X", "Y"))
                below = add(f"{turbine}{part[:3]}", part, healthScore=score, manufacturer=maker, name=part)
                links.append(("hasComponent", turbine, below))
    return Plant(registry.catalog, twins, links)


@pytest.fixture(scope="module")
def reference(plant: Registry, settings: Settings) -> Reference:
    schema = TwinSchema(plant.catalog, settings, Persisted("", False))._schema
    copied = random_plant(plant)
    instrument(schema, copied)
    return schema, copied


# Queries -----------------------------------------------------------------------------------------------------------------

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "power": st.integers(0, 5),
    "healthScore": st.sampled_from([0, 0.25, 0.5, 0.75, 1]),
    "ratedPower": st.integers(1, 3),
    "name": st.sampled_from(["A", "a", "B", "Gearbox", "x"]),
    "manufacturer": st.sampled_from("XY"),
    "region": st.just("Coast"),
    "dtId": st.sampled_from(["f1", "f1t0", "f2t1Gen", "sub"]),
}
OF = {
    "Turbine": ("name", "power", "healthScore", "ratedPower", "operatingState"),
    "WindFarm": ("name", "region", "healthScore"),
    "Asset": ("name", "manufacturer", "healthScore"),
}
RELATED = {
    "Turbine": {"containsOf": "WindFarm", "hasComponent": "Asset"},
    "WindFarm": {"contains": "Turbine", "hasComponent": "Asset"},
    "Asset": {"hasComponent": "Asset", "hasComponentOf": "Asset"},
}
ROOTS = {"turbines": "Turbine", "windFarms": "WindFarm", "assets": "Asset"}


def literal(value: Any) -> str:
    return json.dumps(value)


@st.composite
def conditions(draw: Any, label: str, depth: int = 2) -> str:
    name = draw(st.sampled_from([*OF[label], "dtId"]))
    kind = draw(st.sampled_from(["plain", "plain", "plain", "not", "or", "and", "related"] if depth else ["plain"]))
    if kind == "not":
        return f"{{ not: {draw(conditions(label, depth - 1))} }}"
    if kind in ("or", "and"):
        return f"{{ {kind}: [{draw(conditions(label, depth - 1))}, {draw(conditions(label, depth - 1))}] }}"
    if kind == "related":
        relation, beyond = draw(st.sampled_from(sorted(RELATED[label].items())))
        part = draw(conditions(beyond, depth - 1))
        if draw(st.booleans()):
            count = draw(st.integers(0, 3))
            return f"{{ {relation}: {{ count: {{ {draw(st.sampled_from(['eq', 'gt', 'lte']))}: {count}, where: {part} }} }} }}"
        return f"{{ {relation}: {{ {draw(st.sampled_from(['some', 'none', 'all', 'single']))}: {part} }} }}"
    return f"{{ {name}: {draw(operators(name))} }}"


@st.composite
def operators(draw: Any, name: str) -> str:
    if name == "operatingState":
        states = draw(st.lists(st.sampled_from(STATES), max_size=3))
        given = {"eq": draw(st.sampled_from(STATES)), "in": f"[{', '.join(states)}]", "notIn": f"[{', '.join(states)}]"}
        operator = draw(st.sampled_from(sorted(given)))
        return f"{{ {operator}: {given[operator]} }}"
    if draw(st.integers(0, 6)) == 0:
        return draw(st.sampled_from(["{ isNull: true }", "{ isNull: false }", "{ eq: null }", "{ ne: null }", "{ gt: null }"]))
    values = VALUES[name]
    value, many = draw(values), draw(st.lists(values, max_size=3))
    ordered = ["gt", "gte", "lt", "lte", "between"] if name != "dtId" else ["gt", "lt"]
    textual = [] if name in ("power", "healthScore", "ratedPower") else ["contains", "startsWith", "endsWith", "matches"]
    operator = draw(st.sampled_from(["eq", "ne", "in", "notIn", *ordered, *textual]))
    operand = {"in": many, "notIn": many, "between": [value, draw(values)]}.get(operator, value)
    return f"{{ {operator}: {literal(operand)} }}"


@st.composite
def arguments(draw: Any, label: str, page: bool = False) -> str:
    parts = []
    if draw(st.booleans()):
        parts.append(f"where: {draw(conditions(label))}")
    if draw(st.booleans()):
        keys = draw(st.lists(st.sampled_from([*OF[label], "dtId"]), max_size=2, unique=True))
        orders = [f"{{ {key}: {draw(st.sampled_from(['ASC', 'DESC']))} }}" for key in keys]
        if draw(st.integers(0, 3)) == 0:
            relation, beyond = draw(st.sampled_from(sorted(RELATED[label].items())))
            orders.append(
                f"{{ {relation}: {{ {draw(st.sampled_from(OF[beyond]))}: {draw(st.sampled_from(['ASC', 'DESC']))} }} }}"
            )
        parts.append(f"orderBy: [{', '.join(orders)}]")
    if page and draw(st.booleans()):
        return f"({', '.join([*parts, f'last: {draw(st.integers(0, 4))}'])})"
    if draw(st.booleans()):
        parts.append(f"first: {draw(st.integers(0, 4))}")
    if draw(st.integers(0, 3)) == 0:
        parts.append(f"offset: {draw(st.integers(0, 3))}")
    return f"({', '.join(parts)})" if parts else ""


@st.composite
def selections(draw: Any, label: str, depth: int = 2) -> str:
    fields = draw(st.lists(st.sampled_from([*OF[label], "dtId", "__typename", "model"]), min_size=1, max_size=4))
    parts = [f"a{index}: {name}" if draw(st.booleans()) else name for index, name in enumerate(fields)]
    if label == "Asset":
        parts.append("... on Turbine { power }")
    for index in range(draw(st.integers(0, 2)) if depth else 0):
        relation, beyond = draw(st.sampled_from(sorted(RELATED[label].items())))
        kind = draw(st.sampled_from(["", "", "Connection", "Aggregate"]))
        parts.append(f"r{index}: {relation}{kind}{draw(fielded(kind, beyond, depth - 1))}")
    if draw(st.integers(0, 4)) == 0:
        parts.append(f"... on {label} @include(if: {draw(st.sampled_from(['true', 'false', '$yes', '$no']))}) {{ i: dtId }}")
    return f"{{ {' '.join(parts)} }}"


@st.composite
def fielded(draw: Any, kind: str, label: str, depth: int) -> str:
    if kind == "Aggregate":
        where = f"(where: {draw(conditions(label))})" if draw(st.booleans()) else ""
        return f"{where} {{ count healthScore {{ count distinct min max sum }} name {{ count distinct }} }}"
    if kind == "Connection":
        nodes = draw(selections(label, depth))
        page = "pageInfo { hasNextPage hasPreviousPage }"
        return f"{draw(arguments(label, page=True))} {{ totalCount {page} nodes {nodes} edges {{ node {{ dtId }} }} }}"
    return f"{draw(arguments(label))} {draw(selections(label, depth))}"


@st.composite
def queries(draw: Any) -> str:
    many, label = draw(st.sampled_from(sorted(ROOTS.items())))
    kind = draw(st.sampled_from(["", "", "Connection", "Aggregate"]))
    used = "all: __typename @include(if: $yes) none: __typename @include(if: $no)"
    return f"query($yes: Boolean!, $no: Boolean!) {{ {used} {many}{kind}{draw(fielded(kind, label, 2))} }}"


def test_compiled_and_plain_answers_are_alike(
    reference: tuple[GraphQLSchema, Plant], served: Settings, secured: Settings
) -> None:
    schema, plain = reference
    headers = {"Authorization": f"Bearer {secured.token}"}
    variables = {"yes": True, "no": False}
    with httpx.Client(base_url=f"http://127.0.0.1:{served.server_port}", headers=headers, timeout=60) as client:

        @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(queries())
        def holds(query: str) -> None:
            asked = client.post("/graphql", json={"query": query, "variables": variables}).json()
            wanted = answer(schema, plain, query, variables)
            assert difference(without_text(asked), without_text(wanted)) is None
            told.append(len(json.dumps(asked.get("data"))) if "errors" not in asked else 0)

        told: list[int] = []
        holds()
    assert sum(size > 100 for size in told) > len(told) / 4, "most queries ask for nothing: the test proves little"


LABELS = ("Turbine", "WindFarm", "Gearbox", "TurbineComponent", "Asset", "Substation")
HIDDEN = (*PROPERTIES, *SIGNALS, "contains", "hasComponent", "feeds")
VIA = ("contains", "hasComponent")


def random_grant(rng: random.Random, number: int, farms: list[str]) -> Grant:
    roots = tuple(rng.sample(farms, rng.randint(1, 2))) if rng.random() < 0.4 else ()
    models = tuple(rng.sample(LABELS, rng.randint(1, 3))) if rng.random() < 0.5 else ()
    hidden = {f"{rng.choice([*LABELS, '*', '*'])}.{rng.choice(HIDDEN)}" for _ in range(rng.randint(0, 4))}
    return Grant(f"k{number}", "reader", roots, VIA if roots else (), models=models, hidden=tuple(sorted(hidden)))


def cut(whole: Plant, grant: Grant) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """What is there for a key, in a graph of its own; written apart from the engine."""
    seen = set(grant.roots or whole.twins) & set(whole.twins)
    while grant.roots and (more := {t for n, s, t in whole.links if n in grant.via and s in seen} - seen):
        seen |= more
    labels = {dt_id: whole.catalog.node_labels(twin["_model"]) for dt_id, twin in whole.twins.items()}
    seen = {dt_id for dt_id in seen if not grant.models or set(grant.models) & set(labels[dt_id])}

    def hides(dt_id: str, name: str) -> bool:
        return any(f"{label}.{name}" in grant.hidden for label in (*labels[dt_id], "*"))

    twins = {d: {key: value for key, value in whole.twins[d].items() if not hides(d, key)} for d in seen}
    links = [(n, s, t) for n, s, t in whole.links if s in seen and t in seen and not hides(s, n)]
    return twins, links


def test_a_key_is_answered_as_on_a_graph_cut_down_to_it(reference: Reference, served: Settings, plant: Registry) -> None:
    """Random queries under random keys: filters, orders, aggregates, pages, related twins, counts."""
    schema, plain = reference
    rng = random.Random(17)
    whole = random_plant(plant)
    tops = ["f0", "f1", "f3", next(name for name in whole.twins if name.startswith("f") and "t" in name)]
    grants = [random_grant(rng, number, tops) for number in range(30)]
    tokens = [keys.create(plant.store, grant) for grant in grants]
    cuts = [cut(whole, grant) for grant in grants]
    variables = {"yes": True, "no": False}
    kept = plain.twins, plain.links
    with httpx.Client(base_url=f"http://127.0.0.1:{served.server_port}", timeout=60) as client:

        @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(st.integers(0, len(grants) - 1), queries())
        def holds(number: int, query: str) -> None:
            plain.twins, plain.links = cuts[number]
            headers = {"Authorization": f"Bearer {tokens[number]}"}
            asked = client.post("/graphql", json={"query": query, "variables": variables}, headers=headers).json()
            wanted = answer(schema, plain, query, variables)
            found = difference(without_text(asked), without_text(wanted))
            assert found is None, (grants[number], found)
            told.append(len(json.dumps(asked.get("data"))) if "errors" not in asked else 0)

        told: list[int] = []
        try:
            holds()
        finally:
            plain.twins, plain.links = kept
    assert sum(size > 100 for size in told) > len(told) / 10


def without_text(said: Any) -> Any:
    """Data, and where errors are; their words may differ."""
    return said.get("data"), bool(said.get("errors"))


def difference(one: Any, other: Any, path: str = "") -> str | None:
    """Where the two differ first, and how."""
    if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
        found = (difference(one[key], other[key], f"{path}.{key}") for key in one)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        found = (difference(a, b, f"{path}[{index}]") for index, (a, b) in enumerate(zip(one, other, strict=True)))
    else:
        return None if one == other else f"{path}: {one!r} here, {other!r} there"
    return next((text for text in found if text), None)
