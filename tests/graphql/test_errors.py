"""What a front-end developer does wrong, and what the answer says."""

import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.graphql.conftest import Ask

DEEP = "hasComponent { " * 16 + "dtId" + " }" * 16


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("{ turbines(first: 100000) { dtId } }", "BAD_USER_INPUT", "first: 100000 is outside 0 to 1000"),
        ("{ turbines(first: -1) { dtId } }", "BAD_USER_INPUT", "first: -1 is outside 0 to 1000"),
        ("{ turbines(offset: -1) { dtId } }", "BAD_USER_INPUT", "offset: -1 is below 0"),
        ('{ turbines { history(signal: "pwer") { at } } }', "BAD_USER_INPUT", "Turbine has no signal 'pwer'"),
        ('{ turbine(dtId: "t1") { history(signal: "power", every: "PT0.1S") { at } } }', "BAD_USER_INPUT", "every: 0.1 s"),
        (
            '{ turbine(dtId: "t1") { history(signal: "power", from: "2024-01-02T00:00:00Z", to: "2024-01-01") { at } } }',
            "BAD_USER_INPUT",
            "from must lie before to",
        ),
        ('{ turbinesConnection(after: "nonsense") { nodes { dtId } } }', "BAD_USER_INPUT", "not a cursor"),
        ('{ twins(model: "Turbin") { dtId } }', "BAD_USER_INPUT", "no model 'Turbin'"),
        ("{ turbines { nope } }", "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'nope'"),
        ("{ turbines { dtId ", "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ('{ turbine(dtId: "t1") { history(signal: "power", every: "soon") { at } } }', "GRAPHQL_VALIDATION_FAILED", "soon"),
        (f"{{ assets {{ {DEEP} }} }}", "QUERY_TOO_LARGE", "more than 15 levels"),
        ("{ " + " ".join(f"a{i}: __typename" for i in range(101)) + " }", "QUERY_TOO_LARGE", "aliases"),
        ('mutation { setProperties(dtId: "t1", patch: { name: "x" }) { dtId } }', "TWIN_INVALID", "'name' is read-only"),
        ('mutation { setProperties(dtId: "t1", patch: { nam: "x" }) { dtId } }', "TWIN_INVALID", "no property 'nam'"),
        (
            'mutation { setProperties(dtId: "t1", patch: { maintenanceNote: 5 }) { dtId } }',
            "TWIN_INVALID",
            "must be a string",
        ),
        (
            'mutation { setProperties(dtId: "t1", patch: { maintenanceNote: "x" }, etag: "old") { dtId } }',
            "CONFLICT",
            "the twin has etag",
        ),
        ('mutation { setProperties(dtId: "t9", patch: {}) { dtId } }', "NOT_FOUND", "no twin 't9'"),
        ('mutation { createTwin(dtId: "t1", model: "Turbine") { dtId } }', "CONFLICT", "the identifier is taken"),
        ('mutation { createTwin(dtId: "a b", model: "Turbine") { dtId } }', "TWIN_INVALID", "cannot be a dtId"),
        ('mutation { createTwin(dtId: "x", model: "Turbin") { dtId } }', "NOT_FOUND", "no model 'Turbin'"),
        ('mutation { relate(source: "t1", relationship: "contains", target: "t2") }', "TWIN_INVALID", "no relationship"),
        ('mutation { relate(source: "north", relationship: "contains", target: "sub") }', "TWIN_INVALID", "must point at"),
        ('mutation { deleteTwin(dtId: "t1") }', "CONFLICT", "hold t1"),
        ('mutation { invoke(dtId: "t1", command: "explode") { id } }', "COMMAND_UNKNOWN", "no command 'explode'"),
        ('mutation { invoke(dtId: "t1", command: "setPowerLimit", request: "much") { id } }', "COMMAND_REFUSED", "much"),
        ('mutation { invoke(dtId: "t1", command: "start") { id } }', "COMMAND_FAILED", "no source delivers"),
        ('mutation { invoke(dtId: "t1", command: "start", timeout: -1) { id } }', "COMMAND_REFUSED", "timeout: -1"),
        ('mutation { createTwin(dtId: "x", model: "Turbine", properties: [1]) { dtId } }', "TWIN_INVALID", "an object"),
        ('mutation { setProperties(dtId: "t1", patch: "x") { dtId } }', "TWIN_INVALID", "an object"),
        (
            'mutation { relate(source: "north", relationship: "contains", target: "t3", properties: "x") }',
            "TWIN_INVALID",
            "an object",
        ),
        (
            '{ turbine(dtId: "t1") { history(signal: "power", every: "P99999999999D") { at } } }',
            "GRAPHQL_VALIDATION_FAILED",
            "P99999999999D",
        ),
        (
            '{ turbines(where: { expectedFailureTime: { gt: "0001-01-01T00:00:00+14:00" } }) { dtId } }',
            "GRAPHQL_VALIDATION_FAILED",
            "is not an RFC 3339 date-time",
        ),
        ('{ command(id: "none") { status } }', "NOT_FOUND", "no command 'none'"),
    ],
)
async def test_mistake_is_explained(query: str, code: str, message: str, ask: Ask) -> None:
    answer = await ask(query)
    error = answer["errors"][0]
    assert error["extensions"]["code"] == code
    assert message in error["message"]
    assert "MATCH" not in str(answer)
    assert "Traceback" not in str(answer)


FRAGMENTS = " ".join(f"fragment F{i} on Turbine {{ ...F{i + 1} ...F{i + 1} }}" for i in range(60))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f"{{ turbines {{ ...F0 }} }} {FRAGMENTS} fragment F60 on Turbine {{ dtId }}", None),
        ("{ assets { __typename " + "hasComponent { __typename " * 12 + "}" * 12 + " } }", None),
        ("{ me { name } twins { __typename " + "descendants(first: 1) { __typename " * 3 + "}" * 3 + " } }", None),
        (
            "{ __schema { queryType { name } } assets { " + "hasComponent { " * 16 + "dtId" + " }" * 16 + " } }",
            "QUERY_TOO_LARGE",
        ),
        ('{ turbine(dtId: "t1") { shut: history(signal: "power", tz: "Mars/Base") { at } } }', "BAD_USER_INPUT"),
        (
            '{ turbine(dtId: "t1") { history(signal: "power", from: "0001-01-01", to: "9999-12-30", every: "P366D",'
            ' tz: "Europe/Berlin", fill: NULL) { at } } }',
            "BAD_USER_INPUT",
        ),
        ("{ turbines(first: " + "9" * 5000 + ") { dtId } }", "GRAPHQL_VALIDATION_FAILED"),
        ('{ shortestPath(from: "t1", to: "t1-gearbox") { steps { __typename } } }', None),
    ],
)
async def test_what_is_costly_is_planned_at_once_or_refused(query: str, code: str | None, ask: Ask) -> None:
    started = time.monotonic()
    answer = await ask(query)
    assert time.monotonic() - started < 20
    assert [error["extensions"]["code"] for error in answer.get("errors", ())] == ([] if code is None else [code])


async def test_a_list_of_signals_may_be_a_variable(ask: Ask) -> None:
    query = """query($s: [String!]!) { turbine(dtId: "t2") {
      series(signals: $s, from: "2023-11-14", to: "2023-11-15") { signal count } } }"""
    found = [(await ask(query, s=signals))["data"]["turbine"]["series"] for signals in (["power"], ["windSpeed", "power"])]
    assert [[one["signal"] for one in series] for series in found] == [["power"], ["windSpeed", "power"]]


async def test_cursor_of_another_order_is_refused(ask: Ask) -> None:
    page = await ask("{ turbinesConnection(first: 1, orderBy: [{ power: ASC }]) { pageInfo { endCursor } } }")
    cursor = page["data"]["turbinesConnection"]["pageInfo"]["endCursor"]
    answer = await ask("query($c: String) { turbinesConnection(after: $c) { nodes { dtId } } }", c=cursor)
    assert "another orderBy" in answer["errors"][0]["message"]


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic d3Jvbmc="}])
@pytest.mark.parametrize("path", ["/graphql", "/metrics", "/api/models"])
async def test_every_door_needs_the_token(header: dict[str, str], path: str, app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=header) as client:
        answer = await (client.post(path, json={"query": "{ __typename }"}) if path == "/graphql" else client.get(path))
    assert answer.status_code == 401


@pytest.mark.parametrize("body", [b"null", b"5", b"{", b'"text"', b""])
async def test_a_body_that_is_no_request_is_refused(body: bytes, http: httpx.AsyncClient) -> None:
    answer = await http.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("query", ["subscription { alarms { id } }", 'subscription { twinChanged(dtId: "t1") { dtId } }'])
async def test_a_subscription_needs_a_stream(query: str, ask: Ask) -> None:
    error = (await ask(query))["errors"][0]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert "text/event-stream" in error["message"]


async def test_a_failed_field_leaves_its_siblings(ask: Ask) -> None:
    query = '{ turbine(dtId: "t1") { history(signal: "power", every: "PT0.1S") { at } } twin(dtId: "t2") { dtId } }'
    answer: Any = await ask(query)
    assert answer["data"] == {"turbine": None, "twin": {"dtId": "t2"}}
    assert answer["errors"][0]["path"] == ["turbine"]
