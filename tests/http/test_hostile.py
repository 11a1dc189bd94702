"""Requests that nobody means well: every answer is below 500, bears a code, and says nothing of the inside."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from app.settings import Settings
from tests.graphql.conftest import Ask

DEEP, DIGITS, LONG = "[" * 300 + "]" * 300, "9" * 400, "a" * 40_000
VALUES = (
    DIGITS,
    f"[{DIGITS}]",
    f"[[-{DIGITS}]]",
    f'{{"maintenanceNote": [{DIGITS}]}}',
    DEEP,
    '{"a":' * 300 + "1" + "}" * 300,
    "1e400",
    "[1e999]",
    '"\\ud800"',
    '"\\u0000"',
    f'"{LONG}"',
    '"' + "9" * 5000 + '"',
)
ASKED = (
    'mutation ($v: JSON!) { setProperties(dtId: "t1", patch: $v) { dtId } }',
    'mutation ($v: TurbineInput!) { updateTurbine(dtId: "t1", input: $v) { dtId } }',
    'mutation ($v: TurbineInput!) { createTurbine(dtId: "new", input: $v) { dtId } }',
    'mutation ($v: JSON) { createTwin(dtId: "new", model: "Turbine", properties: $v) { dtId } }',
    'mutation ($v: ID!) { createTwin(dtId: $v, model: "Turbine") { dtId } deleteTwin(dtId: $v) }',
    'mutation ($v: String!) { createTwin(dtId: "new", model: $v) { dtId } }',
    "mutation ($v: [JSON!]!) { loadModels(documents: $v) { dtmi } }",
    "mutation ($v: [JSON!]!) { importTwins(documents: $v) { id } }",
    'mutation ($v: JSON) { invoke(dtId: "t1", command: "stop", request: $v) { id } }',
    'mutation ($v: String!) { invoke(dtId: "t1", command: $v) { id } }',
    "query ($v: TurbineWhere) { turbines(where: $v) { dtId } }",
    "query ($v: Float) { turbines(where: { power: { gt: $v } }) { dtId } }",
    "query ($v: [Float!]) { turbines(where: { power: { in: $v } }) { dtId } }",
    "query ($v: Int) { turbines(first: $v) { dtId } }",
    "query ($v: String) { turbinesConnection(after: $v) { nodes { dtId } } }",
    "query ($v: ID!) { turbine(dtId: $v) { dtId } }",
    "query ($v: DateTime) { turbines(asOf: $v) { dtId } }",
    'query ($v: String!) { turbine(dtId: "t1") { history(signal: $v) { at } } }',
    'query ($v: Duration) { turbine(dtId: "t1") { history(signal: "power", every: $v) { at } } }',
    'query ($v: String!) { turbine(dtId: "t1") { series(signals: [$v], tz: $v) { epochs } } }',
    "query ($v: ID!) { shortestPath(from: $v, to: $v) { length } command(id: $v) { id } }",
)
SKIPPED = (
    '{ turbine(dtId: "t1") { hasComponentConnection { nodes @skip(if: true) { dtId } } } }',
    '{ turbine(dtId: "t1") { hasComponentConnection { edges @skip(if: true) { node { dtId } } } } }',
    '{ turbine(dtId: "t1") { hasComponentConnection { totalCount @skip(if: true) } } }',
    '{ turbine(dtId: "t1") { hasComponentAggregate { count @skip(if: true) } } }',
    "{ turbinesConnection { edges @skip(if: true) { node { dtId } } } }",
    "{ turbinesConnection { edges { node @skip(if: true) { dtId } } } }",
    "{ turbinesConnection { pageInfo @skip(if: true) { hasNextPage } } }",
    "{ turbinesConnection { totalCount @skip(if: true) } }",
    "{ turbinesConnection @skip(if: true) { totalCount } }",
    "{ turbinesAggregate { count @skip(if: true) } }",
    "{ turbinesAggregate { power @skip(if: true) { max } } }",
    "{ turbinesAggregate { power { max @skip(if: true) } } }",
    "{ turbinesGroups(via: containsOf) { count @skip(if: true) } }",
    "{ turbinesGroups(by: [name]) { twin { dtId @skip(if: true) } } }",
    "{ turbines { dtId @skip(if: true) } }",
    "{ twins { ... on Turbine @skip(if: true) { dtId } } }",
    "{ turbines { hasComponent { dtId @skip(if: true) } } }",
    '{ turbines { history(signal: "power") { at @skip(if: true) } } }',
    '{ turbines { series(signals: ["power"]) { epochs @skip(if: true) } } }',
    '{ shortestPath(from: "t1", to: "t2") { length @skip(if: true) } }',
    '{ shortestPath(from: "t1", to: "t2") { twins { dtId @skip(if: true) } steps @skip(if: true) { relationship } } }',
)
BODIES = (
    *(b"", b"hello", b"[", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"\x00", DEEP.encode(), b'{"a":' * 5000, b"[" * 100_000),
    b'{"dtId": "%s", "model": "Turbine"}' % LONG.encode(),
    b'{"@id": "dtmi:a;1", "x": [%s]}' % DIGITS.encode(),
)
KINDS = ("application/json", "text/plain", "application/octet-stream", "application/xml", "x", "")
PLACES = (
    ("POST", "/api/models"), ("POST", "/api/twins"), ("PATCH", "/api/twins/t1"),
    ("POST", "/api/twins/t1/commands/stop"), ("POST", "/graphql"),
)  # fmt: skip
PATHS = (
    f"/api/twins/{LONG}", f"/api/commands/{LONG}", "/api/twins/%00", "/api/twins/%ff", f"/graphql?query={LONG}",
    f"/graphql?query={{turbines{{dtId}}}}&variables={DEEP}", f"/graphql?query={{turbines{{dtId}}}}&variables={DIGITS}",
    "/graphql?query={turbines{dtId}}&extensions=[", "/explorer/assets/..%2f..%2fsettings.py", f"/{LONG}",
)  # fmt: skip
NAMED = (
    f"{{ {LONG} }}", f"{{ {LONG}: turbines {{ dtId }} }}", f"{{ turbines(where: {{ {LONG}: 1 }}) {{ dtId }} }}",
    f"query {LONG} {{ turbines {{ dtId }} }}", f"query (${LONG}: Int) {{ turbines(first: ${LONG}) {{ dtId }} }}",
    f"{{ turbines @{LONG} {{ dtId }} }}", f"{{ ...{LONG} }} fragment {LONG} on Query {{ turbines {{ dtId }} }}",
)  # fmt: skip
BROKEN = {"INTERNAL", "STORE_FAILED", "STORE_REFUSED", "STORE_BUSY"}


@pytest.fixture
async def outside(app: FastAPI, secured: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """What nobody catches is an answer, too."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {secured.token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers, timeout=60) as client:
        yield client


def require_sound(answer: httpx.Response, *what: Any) -> None:
    assert answer.status_code < 500, (*what, answer.text[:300])
    if answer.headers.get("content-type", "").startswith("application/") and answer.content:
        said = answer.json()
        told = {error["extensions"]["code"] for error in said.get("errors", ())} if isinstance(said, dict) else set()
        assert not told & BROKEN, (*what, said)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:12])
async def test_values_in_variables(value: str, outside: httpx.AsyncClient) -> None:
    for text in ASKED:
        body = f'{{"query": {json.dumps(text)}, "variables": {{"v": {value}}}}}'
        answer = await outside.post("/graphql", content=body, headers={"Content-Type": "application/json"})
        require_sound(answer, text)


async def test_nothing_left_to_select(ask: Ask) -> None:
    for text in SKIPPED:
        answer = await ask(text)
        assert "errors" not in answer, (text, answer)


async def test_names_without_end(ask: Ask) -> None:
    for text in NAMED:
        answer = await ask(text)
        assert len(json.dumps(answer)) < 100_000 + len(text)
        assert {error["extensions"]["code"] for error in answer.get("errors", ())} <= {"GRAPHQL_VALIDATION_FAILED"}, answer


async def test_bodies_of_any_kind(outside: httpx.AsyncClient) -> None:
    for method, path in PLACES:
        for kind in KINDS:
            for body in BODIES:
                headers = {"Content-Type": kind} if kind else {}
                answer = await outside.request(method, path, content=body, headers=headers)
                require_sound(answer, method, path, kind, body[:30])
                assert answer.status_code >= 400 or body == b"[]", (method, path, kind, body[:30])
                assert len(answer.content) < 5000


async def test_paths_of_any_length(outside: httpx.AsyncClient) -> None:
    for path in PATHS:
        require_sound(await outside.get(path), path[:60])


def test_no_documented_request_breaks_the_server(app: FastAPI, served: Settings, secured: Settings) -> None:
    """Requests that fit /openapi.json, and such as nearly do."""
    base, headers = f"http://127.0.0.1:{served.server_port}", {"Authorization": f"Bearer {secured.token}"}
    tried = 0
    for operation in schemathesis.openapi.from_dict(app.openapi()).get_all_operations():
        both = [operation.ok().as_strategy(generation_mode=mode) for mode in GenerationMode]  # type: ignore[union-attr]

        @hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(st.one_of(both))
        def holds(case: Any) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(base_url=base, headers=headers, checks=[not_a_server_error])

        holds()
    assert tried > 100
