"""OPC UA: `bench opcua rate | many | wide`. A server on node-opcua (asyncua's spends 400 µs a change), ingest, Neo4j: all on
the same cores.

rate: 800 variables at 10 Hz over one connection: changes stored a second, CPU a change
many: 500 sources of 20 variables at 1 Hz, each with its own connection and session, in one ingest process
wide: 1,000 variables at 1 Hz over one connection: memory of the ingest process"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from app.graph.store import Store
from app.settings import Settings
from app.twins.write import NewTwin, ensure
from bench.mqtt import SIGNALS
from bench.stack import bench_stack, cpu, free_port, process, show
from tests.parts.nodeopcua import fetch, start_plant

COUNT = """MATCH (:Twin)-[:_HISTORY]->(s:_Segment)
RETURN coalesce(sum(reduce(n = 0, k IN $names | n + size(coalesce(s[k], [])))), 0)"""


def run(title: str, sources: int, units: int, period: float, seconds: float) -> None:
    """`sources` connections that monitor `units` units of ten variables each."""
    every = sources * units
    with tempfile.TemporaryDirectory() as name, bench_stack() as (settings, store, registry):
        folder, port = Path(name) / "node", free_port()
        reason = fetch(folder)
        if reason:
            sys.exit(reason)
        ensure(store, registry.catalog, [NewTwin(f"c-{unit:02}", "Turbine") for unit in range(1, every + 1)], [])
        plant = start_plant(folder, port, str(every), str(round(period * 1000)))
        mappings = Path(name) / "mappings"
        mappings.mkdir()
        for number in range(sources):
            mapping = _mapping(f"plant-{number}", port, range(number * units + 1, (number + 1) * units + 1), period)
            (mappings / f"{number}.yaml").write_text(yaml.safe_dump(mapping))
        try:
            with process(settings, "ingest", str(mappings)) as ingest:
                rows = _measured(settings, store, ingest, [plant], every * 10, period, seconds)
        finally:
            plant.terminate()
    show(title, rows, {})


def _mapping(source: str, port: int, units: range, period: float) -> dict[str, Any]:
    nodes = [{"id": f"nsu=urn:test:node;s=c.{unit:02}.s{i}", "sampling": period * 500} for unit in units for i in range(10)]
    options = {"url": f"opc.tcp://127.0.0.1:{port}/plant", "nodes": nodes, "publishing_ms": min(500, period * 1000)}
    signals = {f"s{i}": signal for i, signal in enumerate(SIGNALS)}
    rules = [{"match": "{line}.{unit}.{signal}", "twin": "{line}-{unit}", "signals": signals}]
    return {"source": source, "protocol": "opcua", "options": options, "rules": rules}


def _measured(
    settings: Settings, store: Store, ingest: psutil.Process, plants: list[Any], nodes: int, pause: float, seconds: float
) -> list[tuple[str, str]]:
    def count() -> int:
        return int(store.read(COUNT, {"names": SIGNALS})[0][0])

    deadline = time.monotonic() + 120
    while count() < nodes and time.monotonic() < deadline:  # every variable has come once
        time.sleep(1)
    time.sleep(10)
    servers = [psutil.Process(plant.pid) for plant in plants]
    neo4j = next(
        one for one in psutil.process_iter(["cmdline"]) if f"--home-dir={settings.home}" in " ".join(one.info["cmdline"] or ())
    )
    ends = {"ingest": [ingest], "neo4j": [neo4j], "servers": servers}
    used = {name: sum(map(cpu, some)) for name, some in ends.items()}
    first, started, memory = count(), time.perf_counter(), []
    while time.perf_counter() - started < seconds:
        time.sleep(1)
        memory.append(ingest.memory_info().rss / 1024**2)
    last, took = count(), time.perf_counter() - started
    spent = {name: sum(map(cpu, some)) - used[name] for name, some in ends.items()}
    rate = (last - first) / took
    wanted = f" of {nodes / pause:,.0f} written" if pause else ""
    return [
        ("changes stored", f"{rate:,.0f}/s{wanted}, {len(plants)} server processes"),
        ("CPU a change", ", ".join(f"{name} {share / (rate * took) * 1e6:.0f} µs" for name, share in spent.items())),
        ("CPU", ", ".join(f"{name} {share / took:.0%} of a core" for name, share in spent.items())),
        ("ingest memory", f"{memory[0]:.0f} MB, {max(memory):.0f} at most over {took:.0f} s"),
    ]


KINDS = {"rate": (1, 80, 0.1, 30.0), "many": (500, 2, 1.0, 30.0), "wide": (1, 100, 1.0, 30.0)}


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "rate"
    if kind not in KINDS:
        sys.exit(__doc__)
    run(f"opcua {kind}", *KINDS[kind])


if __name__ == "__main__":
    main()
