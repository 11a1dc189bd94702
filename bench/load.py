"""A server process under load. `bench load [requests] [ontology folder]`: its memory over so many point queries, with the
ontology loaded beside our models; then 100 subscriptions over WebSocket while 100 twins change each second."""

import asyncio
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

from app.graph.store import Store
from app.history.series import Series
from app.main import with_secrets
from app.settings import Settings
from app.simulate.layout import Layout
from app.twins.registry import read_models
from app.twins.write import Batch, append
from bench.graphql import Endpoint, fill, ours
from bench.stack import CONSOLE, bench_stack, cpu, show

CLIENTS, LOOKS = 4, 20
SUBSCRIBERS, SECONDS = 100, 30
QUERY = '{ turbine(dtId: "wf%02d-t%02d") { dtId name model etag power windSpeed healthScore ratedPower } }'
CHANGED = 'subscription { twinChanged(dtId: "%s") { lastMeasured } }'
Row = tuple[str, str]


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with bench_stack(client_rate=100_000.0) as (settings, store, registry):
        if len(sys.argv) > 2:
            registry.load(read_models([Path(sys.argv[2])]))
        layout = Layout(12, 42)
        fill(store, registry, layout)
        with ours(settings) as endpoint:
            rows = [("interfaces", f"{len(registry.catalog.interfaces)}"), *memory(endpoint, requests)]
            rows += asyncio.run(subscriptions(settings, store, endpoint.process, layout))
    show("load on one server", rows, {})


def memory(endpoint: Endpoint, requests: int) -> list[Row]:
    """RSS before, at twenty looks on the way, and after."""
    rss, started = [_megabytes(endpoint.process)], time.monotonic()
    for _ in range(LOOKS):
        threads = [threading.Thread(target=_ask, args=(endpoint, requests // LOOKS // CLIENTS)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rss.append(_megabytes(endpoint.process))
        CONSOLE.print(f"{rss[-1]} MB after {len(rss) - 1} of {LOOKS}")
    rate = requests / (time.monotonic() - started)
    return [(f"RSS over {requests:,} requests [MB]", ", ".join(map(str, rss))), ("requests/s", f"{rate:.0f}")]


def _ask(endpoint: Endpoint, count: int) -> None:
    own = Endpoint(endpoint.name, endpoint.port, endpoint.process, endpoint.headers, endpoint.ours)
    for number in range(count):
        own.ask(QUERY % (number % 12 + 1, number % 42 + 1))


def _megabytes(process: psutil.Process) -> int:
    return round(process.memory_info().rss / 1024**2)


async def subscriptions(settings: Settings, store: Store, process: psutil.Process, layout: Layout) -> list[Row]:
    """CPU a delivered event, and the time from the commit of a change to its arrival."""
    names = [twin.dt_id for twin in layout.twins() if twin.dt_id.count("-") == 1][:SUBSCRIBERS]
    committed: dict[int, float] = {}
    delays: list[float] = []
    listening = [asyncio.create_task(_listen(settings, name, committed, delays)) for name in names]
    await asyncio.sleep(5)
    delays.clear()
    before = cpu(process)
    for _ in range(SECONDS):
        at = round(time.time() * 1000)
        changes = [Series(name, [at], {"power": [1.0]}, {"power": 1.0}) for name in names]
        await asyncio.to_thread(append, store, Batch(changes))
        committed[at] = time.monotonic()
        await asyncio.sleep(1)
    await asyncio.sleep(2)
    used = cpu(process) - before
    for task in listening:
        task.cancel()
    for ended in await asyncio.gather(*listening, return_exceptions=True):
        if not isinstance(ended, asyncio.CancelledError):
            raise RuntimeError("a subscription has ended") from (ended if isinstance(ended, Exception) else None)
    delays.sort()
    events = len(delays)
    return [
        (f"{SUBSCRIBERS} subscriptions, events of {SUBSCRIBERS * SECONDS:,}", f"{events:,}"),
        ("server CPU", f"{used / SECONDS * 100:.0f} % of a core, {used / max(events, 1) * 1000:.1f} ms an event"),
        ("commit to arrival", f"median {delays[events // 2] * 1000:.0f} ms, p99 {delays[events * 99 // 100] * 1000:.0f} ms"),
    ]


async def _listen(settings: Settings, name: str, committed: dict[int, float], delays: list[float]) -> None:
    payload = {"Authorization": f"Bearer {with_secrets(settings).token}"}
    transport = WebsocketsTransport(url=f"ws://127.0.0.1:{settings.server_port}/graphql", init_payload=payload)
    async with Client(transport=transport) as session:
        async for event in session.subscribe(gql(CHANGED % name)):
            arrived = time.monotonic()
            await asyncio.sleep(0.2)  # the commit may be noted a moment after the event came
            at = _epoch_ms(event["twinChanged"]["lastMeasured"])
            if at in committed:
                delays.append(arrived - committed[at])


def _epoch_ms(text: Any) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000) if text else 0


if __name__ == "__main__":
    main()
