"""Memory of each process of the running demo, first and after some minutes: `bench/memory.py [minutes]`. Start it beside
`make demo`."""

import sys
import time

import psutil

from app.settings import Settings
from app.stack.endpoints import running
from bench.stack import show

NAMES = {"Neo4jCommunity": "neo4j", "embedded.Main": "broker", "cli fleet": "fleet", "cli serve": "server"}
NAMES |= {"cli ingest": "ingest", "cli predict": "predictor"}


def memory(pid: int) -> dict[str, float]:
    children = psutil.Process(pid).children()
    named = {name: child for child in children for mark, name in NAMES.items() if mark in " ".join(child.cmdline())}
    return {name: child.memory_info().rss / 1024**2 for name, child in named.items()}


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    pid, _ = running(Settings.read().home)
    first = memory(pid)
    time.sleep(minutes * 60)
    last = memory(pid)
    rows = [(name, f"{first[name]:.0f} MB, after {minutes:g} min {last[name]:.0f} MB") for name in first]
    show("memory", rows, {name: [first[name], last[name]] for name in first})


if __name__ == "__main__":
    main()
