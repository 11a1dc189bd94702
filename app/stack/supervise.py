"""Children in order, each healthy before the next; the first death stops all."""

import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError

import psutil
from rich.console import Console

from app.errors import StackError
from app.settings import Settings, variable
from app.stack.broker import start_broker
from app.stack.child import Child, ending, require_free_ports, start, wait_until
from app.stack.doors import doors, remove_doors, running, write_doors
from app.stack.neo4j import start_neo4j

NEEDED_BYTES = 2 * 1024**3
CHILDREN = "children.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One child: how it starts, which ports it takes, which doors it opens."""

    name: str
    start: Callable[[Settings], Child]
    ports: tuple[str, ...] = ()
    doors: tuple[str, ...] = ()


NEO4J = Part("neo4j", start_neo4j, ("bolt_port", "browser_port"), ("neo4j",))
BROKER = Part("broker", start_broker, ("mqtt_port",), ("mqtt",))


@dataclass(slots=True)
class Supervisor:
    settings: Settings
    parts: tuple[Part, ...]
    console: Console
    between: dict[str, Callable[[], None]] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    asked_to_stop: bool = False

    def up(self) -> None:
        """Starts all, in order. Raises: StackError with the reason; what was started is stopped again."""
        home = self.settings.home
        home.mkdir(parents=True, exist_ok=True)
        _require_idle(home)
        _end_leftovers(home)
        _require_space(home)
        ports = {variable(name): getattr(self.settings, name) for part in self.parts for name in part.ports}
        require_free_ports(self.settings.host, ports)
        try:
            for part in self.parts:
                self._refuse_stop()
                started = time.monotonic()
                with self.console.status(f"starting {part.name} …"):
                    self.children.append(part.start(self.settings))
                self._note()
                self.console.print(f"[green]✔[/] {part.name} [dim]{time.monotonic() - started:.1f} s[/]")
                if part.name in self.between:
                    self.between[part.name]()
        except BaseException:
            self.down()
            raise
        opened = frozenset(name for part in self.parts for name in part.doors)
        write_doors(home, doors(self.settings, opened))

    def watch(self) -> int:
        """Until Ctrl-C, SIGTERM (0) or the death of a child (1, after a clear message)."""
        while not self.asked_to_stop:
            for child in self.children:
                code = child.exited()
                if code is not None:
                    self.console.print(f"[red]✘ {child.name} {ending(code)}[/]; its log: {child.log}", soft_wrap=True)
                    self.console.print(child.tail(), style="dim", markup=False, highlight=False)
                    return 1
            time.sleep(0.25)
        return 0

    def down(self) -> None:
        """Stops all, the last started first."""
        remove_doors(self.settings.home)
        for child in reversed(self.children):
            with self.console.status(f"stopping {child.name} …"):
                child.stop()
        self.children.clear()
        (self.settings.home / CHILDREN).unlink(missing_ok=True)

    def stop_on_signals(self) -> None:
        def ask(*_: object) -> None:
            self.asked_to_stop = True

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGINT, ask)

    def _refuse_stop(self) -> None:
        if self.asked_to_stop:
            raise StackError("stopped while starting")

    def _note(self) -> None:
        rows = [[child.process.pid, psutil.Process(child.process.pid).create_time()] for child in self.children]
        (self.settings.home / CHILDREN).write_text(json.dumps(rows))


def python_part(
    name: str, arguments: list[str], port: str = "", opened: tuple[str, ...] = (), path: str = "", seconds: float = 60
) -> Part:
    """A child that is this program with `arguments`; healthy when `path` answers on `port`, or its ready file is there."""

    def begin(settings: Settings) -> Child:
        ready = settings.home / "ready" / name
        ready.parent.mkdir(exist_ok=True)
        ready.unlink(missing_ok=True)
        metrics = settings.home / "metrics"
        metrics.mkdir(exist_ok=True)
        environment = settings.environment() | {"PROMETHEUS_MULTIPROC_DIR": str(metrics), "TWINGRAPH_READY": str(ready)}
        child = start(name, [sys.executable, "-m", "app.cli", *arguments], settings.home, environment)
        try:
            wait_until(child, lambda: _answers(settings, port, path) if port else ready.exists(), seconds)
        except StackError:
            child.stop()
            raise
        return child

    return Part(name, begin, (port,) if port else (), opened)


def say_ready() -> None:
    """Called by a child once it does its work."""
    path = os.environ.get("TWINGRAPH_READY")
    if path:
        Path(path).touch()


def _answers(settings: Settings, port: str, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{settings.host}:{getattr(settings, port)}{path}", timeout=1) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _require_idle(home: Path) -> None:
    try:
        pid, _ = running(home)
    except StackError:
        return
    raise StackError(f"a stack already runs here (process {pid})", where=str(home), hint="twingraph stack stop")


def _end_leftovers(home: Path) -> None:
    """Ends what a killed parent may have left where the kernel does not do it."""
    path = home / CHILDREN
    if path.exists():
        for pid, started in json.loads(path.read_text()):
            try:
                process = psutil.Process(pid)
                if abs(process.create_time() - started) < 1:
                    process.terminate()
                    process.wait(30)
            except psutil.Error:
                continue
        path.unlink()
    shutil.rmtree(home / "metrics", ignore_errors=True)


def _require_space(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        raise StackError(f"only {free / 1024**2:.0f} MB free, 2 GB are needed", where=str(home), hint="set TWINGRAPH_HOME")
