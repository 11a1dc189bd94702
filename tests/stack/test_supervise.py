"""F32, F35: what a stack does when its disk is full, and when a child that it can do without ends."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from rich.console import Console

from app import disk
from app.disk import Room
from app.errors import StackError, StoreError
from app.graph.store import Store
from app.main import make_store
from app.settings import Settings
from app.stack import supervise
from app.stack.child import Child, rotate, start
from app.stack.parts import Part
from app.stack.supervise import Supervisor
from tests.conftest import ROOT, eventually, free_port, twingraph
from tests.pace import PACE

MB = 1024**2


def sleeper(name: str, essential: bool, seconds: str = "100") -> Part:
    def begin(settings: Settings) -> Child:
        return start(name, [sys.executable, "-c", f"import time; time.sleep({seconds})"], settings.home)

    return Part(name, begin, essential=essential)


@pytest.fixture
def supervised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """Two children, one that can be done without and one that cannot; watched by a thread."""
    monkeypatch.setattr(supervise, "LONGEST_PAUSE", 2.0)
    made = Supervisor(
        Settings.read(home=tmp_path),
        (sleeper("base", True), sleeper("extra", False)),
        Console(file=(tmp_path / "told").open("w")),
    )
    made.up()
    yield made
    made.down()


def told(supervisor: Supervisor) -> str:
    supervisor.console.file.flush()
    return (supervisor.settings.home / "told").read_text()


def test_F35_an_inessential_child_is_started_again(supervised: Supervisor) -> None:
    codes: list[int] = []
    watching = Thread(target=lambda: codes.append(supervised.watch()))
    watching.start()
    base = supervised.held["base"].child.process.pid
    for _ in range(3):
        before = supervised.held["extra"].child.process
        before.kill()
        assert eventually(lambda gone=before: supervised.held["extra"].child.process is not gone, 10)  # type: ignore[misc]
        assert supervised.held["extra"].child.exited() is None
    assert (codes, supervised.held["base"].child.process.pid) == ([], base)
    assert "extra was killed by SIGKILL" in told(supervised)
    supervised.restart("base", "a test asks for it")
    assert eventually(lambda: supervised.held["base"].child.process.pid != base and not supervised.held["base"].starting, 10)
    assert codes == []
    supervised.held["base"].child.process.kill()
    watching.join(10)
    assert codes == [1]
    assert "base was killed by SIGKILL" in told(supervised)


def test_a_child_that_ends_at_once_is_started_later_and_later(tmp_path: Path) -> None:
    starts: list[float] = []

    def begin(settings: Settings) -> Child:
        starts.append(time.monotonic())
        return start("short", [sys.executable, "-c", ""], settings.home)

    made = Supervisor(Settings.read(home=tmp_path), (Part("short", begin, essential=False),), Console(quiet=True))
    made.up()
    watching = Thread(target=made.watch)
    watching.start()
    time.sleep(6)
    made.down()
    watching.join(10)
    assert 2 <= len(starts) <= 5


@pytest.mark.parametrize(
    ("free", "state"), [(disk.LOW, "OK"), (disk.LOW - 1, "LOW"), (disk.SHORT, "LOW"), (disk.SHORT - 1, "SHORT"), (0, "SHORT")]
)
def test_room_is_told_in_three_steps(free: int, state: str) -> None:
    assert Room(Path("/x"), free).state == state


def test_a_later_start_needs_less_room_than_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "room", lambda folder: Room(folder, 600 * MB))
    made = Supervisor(Settings.read(home=tmp_path), (sleeper("base", True),), Console(quiet=True))
    with pytest.raises(StackError, match="600 MB free"):
        made.up()
    (tmp_path / "neo4j" / "data").mkdir(parents=True)
    made.up()
    made.down()


# A real database on a small disk ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 800 MB."""
    folder = tmp_path_factory.mktemp("small")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=800m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def stack(small: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """`twingraph stack run`, whose database has a gigabyte less than a first start asks for."""
    ports = {name: free_port() for name in ("server_port", "bolt_port", "browser_port", "mqtt_port", "opcua_port")}
    settings = Settings.read(home=small / "home", neo4j_heap="512m", neo4j_pagecache="128m", **ports)
    (settings.home / "neo4j" / "data").mkdir(parents=True)
    with (small.parent / "stack.log").open("w") as log:
        environment = {**os.environ, **settings.environment(), "COLUMNS": "300"}
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "stack", "run"], env=environment, stdout=log, stderr=log, cwd=ROOT
        )
        try:
            assert eventually(lambda: twingraph(settings, "endpoints", "--json").returncode == 0, 120)
            yield settings
        finally:
            process.terminate()
            process.wait(90)


def written(store: Store) -> bool:
    with suppress(StoreError):
        store.run("CREATE (:Filled {text: $text})", text="x" * 10_000)
        return True
    return False


@pytest.mark.timeout(300)
def test_F32_a_full_disk_is_told_and_gone_through(stack: Settings, small: Path) -> None:
    """Full while writing: the database stops; once there is room it writes again by itself, and has what it acknowledged."""
    log = small.parent / "stack.log"
    with make_store(stack) as store:
        acknowledged = 0
        ballast = small / "ballast"
        with ballast.open("wb") as stream:
            stream.write(b"x" * (shutil.disk_usage(small).free - 4 * MB))
        assert eventually(lambda: "make room now" in log.read_text(), 20)
        deadline = time.monotonic() + PACE * 60
        while time.monotonic() < deadline and not store_has_stopped(store):
            acknowledged += written(store)
        assert store_has_stopped(store)
        assert eventually(lambda: "restarted once there is room" in log.read_text(), 30)
        time.sleep(5)
        assert not written(store)
        ballast.unlink()
        started = time.monotonic()
        assert eventually(lambda: written(store), 60 + 30)
        print(f"writes again {time.monotonic() - started:.0f} s after there was room; {acknowledged} acknowledged before")
        ((held,),) = store.read("MATCH (f:Filled) RETURN count(f)")
    assert held >= acknowledged + 1
    assert "neo4j runs again" in log.read_text()


def store_has_stopped(store: Store) -> bool:
    with suppress(StoreError):
        return store.has_stopped()
    return False


def test_a_long_log_is_turned_over_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.stack.child.LONGEST_LOG", 10_000)
    script = "import time\nfor i in range(2000): print('line', i, '.' * 40, flush=True); time.sleep(0.001)\ntime.sleep(60)"
    child = start("chatty", [sys.executable, "-c", script], tmp_path)
    try:
        logs = tmp_path / "logs"
        for _ in range(60):
            rotate(logs)
            time.sleep(0.05)
        assert eventually(lambda: "line 1999" in child.tail())
        sizes = [path.stat().st_size for path in sorted(logs.iterdir())]
        assert [path.name for path in sorted(logs.iterdir())] == ["chatty.log", "chatty.log.1", "chatty.log.2", "chatty.log.3"]
        assert max(sizes) < 40_000
        assert b"\0" not in child.log.read_bytes()
    finally:
        child.stop()
