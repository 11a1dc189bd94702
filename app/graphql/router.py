"""GraphQL over HTTP and WebSocket: stock Strawberry transports, orjson, an identity on every door."""

import asyncio
from collections.abc import Mapping
from json import JSONDecodeError
from typing import Any

import orjson
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import WebSocketDisconnected

from app.dtdl import Catalog
from app.errors import TwingraphError, Unauthenticated
from app.graphql.schema import TwinSchema
from app.identity import Gate, Identity
from app.server import Server


class TextSocket(ASGIWebSocketAdapter):
    """graphql-transport-ws speaks text frames; bytes from `encode_json` would go out as binary ones."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        try:
            await self.ws.send_text(orjson.dumps(message).decode())
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error


class Router(GraphQL[Any, Any]):
    """`take(catalog)` swaps the schema generation; requests under way keep theirs."""

    websocket_adapter_class = TextSocket

    def __init__(self, server: Server) -> None:
        self.server = server
        schema = TwinSchema(server.registry.catalog, server.settings)
        super().__init__(schema, graphql_ide=None, subscription_protocols=("graphql-transport-ws",))

    def take(self, catalog: Catalog) -> None:
        self.schema = TwinSchema(catalog, self.server.settings)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
            try:
                scope["identity"] = await identified(self.server.gate, header)
            except TwingraphError as error:
                await refusal(error)(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    async def get_context(self, request: Any, response: Any) -> Any:
        identity = request.scope.get("identity")
        return {"request": request, "response": response, "server": self.server, "identity": identity}

    async def on_ws_connect(self, context: Any) -> Any:
        given = (context.get("connection_params") or {}).get("Authorization", "")
        header = str(given) or context["request"].headers.get("authorization", "")
        try:
            context["identity"] = await identified(self.server.gate, header)
        except TwingraphError as error:
            raise ConnectionRejectionError({"code": error.code}) from error
        return await super().on_ws_connect(context)

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)

    def decode_json(self, data: str | bytes) -> Any:
        decoded = orjson.loads(data)
        if not isinstance(decoded, dict | list):
            raise JSONDecodeError("a request must be a JSON object", str(decoded)[:40], 0)
        return decoded


async def identified(gate: Gate, header: str) -> Identity:
    """Raises: Unauthenticated, StoreError."""
    known = gate.remembered(header)
    return known if known is not None else await asyncio.to_thread(gate.identify, header)


def refusal(error: TwingraphError) -> Response:
    body = {"errors": [{"message": error.what, "extensions": error.extensions()}]}
    if isinstance(error, Unauthenticated):
        headers = {"WWW-Authenticate": 'Bearer, Basic realm="twingraph"'}
        return Response(orjson.dumps(body), 401, headers, media_type="application/json")
    return Response(orjson.dumps(body), 503, {"Retry-After": "5"}, media_type="application/json")
