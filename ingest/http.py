"""HTTP push: `POST /<address>` with JSON (an object, or an array of them), NDJSON, or what the rule's `payload` reads, plain or
gzip; `POST /write` and `/api/v2/write` with InfluxDB's line protocol, whose series keys are the addresses; Prometheus' remote
write, to any path (ingest.payload.remotewrite). 202 once committed.

A reading that bears its event time is stored once, however often it is sent.

Who sends is known, and bound to what it may send (ingest.admission), before anything of the body is read. What the mapping
refuses becomes dead letters, as from any source, and is acknowledged; what is no JSON is refused at once, and kept by who sent
it."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import structlog
import uvicorn
from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.errors import MessageError, StackError, TwingraphError
from app.http.protocol import SERVER_LIMITS
from app.http.statuses import HEADERS, body_of, status_of
from app.settings import Settings
from ingest.admission import Admission
from ingest.certificates import check
from ingest.mapping.declaration import SourceMapping
from ingest.options import Options
from ingest.payload.lineprotocol import lines
from ingest.payload.remotewrite import samples
from ingest.payload.unpack import LONGEST, inflated, require_few
from ingest.source import Message, Source, Take

log = structlog.get_logger()
PORT, WAIT_SECONDS = 8088, 10.0
CONCURRENT = 1000
MOST_MESSAGES = 20_000  # of a request
HELD_BYTES = 64 * 1024**2  # of bodies that are read and not yet committed
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


class HttpOptions(Options):
    host: str = Field("", description="address to listen on; that of the settings")
    port: int = Field(PORT, ge=1, le=65535, description="port to listen on")
    wait: float = Field(WAIT_SECONDS, gt=0, description="time for the commit [s]; then 503: send it again")
    certificate: str = Field("", description="file: the server's certificate (PEM); switches TLS on")
    key: str = Field("", description="file: its key (PEM)")
    client_ca: str = Field("", description="file: who signs certificates of devices (PEM)")


class HttpSource(Source):
    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        self.name = mapping.source
        self._mapping, self._push_token = mapping, settings.push_token
        options = HttpOptions.of(mapping)
        self._host, self._port, self._wait = options.host or settings.host, options.port, options.wait
        self._certificate, self._key, self._client_ca = options.certificate, options.key, options.client_ca
        self._takes_events = mapping.takes_events
        self.held = 0
        self._take: Take | None = None

    async def run(self, take: Take) -> None:
        """Raises: StackError when the port is taken, or a certificate cannot be used."""
        self._take = take
        self._admission = Admission(self._mapping, self._push_token, self.gate)
        app = Starlette(routes=[Route("/{address:path}", self._post, methods=["POST"])])
        options: dict[str, Any] = {"limit_concurrency": CONCURRENT, "lifespan": "off", **SERVER_LIMITS, **self._tls()}
        config = uvicorn.Config(app, self._host, self._port, log_level="error", access_log=False, **options)
        server = _Server(config, self._listening)
        try:
            await server.serve()
        except SystemExit as error:  # what uvicorn does when it cannot listen
            raise StackError("cannot listen", where=f"{self._host}:{self._port}", hint="options.port: another") from error
        finally:
            for listening in getattr(server, "servers", ()):  # a cancelled server leaves its endpoints open
                listening.close()
            for connection in list(server.server_state.connections):
                connection.shutdown()

    def _listening(self) -> None:
        self.connected()
        log.info("listening", source=self.name, where=f"http://{self._host}:{self._port}")

    async def acknowledge(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            receipt.acknowledge()

    def _tls(self) -> dict[str, Any]:
        """Raises: StackError."""
        for file in filter(None, (self._certificate, self._client_ca)):
            check(Path(file))
        if not self._certificate:
            return {}
        options: dict[str, Any] = {"ssl_certfile": self._certificate, "ssl_keyfile": self._key or None}
        return options | ({"ssl_ca_certs": self._client_ca, "ssl_cert_reqs": ssl.CERT_OPTIONAL} if self._client_ca else {})

    async def _post(self, request: Request) -> JSONResponse:
        reservation = _Held(self)
        try:
            return await self._taken(request, reservation)
        except ClientDisconnect:
            return _refused(400, "GONE", "the client has gone")
        except MessageError as error:
            status = {"TOO_LARGE": 413, "MEDIA_TYPE": 415, "BUSY": 503}.get(error.code, 400)
            return _refused(status, error.code, error.what, {"Retry-After": "5"} if status == 503 else None)
        except TwingraphError as error:
            status = status_of(error)
            return JSONResponse(body_of(error), status, HEADERS.get(status))
        finally:
            reservation.release()

    async def _taken(self, request: Request, reservation: "_Held") -> JSONResponse:
        """Raises: MessageError; what Admission raises."""
        who = await self._admission.who(_header(request), request.client.host if request.client else "", _peer(request))
        address = request.path_params["address"]
        many = address in WRITE or _kind(request) == PROMETHEUS  # each line has an address of its own
        if not many:
            await self._admission.require(who, [address])
        messages = _messages(request, await _body(request, reservation), self._takes_events)
        if many:
            await self._admission.require(who, [address for address, _, _ in messages])
        attributes = {name[3:]: value for name, value in request.headers.items() if name.startswith("ce-")}
        if messages and not await self._committed(messages, attributes if self._takes_events and attributes else None):
            return _refused(503, "NOT_COMMITTED", "not committed yet: send it again", {"Retry-After": "5"})
        return JSONResponse({"messages": len(messages)}, 202)

    async def _committed(self, messages: list[Given], attributes: Mapping[str, str] | None) -> bool:
        assert self._take is not None
        receipt = Receipt(len(messages))
        try:
            async with asyncio.timeout(self._wait):
                now = round(time.time() * 1000)
                for address, payload, at in messages:
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


@dataclass(slots=True)
class _Held:
    """The bytes of one request's body."""

    source: HttpSource
    size: int = 0

    def take(self, size: int) -> None:
        """Raises: MessageError."""
        self.size += size
        self.source.held += size
        if self.size > LONGEST:
            raise MessageError(f"a body has at most {LONGEST:,} bytes", code="TOO_LARGE")
        if self.source.held > HELD_BYTES:
            raise MessageError("too much is being sent: send it again", code="BUSY")

    def release(self) -> None:
        self.source.held -= self.size


def _header(request: Request) -> str:
    """InfluxDB's clients call a bearer token `Token`."""
    header = request.headers.get("authorization", "")
    return f"Bearer {header[6:]}" if header[:6].lower() == "token " else header


def _peer(request: Request) -> str | None:
    chain = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain") or (None,)
    return chain[0]  # type: ignore[no-any-return]


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").replace(" ", "").lower().partition(";")[0]


async def _body(request: Request, reservation: _Held) -> bytes:
    """Raises: MessageError."""
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > LONGEST:
        raise MessageError(f"a body has at most {LONGEST:,} bytes", code="TOO_LARGE")
    parts = []
    async for part in request.stream():
        reservation.take(len(part))
        parts.append(part)
    body = b"".join(parts)
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding == "snappy" and _kind(request) == PROMETHEUS:
        return body
    if encoding not in ("identity", "gzip"):
        raise MessageError(f"content-encoding {encoding!r:.40}: send gzip or none", code="MEDIA_TYPE")
    if encoding == "gzip":
        body = inflated(body)
        reservation.take(max(0, len(body) - reservation.size))
    return body


def _messages(request: Request, body: bytes, takes_events: bool) -> list[Given]:
    """Raises: MessageError."""
    address, kind = request.path_params["address"], _kind(request)
    if address in WRITE:
        return _few(list(islice(lines(body, request.query_params.get("precision", "ns")), MOST_MESSAGES + 1)))
    if kind == PROMETHEUS:
        if "proto=io.prometheus.write.v2" in request.headers["content-type"]:
            raise MessageError("remote write 1.0 is understood, 2.0 is not", code="MEDIA_TYPE")
        return list(samples(body))
    if takes_events and "ce-specversion" in request.headers:
        return [(address, body, None)]
    return [(address, payload, None) for payload in _few(_payloads(kind, body))]


def _few(items: list[Any]) -> list[Any]:
    """Raises: MessageError."""
    if len(items) > MOST_MESSAGES:
        raise MessageError(f"a request has at most {MOST_MESSAGES:,} messages", code="TOO_LARGE")
    return items


def _payloads(kind: str, body: bytes) -> list[Any]:
    """Raises: MessageError."""
    if kind == "application/x-ndjson":
        if body.count(b"\n") > 2 * MOST_MESSAGES:
            raise MessageError(f"a request has at most {MOST_MESSAGES:,} messages", code="TOO_LARGE")
        return [line for line in body.splitlines() if line.strip()]
    if kind in AS_THE_RULE_SAYS:
        return [body]
    if kind != "application/json":
        media_types = ", ".join(("application/json", "application/x-ndjson", *AS_THE_RULE_SAYS))
        raise MessageError(f"{kind or 'no content type'}: send one of {media_types}", code="MEDIA_TYPE")
    require_few(body)
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MessageError(f"not JSON: {error}", code="NOT_JSON") from error
    return [orjson.dumps(item) for item in _few(decoded)] if isinstance(decoded, list) else [body]


def _refused(status: int, code: str, what: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"what": what, "code": code}, status, headers)
