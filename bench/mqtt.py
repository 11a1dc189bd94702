"""MQTT from broker to committed: 10-signal JSON at QoS 1 queued in mosquitto, one ingest process, Neo4j beside it.

The messages are published first: four mosquitto_pub take more than half of two cores, and would be what is measured.
Counted from the first commit to the last acknowledged message; every one must be in the graph once."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
from mqtt5 import QoS

from app.settings import Settings
from app.twins.edit import NewTwin, ensure
from bench.publisher import SIGNALS
from bench.stack import bench_stack, cpu, free_port, process, show
from ingest.mqtt import connect
from tests.conftest import installed

TWINS, PUBLISHERS = 500, 4
MAPPING = """source: bench
protocol: mqtt
rules:
  - match: bench/{farm}/{unit}/telemetry
    twin: "{farm}-{unit}"
"""


def write_lines(folder: Path, messages: int) -> None:
    """One file a twin and publisher would need one process each; mosquitto_pub has one topic, so a publisher has one twin."""
    now = round(time.time() * 1000) - messages * 10
    for publisher in range(PUBLISHERS):
        with (folder / f"lines{publisher}").open("wb") as stream:
            for i in range(messages // PUBLISHERS):
                values = {name: 8.3 + i % 7 + k for k, name in enumerate(SIGNALS)}
                stream.write(orjson.dumps({"ts": now + i * 10, **values}) + b"\n")


async def leave_a_session(settings: Settings) -> None:
    """Subscribes as the ingest process will, so that the broker keeps what comes meanwhile."""
    async with connect(settings, "twingraph-bench", session_expiry_interval=3600) as client:
        await client.subscribe("bench/+/+/telemetry", max_qos=QoS.AT_LEAST_ONCE)


def publish_all(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    pubs = [f"mosquitto_pub -p {port} -V 5 -q 1 -t bench/b{p}/u0/telemetry -l < {folder}/lines{p}" for p in range(PUBLISHERS)]
    return subprocess.Popen(" & ".join(pubs) + " & wait", shell=True)


def main() -> None:
    if not installed("mosquitto"):
        sys.exit("mosquitto is not installed")
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    port = free_port()
    with tempfile.TemporaryDirectory() as name, bench_stack(mqtt_port=port, mqtt_user="", mqtt_password="none") as held:
        settings, store, registry = held
        folder = Path(name)
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 20000\n"
            "max_queued_bytes 0\n"
        )
        (folder / "bench.yaml").write_text(MAPPING)
        write_lines(folder, messages)
        names = [f"b{p}-u0" for p in range(PUBLISHERS)]
        ensure(store, registry.catalog, [NewTwin(one, "Turbine") for one in names], [])
        broker = subprocess.Popen(["mosquitto", "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
        metrics = settings.home / "metrics"
        metrics.mkdir()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
        time.sleep(1)
        expected = messages // PUBLISHERS * PUBLISHERS
        try:
            asyncio.run(leave_a_session(settings))
            live = publish_all(folder, port)
            live.wait()
            with process(settings, "ingest", str(folder / "bench.yaml")) as ingest:
                before, started, stored = 0.0, time.perf_counter(), 0
                while stored < expected and time.perf_counter() - started < 300:
                    time.sleep(0.1)
                    stored = round(_counters(metrics, "twingraph_ingest_messages_total", "source").get("bench", 0))
                    if not before and stored:
                        first, before, started = stored, cpu(ingest), time.perf_counter()
                seconds, used = time.perf_counter() - started, cpu(ingest) - before
                memory = ingest.memory_info().rss / 1024**2
                ((found,),) = store.read("MATCH (:Twin)-[:_HISTORY]->(s:_Segment) RETURN sum(size(s.power))")
                assert found == stored == expected, (found, stored, expected)
        finally:
            broker.terminate()
        stages = _counters(metrics, "twingraph_ingest_stage_seconds_total", "stage")
    whole = sum(stages.values())
    rows = [
        ("messages", f"{stored:,} of {expected:,}"),
        ("rate", f"{(stored - first) / seconds:,.0f} messages/s = {10 * (stored - first) / seconds:,.0f} values/s committed"),
        ("ingest CPU", f"{used / (stored - first) * 1e6:.0f} µs a message"),
        ("ingest memory", f"{memory:.0f} MB"),
        *(
            (f"stage {name}", f"{spent / stored * 1e6:.1f} µs a message, {100 * spent / whole:.0f} %")
            for name, spent in stages.items()
        ),
    ]
    show(
        "mqtt",
        rows,
        {"messages_per_second": (stored - first) / seconds, "cpu_us": used / (stored - first) * 1e6, "memory_mb": memory},
    )


def _counters(folder: Path, name: str, label: str) -> dict[str, float]:
    from prometheus_client import CollectorRegistry, multiprocess

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, str(folder))
    samples = [sample for metric in registry.collect() for sample in metric.samples if sample.name == name]
    return {sample.labels[label]: sample.value for sample in samples}


if __name__ == "__main__":
    main()
