"""OPC UA: `bench opcua rate | many | wide`. A server on node-opcua (asyncua's spends 400 µs a change), ingest, Neo4j: all on
the same cores.

rate: 800 variables at 10 Hz over one connection: changes stored a second, CPU a change
many: 500 servers of 20 variables at 1 Hz, each with its own connection and session, in one source (the server is one)
wide: 1,000 variables at 1 Hz over one connection: memory of the ingest process"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from app.graph.store import Store
from app.settings import Settings
from app.twins.edit import NewTwin, ensure
from bench.publisher import SIGNALS
from bench.stack import bench_stack, cpu, free_port, process, show
from tests.rigs.nodeopcua import fetch, start_plant

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
        mappings = Path(name) / "plant.yaml"
        published = Path(name) / "publishednodes.json"
        urls = [f"opc.tcp://127.0.{number // 250}.{number % 250 + 1}:{port}/plant" for number in range(sources)]
        parts = [_nodes(range(number * units + 1, (number + 1) * units + 1), period) for number in range(sources)]
        entries = [{"EndpointUrl": url, "OpcNodes": nodes} for url, nodes in zip(urls, parts, strict=True)]
        published.write_text(json.dumps(entries))
        mappings.write_text(yaml.safe_dump(_mapping(urls, published, period)))
        try:
            with process(settings, "ingest", str(mappings)) as ingest:
                rows = _measured(settings, store, ingest, [plant], every * 10, period, seconds)
        finally:
            plant.terminate()
    show(title, rows, {})


def _nodes(units: range, period: float) -> list[dict[str, Any]]:
    head = "nsu=urn:test:node;s="
    return [{"Id": f"{head}c.{unit:02}.s{i}", "OpcSamplingInterval": period * 500} for unit in units for i in range(10)]


def _mapping(urls: list[str], published: Path, period: float) -> dict[str, Any]:
    options = {"url": urls, "publishednodes": str(published), "publishing_ms": min(500, period * 1000)}
    signals = {f"s{i}": signal for i, signal in enumerate(SIGNALS)}
    rules = [{"match": "{line}.{unit}.{signal}", "twin": "{line}-{unit}", "signals": signals}]
    return {"source": "plant", "protocol": "opcua", "options": options, "rules": rules}


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
