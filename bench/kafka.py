"""Kafka to the graph: one ingest process, beside what a user would write: a plain consumer with one UNWIND of CREATE a poll.

Both read the same topic (four partitions, ten-signal JSON of 500 turbines) from its beginning, one after the other; broker and
Neo4j run on the same cores. The plain consumer checks nothing, keeps no latest value and stores a rebalance's repeats."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
import psutil
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.graph.store import Store
from app.settings import Settings
from app.stack.secrets import secret
from app.twins.edit import NewTwin, ensure
from bench.publisher import SIGNALS
from bench.stack import ROOT, bench_stack, cpu, free_port, process, show
from tests.rigs.kafka import start_kafka

TWINS, TOPIC, POLL = 500, "bench", 1000
MAPPING = """source: bench
protocol: kafka
options: {{servers: "{server}", key: true}}
rules: [{{match: "bench/{{unit}}", twin: "{{unit}}"}}]
"""


def fill(server: str, messages: int) -> None:
    admin = AdminClient({"bootstrap.servers": server})  # has to live as long as its answer is waited for
    admin.create_topics([NewTopic(TOPIC, 4, 1)])[TOPIC].result(30)
    producer = Producer({"bootstrap.servers": server, "linger.ms": 20, "compression.type": "lz4", "log_level": 2})
    first = round(time.time() * 1000) - messages
    for number in range(messages):
        body = {"ts": first + number, **{name: 8.3 + k for k, name in enumerate(SIGNALS)}}
        producer.produce(TOPIC, orjson.dumps(body), f"u{number % TWINS}")
        producer.poll(0)
    producer.flush(60)


def plain(server: str, store: Store, messages: int) -> tuple[float, float]:
    """Messages/s and CPU a message [µs]."""
    consumer = Consumer(
        {"bootstrap.servers": server, "group.id": "plain", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    consumer.subscribe([TOPIC])
    own = psutil.Process()
    done, started, before = 0, 0.0, 0.0
    while done < messages:
        rows = [
            {"unit": record.key().decode(), **orjson.loads(record.value())}
            for record in consumer.consume(POLL, 1.0)
            if record.error() is None
        ]
        if rows:
            started = started or time.perf_counter()
            before = before or cpu(own)
            store.run("UNWIND $rows AS row CREATE (r:Reading) SET r = row", rows=rows)
            consumer.commit(asynchronous=True)
            done += len(rows)
    seconds, used = time.perf_counter() - started, cpu(own) - before
    consumer.close()
    return messages / seconds, used / messages * 1e6


def faststream(server: str, settings: Settings, kind: str, messages: int) -> float:
    """Messages/s; 0 where BENCH_FASTSTREAM names no interpreter that has it."""
    interpreter = os.environ.get("BENCH_FASTSTREAM")
    if not interpreter:
        return 0.0
    uri, password = f"bolt://{settings.host}:{settings.bolt_port}", secret(settings.home, "neo4j")
    command = [interpreter, str(ROOT / "bench" / "handlers.py"), server, uri, password, str(messages), kind]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    (seconds,) = re.findall(r"^seconds (\S+)$", made.stdout, re.MULTILINE)
    return messages / float(seconds)


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    with tempfile.TemporaryDirectory() as name, bench_stack() as (settings, store, registry):
        port = free_port()
        server = f"127.0.0.1:{port}"
        broker = start_kafka(Path(name) / "kafka", settings.cache, port, free_port(), "512m")
        try:
            ensure(store, registry.catalog, [NewTwin(f"u{i}", "Turbine") for i in range(TWINS)], [])
            fill(server, messages)
            mapping = Path(name) / "kafka.yaml"
            mapping.write_text(MAPPING.format(server=server))
            text = "MATCH (p:_Position {source: 'bench'}) RETURN coalesce(sum(p.position), 0)"
            with process(settings, "ingest", str(mapping)) as ingest:
                while (first := store.read(text)[0][0]) == 0:
                    time.sleep(0.05)
                started, before = time.perf_counter(), cpu(ingest)
                while (done := store.read(text)[0][0]) < messages:
                    time.sleep(0.1)
                seconds, used = time.perf_counter() - started, cpu(ingest) - before
                memory = ingest.memory_info().rss / 1024**2
            ((found,),) = store.read("MATCH (:Twin)-[:_HISTORY]->(s:_Segment) RETURN sum(size(s.power))")
            assert found == done == messages, (found, done)
            ours, each = (done - first) / seconds, used / (done - first) * 1e6
            theirs, own = plain(server, store, messages)
            beside = [faststream(server, settings, kind, some) for kind, some in (("one", 10_000), ("batch", messages))]
        finally:
            broker.stop()
    rows = [
        (
            "one ingest process",
            f"{ours:,.0f} messages/s = {10 * ours:,.0f} values/s, {each:.0f} µs CPU a message, {memory:.0f} MB",
        ),
        ("plain consumer, UNWIND and CREATE a poll", f"{theirs:,.0f} messages/s, {own:.0f} µs CPU a message"),
        ("ratio", f"{ours / theirs:.1f}"),
        *(
            (f"FastStream, a handler a {kind}", f"{rate:,.0f} messages/s; ratio {ours / rate:.1f}")
            for kind, rate in zip(("message", "batch of 1,000 at most"), beside, strict=True)
            if rate
        ),
    ]
    show("kafka", rows, {"ours": ours, "plain": theirs, "memory_mb": memory})


if __name__ == "__main__":
    main()
