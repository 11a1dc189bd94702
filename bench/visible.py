"""Delay from publish to seen in GraphQL at 500 messages/s over the demo's broker; one probe turbine is asked over and over."""

import asyncio
import statistics
import time

import httpx
import orjson

from app.main import with_secrets
from app.twins.edit import NewTwin, ensure
from bench.stack import bench_stack, process, show
from ingest.mqtt import connect
from ingest.sources import MAPPINGS
from tests.rigs.mqtt import publish

RATE, WARM, SECONDS, PROBE_EVERY = 500, 20, 60, 0.25
QUERY = '{ turbine(dtId: "wf01-t00") { power } }'


async def load(client: object, stop: asyncio.Event) -> None:
    body = {"power": 1.0, "windSpeed": 2.0, "rotorSpeed": 3.0, "pitchAngle": 4.0, "vaneAngle": 5.0}
    number, started = 0, time.perf_counter()
    while not stop.is_set():
        due = int((time.perf_counter() - started) * RATE)
        said = []
        while number < due:
            number += 1
            topic = f"fleet/wf01/t{1 + number % 499:03d}/telemetry"
            said.append(publish(client, topic, orjson.dumps({"ts": time.time() * 1000, **body})))  # type: ignore[arg-type]
        await asyncio.gather(*said)
        await asyncio.sleep(0.01)


async def probe(url: str, token: str, client: object) -> list[float]:
    delays, value = [], 10.0
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        ends = time.perf_counter() + SECONDS
        while time.perf_counter() < ends:
            value += 1
            sent = time.perf_counter()
            await publish(client, "fleet/wf01/t00/telemetry", orjson.dumps({"ts": time.time() * 1000, "power": value}))  # type: ignore[arg-type]
            while True:
                answer = (await http.post(url, json={"query": QUERY})).json()
                if answer["data"]["turbine"]["power"] == value:
                    break
            delays.append((time.perf_counter() - sent) * 1000)
            await asyncio.sleep(PROBE_EVERY)
    return delays


async def run(settings: object) -> list[float]:
    held = with_secrets(settings)  # type: ignore[arg-type]
    async with connect(held, "bench-load", clean_start=True) as client, connect(held, "bench-probe", clean_start=True) as own:
        stop = asyncio.Event()
        loading = asyncio.create_task(load(client, stop))
        await asyncio.sleep(WARM)  # a young JVM compiles for its first seconds
        delays = await probe(f"http://{held.host}:{held.server_port}/graphql", held.token, own)
        stop.set()
        await loading
    return delays


def main() -> None:
    with bench_stack(with_broker=True) as (settings, store, registry):
        names = ["wf01-t00", *(f"wf01-t{i:03d}" for i in range(1, 500))]
        ensure(store, registry.catalog, [NewTwin(name, "Turbine") for name in names], [])
        with process(settings, "serve"), process(settings, "ingest", str(MAPPINGS / "fleet-mqtt.yaml")):
            time.sleep(4)
            delays = sorted(asyncio.run(run(settings)))
    median, high = statistics.median(delays), delays[int(len(delays) * 0.99)]
    rows = [("probes", str(len(delays))), ("median", f"{median:.0f} ms"), ("p99", f"{high:.0f} ms")]
    show("visible", rows, {"median_ms": median, "p99_ms": high})


if __name__ == "__main__":
    main()
