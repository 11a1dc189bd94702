"""What every bench needs: a Neo4j and a broker of its own, the machine in words, figures as a table and as JSON."""

import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from app.graph.store import Store
from app.main import open_store
from app.settings import Settings
from app.stack.broker import start_broker
from app.stack.neo4j import start_neo4j
from app.twins.registry import Registry, read_models

ROOT = Path(__file__).resolve().parent.parent
CONSOLE = Console()


def machine() -> str:
    memory = psutil.virtual_memory().total / 1024**3
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, {platform.system()}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def bench_stack(
    with_broker: bool = False, stopped: Callable[[Settings], None] = lambda _: None, **changes: Any
) -> Iterator[tuple[Settings, Store, Registry]]:
    """A fresh database with our models, in a folder that is removed afterwards; `stopped` looks at it before."""
    with tempfile.TemporaryDirectory(prefix="twingraph-bench-") as home:
        ports = {name: free_port() for name in ("server_port", "bolt_port", "browser_port", "mqtt_port", "opcua_port")}
        settings = Settings.read(home=Path(home), neo4j_heap="2g", neo4j_pagecache="1g", **{**ports, **changes})
        children = [start_neo4j(settings)]
        try:
            if with_broker:
                children.append(start_broker(settings))
            with open_store(settings) as store:
                registry = Registry(store)
                registry.load(read_models([ROOT / "dtdl_models"]))
                yield settings, store, registry
        finally:
            for child in reversed(children):
                child.stop()
            stopped(settings)


@contextmanager
def process(settings: Settings, *arguments: str) -> Iterator[psutil.Process]:
    """`twingraph …` beside the bench, once it has said it is ready."""
    ready = settings.home / f"ready-{time.monotonic_ns()}"
    log = (settings.home / f"bench-{arguments[0]}.log").open("wb")
    environment = {**os.environ, **settings.environment(), "TWINGRAPH_READY": str(ready)}
    child = subprocess.Popen([sys.executable, "-m", "app.cli", *arguments], env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not ready.exists() and arguments[0] != "serve":
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(Path(log.name).read_text()[-2000:])
            time.sleep(0.05)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(20)
        log.close()


def cpu(one: psutil.Process) -> float:
    times = one.cpu_times()
    return float(times.user + times.system)


def show(title: str, rows: list[tuple[str, str]], figures: dict[str, Any]) -> None:
    table = Table("figure", "value", title=f"{title} · {machine()}")
    for row in rows:
        table.add_row(*row)
    CONSOLE.print(table)
    out = Path(os.environ.get("TWINGRAPH_BENCH_OUT", ""))
    if os.environ.get("TWINGRAPH_BENCH_OUT"):
        with out.open("a") as stream:
            stream.write(json.dumps({"bench": title, "machine": machine(), **figures}) + "\n")
