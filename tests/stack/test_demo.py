"""The whole demo as a user starts it, in a state folder of its own, on ports of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.graph.store import Store
from app.settings import Settings
from app.stack.secrets import secret
from tests.conftest import ROOT, eventually, free_port, twingraph
from tests.journeys.conftest import Client

SIZE = ("--farms", "2", "--turbines", "2")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, trained_once: Path) -> Settings:
    ports = {name: free_port() for name in ("server_port", "bolt_port", "browser_port", "mqtt_port", "opcua_port")}
    home = tmp_path_factory.mktemp("demo")
    shutil.copytree(trained_once, home / "predictor")
    return Settings.read(home=home, neo4j_heap="512m", neo4j_pagecache="128m", fleet_seconds=1.0, **ports)


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from app.simulate.training import train

    folder = tmp_path_factory.mktemp("predictor") / "predictor"
    train(days=45, farms=2, turbines=30).save(folder)
    return folder


class Demo:
    def __init__(self, settings: Settings) -> None:
        self.log = settings.home / "demo.log"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "demo", *SIZE],
                env={**os.environ, **settings.environment()},
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )
        self.settings, self.following = settings, list[Demo]()

    def again(self) -> "Demo":
        """Another one in its place, stopped with it."""
        self.following.append(Demo(self.settings))
        return self.following[-1]

    def endpoints(self) -> dict[str, Any]:
        assert eventually(lambda: twingraph(self.settings, "endpoints", "--json").returncode == 0, 120), self.log.read_text()
        found: dict[str, Any] = json.loads(twingraph(self.settings, "endpoints", "--json").stdout)
        return found

    def children(self) -> dict[str, psutil.Process]:
        names = {"neo4j": "Neo4jCommunity", "broker": "embedded.Main", "fleet": "app.cli fleet"}
        names |= {"server": "app.cli serve", "ingest": "app.cli ingest", "predictor": "app.cli predict"}
        found = psutil.Process(self.process.pid).children()
        return {name: child for name, mark in names.items() for child in found if mark in " ".join(child.cmdline())}

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(90)


@pytest.fixture
def demo(own: Settings) -> Iterator[Demo]:
    started = Demo(own)
    yield started
    for one in (started, *started.following):
        one.stop()


def points(settings: Settings) -> int:
    uri = f"bolt://{settings.host}:{settings.bolt_port}"
    with Store(uri, "neo4j", secret(settings.home, "neo4j")) as store:
        return int(store.read("MATCH (:Turbine {dtId: 'wf01-t01'})-[:_HISTORY]->(s) RETURN sum(size(s.power))")[0][0])


def test_every_door_opens_and_ctrl_c_closes_all(demo: Demo, own: Settings) -> None:
    endpoints = demo.endpoints()
    assert endpoints.keys() == {"neo4j", "graphql", "mqtt", "opcua", "metrics", "api"}
    assert endpoints["graphql"].keys() == {"url", "explorer", "token"}
    assert endpoints["neo4j"].keys() == {"uri", "browser", "user", "password"}
    assert endpoints["mqtt"].keys() == {"host", "port", "user", "password"}
    client = Client(own)
    assert len(client.ask("{ turbines { dtId } }")["turbines"]) == 4
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (own.home / "secrets").iterdir()}
    assert set(modes.values()) == {"0o600"}
    assert twingraph(own, "stack", "status").returncode == 0
    second = twingraph(own, "demo", *SIZE)
    assert (second.returncode, "already runs" in second.stderr) == (1, True)
    children = psutil.Process(demo.process.pid).children(recursive=True)
    assert demo.stop() == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    gone = twingraph(own, "endpoints", "--json")
    assert (gone.returncode, "no stack is running" in gone.stderr) == (1, True)


@pytest.mark.timeout(400)
def test_a_killed_child_is_reported_and_nothing_acknowledged_is_missing(demo: Demo, own: Settings) -> None:
    """Those that hold or carry data in turn; the next start finds all the last one had and goes on."""
    running = demo
    for victim in ("ingest", "broker"):
        running.endpoints()
        before = points(own)
        assert eventually(lambda least=before: points(own) > least + 2)  # type: ignore[misc]
        before = points(own)
        running.children()[victim].kill()
        assert running.process.wait(90) == 1
        assert f"{victim} was killed by SIGKILL" in running.log.read_text()
        running = demo.again()
        running.endpoints()
        assert points(own) >= before
    assert running.stop() == 0


@pytest.mark.timeout(300)
def test_a_killed_database_is_started_again(demo: Demo, own: Settings) -> None:
    """Without a person; the others stay, and all that was acknowledged is there."""
    demo.endpoints()
    before = points(own)
    assert eventually(lambda: points(own) > before + 2)
    before, others = points(own), {name: child.pid for name, child in demo.children().items() if name != "neo4j"}
    demo.children()["neo4j"].kill()
    assert eventually(lambda: "neo4j runs again" in demo.log.read_text(), 90), demo.log.read_text()
    assert points(own) >= before
    assert eventually(lambda: points(own) > before + 2, 60)
    assert {name: child.pid for name, child in demo.children().items() if name != "neo4j"} == others


@pytest.mark.timeout(300)
def test_F35_predictor_and_fleet_are_started_again(demo: Demo, own: Settings) -> None:
    """Killed one after the other; database, broker and server do not notice, and readings go on."""
    demo.endpoints()
    before = {name: child.pid for name, child in demo.children().items()}
    for victim in ("predictor", "fleet"):
        demo.children()[victim].kill()
        assert eventually(lambda back=victim: f"{back} runs again" in demo.log.read_text(), 90)  # type: ignore[misc]
    after = {name: child.pid for name, child in demo.children().items()}
    assert {name for name in before if before[name] != after[name]} == {"predictor", "fleet"}
    assert demo.process.poll() is None
    count = points(own)
    assert eventually(lambda: points(own) > count + 2)


def test_nothing_outlives_a_killed_parent(demo: Demo) -> None:
    demo.endpoints()
    children = psutil.Process(demo.process.pid).children()
    demo.process.kill()
    _, alive = psutil.wait_procs(children, 60)
    assert alive == []
