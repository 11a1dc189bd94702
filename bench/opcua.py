"""OPC UA: `bench opcua rate | many | wide`. Real servers in processes of their own; ingest and Neo4j on the same cores.

rate: one server on node-opcua (asyncua's spends 400 µs a change), 800 variables at 10 Hz: changes stored a second, CPU a change
many: 500 endpoints of asyncua of 20 variables at 1 Hz, one source each in one ingest process: held, with what CPU and memory
wide: one server with 1,000 variables at 1 Hz: memory of the ingest process"""

import asyncio
import subprocess
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
from bench.stack import ROOT, bench_stack, cpu, free_port, process, show
from tests.parts.nodeopcua import fetch, start_plant

URI = "urn:bench:plant"
COUNT = """MATCH (:Twin)-[:_HISTORY]->(s:_Segment)
RETURN coalesce(sum(reduce(n = 0, k IN $names | n + size(coalesce(s[k], [])))), 0)"""


async def serve(ports: list[int], units: int, signals: int, pause: float) -> None:
    """Servers with `units` objects of `signals` variables, each of which is written every `pause` seconds."""
    from asyncua import Server, ua

    made = []
    for port in ports:
        server = Server()
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/bench")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await server.register_namespace(URI)
        nodes = []
        for unit in range(units):
            name = f"p{port}-u{unit}"
            place = await server.nodes.objects.add_object(ua.NodeId(name, index), f"{index}:{name}")
            for signal in SIGNALS[:signals]:
                nodes.append(await place.add_variable(ua.NodeId(f"{name}.{signal}", index), f"{index}:{signal}", 0.0))
        await server.start()
        made.append((server, [node.nodeid for node in nodes]))
    print("ready", flush=True)
    value = 0.0
    while True:
        began = time.perf_counter()
        value += 1.0
        for server, nodes in made:
            for node in nodes:
                await server.write_attribute_value(node, ua.DataValue(ua.Variant(value)))
            await asyncio.sleep(0)
        await asyncio.sleep(max(0.0, pause - (time.perf_counter() - began)))


def run(title: str, servers: int, units: int, signals: int, pause: float, seconds: float, a_process: int = 50) -> None:
    ports = [free_port() for _ in range(servers)]
    with tempfile.TemporaryDirectory() as name, bench_stack() as (settings, store, registry):
        twins = [NewTwin(f"p{port}-u{unit}", "Turbine") for port in ports for unit in range(units)]
        ensure(store, registry.catalog, twins, [])
        plants = [_plant(ports[first : first + a_process], units, signals, pause) for first in range(0, servers, a_process)]
        for port in ports:
            options = {"url": f"opc.tcp://127.0.0.1:{port}/bench", "namespace": URI, "publishing_ms": 500 if pause else 100}
            rules = [{"match": "{twin}.{signal}", "twin": "{twin}"}]
            mapping = {"source": f"plant-{port}", "protocol": "opcua", "options": options, "rules": rules}
            (Path(name) / f"{port}.yaml").write_text(yaml.safe_dump(mapping))
        try:
            with process(settings, "ingest", name) as ingest:
                rows = _measured(settings, store, ingest, plants, servers * units * signals, pause, seconds)
        finally:
            for plant in plants:
                plant.terminate()
    show(title, rows, {})


def rate(seconds: float) -> None:
    units = 80
    with tempfile.TemporaryDirectory() as name, bench_stack() as (settings, store, registry):
        folder, port = Path(name) / "node", free_port()
        reason = fetch(folder)
        if reason:
            sys.exit(reason)
        ensure(store, registry.catalog, [NewTwin(f"c-{unit:02}", "Turbine") for unit in range(1, units + 1)], [])
        plant = start_plant(folder, port, str(units), "100")
        signals = {f"s{i}": signal for i, signal in enumerate(SIGNALS)}
        options = {
            "url": f"opc.tcp://127.0.0.1:{port}/plant",
            "namespace": "urn:test:node",
            "publishing_ms": 100,
            "sampling_ms": 50,
        }
        rules = [{"match": "{line}.{unit}.{signal}", "twin": "{line}-{unit}", "signals": signals}]
        mapping = Path(name) / "plant.yaml"
        mapping.write_text(yaml.safe_dump({"source": "plant", "protocol": "opcua", "options": options, "rules": rules}))
        try:
            with process(settings, "ingest", str(mapping)) as ingest:
                rows = _measured(settings, store, ingest, [plant], units * 10, 0.1, seconds)
        finally:
            plant.terminate()
    show("opcua rate", rows, {})


def _plant(ports: list[int], units: int, signals: int, pause: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench.opcua", "serve", str(units), str(signals), str(pause), *map(str, ports)]
    made = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert made.stdout is not None
    made.stdout.readline()
    return made


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


def main() -> None:
    kind, *rest = [*sys.argv[1:], *["rate"][: not sys.argv[1:]]]
    match kind:
        case "serve":
            asyncio.run(serve([int(port) for port in rest[3:]], int(rest[0]), int(rest[1]), float(rest[2])))
        case "rate":
            rate(30)
        case "many":
            run("opcua many", 500, 2, 10, 1.0, 30)
        case "wide":
            run("opcua wide", 1, 100, 10, 1.0, 30)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
