"""A connection to a broker: what comes in any pieces, what a broker may say, what it may leave out.

The peers are fakes, for faults, but for the last test."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import mqtt5
import pytest
from aiomqtt import Client as Independent
from aiomqtt.client import ProtocolVersion
from hypothesis import given
from hypothesis import strategies as st
from mqtt5 import ConnAckPacket, ConnAckReasonCode, ConnectPacket, DisconnectReasonCode, PublishPacket, QoS

from app.settings import Settings
from app.stack.child import Child
from ingest import broker
from ingest.broker import Connection, ConnectionLost, Refused, connected
from tests.pace import PACE

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WELCOME = ConnAckPacket().write()


@asynccontextmanager
async def peer(script: Script) -> AsyncIterator[int]:
    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        await script(reader, writer)

    server = await asyncio.start_server(joined, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@asynccontextmanager
async def to(script: Script, keep_alive: int = 0) -> AsyncIterator[tuple[Connection, list[int]]]:
    drops = [0]

    def dropped() -> None:
        drops[0] += 1

    hello = ConnectPacket("t", keep_alive=keep_alive)
    async with peer(script) as port, connected("127.0.0.1", port, hello, None, dropped) as connection:
        yield connection, drops


def says(*pieces: bytes, pause: float = 0.01) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        await reader.read()
        writer.close()

    return script


@given(st.lists(st.binary(max_size=400), max_size=20), st.lists(st.integers(0, 6000), max_size=12))
def test_what_comes_in_any_pieces_is_read_whole(payloads: list[bytes], cuts: list[int]) -> None:
    packets = (PublishPacket("t", payload, qos=QoS.AT_LEAST_ONCE, packet_id=n + 1) for n, payload in enumerate(payloads))
    whole = b"".join(packet.write() for packet in packets)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]

    async def read() -> list[bytes]:
        connection = Connection(ConnectPacket("t"), lambda: None)
        for start, end in pairwise(places):
            connection.data_received(whole[start:end])
        return [packet.payload for packet in connection._unread]

    assert asyncio.run(read()) == payloads


@pytest.mark.parametrize("code", ["SERVER_UNAVAILABLE", "SERVER_BUSY", "QUOTA_EXCEEDED", "CONNECTION_RATE_EXCEEDED"])
async def test_a_broker_that_is_busy_is_tried_again(code: str) -> None:
    with pytest.raises(ConnectionLost, match=code.replace("_", " ").lower()):
        async with to(says(ConnAckPacket(reason_code=getattr(ConnAckReasonCode, code)).write())):
            pass


async def test_a_broker_that_says_no_is_not_tried_again() -> None:
    refusal = ConnAckPacket(reason_code=ConnAckReasonCode.NOT_AUTHORIZED, reason_str="ask Ada").write()
    with pytest.raises(Refused, match="not authorized: ask Ada"):
        async with to(says(refusal)):
            pass


NOT_MQTT_5 = (b"\x20\x02\x00\x01", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xf0\xff\xff\xff\xff\x7f", b"\x00" * 64)


@pytest.mark.parametrize("answer", NOT_MQTT_5)
async def test_what_is_no_mqtt_5_ends_the_connection(answer: bytes) -> None:
    with pytest.raises((ConnectionLost, TimeoutError)):
        async with asyncio.timeout(PACE * 3), to(says(answer)):
            pass


async def test_a_broker_of_mqtt_3_1_1_is_told() -> None:
    """20-mqtt-3-1-1-broker: it answers that it does not know this version, as its own version says it."""
    with pytest.raises(ConnectionLost, match="the broker does not speak MQTT 5"):
        async with to(says(b"\x20\x02\x00\x01")):
            pass


async def test_hostile_bytes_after_the_welcome_end_the_connection_after_what_was_whole() -> None:
    good = PublishPacket("a", b"1").write()
    async with to(says(WELCOME, good + b"\x00\x00")) as (connection, _):
        messages = connection.messages()
        assert (await anext(messages)).payload == b"1"
        with pytest.raises(ConnectionLost, match="no MQTT 5"):
            await anext(messages)
        with pytest.raises(ConnectionLost):
            await connection.publish("a", b"", qos=QoS.AT_LEAST_ONCE)


async def test_why_the_broker_leaves_is_told() -> None:
    leaving = mqtt5.DisconnectPacket(reason_code=DisconnectReasonCode.SESSION_TAKEN_OVER).write()
    async with to(says(WELCOME, leaving)) as (connection, _):
        with pytest.raises(ConnectionLost, match="session taken over"):
            await anext(connection.messages())


async def test_a_broker_that_falls_silent_is_left() -> None:
    async with to(says(WELCOME), keep_alive=1) as (connection, _):
        with pytest.raises(ConnectionLost, match="nothing came from the broker"):
            async with asyncio.timeout(PACE * 20):
                await connection.publish("a", b"", qos=QoS.AT_LEAST_ONCE)


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """QoS 0 beyond the bound is counted; QoS 1 stays in the socket, and comes once there is room."""
    monkeypatch.setattr(broker, "MOST_UNREAD", 100)
    loose = PublishPacket("a", b"0" * 1000).write()
    firm = [PublishPacket("a", b"1" * 1000, qos=QoS.AT_LEAST_ONCE, packet_id=n + 1).write() for n in range(20_000)]
    parts = (b"".join(firm[start : start + 500]) for start in range(0, 20_000, 500))
    async with to(says(WELCOME, loose * 150, *parts, pause=0)) as (connection, drops):
        await asyncio.sleep(1)
        assert drops == [50]
        assert len(connection._unread) < 1000
        taken = 0
        async for packet in connection.messages():
            taken += packet.qos == QoS.AT_LEAST_ONCE
            if taken == 20_000:
                break


async def test_an_answer_behind_a_backlog_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed session sends what it has kept before it answers SUBSCRIBE, and nobody reads messages yet."""
    monkeypatch.setattr(broker, "MOST_UNREAD", 100)
    backlog = [PublishPacket("a", b"1" * 1000, qos=QoS.AT_LEAST_ONCE, packet_id=n + 1).write() for n in range(5000)]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WELCOME + b"".join(backlog))
        await writer.drain()
        packet, _ = mqtt5.read(memoryview(await reader.read(65_536)))
        assert isinstance(packet, mqtt5.SubscribePacket)
        writer.write(mqtt5.SubAckPacket(packet.packet_id, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]).write())
        await reader.read()

    async with asyncio.timeout(PACE * 20), to(script) as (connection, _):
        await connection.subscribe("#", QoS.AT_LEAST_ONCE)
        messages = connection.messages()
        for _ in range(5000):
            await anext(messages)


async def test_a_broker_that_does_not_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "ANSWER_SECONDS", 0.2)
    async with to(says(WELCOME)) as (connection, _):
        with pytest.raises(ConnectionLost, match="has not answered"):
            await connection.subscribe("#", QoS.AT_LEAST_ONCE)


async def test_a_broker_that_does_not_read_is_left() -> None:
    """The ping stands behind what it does not read; that nothing comes is seen all the same."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WELCOME)
        await asyncio.sleep(20)

    async with to(script, keep_alive=1) as (connection, _):
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(PACE * 15):
                await connection.publish("a", b"x" * 20_000_000)


def broken(qos: QoS, **properties: Any) -> bytes:
    """A PUBLISH whose topic is no UTF-8."""
    packet = PublishPacket("a/b", b"payload", qos=qos, packet_id=7 if qos == QoS.AT_LEAST_ONCE else None, **properties).write()
    return packet.replace(b"a/b", b"a/\xff")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the codec's own
@pytest.mark.parametrize("qos", [QoS.AT_MOST_ONCE, QoS.AT_LEAST_ONCE])
async def test_a_message_that_the_codec_refuses_is_taken_all_the_same(qos: QoS) -> None:
    """Else a broker that lets it through would deliver it for ever."""
    good = PublishPacket("good", b"1").write()
    for properties in ({}, {"content_type": "x" * 200}):
        async with to(says(WELCOME, broken(qos, **properties)[:9], broken(qos, **properties)[9:] + good)) as (connection, _):
            messages = connection.messages()
            first, second = await anext(messages), await anext(messages)
        assert (first.topic, first.payload, first.packet_id) == (
            "a/\ufffd",
            b"payload",
            7 if qos == QoS.AT_LEAST_ONCE else None,
        )
        assert second.topic == "good"


async def test_no_more_is_in_flight_than_the_broker_allows() -> None:
    most = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        writer.write(ConnAckPacket(receive_max=3).write())
        rest, held = b"", list[int]()
        while data := await reader.read(65_536):
            rest += data
            while rest:
                packet, size = mqtt5.read(memoryview(rest))
                rest = rest[size:]
                if isinstance(packet, PublishPacket):
                    held.append(packet.packet_id or 0)
            most = max(most, len(held))
            await asyncio.sleep(0.01)
            writer.write(b"".join(mqtt5.PubAckPacket(number).write() for number in held))
            held.clear()

    async with to(script) as (connection, _):
        await asyncio.gather(*(connection.publish("a", struct.pack(">I", n), qos=QoS.AT_LEAST_ONCE) for n in range(30)))
    assert most == 3


async def test_an_independent_client_hears_what_is_published(secured: Settings, broker: Child) -> None:
    hello = ConnectPacket("ours", username=secured.mqtt_user, password=secured.mqtt_password.encode(), clean_start=True)
    there = Independent(
        secured.mqtt_host,
        secured.mqtt_port,
        username=secured.mqtt_user,
        password=secured.mqtt_password,
        protocol=ProtocolVersion.V5,
        identifier="theirs",
    )
    async with there, connected(secured.mqtt_host, secured.mqtt_port, hello, None, lambda: None) as ours:
        await there.subscribe("both/#", 1)
        await ours.subscribe("both/#", QoS.AT_LEAST_ONCE)
        big, properties = b"x" * 3_000_000, {"content_type": "text/plain", "user_properties": [("k", "v")]}
        for payload in (b"1", b"", big):
            await ours.publish("both/a", payload, qos=QoS.AT_LEAST_ONCE, **properties)
        await there.publish("both/a", b"2", 1)
        messages, packets = aiter(there.messages), ours.messages()
        heard = [await anext(messages) for _ in range(4)]
        own = [await anext(packets) for _ in range(4)]
        await ours.acknowledge([packet.packet_id or 0 for packet in own])
    assert [message.payload for message in heard] == [packet.payload for packet in own] == [b"1", b"", big, b"2"]
    theirs: Any = heard[0].properties
    assert (theirs.ContentType, theirs.UserProperty) == ("text/plain", [("k", "v")])
    assert (own[0].content_type, own[0].user_properties) == ("text/plain", [("k", "v")])
