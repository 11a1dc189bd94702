"""The processes of a small stack: server, ingest, fleet, beside the session's Neo4j and broker."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.demo import prepare
from app.main import with_secrets
from app.settings import Settings
from app.simulate.layout import Layout
from app.stack.child import Child
from tests.conftest import apart, program, wipe

LAYOUT = Layout(2, 3)  # wf01 over MQTT, ua02 over OPC UA


class Client:
    """GraphQL as a script would send it."""

    def __init__(self, settings: Settings) -> None:
        self.url = f"http://{settings.host}:{settings.server_port}"
        self.token = with_secrets(settings).token

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def get(self, path: str) -> str:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read().decode())

    def ask(self, query: str, **variables: Any) -> Any:
        _, answer = self.post("/graphql", {"query": query, "variables": variables})
        assert "errors" not in answer, answer
        return answer["data"]


@pytest.fixture(scope="package")
def small(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the journeys: the fleet reports every second."""
    return apart(settings, fleet_seconds=1.0, score_seconds=2.0)


@pytest.fixture(scope="package")
def trained(small: Settings) -> Path:
    from app.simulate.training import train

    folder = small.home / "predictor"
    train(days=45, farms=2, turbines=30).save(folder)
    return folder


@pytest.fixture(scope="package")
def stack(small: Settings, store: Any, broker: Child, trained: Path) -> Iterator[Client]:
    """Models, twins and a first day in the graph; server, ingest and fleet running."""
    wipe(store)
    prepare(small, LAYOUT, 1, 1.0, Console(stderr=True, quiet=True))
    client = Client(small)

    def ready() -> bool:
        try:
            return '"ready"' in client.get("/health/ready")
        except OSError:
            return False

    with (
        program(small, "serve", "serve", healthy=ready),
        program(small, "fleet", "fleet", "--farms", "2", "--turbines", "3"),
        program(small, "ingest", "ingest"),
    ):
        yield client
