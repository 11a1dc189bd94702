"""Judges from outside: the GraphQL over HTTP audit, real clients, and a fuzzer that knows the schema."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import build_client_schema, get_introspection_query, print_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema, nodes

from app.settings import Settings
from tests.pace import PACE

NODE = Path(__file__).parent / "node"
CODES = {
    "BAD_USER_INPUT", "COMMAND_FAILED", "COMMAND_REFUSED", "COMMAND_UNKNOWN", "CONFLICT", "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED", "MODEL_INVALID", "NOT_FOUND", "QUERY_TOO_LARGE", "STORE_TIMEOUT", "TWIN_INVALID",
}  # fmt: skip


@pytest.fixture(scope="session")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is not on this machine")
    folder = tmp_path_factory.mktemp("judges")
    for path in NODE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    made = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, timeout=PACE * 170, check=False
    )
    if made.returncode:
        pytest.skip(f"npm cannot fetch the judges: {made.stderr[-300:]}")
    return folder


def told(folder: Path, script: str, served: Settings, secured: Settings, *arguments: str) -> str:
    url = f"http://127.0.0.1:{served.server_port}/graphql"
    command = ["node", script, url, secured.token, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PACE * 120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_graphql_over_http_is_spoken(judges: Path, served: Settings, secured: Settings) -> None:
    assert told(judges, "audit.mjs", served, secured) == "61/61\n"


def test_clients_query_change_and_listen(judges: Path, served: Settings, secured: Settings) -> None:
    said = json.loads(told(judges, "clients.mjs", served, secured, "t2"))
    same = {"query": 1, "mistake": "GRAPHQL_VALIDATION_FAILED"}
    assert said == {
        "apollo": same | {"event": "seen by Apollo"},
        "urql": same | {"event": "seen by urql"},
        "urql, events": same | {"event": "seen by urql, events"},
        "graphql-sse": same | {"event": "seen by graphql-sse"},
    }


@pytest.fixture(scope="module")
def endpoint(served: Settings, secured: Settings) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {secured.token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{served.server_port}", headers=headers, timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "content", "kind", "status"),
    [
        ("POST", '{"query": "mutation { deleteTwin(dtId: \\"t1\\") }"}', "text/plain", 400),
        ("POST", "query=%7B__typename%7D", "application/x-www-form-urlencoded", 400),
        ("GET", "", "application/json", 405),
        ("PUT", "{}", "application/json", 405),
    ],
)
def test_what_another_site_could_send_is_refused(
    method: str, content: str, kind: str, status: int, endpoint: httpx.Client
) -> None:
    query = {"query": 'mutation { deleteTwin(dtId: "t1") }'} if method == "GET" else {}
    answer = endpoint.request(method, "/graphql", params=query, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


IDS = st.sampled_from(["t1", "t2", "t3", "north", "south", "sub", "none", "", "😀"]).map(nodes.String)
SCALARS = {
    "ID": IDS,
    "JSON": st.sampled_from(["x", "t1"]).map(nodes.String) | st.integers(-5, 5).map(nodes.Int),
    "Value": st.integers(-5, 5).map(nodes.Int),
    "Long": st.integers(-(2**63), 2**63 - 1).map(nodes.Int),
    "DateTime": st.datetimes().map(lambda at: nodes.String(at.isoformat())),
    "Date": st.dates().map(lambda at: nodes.String(at.isoformat())),
    "Time": st.times().map(lambda at: nodes.String(at.isoformat())),
    "Duration": st.sampled_from(["PT1S", "PT10M", "P1D", "P400D"]).map(nodes.String),
    "Point": st.just(nodes.String("x")),
    "GeoJSON": st.just(nodes.String("x")),
}


def test_no_query_breaks_the_server(endpoint: httpx.Client) -> None:
    """Every answer is an answer: 200, errors with a code of ours, none of them INTERNAL."""
    introspected: Any = endpoint.post("/graphql", json={"query": get_introspection_query()}).json()["data"]
    schema = print_schema(build_client_schema(introspected))

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(from_schema(schema, custom_scalars=SCALARS))
    def holds(query: str) -> None:
        answer = endpoint.post("/graphql", json={"query": query})
        assert answer.status_code == 200
        assert {error["extensions"]["code"] for error in answer.json().get("errors", ())} <= CODES

    holds()
