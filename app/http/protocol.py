"""uvicorn's HTTP/1.1 protocol with limits: nothing of a request is kept that is longer, slower or more than they allow.

Attributes of uvicorn that are used: `flow`, `cycle`, `pipeline`, `headers`, `url`, `connections`, and the parser's callbacks
(uvicorn 0.54; tests/docs/test_contracts.py holds the contract)."""

import asyncio
import ssl
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app import metrics

log = structlog.get_logger()
HEAD_BYTES = 32 * 1024  # of the request line and all headers
HEADERS = 100
HEAD_SECONDS = 10.0
BODY_SECONDS, BODY_IDLE_SECONDS = 300.0, 20.0
IDLE_SECONDS = 60.0
REST_SECONDS = 10.0  # for the rest of a body whose request was answered before it came
CHUNK_BYTES = 64  # of framing that go with a piece of a body
LINGER_SECONDS = 1.0
SEND_SECONDS = 60.0  # for a client to read what was sent
CONNECTIONS = 2000
LOOK_SECONDS = 2.0
SINGLE = (b"host", b"authorization", b"content-type", b"content-length")
REASONS = {
    400: b"the request is malformed",
    408: b"the request takes too long",
    431: b"the request line and headers have at most 32 KiB and 100 fields",
}


class LimitedProtocol(HttpToolsProtocol):
    """`_stage`: head, body, or idle between two requests and while the application answers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._stage, self._since = "head", self.loop.time()
        self._moved = self._since  # when something last came, or went
        self._raw = 0  # bytes that came since the stage began and that no part of a body accounts for
        self._look: asyncio.TimerHandle | None = None
        self._peer = _certificate(transport)
        if len(self.connections) > CONNECTIONS:
            metrics.HTTP_REFUSED.labels("CONNECTIONS").inc()
            transport.abort()
            return
        self._look = self.loop.call_later(LOOK_SECONDS, self._look_after)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._stage == "ended":
            return  # what a refused client still sends: read, so that it comes to read the answer
        self._moved = self.loop.time()
        if self._stage == "idle":
            self._enter("head")
        self._raw += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._cancel_look()
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._unsupported_upgrade_warning()
            return
        except httptools.HttpParserError as error:
            reason = error.__context__
            self._refuse(reason.status if isinstance(reason, _Refused) else 400)
            return
        if self._raw > HEAD_BYTES and self._stage != "idle":
            self._refuse(431 if self._stage == "head" else 400)  # of a body: chunk extensions or trailers without end

    def on_message_begin(self) -> None:
        if self._stage != "head":
            self._enter("head")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEAD_BYTES or len(self.headers) > HEADERS:
            raise _Refused(431)
        names = [name for name, _ in self.headers]
        if any(names.count(name) > 1 for name in SINGLE):
            raise _Refused(400)
        self._enter("body")
        if self._peer is not None:
            self.scope["extensions"] = {"tls": {"client_cert_chain": [self._peer]}}
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._raw = max(0, self._raw - len(body) - CHUNK_BYTES)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._enter("idle")
        super().on_message_complete()

    def _enter(self, stage: str) -> None:
        self._stage, self._since, self._raw = stage, self._moved, 0

    def _look_after(self) -> None:
        now = self.loop.time()
        self._look = self.loop.call_later(LOOK_SECONDS, self._look_after)
        if self.flow.write_paused:
            if now - self._moved > SEND_SECONDS:
                self._refuse(0)
        elif self._is_late(now):
            self._refuse(408)

    def _is_late(self, now: float) -> bool:
        if self._stage == "head":
            return now - self._since > HEAD_SECONDS
        if self._stage == "idle":
            return self._answered() and now - self._moved > IDLE_SECONDS
        if self._stage != "body" or self.flow.read_paused:
            return False
        most = REST_SECONDS if self._answered() else BODY_SECONDS
        return now - self._moved > BODY_IDLE_SECONDS or now - self._since > most

    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _cancel_look(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _refuse(self, status: int) -> None:
        """Answers `status`, where nothing was answered yet, and ends the connection."""
        metrics.HTTP_REFUSED.labels(str(status or "SLOW_READER")).inc()
        self._cancel_look()
        started = self._stage != "head" and self.cycle is not None and self.cycle.response_started
        if status and not started and not self.pipeline:
            head = b"content-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(REASONS[status])
            self.transport.write(STATUS_LINE[status] + head + REASONS[status])
        self._stage = "ended"
        if status:
            self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.abort()


def _certificate(transport: asyncio.Transport) -> str | None:
    """The client's, verified, as PEM."""
    connection = transport.get_extra_info("ssl_object")
    certificate = connection.getpeercert(binary_form=True) if connection is not None else None
    return ssl.DER_cert_to_PEM_cert(certificate) if certificate else None


class _Refused(Exception):
    """Raised inside a callback of the parser, which wraps it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


SERVER_LIMITS: dict[str, Any] = {
    "http": LimitedProtocol,
    "ws_max_size": 1024**2,
    "ws_max_queue": 8,
    "timeout_keep_alive": 30,
    "server_header": False,
}
