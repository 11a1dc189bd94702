"""What is asked a second time is answered without the transports' machinery, to the byte as they answer."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from app.graphql.answer import direct
from tests.graphql.test_persisted import named

MANY = "query A { turbines { dtId } } query B($id: ID!) { turbine(dtId: $id) { name } }"
PAGE = "query($n: Int) { turbines(first: $n) { dtId } }"
NAME = "query($id: ID!) { turbine(dtId: $id) { name } }"
HASHED = "{ windFarms { region } }"
REQUESTS: dict[str, Any] = {
    "point": {"query": '{ turbine(dtId: "t1") { dtId name power } }'},
    "variables": {"query": NAME, "variables": {"id": "t2"}},
    "no twin": {"query": NAME, "variables": {"id": "nobody"}},
    "a variable that does not fit": {"query": NAME, "variables": {"id": [1]}},
    "a variable that is missing": {"query": NAME},
    "one of several operations": {"query": MANY, "operationName": "B", "variables": {"id": "t3"}},
    "which of several operations": {"query": MANY},
    "an operation that is not there": {"query": MANY, "operationName": "C"},
    "a page too large": {"query": PAGE, "variables": {"n": 100_000}},
    "a pattern that Neo4j refuses": {"query": '{ a: turbines(where: { name: { matches: "[" } }) { dtId } windFarms { name } }'},
    "fields beside each other": {"query": "{ __typename a: windFarms { name } b: turbinesAggregate { count } }"},
    "by its hash": {"extensions": named(HASHED)},
    "another's hash": {"query": NAME, "extensions": named(HASHED), "variables": {"id": "t1"}},
    "through the executor": {"query": '{ models { label } turbine(dtId: "t1") { name } }'},
    "a mutation": {"query": 'mutation { setProperties(dtId: "t1", patch: {}) { dtId } }'},
    "several at once": [{"query": "{ __typename }"}, {"query": "{ __typename }"}],
    "no object": "text",
    "variables that are no object": {"query": NAME, "variables": []},
    "extensions that are no object": {"query": HASHED, "extensions": 0},
    "a name that is no text": {"query": NAME, "operationName": 3},
}
DIRECT = {"point", "variables", "no twin", "one of several operations", "a page too large", "by its hash"} | {
    "a pattern that Neo4j refuses",
    "fields beside each other",
    "a variable that does not fit",
    "a variable that is missing",
}


async def in_parts(body: bytes) -> AsyncIterator[bytes]:
    yield body[:3]
    yield body[3:]


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
@pytest.mark.parametrize("name", REQUESTS)
async def test_both_ways_answer_alike(name: str, accept: str, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    known = direct.known
    body, headers = orjson.dumps(REQUESTS[name]), {"Content-Type": "application/json", "Accept": accept}
    await http.post("/graphql", json={"query": HASHED, "extensions": named(HASHED)})
    monkeypatch.setattr(direct, "known", lambda *given: None)
    stock = await http.post("/graphql", content=body, headers=headers)

    def noted(*given: Any) -> Any:
        found = known(*given)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(direct, "known", noted)
    answers = [await http.post("/graphql", content=sent, headers=headers) for sent in (body, in_parts(body))]
    assert taken == [name in DIRECT] * 2
    for answer in answers:
        assert (answer.status_code, answer.headers["content-type"]) == (stock.status_code, stock.headers["content-type"])
        assert answer.content == stock.content


async def test_the_first_of_two_headers_counts(http: httpx.AsyncClient) -> None:
    request, kinds = orjson.dumps({"query": HASHED}), ("application/json", "application/graphql-response+json")
    for first, second in (kinds, kinds[::-1]):
        headers = [("Content-Type", "application/json"), ("Accept", first), ("Accept", second)]
        for _ in range(2):
            answer = await http.post("/graphql", content=request, headers=headers)
            assert answer.headers["content-type"].startswith(first)


async def test_what_nobody_expected_is_answered_as_internal(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    request = {"query": "{ substations { name } }"}
    assert "errors" not in (await http.post("/graphql", json=request)).json()

    def broken(*_: Any) -> Any:
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(direct, "answer", broken)
    answer = await http.post("/graphql", json=request)
    assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert "secret" not in answer.text
