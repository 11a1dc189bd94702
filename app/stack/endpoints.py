"""What runs where: written when a stack is up, read by people and scripts."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from app.errors import StackError
from app.settings import Settings
from app.stack.broker import FLEET, fleet_password
from app.stack.secrets import secret

FILE = "endpoints.json"


def endpoints(settings: Settings, parts: frozenset[str]) -> dict[str, Any]:
    """Every endpoint of the parts that run."""
    host, server = settings.host, f"http://{settings.host}:{settings.server_port}"
    every = {
        "neo4j": {
            "uri": f"bolt://{settings.neo4j_host}:{settings.bolt_port}",
            "browser": f"http://{settings.neo4j_host}:{settings.browser_port}/browser/",
            "user": settings.neo4j_user,
            "password": secret(settings.home, "neo4j"),
        },
        "graphql": {
            "url": f"{server}/graphql",
            "explorer": f"{server}/explorer#token={secret(settings.home, 'token')}",
            "token": secret(settings.home, "token"),
        },
        "mqtt": {
            "host": settings.mqtt_host,
            "port": settings.mqtt_port,
            "user": FLEET,
            "password": fleet_password(settings),
        },
        "opcua": {"urls": [f"opc.tcp://{host}:{settings.opcua_port}/fleet"]},
        "metrics": {"url": f"{server}/metrics"},
        "api": {"url": f"{server}/docs"},
    }
    return {name: endpoint for name, endpoint in every.items() if name in parts}


def write_endpoints(home: Path, services: dict[str, Any]) -> None:
    path = home / FILE
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump({"pid": os.getpid(), "started": psutil.Process().create_time(), "endpoints": services}, stream)
    part.replace(path)


def remove_endpoints(home: Path) -> None:
    (home / FILE).unlink(missing_ok=True)


def running(home: Path) -> tuple[int, dict[str, Any]]:
    """(process id, endpoints) of the stack of this state folder. Raises: StackError when no stack is running."""
    try:
        note = json.loads((home / FILE).read_text())
        process = psutil.Process(note["pid"])
        if abs(process.create_time() - note["started"]) < 1 and process.status() != psutil.STATUS_ZOMBIE:
            return note["pid"], note["endpoints"]
    except (OSError, ValueError, psutil.Error):
        pass
    raise StackError("no stack is running", where=str(home), hint="make demo, or twingraph stack start")


def print_endpoints(services: dict[str, Any], console: Console) -> None:
    rows: dict[str, Callable[[Any], tuple[str, str]]] = {
        "graphql": lambda d: ("GraphQL explorer", d["explorer"]),
        "neo4j": lambda d: ("Neo4j Browser", f"{d['browser']}  user {d['user']}  password {d['password']}"),
        "mqtt": lambda d: ("MQTT", f"{d['host']}:{d['port']}  user {d['user']}  password {d['password']}"),
        "opcua": lambda d: ("OPC UA", "  ".join(d["urls"])),
        "metrics": lambda d: ("Metrics", d["url"]),
        "api": lambda d: ("API docs", d["url"]),
    }
    for name, show in rows.items():
        if name in services:
            title, text = show(services[name])
            console.print(f"[bold]{title:17}[/] {text}", soft_wrap=True, highlight=False)
