"""The embedded broker's management, over STOMP on loopback: its files cannot say that a connection is to be closed."""

import json
import socket
from collections.abc import Sequence

from app.errors import StackError

SECONDS = 10.0
HEADERS = {"destination": "activemq.management", "_AMQ_ResourceName": "broker", "receipt": "1"}


def close_connections(port: int, user: str, password: str, users: Sequence[str]) -> None:
    """Of all who have logged in as one of `users`. Raises: StackError."""
    try:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
            _sent(connection, "CONNECT", {"accept-version": "1.2", "login": user, "passcode": password}, "", "CONNECTED")
            for username in users:
                operation = HEADERS | {"_AMQ_OperationName": "closeConnectionsForUser"}
                _sent(connection, "SEND", operation, json.dumps([username]), "RECEIPT")
            _sent(connection, "DISCONNECT", {"receipt": "2"}, "", "RECEIPT")
    except OSError as error:
        raise StackError(f"the broker's management does not answer: {error}", where=f"127.0.0.1:{port}") from error


def _sent(connection: socket.socket, command: str, headers: dict[str, str], body: str, answer: str) -> None:
    head = "".join(f"{name}:{value}\n" for name, value in headers.items())
    connection.sendall(f"{command}\n{head}\n{body}\0".encode())
    got = b""
    while not got.endswith(b"\0"):
        part = connection.recv(4096)
        if not part:
            raise StackError(f"the broker's management has closed the connection: {got[:200]!r}")
        got = (got + part).lstrip(b"\n")
        if got.endswith(b"\0\n"):
            break
    if not got.startswith(answer.encode()):
        raise StackError(f"the broker's management says {got[:200]!r}")
