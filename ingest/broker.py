"""A connection to an MQTT 5 broker over the `mqtt5` codec: what is received waits within bounds, and is acknowledged by the
caller, many at once.

aiomqtt 2.5, which the simulated devices use, takes 45 µs of CPU for a message received and acknowledged, one by one
(100,000 of 300 bytes at QoS 1 from mosquitto); this takes 1 µs (bench: `ingest`).
Source: MQTT Version 5.0, OASIS Standard."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import mqtt5
import structlog
from mqtt5 import ConnAckReasonCode, ConnectPacket, DisconnectPacket, DisconnectReasonCode, PublishPacket, QoS

from app.logs import log_failure

log = structlog.get_logger()
MOST_UNREAD = 20_000
ACKNOWLEDGED_AT_ONCE = 1000
MOST_IN_FLIGHT = 2**15
PUBLISH = 3  # of the packet types
LONGEST_SALVAGED = 2**20
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
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
        self._paused = self._greeted = False
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
            while at < whole and self._ended is None:
                with view[at:] as rest:
                    packet, size = self._packet(rest)
                if not size:
                    break
                at += size
                self._take(packet)
        del self._buffer[:at]
        # Not while an answer is waited for, which may stand behind a session's backlog.
        if len(self._unread) > 2 * MOST_UNREAD and not self._paused and not self._answers:
            self._paused = True
            self._transport.pause_reading()

    def _packet(self, data: memoryview) -> tuple[Any, int]:
        """(packet, its bytes), 0 where the rest of it is still to come."""
        try:
            return mqtt5.read(data)
        except IndexError:
            return None, 0
        except BaseException as error:
            # The codec panics over a topic that is no UTF-8; its kind of panic is no Exception.
            if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
                raise
            packet, size = _salvaged(bytes(data[:LONGEST_SALVAGED]))
            if packet is None:
                what = "what the broker sent is no MQTT 5" if self._greeted else "the broker does not speak MQTT 5"
                self._end(ConnectionLost(f"{what}: {error}"))
            else:
                log.warning("MQTT message violates the protocol; taken without its properties", topic=packet.topic[:200])
            return packet, size

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        if isinstance(error, ssl.SSLError) and not self._greeted:
            self._end(error)  # of the handshake, or of a certificate that the broker does not take
        else:
            self._end(ConnectionLost(str(error or "the broker has ended the connection")))
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
        if self._ended is not None:
            raise self._ended

    async def _ask(self, key: Any, data: bytes) -> Any:
        """What the broker answers to it."""
        answer = self._answers[key] = asyncio.get_running_loop().create_future()
        self._read_on()
        try:
            await self._write(data)
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            self._end(ConnectionLost(f"the broker has not answered within {ANSWER_SECONDS:.0f} s"))
            raise self._ended or ConnectionLost("") from None
        finally:
            del self._answers[key]

    def _read_on(self) -> None:
        if self._paused and self._ended is None:
            self._paused = False
            self._transport.resume_reading()

    async def greet(self) -> int:
        """CONNECT. Returns: seconds of the keep-alive. Raises: Refused; ConnectionLost."""
        packet = await self._ask(mqtt5.ConnAckPacket, self._hello.write())
        if packet.reason_code in PASSING:
            raise ConnectionLost(str(Refused(packet, [packet.reason_code])))
        if packet.reason_code.value >= FIRST_ERROR:
            raise Refused(packet, [packet.reason_code])
        self._greeted = True
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
            if self._ended is None:
                self._transport.write(mqtt5.PingReqPacket().write())  # also behind what the broker does not read

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
        topic_filter = mqtt5.TopicFilter(pattern, max_qos=max_qos)
        packet = await self._ask(number, mqtt5.SubscribePacket(number, [topic_filter]).write())
        if refused := [code for code in packet.reason_codes if code.value >= FIRST_ERROR]:
            raise Refused(packet, refused)

    async def messages(self) -> AsyncIterator[PublishPacket]:
        """What comes, until the connection ends. Raises: ConnectionLost, after everything that has come."""
        while True:
            while self._unread:
                yield self._unread.popleft()
            if self._ended is not None:
                raise self._ended
            self._read_on()
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


def _salvaged(data: bytes) -> tuple[PublishPacket | None, int]:
    """A whole PUBLISH of QoS 0 or 1 that the codec refuses, without its properties, its topic made readable: it goes the way of
    any message, so that it is not delivered again for ever. None for another packet. (MQTT 5, section 3.3)"""
    try:
        length, at = _number(data, 1)
        end, qos = at + length, data[0] >> 1 & 3
        if data[0] >> 4 != PUBLISH or qos > 1 or end > len(data):
            return None, 0
        size = int.from_bytes(data[at : at + 2])
        topic, at = data[at + 2 : at + 2 + size].decode("utf-8", "replace"), at + 2 + size
        number = int.from_bytes(data[at : at + 2]) if qos else None
        properties, at = _number(data, at + 2 * qos)
    except IndexError:
        return None, 0
    return PublishPacket(
        topic, data[at + properties : end], qos=QoS.AT_LEAST_ONCE if qos else QoS.AT_MOST_ONCE, packet_id=number
    ), end


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer, and what comes after it. Raises: IndexError. (MQTT 5, section 1.5.5)"""
    value = 0
    for step in range(4):
        value |= (data[at + step] & 127) << 7 * step
        if data[at + step] < FIRST_ERROR:
            return value, at + step + 1
    raise IndexError


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
