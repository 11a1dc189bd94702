"""MQTT end to end: 10-signal JSON at QoS 1 from mosquitto_pub over mosquitto, one ingest process, Neo4j beside it.

Counted from the first commit to the last acknowledged message; the publishers run on the same machine."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from app.twins.write import NewTwin, ensure
from bench.stack import bench_stack, cpu, free_port, process, show
from tests.conftest import installed

TWINS, PUBLISHERS = 500, 4
SIGNALS = ("windSpeed", "windDirection", "power", "rotorSpeed", "generatorSpeed")
SIGNALS += ("pitchAngle", "nacelleAngle", "vaneAngle", "outdoorTemperature", "powerLimit")
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


def main() -> None:
    if not installed("mosquitto"):
        sys.exit("mosquitto is not installed")
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    port = free_port()
    with tempfile.TemporaryDirectory() as name, bench_stack(mqtt_port=port, mqtt_user="", mqtt_password="none") as held:
        settings, store, registry = held
        folder = Path(name)
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 20000\n"
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
        try:
            with process(settings, "ingest", str(folder / "bench.yaml")) as ingest:
                time.sleep(1)
                before, started = cpu(ingest), time.perf_counter()
                publishers = [
                    subprocess.Popen(
                        f"mosquitto_pub -p {port} -V 5 -q 1 -t bench/b{p}/u0/telemetry -l < {folder}/lines{p}", shell=True
                    )
                    for p in range(PUBLISHERS)
                ]
                stored, expected = 0, messages // PUBLISHERS * PUBLISHERS
                while stored < expected:
                    time.sleep(0.5)
                    ((stored,),) = store.read("MATCH (:Twin)-[:_HISTORY]->(s:_Segment) RETURN sum(size(s.power))")
                    if time.perf_counter() - started > 300:
                        break
                seconds = time.perf_counter() - started
                used = cpu(ingest) - before
                memory = ingest.memory_info().rss / 1024**2
                for publisher in publishers:
                    publisher.wait()
        finally:
            broker.terminate()
        stages = _stages(metrics)
    whole = sum(stages.values())
    rows = [
        ("messages", f"{stored:,} of {expected:,}"),
        ("rate", f"{stored / seconds:,.0f} messages/s = {10 * stored / seconds:,.0f} values/s committed"),
        ("ingest CPU", f"{used / stored * 1e6:.0f} µs a message"),
        ("ingest memory", f"{memory:.0f} MB"),
        *(
            (f"stage {name}", f"{spent / stored * 1e6:.1f} µs a message, {100 * spent / whole:.0f} %")
            for name, spent in stages.items()
        ),
    ]
    show("mqtt", rows, {"messages_per_second": stored / seconds, "cpu_us": used / stored * 1e6, "memory_mb": memory})


def _stages(folder: Path) -> dict[str, float]:
    from prometheus_client import CollectorRegistry, multiprocess

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, str(folder))
    samples = [s for m in registry.collect() for s in m.samples if s.name == "twingraph_ingest_stage_seconds_total"]
    return {sample.labels["stage"]: sample.value for sample in samples}


if __name__ == "__main__":
    main()
