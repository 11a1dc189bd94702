"""MQTT with publishers at work: twingraph bench ingest steady [SECONDS] [RATE] | delay | outage | soak [RATE] [MINUTES] |
kills [TIMES] | share.

mosquitto, one publisher (bench/publisher.py), one ingest process and Neo4j on the same cores; 500 turbines, ten signals, QoS 1.
Every message that the broker acknowledged must be in the graph once at the end.

steady: as fast as everything goes, its CPU by process, beside the raw driver writing the same segments
delay:  publish to visible at 10, 50 and 90 % of that
outage: Neo4j stopped for sixty seconds at half of it; memory, then the backlog drained
soak:   at half of it, memory every minute
kills:  the ingest process killed at random moments under 2,000 messages/s, and started again (F3)
share:  the same rate taken by one worker, and by two that share the subscription: CPU a message"""

import itertools
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import yaml

from app.graph.statements import statement
from app.graph.store import Store
from app.history.series import Series, latest_properties, segment_properties
from app.settings import Settings
from app.twins.edit import NewTwin, ensure
from bench.mqtt import MAPPING
from bench.publisher import SIGNALS
from bench.stack import ROOT, bench_stack, cpu, free_port, process, show
from tests.conftest import installed

TWINS = 500
CONF = (
    "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 20000\nmax_queued_bytes 0\n"
)


@dataclass
class Rig:
    settings: Settings
    store: Store
    port: int
    mapping: str
    processes: dict[str, psutil.Process]

    def count(self) -> int:
        return int(self.store.read("MATCH (:Twin)-[:_HISTORY]->(s:_Segment) RETURN coalesce(sum(size(s.power)), 0)")[0][0])

    def publish(self, rate: float, seconds: float, name: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "bench.publisher", str(self.port), str(rate), str(seconds), str(TWINS), name]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def drained(self, expected: int, seconds: float = 300) -> int:
        """Messages in the graph, once all are or time is over."""
        ends = time.monotonic() + seconds
        while (found := self.count()) < expected and time.monotonic() < ends:
            time.sleep(0.5)
        return found

    def memory(self) -> float:
        return float(self.processes["ingest"].memory_info().rss / 1024**2)


@contextmanager
def rig(started: bool = True, shared: bool = False) -> Iterator[Rig]:
    """`started`: with an ingest process; `shared`: its subscription is one that several may share."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name, bench_stack(mqtt_port=port, mqtt_user="", mqtt_password="none") as held:
        settings, store, registry = held
        folder = Path(name)
        (folder / "mosquitto.conf").write_text(CONF.format(port=port))
        mapping = yaml.safe_load(MAPPING) | ({"options": {"share": "bench"}} if shared else {})
        (folder / "bench.yaml").write_text(yaml.safe_dump(mapping))
        names = [f"f-u{i}" for i in range(TWINS)]
        ensure(store, registry.catalog, [NewTwin(one, "Turbine") for one in names], [])
        broker = subprocess.Popen(["mosquitto", "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
        time.sleep(1)
        try:
            neo4j = next(
                one
                for one in psutil.process_iter(["cmdline"])
                if f"--home-dir={settings.home}" in " ".join(one.info["cmdline"] or ())
            )
            made = Rig(
                settings, store, port, str(folder / "bench.yaml"), {"neo4j": neo4j, "broker": psutil.Process(broker.pid)}
            )
            if started:
                with process(settings, "ingest", made.mapping) as ingest:
                    made.processes["ingest"] = ingest
                    yield made
            else:
                yield made
        finally:
            broker.terminate()


def steady(seconds: float, wanted: float = 60_000) -> None:
    with rig() as held:
        ended(held, held.publish(5000, 20, "warm"))
        before = held.count()
        used = {name: cpu(one) for name, one in held.processes.items()}
        publisher = held.publish(wanted, seconds, "load")
        publishing = psutil.Process(publisher.pid)
        started, marks = time.perf_counter(), []
        while publisher.poll() is None and time.perf_counter() - started < seconds:
            marks.append((time.perf_counter(), held.count(), held.memory()))
            publisher_cpu = cpu(publishing)
            time.sleep(5)
        took = time.perf_counter() - started
        spent = {name: cpu(one) - used[name] for name, one in held.processes.items()} | {"publisher": publisher_cpu}
        sent, acked = map(int, publisher.communicate()[0].split())
        found = held.drained(before + acked) - before
        rate = (marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0])
        raw, raw_cpu = driver(held)
    lowest = min((b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(marks[:: max(1, len(marks) // 10)]))
    own = (spent["ingest"] + spent["neo4j"]) / (rate * took) * 1e6
    rows = [
        ("committed", f"{rate:,.0f} messages/s = {10 * rate:,.0f} values/s over {took:.0f} s; the slowest tenth {lowest:,.0f}"),
        ("acknowledged by the broker, in the graph", f"{acked:,} of {sent:,}; {found:,}"),
        ("CPU a message", ", ".join(f"{name} {share / (rate * took) * 1e6:.0f} µs" for name, share in spent.items())),
        (
            "ingest memory",
            f"{marks[0][2]:.0f} MB at the start, {max(one[2] for one in marks):.0f} at most, {marks[-1][2]:.0f} at the end",
        ),
        ("beside the raw driver writing the same segments", f"{raw:,.0f} messages/s alone on both cores: {rate / raw:.2f}"),
        ("its CPU a message, with Neo4j's", f"{raw_cpu:.0f} µs; ingest's with Neo4j's {own:.0f} µs: {raw_cpu / own:.2f}"),
    ]
    show("ingest steady", rows, {"messages_per_second": rate, "raw": raw, "acked": acked, "found": found, "spent": spent})


def driver(held: Rig) -> tuple[float, float]:
    """Messages/s that the bare driver writes as segments of as many points as the run has made, without anything else, and the
    CPU of both ends a message [µs]."""
    ((points,),) = held.store.read("MATCH (s:_Segment:_Fresh) RETURN avg(s._n)")
    each = max(1, round(points or 1))
    start = round(time.time() * 1000) + 10_000_000
    ends = (psutil.Process(), held.processes["neo4j"])
    used = sum(map(cpu, ends))
    written, first = 0, time.perf_counter()
    while time.perf_counter() - first < 15:
        rows = []
        for unit in range(TWINS):
            times = [start + written + i for i in range(each)]
            columns = {name: [8.3] * each for name in SIGNALS}
            series = Series(f"f-u{unit}", times, columns, dict.fromkeys(SIGNALS, 8.3))
            row = {"i": unit, "id": series.dt_id, "from": times[0], "latest": latest_properties(series, times[-1])}
            rows.append(row | {"segment": segment_properties(series, times[0], times[-1])})
        held.store.run(statement("telemetry/append"), rows=rows)
        written += each
    return written * TWINS / (time.perf_counter() - first), (sum(map(cpu, ends)) - used) / (written * TWINS) * 1e6


def delay(most: float) -> None:
    rows = []
    with rig() as held:
        ended(held, held.publish(5000, 20, "warm"))
        for share in (0.1, 0.5, 0.9):
            publisher = held.publish(most * share, 30, f"at{share}")
            time.sleep(5)
            waits = []
            while publisher.poll() is None:
                asked = time.time()
                ((newest,),) = held.store.read("MATCH (t:Twin {dtId: 'f-u7'}) RETURN t._last")
                waits.append(asked * 1000 - newest)
                time.sleep(0.02)
            step = 1000 * TWINS / (most * share)
            waits = sorted(
                max(0.0, wait - step / 2) for wait in waits[:-100]
            )  # on average half a step has passed since the last
            rows.append(
                (
                    f"{share:.0%}, {most * share:,.0f} messages/s",
                    f"median {statistics.median(waits):.0f} ms, p99 {waits[int(len(waits) * 0.99)]:.0f} ms",
                )
            )
            ended(held, publisher)
    show("ingest delay", rows, {})


def outage(rate: float) -> None:
    with rig() as held:
        ended(held, held.publish(rate, 20, "warm"))
        before = held.count()
        publisher = held.publish(rate, 100, "load")
        time.sleep(15)
        memory = [held.memory()]
        held.processes["neo4j"].send_signal(signal.SIGSTOP)
        for _ in range(12):
            time.sleep(5)
            memory.append(held.memory())
        held.processes["neo4j"].send_signal(signal.SIGCONT)
        back = time.perf_counter()
        _, acked = map(int, publisher.communicate()[0].split())
        found = held.drained(before + acked) - before
        took = time.perf_counter() - back
        time.sleep(2)
        found = held.count() - before
        after = held.memory()
    rows = [
        ("acknowledged by the broker, in the graph", f"{acked:,}; {found:,}"),
        ("ingest memory", f"{memory[0]:.0f} MB before, {max(memory):.0f} at most meanwhile, {after:.0f} after"),
        ("drained", f"{took:.0f} s after Neo4j was back"),
    ]
    show("ingest outage", rows, {"acked": acked, "found": found, "memory": memory, "after": after})


def soak(rate: float, minutes: float) -> None:
    with rig() as held:
        ended(held, held.publish(rate, 20, "warm"))
        before = held.count()
        publisher = held.publish(rate, minutes * 60, "load")
        memory = []
        while publisher.poll() is None:
            memory.append({name: one.memory_info().rss / 1024**2 for name, one in held.processes.items()})
            time.sleep(60)
        _, acked = map(int, publisher.communicate()[0].split())
        found = held.drained(before + acked) - before
    rows = [
        (f"{minutes:.0f} minutes at {rate:,.0f} messages/s", f"acknowledged {acked:,}, in the graph {found:,}"),
        *(
            (f"memory of {name}", ", ".join(f"{one[name]:.0f}" for one in memory[:: max(1, len(memory) // 6)]) + " MB")
            for name in memory[0]
        ),
    ]
    show("ingest soak", rows, {"acked": acked, "found": found, "memory": memory})


def kills(times: int) -> None:
    with rig(started=False) as held:
        rng, arguments = random.Random(50), ("ingest", held.mapping)
        with process(held.settings, *arguments):
            pass
        publisher = held.publish(2000, times * 2.2, "load")
        for _ in range(times):
            with process(held.settings, *arguments) as ingest:
                time.sleep(rng.random())
                ingest.kill()
        _, acked = map(int, publisher.communicate()[0].split())
        with process(held.settings, *arguments):
            found = held.drained(acked)
            time.sleep(2)
            found = held.count()
        text = """MATCH (t:Twin)-[:_HISTORY]->(s:_Segment) UNWIND range(0, size(s.power) - 1) AS i
          WITH t, s._from + coalesce(s._dt_power, s._dt)[i] AS at RETURN count(*), count(DISTINCT t.dtId + at)"""
        ((points, distinct),) = held.store.read(text)
    rows = [
        (f"killed {times} times", f"acknowledged by the broker {acked:,}, in the graph {found:,}, twice {points - distinct}")
    ]
    show("ingest kills", rows, {"acked": acked, "found": found, "doubled": points - distinct})


def share(rate: float, seconds: float) -> None:
    rows = []
    for workers in (1, 2):
        with rig(started=False, shared=True) as held, ExitStack() as stack:
            ingests = []
            for number in range(workers):
                own = replace(held.settings, worker=f"w{number}")
                ingests.append(stack.enter_context(process(own, "ingest", held.mapping)))
            ended(held, held.publish(rate, 10, "warm"))
            before, used = held.count(), [cpu(one) for one in ingests]
            publisher = held.publish(rate, seconds, "load")
            _, acked = map(int, publisher.communicate()[0].split())
            found = held.drained(before + acked) - before
            spent = [(cpu(one) - was) / acked * 1e6 for one, was in zip(ingests, used, strict=True)]
        shares = " + ".join(f"{one:.1f}" for one in spent)
        rows.append(
            (
                f"{workers} worker(s), {rate:,.0f} messages/s",
                f"{shares} = {sum(spent):.1f} µs a message; {found:,} of {acked:,}",
            )
        )
    show("ingest share", rows, {})


def ended(held: Rig, publisher: "subprocess.Popen[str]") -> None:
    before = held.count()
    publisher.communicate()
    last = -1
    while (now := held.count()) != last or now < before:
        last = now
        time.sleep(1)


def main() -> None:
    if not installed("mosquitto"):
        sys.exit("mosquitto is not installed")
    kind, *rest = [*sys.argv[1:], *["steady"][: not sys.argv[1:]]]
    numbers: list[Any] = [float(one) for one in rest]
    match kind:
        case "steady":
            steady(*(numbers or [120.0]))
        case "delay":
            delay(*(numbers or [15_000.0]))
        case "outage":
            outage(*(numbers or [7_500.0]))
        case "soak":
            soak(*(numbers or [7_500.0, 30.0]))
        case "kills":
            kills(*(map(int, numbers) if numbers else [50]))
        case "share":
            share(*(numbers or [15_000.0, 30.0]))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
