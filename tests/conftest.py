"""Real parts for the tests: one Neo4j and one broker a session, started by the tests, stopped after."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.graph.store import Store
from app.main import open_store, with_secrets
from app.settings import Settings
from app.stack.broker import start_broker
from app.stack.child import Child, wait_until
from app.stack.neo4j import start_neo4j
from app.twins.registry import Registry, read_models
from tests.pace import PACE

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="../shared is not on this machine")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SERVICES = {"neo4j", "broker"}
OF_THEIR_OWN = ("stack", "journeys")  # start services by themselves


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out what needs Neo4j, a broker or another server")


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """What a failed test has left is not built on: whatever its module shares (the graph, servers) is made anew for the next.

    Uses `_setupstate` of pytest (9; tests/docs/test_isolation.py holds what is promised)."""
    result = yield
    if item.stash.get(FAILED, False):
        item.session._setupstate.teardown_exact(item.session)  # type: ignore[arg-type]
    return result


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        marked = item.get_closest_marker("timeout")
        seconds = marked.args[0] if marked else float(config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(seconds * PACE), append=False)
    if not config.getoption("--fast"):
        return
    slow = [item for item in items if _needs_services(item)]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in set(slow)]


def _needs_services(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(fixtures & SERVICES) or item.path.parent.name in OF_THEIR_OWN or item.get_closest_marker("slow") is not None


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    ports = {name: free_port() for name in ("server_port", "bolt_port", "browser_port", "mqtt_port", "opcua_port")}
    home = tmp_path_factory.mktemp("twingraph")
    return Settings.read(home=home, neo4j_heap="768m", neo4j_pagecache="256m", flush_seconds=0.05, **ports)


@pytest.fixture(scope="session")
def neo4j(settings: Settings) -> Iterator[Child]:
    child = start_neo4j(settings)
    yield child
    child.stop()


@pytest.fixture(scope="session")
def broker(settings: Settings) -> Iterator[Child]:
    child = start_broker(settings)
    yield child
    child.stop()


@pytest.fixture(scope="session")
def store(settings: Settings, neo4j: Child) -> Iterator[Store]:
    with open_store(settings) as opened:
        yield opened


def wipe(store: Store) -> None:
    store.command("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS")


@pytest.fixture(scope="module")
def registry(store: Store) -> Registry:
    """An empty graph with our models loaded."""
    wipe(store)
    made = Registry(store)
    made.load(read_models([ROOT / "dtdl_models"]))
    return made


@pytest.fixture(scope="session")
def secured(settings: Settings) -> Settings:
    return with_secrets(settings)


@contextmanager
def program(settings: Settings, name: str, *arguments: str, healthy: Callable[[], bool] | None = None) -> Iterator[Child]:
    """`twingraph …` as a process of its own, healthy inside the block."""
    ready = settings.home / "ready" / f"{name}-{time.monotonic_ns()}"
    ready.parent.mkdir(exist_ok=True)
    log = settings.home / "logs" / f"test-{name}.log"
    log.parent.mkdir(exist_ok=True)
    environment = {**os.environ, **settings.environment(), "TWINGRAPH_READY": str(ready)}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments], env=environment, stdout=output, stderr=output, cwd=ROOT
        )
    child = Child(name, process, log, 15)
    try:
        wait_until(child, healthy or ready.exists, PACE * 90)
        yield child
    finally:
        child.stop()


def twingraph(settings: Settings, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`twingraph …` run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env={**os.environ, **settings.environment(), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PACE * 180,
        check=False,
    )


def eventually(check: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + PACE * seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.1)
    return check()


def apart(settings: Settings, **changes: object) -> Settings:
    return replace(settings, **changes)  # type: ignore[arg-type]


def installed(command: str) -> bool:
    return shutil.which(command) is not None
