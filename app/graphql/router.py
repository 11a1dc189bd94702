"""GraphQL over HTTP and WebSocket: stock Strawberry transports, orjson, an identity on every endpoint."""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from json import JSONDecodeError
from typing import Any

import orjson
import structlog
from cross_web import HTTPException
from graphql import GraphQLError
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.http.streaming import SSETransport
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation

from app.dtdl import Catalog
from app.errors import TwingraphError, Unauthenticated
from app.graph.records import in_json
from app.graph.select.cost import count_sizes
from app.graphql.answer import direct
from app.graphql.answer.schema import SchemaCache, TwinSchema
from app.http.statuses import HEADERS, status_of
from app.identity import Identity, allow
from app.identity.gate import admitted, require_not_revoked, require_same
from app.server import Server

JSON, GRAPHQL, EVENTS = "application/json", "application/graphql-response+json", "text/event-stream"
log = structlog.get_logger()
CHECK_SECONDS = 2.0
AGAIN_SECONDS = 2.0  # that the look after a long operation may add to it
INIT_SECONDS = timedelta(seconds=10)
FORBIDDEN = 4403
PROTOCOLS = ("graphql-transport-ws", "graphql-sse")


class TextSocket(ASGIWebSocketAdapter):
    """graphql-transport-ws speaks text frames; bytes from `encode_json` would go out as binary ones."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        try:
            await self.ws.send_text(orjson.dumps(message, default=in_json).decode())
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error


class EventStream(SSETransport):
    """graphql-sse for who wants it most: urql names the type beside JSON on every query. And it looks for bare line feeds."""

    def accepts(self, accept: str) -> bool:
        return preferred(accept) == EVENTS

    def encode_event(self, event: str, data: str | None = None) -> str:
        return super().encode_event(event, data).replace("\r\n", "\n")

    def encode_comment(self, comment: str) -> str:
        return super().encode_comment(comment).replace("\r\n", "\n")


class Socket(BaseGraphQLTransportWSHandler[Any, Any]):
    """Each operation over a WebSocket counts as a request, a subscription as one as long as it is open; who asks is looked up
    for each of them, and every few seconds: once the credentials stand for another, or nobody, the connection is closed.

    Used of Strawberry beyond its documented part: `handle`, `handle_connection_init`, `run_operation`, `operations`,
    `connection_acknowledged`, `view`, `handle_message`, `handle_invalid_message` (0.341; tests/docs/test_contracts.py holds the
    contract)."""

    _watching: "asyncio.Task[None] | None" = None

    async def handle(self) -> None:
        try:
            await super().handle()
        finally:
            if self._watching is not None:
                self._watching.cancel()

    async def handle_message(self, message: Any) -> None:
        problem = _misfit(message)
        if problem:
            await self.handle_invalid_message(problem)
        else:
            await super().handle_message(message)

    async def handle_connection_init(self, message: Any) -> None:
        await super().handle_connection_init(message)
        if self.connection_acknowledged and self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def run_operation(self, operation: Operation[Any, Any]) -> None:
        context: Any = self.context
        view: Any = self.view
        self.schema = view.schema  # of the models as they are now
        try:
            await require_same(context["server"].gate, context["credentials"], context["identity"])
            with context["server"].clients.served(context["identity"].client):
                await super().run_operation(operation)
        except TwingraphError as error:
            await operation.send_initial_errors([GraphQLError(error.what, extensions=error.extensions())])
            self.operations.pop(operation.id, None)
            if isinstance(error, Unauthenticated):
                await self.websocket.close(code=FORBIDDEN, reason=error.what)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            context: Any = self.context
            try:
                await require_not_revoked(context["server"].gate, context["credentials"], context["identity"])
            except Unauthenticated as error:
                log.info("connection closed", client=context["identity"].client, reason=error.what)
                await asyncio.sleep(CHECK_SECONDS)  # in which each open operation tells its own end
                await self.websocket.close(code=FORBIDDEN, reason=error.what)
                return
            except Exception:
                log.exception("credentials cannot be checked", client=context["identity"].client)


def _misfit(message: Any) -> str:
    """What of a message is not as graphql-transport-ws has it; the rest is seen to by Strawberry."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "a message must be an object with a type"
    if message["type"] != "subscribe":
        return ""
    payload = message.get("payload")
    if not isinstance(message.get("id"), str) or not isinstance(payload, dict):
        return "subscribe needs an id and a payload"
    kinds = {"query": str, "variables": dict, "operationName": str, "extensions": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(payload.get(name), kind | None)]
    return f"payload.{wrong[0]} is of another type than it must be" if wrong else ""


class Router(GraphQL[Any, Any]):
    """`take(catalog)` swaps the schema generation; requests under way keep theirs."""

    websocket_adapter_class = TextSocket
    graphql_transport_ws_handler_class = Socket
    stream_transport_classes_by_protocol = {"graphql-sse": EventStream}

    def __init__(self, server: Server, schemas: SchemaCache) -> None:
        self.server, self._schemas = server, schemas
        schema = schemas.of(server.registry.catalog)
        super().__init__(schema, graphql_ide=None, subscription_protocols=PROTOCOLS, connection_init_wait_timeout=INIT_SECONDS)
        self.schema: TwinSchema
        self.allowed_origins = origins(server.settings.cors_origins)

    def take(self, catalog: Catalog) -> None:
        schema = self._schemas.of(catalog)
        schema.plans.sizes = self.schema.plans.sizes
        self.schema = schema

    def measure(self) -> None:
        """Looks how large the graph is, for the estimates of what operations cost. Raises: StoreError."""
        catalog = self.schema.plans.catalog
        types = sorted(
            {name for dtmi in catalog.interfaces for name in (*catalog.relationships(dtmi), *catalog.components(dtmi))}
        )
        self.schema.plans.sizes = count_sizes(self.server.store, ["Twin", *sorted(catalog.by_label)], types)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        headers = dict(reversed(scope["headers"]))  # the first of a name counts, as everywhere below
        try:
            allow(scope["identity"], "read")
            if not direct.is_plain(scope, headers):
                await super().__call__(scope, receive, send)
                return
            messages = await direct.read(receive)
            media_type = preferred(headers.get(b"accept", b"").decode("latin-1"))
            operation = direct.known(self.schema, messages) if media_type != EVENTS else None
            if operation is None:
                await super().__call__(scope, direct.replay(messages, receive), send)
            else:
                response = await self._direct(operation, scope["identity"], headers, media_type)
                await response(scope, receive, send)
        except TwingraphError as error:
            await refusal(error)(scope, receive, send)

    async def _direct(self, operation: direct.Asked, identity: Identity, headers: Any, media_type: str) -> Response:
        started = time.monotonic()
        result = await direct.answered(self.schema, operation, self.server, identity)
        await self._require_still(started, identity, headers.get(b"authorization", b"").decode("latin-1"))
        answer = await self.process_result(None, result)
        return self.create_response(answer, blank(media_type))

    async def _require_still(self, started: float, identity: Identity, header: str) -> None:
        """What took its time is not answered to who may no longer ask. Raises: Unauthenticated."""
        if time.monotonic() - started > CHECK_SECONDS:
            await require_same(self.server.gate, header, identity, AGAIN_SECONDS)

    async def run(self, request: Any, *positional: Any, **named: Any) -> Any:
        started = time.monotonic()
        try:
            response = await super().run(request, *positional, **named)
            if getattr(request, "scope", {}).get("type") == "http":
                header = request.headers.get("authorization", "")
                await self._require_still(started, request.scope["identity"], header)
            return response
        except HTTPException as error:
            writes = isinstance(error.__cause__, InvalidOperationTypeError)  # a mutation by GET
            status = 405 if writes else error.status_code
            headers = {"Allow": "POST" if writes else "GET, POST"} if status == 405 else {}
            return failure(status, error.reason, {"code": "BAD_REQUEST"}, headers)

    async def execute_single(self, **arguments: Any) -> Any:  # type: ignore[override]
        arguments["context"]["streams"] = False
        return await super().execute_single(**arguments)

    async def get_context(self, request: Any, response: Any) -> Any:
        identity = request.scope.get("identity")
        credentials = request.headers.get("authorization", "")
        return {
            "request": request,
            "response": response,
            "server": self.server,
            "identity": identity,
            "credentials": credentials,
        }

    async def get_sub_response(self, request: Any) -> Response:
        return blank(preferred(request.headers.get("accept", "")))

    async def process_result(self, request: Any, result: Any) -> Any:
        answer: Any = await super().process_result(request, result)
        if result.data is None and not any(error.path for error in result.errors or ()):
            answer.pop("data", None)  # refused before a field was executed
        return answer

    def create_response(self, response_data: Any, sub_response: Response) -> Response:
        response = super().create_response(response_data, sub_response)
        if sub_response.media_type == GRAPHQL:
            response.headers["Content-Type"] = GRAPHQL
            if "data" not in response_data:
                broken = any(error["extensions"]["code"] == "INTERNAL" for error in response_data["errors"])
                response.status_code = 500 if broken else 400
        return response

    async def on_ws_connect(self, context: Any) -> Any:
        authorization = (context.get("connection_params") or {}).get("Authorization", "")
        header = str(authorization) or context["request"].headers.get("authorization", "")
        try:
            address = getattr(context["request"].client, "host", "")
            identity = context["identity"] = await admitted(self.server.gate, header, address)
            allow(identity, "read")
        except TwingraphError as error:
            raise ConnectionRejectionError({"code": error.code}) from error
        context["credentials"] = header
        return await super().on_ws_connect(context)

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data, default=in_json)

    def decode_json(self, data: str | bytes) -> Any:
        decoded = orjson.loads(data)
        if not isinstance(decoded, dict | list):
            raise JSONDecodeError("a request must be a JSON object", str(decoded)[:40], 0)
        return decoded


def blank(media_type: str) -> Response:
    """What `create_response` adds to the answer: nothing but the media type."""
    response = Response()
    response.status_code = None  # type: ignore[assignment]
    response.media_type = media_type
    del response.headers["content-length"]
    return response


def origins(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def preferred(accept: str) -> str:
    """That of our media types which the client wants most; JSON where it names none."""

    def quality(part: str) -> float:
        try:
            return float(part.partition("q=")[2] or 1)
        except ValueError:
            return 0.0

    media_types = [part.partition(";")[0].strip().lower() for part in sorted(accept.split(","), key=quality, reverse=True)]
    return next((media_type for media_type in media_types if media_type in (JSON, GRAPHQL, EVENTS)), JSON)


def refusal(error: TwingraphError) -> Response:
    status = status_of(error)
    return failure(status, error.what, error.extensions(), dict(HEADERS.get(status, {})))


def failure(status: int, message: str, extensions: dict[str, Any], headers: dict[str, str]) -> Response:
    body = {"errors": [{"message": message, "extensions": extensions}]}
    return Response(orjson.dumps(body), status, headers, media_type=JSON)
