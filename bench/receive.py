"""A message received and acknowledged over MQTT 5, QoS 1: our connection beside aiomqtt 2.5 (paho).

Each has a session of its own in one mosquitto, filled before it connects; CPU of this process from before the connection
until the last message, the two in turns."""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import orjson
from aiomqtt.client import ProtocolVersion
from mqtt5 import ConnectPacket, QoS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bench.stack import free_port, show
from ingest.broker import Connection, connected
from tests.conftest import installed

TURNS, IN_FLIGHT, AT_ONCE = 3, 500, 1000
PAYLOAD = orjson.dumps({"ts": 1_700_000_000_000, **{f"signal{k}": 8.3 + k for k in range(10)}})
SESSION_SECONDS, RECEIVE_MAX = 600, 40_000


async def ours(port: int, messages: int) -> None:
    hello = ConnectPacket("ours", session_expiry_interval=SESSION_SECONDS, receive_max=RECEIVE_MAX)
    async with connected("127.0.0.1", port, hello, None, lambda: None) as connection:
        await connection.subscribe("ours/#", QoS.AT_LEAST_ONCE)
        waiting: list[int] = []
        async for packet in connection.messages() if messages else _none():
            waiting.append(packet.packet_id or 0)
            messages -= 1
            if len(waiting) == AT_ONCE or not messages:
                await connection.acknowledge(waiting)
                waiting.clear()
            if not messages:
                return


async def theirs(port: int, messages: int) -> None:
    """Aiomqtt has no acknowledgement of the caller's; paho's stands behind it."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval, properties.ReceiveMaximum = SESSION_SECONDS, RECEIVE_MAX
    client = aiomqtt.Client(
        "127.0.0.1",
        port,
        identifier="theirs",
        protocol=ProtocolVersion.V5,
        clean_start=False,
        properties=properties,
        timeout=60,
    )
    async with client:
        client._client.manual_ack_set(True)
        await client.subscribe("theirs/#", 1)
        async for message in client.messages if messages else _none():
            client._client.ack(message.mid, message.qos)
            messages -= 1
            if not messages:
                return


async def _none() -> AsyncIterator[Any]:
    return
    yield


async def fill(port: int, session: str, messages: int) -> None:
    async with connected("127.0.0.1", port, ConnectPacket("publisher", clean_start=True), None, lambda: None) as connection:
        for start in range(0, messages, IN_FLIGHT):
            part = range(start, min(messages, start + IN_FLIGHT))
            await asyncio.gather(*(publish(connection, f"{session}/t{n % 500}") for n in part))


async def publish(connection: Connection, topic: str) -> None:
    await connection.publish(topic, PAYLOAD, qos=QoS.AT_LEAST_ONCE)


async def measure(receive: Any, port: int, messages: int) -> float:
    """µs of CPU a message."""
    await receive(port, 0)
    await fill(port, receive.__name__, messages)
    before = time.process_time()
    await asyncio.wait_for(receive(port, messages), 300)
    return (time.process_time() - before) / messages * 1e6


async def compare(port: int, messages: int) -> tuple[float, float]:
    turns = [(await measure(ours, port, messages), await measure(theirs, port, messages)) for _ in range(TURNS)]
    return statistics.median(turn[0] for turn in turns), statistics.median(turn[1] for turn in turns)


def main() -> None:
    if not installed("mosquitto"):
        sys.exit("mosquitto is not installed")
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 15_000
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "mosquitto.conf"
        conf.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 20000\n"
        )
        broker = subprocess.Popen(["mosquitto", "-c", str(conf)], stderr=subprocess.DEVNULL)
        time.sleep(1)
        try:
            mine, other = asyncio.run(compare(port, messages))
        finally:
            broker.terminate()
    rows = [("ours", f"{mine:.1f} µs CPU a message"), ("aiomqtt 2.5", f"{other:.1f} µs"), ("ratio", f"{mine / other:.3f}")]
    show("receive", rows, {"cpu_us": mine, "aiomqtt_cpu_us": other})


if __name__ == "__main__":
    main()
