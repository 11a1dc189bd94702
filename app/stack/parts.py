"""The parts of a stack: how each starts, which ports it takes, what it opens."""

import os
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from app.errors import StackError
from app.settings import Settings
from app.stack.broker import start_broker
from app.stack.child import Child, start, wait_until
from app.stack.neo4j import start_neo4j

Changes = Callable[[Settings], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Part:
    """One child. `essential`: without it the stack ends; another is started again."""

    name: str
    start: Callable[[Settings], Child]
    ports: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    essential: bool = True
    host: str = "host"  # the setting with the address it listens on


NEO4J = Part("neo4j", start_neo4j, ("bolt_port", "browser_port"), ("neo4j",), essential=False, host="neo4j_host")
BROKER = Part("broker", start_broker, ("mqtt_port",), ("mqtt",))


def python_part(
    name: str,
    arguments: list[str],
    port: str = "",
    opened: tuple[str, ...] = (),
    path: str = "",
    seconds: float = 60,
    essential: bool = True,
    changes: Changes = lambda _: {},
) -> Part:
    """A child that is this program with `arguments`; healthy when `path` answers on `port`, or its ready file is there.

    `changes`: environment variables that are not those of the stack."""

    def begin(settings: Settings) -> Child:
        ready = settings.home / "ready" / name
        ready.parent.mkdir(exist_ok=True)
        ready.unlink(missing_ok=True)
        metrics = settings.home / "metrics"
        metrics.mkdir(exist_ok=True)
        environment = settings.environment() | {"PROMETHEUS_MULTIPROC_DIR": str(metrics), "TWINGRAPH_READY": str(ready)}
        command = [sys.executable, "-m", "app.cli", *arguments]
        child = start(name, command, settings.home, environment | dict(changes(settings)))
        try:
            wait_until(child, lambda: _answers(settings, port, path) if port else ready.exists(), seconds)
        except StackError:
            child.stop()
            raise
        return child

    return Part(name, begin, (port,) if port else (), opened, essential)


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
