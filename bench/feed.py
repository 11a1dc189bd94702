"""What 100 subscriptions and a running command cost Neo4j and the server, and when a change reaches its subscriber.

Neo4j, server and this bench share the machine's cores. Quiet: nothing is written. Busy: 500 twins get
five signals each second."""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import psutil
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

from app.history.series import Series
from app.main import with_secrets
from app.settings import Settings
from app.twins.edit import NewTwin, ensure, patch
from app.twins.registry import Registry
from app.twins.write import Batch, append
from bench.stack import bench_stack, cpu, process, show
from ingest.sources import MAPPINGS

TWINS, SECONDS, PROBES = 500, 20, 40
NAMES = [f"wf01-t{number:03d}" for number in range(TWINS)]
QUERIES = [
    *(f'subscription {{ twinChanged(dtId: "{name}") {{ dtId }} }}' for name in NAMES[1:40]),
    *["subscription { turbinesChanged(where: { power: { lt: -1 } }) { kind dtId } }"] * 20,
    *(
        f"subscription {{ turbinesChanged(where: {{ power: {{ lt: -{number} }} }}) {{ kind dtId }} }}"
        for number in range(2, 22)
    ),
    *["subscription { alarms { code } }"] * 10,
    *(f'subscription {{ telemetry(dtId: "{name}", signals: ["power"]) {{ cursor }} }}' for name in NAMES[40:50]),
]
SIGNALS = ("power", "windSpeed", "rotorSpeed", "pitchAngle", "vaneAngle")


@asynccontextmanager
async def subscribed(settings: Settings, query: str) -> AsyncIterator[AsyncIterator[Any]]:
    url, token = f"ws://127.0.0.1:{settings.server_port}/graphql", with_secrets(settings).token
    transport = WebsocketsTransport(url=url, init_payload={"Authorization": f"Bearer {token}"})
    async with Client(transport=transport) as session:
        yield session.subscribe(gql(query))


async def drain(events: AsyncIterator[Any]) -> None:
    async for _ in events:
        pass


async def delays(settings: Settings, registry: Registry) -> list[float]:
    """Milliseconds from before the write of a property to its subscriber."""
    found = []
    async with subscribed(settings, f'subscription {{ twinChanged(dtId: "{NAMES[0]}") {{ etag }} }}') as events:
        await anext(events)
        for number in range(PROBES):
            began = time.perf_counter()
            await asyncio.to_thread(patch, registry.store, registry.catalog, NAMES[0], {"maintenanceNote": str(number)})
            await anext(events)
            found.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(random.uniform(0.1, 0.4))
    return sorted(found)


async def write(registry: Registry) -> None:
    while True:
        at, began = round(time.time() * 1000), time.monotonic()
        latest = dict.fromkeys(SIGNALS, 1.0)
        columns = {name: [1.0] for name in SIGNALS}
        await asyncio.to_thread(append, registry.store, Batch([Series(name, [at], columns, latest) for name in NAMES[1:]]))
        await asyncio.sleep(max(0.0, 1 - (time.monotonic() - began)))


async def used(processes: dict[str, psutil.Process]) -> dict[str, float]:
    """Percent of a core."""
    before, began = {name: cpu(one) for name, one in processes.items()}, time.monotonic()
    await asyncio.sleep(SECONDS)
    took = time.monotonic() - began
    return {name: (cpu(one) - before[name]) / took * 100 for name, one in processes.items()}


def require_alive(tasks: list[asyncio.Task[None]]) -> None:
    """A subscription that was refused would cost nothing."""
    for task in tasks:
        if task.done():
            raise RuntimeError(task.result())


async def run(settings: Settings, registry: Registry, processes: dict[str, psutil.Process]) -> dict[str, float]:
    figures: dict[str, float] = {}
    url, token = f"http://127.0.0.1:{settings.server_port}/api/twins/{NAMES[0]}/commands/stop", with_secrets(settings).token
    async with AsyncExitStack() as stack, httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        await asyncio.sleep(5)
        figures |= {f"quiet, nobody listens, {name}": value for name, value in (await used(processes)).items()}
        writing = asyncio.create_task(write(registry))
        await asyncio.sleep(5)
        figures |= {f"busy, nobody listens, {name}": value for name, value in (await used(processes)).items()}
        writing.cancel()
        subscriptions = [await stack.enter_async_context(subscribed(settings, query)) for query in QUERIES]
        tasks = [asyncio.create_task(drain(events)) for events in subscriptions]
        command = http.post(url, json={"request": "test", "timeout": 280}, timeout=300)
        tasks.append(asyncio.create_task(command))  # type: ignore[arg-type]
        await asyncio.sleep(10)
        require_alive(tasks)
        figures |= {f"quiet, {name}": value for name, value in (await used(processes)).items()}
        found = await delays(settings, registry)
        figures |= {"quiet, delay median": statistics.median(found), "quiet, delay p90": found[int(len(found) * 0.9)]}
        tasks.append(asyncio.create_task(write(registry)))
        await asyncio.sleep(5)
        figures |= {f"busy, {name}": value for name, value in (await used(processes)).items()}
        found = await delays(settings, registry)
        figures |= {"busy, delay median": statistics.median(found), "busy, delay p90": found[int(len(found) * 0.9)]}
        require_alive(tasks)
        for task in tasks:
            task.cancel()
    return figures


def main() -> None:
    with bench_stack(with_broker=True) as (settings, store, registry):
        ensure(store, registry.catalog, [NewTwin(name, "Turbine") for name in NAMES], [])
        with process(settings, "serve") as server, process(settings, "ingest", str(MAPPINGS / "fleet-mqtt.yaml")):
            time.sleep(8)
            databases = [one for one in psutil.Process().children(recursive=True) if "java" in one.name()]
            java = max(databases, key=lambda one: one.memory_info().rss)
            figures = asyncio.run(run(settings, registry, {"Neo4j": java, "server": server}))
    rows = [(name, f"{value:.0f} {'ms' if 'delay' in name else '% of a core'}") for name, value in figures.items()]
    show("feed", rows, {name: round(value, 1) for name, value in figures.items()})


if __name__ == "__main__":
    main()
