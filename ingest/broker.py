"""A connection to an MQTT 5 broker over the `mqtt5` codec: what is received waits within bounds, and is acknowledged by the
caller, many at once.

aiomqtt 2.5, which the simulated devices use, takes 45 µs of CPU for a message received and acknowledged, one by one
(100,000 of 300 bytes at QoS 1 from mosquitto); this takes 1 µs (bench: `ingest`).
Source: MQTT Version 5.0, OASIS Standard."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import mqtt5
from mqtt5 import ConnAckReasonCode, ConnectPacket, DisconnectPacket, DisconnectReasonCode, PublishPacket, QoS

from app.logs import log_failure

MOST_UNREAD = 20_000
ACKNOWLEDGED_AT_ONCE = 1000
MOST_IN_FLIGHT = 2**15
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 2.0
FIRST_ERROR = 128  # reason codes from here on are refusals (MQTT 5, section 2.4)
PASSING = (
    ConnAckReasonCode.SERVER_UNAVAILABLE,
    ConnAckReasonCode.SERVER_BUSY,
    ConnAckReasonCode.QUOTA_EXCEEDED,
    ConnAckReasonCode.CONNECTION_RATE_EXCEEDED,
)


class ConnectionLost(OSError):
    """The connection has ended or could not be made; another may succeed."""


class Refused(Exception):
    """The broker said no, with a reason code of 128 or more."""

    def __init__(self, packet: Any, codes: Sequence[Any]) -> None:
        words = ", ".join(code.name.replace("_", " ").lower() for code in codes)
        super().__init__(f"{words}: {packet.reason_str}" if packet.reason_str else words)


class Connection(asyncio.Protocol):
    """One connection, for one reader. `dropped` is called for each message of QoS 0 that came while `MOST_UNREAD` waited.

    mosquitto 2.0 sends more than `receive_max` allows once it is acknowledged in bulk (half a million messages were seen), so
    nothing is read from the socket while twice that number waits."""

    def __init__(self, hello: ConnectPacket, dropped: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._hello, self._dropped, self._now = hello, dropped, loop.time
        self._buffer = bytearray()
        self._unread: deque[PublishPacket] = deque()
        self._answers: dict[Any, asyncio.Future[Any]] = {}
        self._numbers = _packet_ids(self._answers)
        self._arrived, self._writable, self._closed = asyncio.Event(), asyncio.Event(), loop.create_future()
        self._ended: Exception | None = None
        self._paused = False
        self._heard = self._now()
        self._transport: Any = None
        self._window = asyncio.Semaphore(1)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._heard = self._now()
        self._buffer += data
        at, whole = 0, len(self._buffer)
        with memoryview(self._buffer) as view:
            try:
                while at < whole:
                    with view[at:] as rest:
                        packet, size = mqtt5.read(rest)
                    at += size
                    self._take(packet)
            except IndexError:  # the rest of this packet is still to come
                pass
            except ValueError as error:
                self._end(ConnectionLost(f"what the broker sent is no MQTT 5: {error}"))
        del self._buffer[:at]
        if len(self._unread) > 2 * MOST_UNREAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        lost = error if isinstance(error, ssl.SSLError) else ConnectionLost(str(error or "the broker has ended the connection"))
        self._end(lost)
        if not self._closed.done():
            self._closed.set_result(None)

    def _take(self, packet: Any) -> None:
        match packet:
            case PublishPacket():
                if packet.qos == QoS.AT_MOST_ONCE and len(self._unread) >= MOST_UNREAD:
                    self._dropped()
                else:
                    self._unread.append(packet)
                    self._arrived.set()
            case mqtt5.PubAckPacket() | mqtt5.SubAckPacket():
                self._answer(packet.packet_id, packet)
            case mqtt5.ConnAckPacket():
                self._answer(mqtt5.ConnAckPacket, packet)
            case DisconnectPacket():
                self._end(ConnectionLost(f"the broker ends the connection: {Refused(packet, [packet.reason_code])}"))

    def _answer(self, key: Any, packet: Any) -> None:
        waiting = self._answers.get(key)
        if waiting is not None and not waiting.done():
            waiting.set_result(packet)

    def _end(self, error: Exception) -> None:
        """The first reason counts."""
        if self._ended is not None:
            return
        self._ended = error
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(error)
        self._arrived.set()
        self._writable.set()
        self._transport.abort()

    async def _write(self, data: bytes) -> None:
        if self._ended is not None:
            raise self._ended
        self._transport.write(data)
        await self._writable.wait()

    async def _ask(self, key: Any, data: bytes) -> Any:
        """What the broker answers to it."""
        answer = self._answers[key] = asyncio.get_running_loop().create_future()
        try:
            await self._write(data)
            return await answer
        finally:
            del self._answers[key]

    async def greet(self) -> int:
        """CONNECT. Returns: seconds of the keep-alive. Raises: Refused; ConnectionLost."""
        packet = await self._ask(mqtt5.ConnAckPacket, self._hello.write())
        if packet.reason_code in PASSING:
            raise ConnectionLost(str(Refused(packet, [packet.reason_code])))
        if packet.reason_code.value >= FIRST_ERROR:
            raise Refused(packet, [packet.reason_code])
        self._window = asyncio.Semaphore(min(packet.receive_max, MOST_IN_FLIGHT))
        seconds: int | None = packet.server_keep_alive
        return self._hello.keep_alive if seconds is None else seconds

    async def keep_alive(self, seconds: int) -> None:
        """A PINGREQ each half of it; the connection ends when nothing was heard for one and a half."""
        while seconds and self._ended is None:
            await asyncio.sleep(seconds / 2)
            if self._paused:
                self._heard = self._now()
            if self._now() - self._heard > 1.5 * seconds:
                self._end(ConnectionLost(f"nothing came from the broker for {1.5 * seconds:.0f} s"))
                return
            with suppress(ConnectionLost):
                await self._write(mqtt5.PingReqPacket().write())

    async def publish(self, topic: str, payload: bytes, *, qos: QoS = QoS.AT_MOST_ONCE, **properties: Any) -> None:
        """With QoS 1 it returns once the broker has acknowledged. Raises: Refused; ConnectionLost."""
        if qos == QoS.AT_MOST_ONCE:
            await self._write(PublishPacket(topic, payload, **properties).write())
            return
        async with self._window:
            number = next(self._numbers)
            packet = await self._ask(number, PublishPacket(topic, payload, qos=qos, packet_id=number, **properties).write())
        if packet.reason_code.value >= FIRST_ERROR:
            raise Refused(packet, [packet.reason_code])

    async def subscribe(self, pattern: str, max_qos: QoS) -> None:
        """Raises: Refused; ConnectionLost."""
        number = next(self._numbers)
        wanted = mqtt5.TopicFilter(pattern, max_qos=max_qos)
        packet = await self._ask(number, mqtt5.SubscribePacket(number, [wanted]).write())
        if refused := [code for code in packet.reason_codes if code.value >= FIRST_ERROR]:
            raise Refused(packet, refused)

    async def messages(self) -> AsyncIterator[PublishPacket]:
        """What comes, until the connection ends. Raises: ConnectionLost, after everything that has come."""
        while True:
            while self._unread:
                yield self._unread.popleft()
            if self._ended is not None:
                raise self._ended
            if self._paused:
                self._paused = False
                self._transport.resume_reading()
            self._arrived.clear()
            await self._arrived.wait()

    async def acknowledge(self, packet_ids: Sequence[int]) -> None:
        """PUBACKs, written to the socket together. Raises: ConnectionLost."""
        for start in range(0, len(packet_ids), ACKNOWLEDGED_AT_ONCE):
            part = packet_ids[start : start + ACKNOWLEDGED_AT_ONCE]
            await self._write(b"".join(mqtt5.PubAckPacket(number).write() for number in part))

    async def close(self, reason: DisconnectReasonCode) -> None:
        if self._ended is None:
            self._transport.write(DisconnectPacket(reason_code=reason).write())
            self._transport.close()
        try:
            await asyncio.wait([self._closed], timeout=CLOSE_SECONDS)
        finally:
            self._transport.abort()


def _packet_ids(taken: dict[Any, Any]) -> Iterator[int]:
    while True:
        yield from (number for number in range(1, 2**16) if number not in taken)


@asynccontextmanager
async def connected(
    host: str, port: int, hello: ConnectPacket, tls: ssl.SSLContext | None, dropped: Callable[[], None]
) -> AsyncIterator[Connection]:
    """Ends with a DISCONNECT; where the body fails, with one that has the broker publish the will.

    Raises: Refused; ConnectionLost and other OSErrors, TLS's among them, where there is no connection."""
    loop = asyncio.get_running_loop()
    name = host if tls else None
    async with asyncio.timeout(CONNECT_SECONDS):
        _, connection = await loop.create_connection(
            lambda: Connection(hello, dropped), host, port, ssl=tls, server_hostname=name
        )
    reason = DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            seconds = await connection.greet()
        pinging = asyncio.create_task(connection.keep_alive(seconds), name="MQTT keep-alive")
        pinging.add_done_callback(log_failure)
        try:
            yield connection
        finally:
            pinging.cancel()
        reason = DisconnectReasonCode.NORMAL_DISCONNECTION
    finally:
        await connection.close(reason)
