"""GraphQL over HTTP and WebSocket: stock Strawberry transports, orjson, a token on every door."""

import hmac
from base64 import b64decode
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
from app.graphql.schema import TwinSchema
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
        if scope["type"] == "http" and not authorised(self.server.token, dict(scope["headers"]).get(b"authorization", b"")):
            await refused()(scope, receive, send)
            return
        await super().__call__(scope, receive, send)

    async def get_context(self, request: Any, response: Any) -> Any:
        return {"request": request, "response": response, "server": self.server}

    async def on_ws_connect(self, context: Any) -> Any:
        given = (context.get("connection_params") or {}).get("Authorization", "")
        header = context["request"].headers.get("authorization", "")
        if not any(authorised(self.server.token, str(one).encode()) for one in (given, header) if one):
            raise ConnectionRejectionError({"code": "UNAUTHENTICATED"})
        return await super().on_ws_connect(context)

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)

    def decode_json(self, data: str | bytes) -> Any:
        decoded = orjson.loads(data)
        if not isinstance(decoded, dict | list):
            raise JSONDecodeError("a request must be a JSON object", str(decoded)[:40], 0)
        return decoded


def authorised(token: str, header: bytes) -> bool:
    """`Bearer <token>`, or Basic with the token as password for browsers that open a page."""
    scheme, _, given = header.partition(b" ")
    if scheme.lower() == b"basic":
        try:
            given = b64decode(given, validate=True).partition(b":")[2]
        except ValueError:
            return False
    return scheme.lower() in (b"bearer", b"basic") and hmac.compare_digest(given.strip(), token.encode())


def refused() -> Response:
    body = {"errors": [{"message": "a valid token is needed", "extensions": {"code": "UNAUTHENTICATED"}}]}
    return Response(
        orjson.dumps(body), 401, {"WWW-Authenticate": 'Bearer, Basic realm="twingraph"'}, media_type="application/json"
    )
