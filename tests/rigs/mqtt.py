"""A device on MQTT: publishes, and waits until the broker has it."""

from mqtt5 import QoS

from ingest.broker import Connection


async def publish(client: Connection, topic: str, payload: bytes) -> None:
    await client.publish(topic, payload, qos=QoS.AT_LEAST_ONCE)
