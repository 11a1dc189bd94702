"""The extremes of every schema through GraphQL and REST into the real database: told with a code, or read back."""

import json
from typing import Any

import httpx
import pytest

from app.twins.edit import NewTwin, ensure
from app.twins.registry import Registry
from tests.extremes import model, signals
from tests.graphql.conftest import Ask

SENT = [(f"p_{name}", value) for name, _, values in signals() for value in values]
TOLD = {"TWIN_INVALID", "BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED", "BAD_REQUEST"}
SET = 'mutation ($patch: JSON!) { setProperties(dtId: "e", patch: $patch) { dtId properties } }'
NUMBERS = ["9" * 5000, "-" + "9" * 4301, "1e999", "0." + "9" * 5000, "1" * 20]


@pytest.fixture(scope="module")
def extreme(plant: Registry) -> Registry:
    plant.load([model()])
    ensure(plant.store, plant.catalog, [NewTwin("e", "Extreme")], [])
    return plant


async def posted(http: httpx.AsyncClient, path: str, body: Any, method: str = "POST") -> Any:
    answer = await http.request(
        method, path, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, timeout=60
    )
    assert answer.status_code < 500, (path, body, answer.text[:300])
    return answer.json()


def codes(answer: Any) -> set[str]:
    return {error["extensions"]["code"] for error in answer.get("errors", ())}


async def test_properties_are_read_back_or_told(extreme: Registry, http: httpx.AsyncClient) -> None:
    for name, value in SENT:
        answer = await posted(http, "/graphql", {"query": SET, "variables": {"patch": {name: value}}})
        assert codes(answer) <= TOLD, (name, str(value)[:80], answer)
        if not codes(answer):
            read = await posted(http, "/graphql", {"query": f'{{ extreme(dtId: "e") {{ {selection(name)} properties }} }}'})
            assert "errors" not in read, (name, str(value)[:80], read)


def selection(name: str) -> str:
    return f"{name} {{ at n }}" if name == "p_o_nested" else name


async def test_the_same_over_rest(extreme: Registry, http: httpx.AsyncClient) -> None:
    for name, value in SENT:
        answer = await posted(http, "/api/twins/e", {name: value}, "PATCH")
        assert "etag" in answer or answer.get("code") in TOLD, (name, str(value)[:80], answer)


@pytest.mark.parametrize("number", NUMBERS)
async def test_numbers_without_end_in_a_document(number: str, extreme: Registry, ask: Ask) -> None:
    for text in (
        f"{{ turbines(first: {number}) {{ dtId }} }}",
        f"{{ turbines(where: {{ power: {{ gt: {number} }} }}) {{ dtId }} }}",
        f"{{ turbines(where: {{ power: {{ in: [{number}] }} }}) {{ dtId }} }}",
        f'mutation {{ setProperties(dtId: "e", patch: {{ p_l_integer: [{number}] }}) {{ dtId }} }}',
        f'mutation {{ createTwin(dtId: "x", model: "Extreme", properties: {{ p_t_long: {number} }}) {{ dtId }} }}',
        f'{{ turbine(dtId: "t1") {{ history(signal: "power", every: "PT{number}S") {{ at }} }} }}',
        f'{{ turbine(dtId: "t1", asOf: "{number}") {{ power }} }}',
        f'{{ turbine(dtId: "t1") {{ history(signal: "power", from: "{number}", to: "{number}") {{ at }} }} }}',
    ):
        assert codes(await ask(text)) <= TOLD | {"QUERY_TOO_LARGE"}, text[:120]


MOMENTS = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_the_ends_of_time(moment: str, extreme: Registry, ask: Ask) -> None:
    for text in (
        "query ($at: DateTime!) { turbines(asOf: $at) { dtId power powerReading { at } contains: containsOf { dtId } } }",
        'query ($at: DateTime!) { turbine(dtId: "t1") { history(signal: "power", from: $at) { at } } }',
        'query ($at: DateTime!) { turbine(dtId: "t1") { history(signal: "power", to: $at, every: "PT1H") { at } } }',
        'query ($at: DateTime!) { turbine(dtId: "t1") { series(signals: ["power"], to: $at, every: "P1D", tz: "Asia/Tokyo", '
        "fill: NULL) { epochs } } }",
        "query ($at: DateTime!) { turbines(where: { powerReading: { at: { gt: $at } } }) { dtId } }",
        "query ($at: DateTime!) { turbines(where: { expectedFailureTime: { lt: $at } }) { dtId } }",
        "query ($at: DateTime!) { extremes(where: { t_dateTime: { lt: $at }, p_t_dateTime: { gte: $at } }) { dtId } }",
    ):
        assert codes(await ask(text, at=moment)) <= TOLD, text


async def test_times_beyond_what_neo4j_holds_in_a_filter(extreme: Registry, ask: Ask) -> None:
    for offset in ("+23:59", "-18:01", "+00:00:30"):
        answer = await ask("query ($t: Time!) { extremes(where: { p_t_time: { gt: $t } }) { dtId } }", t=f"12:00:00{offset}")
        assert codes(answer) == {"GRAPHQL_VALIDATION_FAILED"}, answer
    within = await ask("query ($t: Time!) { extremes(where: { p_t_time: { gt: $t } }) { dtId } }", t="12:00:00+18:00")
    assert "errors" not in within


async def test_a_long_text_does_not_fit_an_index(extreme: Registry, ask: Ask) -> None:
    for size, fits in ((8000, True), (8001, False), (40_000, False)):
        answer = await ask(SET, patch={"serialNumber": "a" * size})
        assert ("errors" not in answer) is fits
        made = await ask(
            'mutation ($p: JSON) { createTwin(dtId: "x", model: "Extreme", properties: $p) { dtId } }',
            p={"serialNumber": "a" * size},
        )
        assert codes(made) == (set() if fits else {"TWIN_INVALID"})
