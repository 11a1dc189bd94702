"""Apache Kafka, one broker in KRaft mode, on loopback."""

import base64
import subprocess
import uuid
from pathlib import Path

from app.stack import jars
from app.stack.child import Child, port_is_open, start, wait_until
from app.stack.neo4j import JAVA
from tests.pace import PACE

PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=1
num.io.threads=2
background.threads=1
log.cleaner.dedupe.buffer.size=2097152
auto.create.topics.enable=false
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""
LIGHT = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
HERE = Path(__file__).parent


def start_kafka(home: Path, cache: Path, port: int, controller: int, heap: str = "256m") -> Child:
    lib = jars.fetch("kafka", cache, lists=HERE)
    home.mkdir(parents=True, exist_ok=True)
    properties = home / "server.properties"
    properties.write_text(PROPERTIES.format(port=port, controller=controller, data=home / "data"))
    path = ["-cp", f"{lib}/*"]
    if not (home / "data").exists():
        identifier = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [JAVA, "-Xmx128m", *LIGHT, *path, "kafka.tools.StorageTool", "format", "--standalone"]
        subprocess.run([*command, "-t", identifier, "-c", str(properties)], check=True, capture_output=True)
    command = [
        JAVA,
        f"-Xmx{heap}",
        *LIGHT,
        "--enable-native-access=ALL-UNNAMED",
        f"-Djava.io.tmpdir={home}",
        *path,
        "kafka.Kafka",
    ]
    child = start("kafka", [*command, str(properties)], home)
    wait_until(child, lambda: port_is_open("127.0.0.1", port), PACE * 60)
    return child
