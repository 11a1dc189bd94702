"""A test that fails, or times out, leaves nothing behind that the next one builds on."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.pace import PACE

CONFTEST = "from tests.conftest import pytest_runtest_makereport, pytest_runtest_teardown  # noqa: F401"
TESTS = """
import time

import pytest

made = []


@pytest.fixture(scope="session")
def server():
    made.append("server")
    return made


@pytest.fixture(scope="module")
def graph(server):
    made.append("graph")
    return []


def test_one(graph):
    graph.append("one")


@pytest.mark.timeout(1)
def test_two(graph):
    assert graph == ["one"]
    graph.append("half a write")
    time.sleep(60)


def test_three(graph):
    assert graph == []
    assert made == ["server", "graph", "graph"]


@pytest.fixture
def spoilt(graph):
    graph.append("half a set-up")
    raise ValueError


def test_four(spoilt):
    pass


def test_five(graph):
    assert graph == []
"""


def test_what_a_failed_test_has_left_is_not_built_on(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_parts.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PACE * 60, check=False)
    assert "3 passed" in done.stdout, done.stdout
    assert "1 failed" in done.stdout
    assert "1 error" in done.stdout
