"""HTTP push: `POST /<address>` with JSON (an object, or an array of them), NDJSON, or what the rule's `payload` reads, plain or
gzip; `POST /write` and `/api/v2/write` with InfluxDB's line protocol, whose series keys are the addresses; Prometheus' remote
write, to any path (ingest.remotewrite). 202 once committed.

options: {port: 8088, host: 127.0.0.1, wait: 10}    `wait`: seconds for the commit, then 503: send it again

A reading that bears its time of measure is stored once, however often it is sent.

Whoever sends must bear the token. What the mapping refuses becomes dead letters, as from any source, and is acknowledged; what
is no JSON is refused at once, and kept by who sent it."""

import asyncio
import hmac
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Map
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.errors import MessageError, StackError
from app.settings import Settings
from ingest.lineprotocol import lines
from ingest.mapping import Mapping
from ingest.message import Message, Source, Take
from ingest.remotewrite import samples
from ingest.unpack import LONGEST, inflated

log = structlog.get_logger()
PORT, WAIT_SECONDS = 8088, 10.0
CONCURRENT = 1000
PROMETHEUS = "application/x-protobuf"  # its remote write, to any address
WRITE = ("write", "api/v2/write")  # where InfluxDB's clients write
AS_THE_RULE_SAYS = ("text/csv", "application/msgpack", "application/cloudevents+json", "application/cloudevents-batch+json")
Given = tuple[str, Any, int | None]


@dataclass(slots=True)
class Receipt:
    """One request; `done` once all its messages are committed."""

    left: int
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def acknowledge(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.done.done():
            self.done.set_result(None)


class HttpSource(Source):
    def __init__(self, mapping: Mapping, settings: Settings) -> None:
        self.name, self._token = mapping.source, settings.token
        self._host = str(mapping.options.get("host", settings.host))
        self._port = int(mapping.options.get("port", PORT))
        self._wait = float(mapping.options.get("wait", WAIT_SECONDS))
        self._takes_events = mapping.takes_events
        self._take: Take | None = None

    async def run(self, take: Take) -> None:
        """Raises: StackError when the port is taken."""
        self._take = take
        app = Starlette(routes=[Route("/{address:path}", self._post, methods=["POST"])])
        config = uvicorn.Config(
            app, self._host, self._port, log_level="error", access_log=False, limit_concurrency=CONCURRENT, lifespan="off"
        )
        server = _Server(config, self._listening)
        try:
            await server.serve()
        except SystemExit as error:  # what uvicorn does when it cannot listen
            raise StackError("cannot listen", where=f"{self._host}:{self._port}", hint="options.port: another") from error
        finally:
            for listening in getattr(server, "servers", ()):  # a cancelled server leaves its doors open
                listening.close()
            for connection in list(server.server_state.connections):
                connection.shutdown()

    def _listening(self) -> None:
        self.connected()
        log.info("listening", source=self.name, where=f"http://{self._host}:{self._port}")

    async def acknowledge(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            receipt.acknowledge()

    async def _post(self, request: Request) -> JSONResponse:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").removeprefix("Token ")
        if not self._token or not hmac.compare_digest(given.encode(), self._token.encode()):
            return _refused(401, "UNAUTHENTICATED", "a valid token is needed", {"WWW-Authenticate": "Bearer"})
        try:
            body = await _body(request)
            messages = _messages(request, body, self._takes_events)
        except ClientDisconnect:
            return _refused(400, "GONE", "the client has gone")
        except MessageError as error:
            status = {"TOO_LARGE": 413, "MEDIA_TYPE": 415}.get(error.code, 400)
            return _refused(status, error.code, error.what)
        attributes = {name[3:]: value for name, value in request.headers.items() if name.startswith("ce-")}
        if messages and not await self._committed(messages, attributes if self._takes_events and attributes else None):
            return _refused(503, "NOT_COMMITTED", "not committed yet: send it again", {"Retry-After": "5"})
        return JSONResponse({"messages": len(messages)}, 202)

    async def _committed(self, given: list[Given], attributes: Map[str, str] | None) -> bool:
        assert self._take is not None
        receipt = Receipt(len(given))
        try:
            async with asyncio.timeout(self._wait):
                now = round(time.time() * 1000)
                for address, payload, at in given:
                    await self._take(Message(address, payload, at, receipt, now, attributes=attributes))
                await receipt.done
        except TimeoutError:
            return False
        return True


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._listening()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the program's, not one source's."""
        yield


async def _body(request: Request) -> bytes:
    """Raises: MessageError."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LONGEST:
            raise MessageError(f"a body has at most {LONGEST:,} bytes", code="TOO_LARGE")
        parts.append(part)
    body = b"".join(parts)
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding == "snappy" and request.headers.get("content-type", "").lower().startswith(PROMETHEUS):
        return body
    if encoding not in ("identity", "gzip"):
        raise MessageError(f"content-encoding {encoding!r:.40}: send gzip or none", code="MEDIA_TYPE")
    return inflated(body) if encoding == "gzip" else body


def _messages(request: Request, body: bytes, takes_events: bool) -> list[Given]:
    """Raises: MessageError."""
    address = request.path_params["address"]
    said = request.headers.get("content-type", "").replace(" ", "").lower()
    kind = said.partition(";")[0]
    if address in WRITE:
        return list(lines(body, request.query_params.get("precision", "ns")))
    if kind == PROMETHEUS:
        if "proto=io.prometheus.write.v2" in said:
            raise MessageError("remote write 1.0 is understood, 2.0 is not", code="MEDIA_TYPE")
        return list(samples(body))
    if takes_events and "ce-specversion" in request.headers:
        return [(address, body, None)]
    return [(address, payload, None) for payload in _payloads(kind, body)]


def _payloads(kind: str, body: bytes) -> list[Any]:
    """Raises: MessageError."""
    if kind == "application/x-ndjson":
        return [line for line in body.splitlines() if line.strip()]
    if kind in AS_THE_RULE_SAYS:
        return [body]
    if kind != "application/json":
        known = ", ".join(("application/json", "application/x-ndjson", *AS_THE_RULE_SAYS))
        raise MessageError(f"{kind or 'no content type'}: send one of {known}", code="MEDIA_TYPE")
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MessageError(f"not JSON: {error}", code="NOT_JSON") from error
    return [orjson.dumps(one) for one in decoded] if isinstance(decoded, list) else [body]


def _refused(status: int, code: str, what: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"what": what, "code": code}, status, headers)
