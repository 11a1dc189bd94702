"""Who asks is known before anything of a request's body is read; then the body, as large as that role may send."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from app.errors import TooLarge, TwingraphError
from app.http.statuses import HEADERS, body_of, status_of
from app.identity import Clients, Gate, can
from app.identity.gate import admitted

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Refusal = Callable[[TwingraphError], Response]

log = structlog.get_logger()
OPEN = frozenset({"/", "/docs", "/openapi.json", "/explorer", "/health/live", "/health/ready"})
OPEN_BELOW = ("/explorer/assets/",)
OPEN_BYTES = 0
READER_BYTES = 1024**2
BROWSER = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    b"connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Entrance:
    """An ASGI application around another: sets `identity` in the scope of whatever is not open to all.

    WebSockets are let through: their first message bears the credentials, and nothing else is taken before it."""

    def __init__(self, app: App, gate: Gate, clients: Clients, write_bytes: int, refusals: Mapping[str, Refusal]) -> None:
        """`write_bytes`: of a body of who may change twins; `refusals`: by path, where a refusal has another form."""
        self._app, self._gate, self._clients = app, gate, clients
        self._write_bytes, self._refusals = write_bytes, refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        try:
            await self._admit(scope, receive, send)
        except ClientDisconnect:
            return
        except TwingraphError as error:
            response = self._refusals.get(scope["path"], refusal)(error)
            await response(scope, receive, send)  # type: ignore[arg-type]

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in OPEN or path.startswith(OPEN_BELOW) or scope["method"] == "OPTIONS":
            await self._serve(scope, receive, send, OPEN_BYTES)
            return
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode("latin-1")
        address = (scope.get("client") or ("",))[0]
        identity = scope["identity"] = await admitted(self._gate, header, address)
        most = self._write_bytes if can(identity, "write") else READER_BYTES
        with self._clients.served(identity.client):
            await self._serve(scope, receive, send, most)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        """With a body of at most so many bytes. Raises: TooLarge, at once where the head tells the length."""
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        error = TooLarge(f"a body has at most {most:,} bytes here", hint="send less at once")
        if length.isdigit() and int(length) > most:
            raise error
        size = 0

        async def receive_bounded() -> MutableMapping[str, Any]:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                raise error
            return message

        async def send_unless_refused(message: MutableMapping[str, Any]) -> None:
            if size <= most:  # else a framework has taken the error for one of its parser's, and answers 400
                await send(message)

        await self._app(scope, receive_bounded, send_unless_refused)
        if size > most:
            raise error


def refusal(error: TwingraphError) -> Response:
    status = status_of(error)
    return JSONResponse(body_of(error), status, HEADERS.get(status))


def _with_headers(send: Send) -> Send:
    async def send_all(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            page = any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers)
            message["headers"] = [*headers, *BROWSER, *([(b"content-security-policy", POLICY)] if page else [])]
        await send(message)

    return send_all
