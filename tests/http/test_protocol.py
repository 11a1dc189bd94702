"""F31: hostile clients of the server as it is served: what is too long, too slow or too much is refused before it is kept."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import psutil
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.http import protocol
from app.http.protocol import SERVER_LIMITS
from app.settings import Settings
from tests.conftest import free_port

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A bare application behind the protocol."""
    number = free_port()
    app = Starlette(routes=[Route("/", length, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=number, log_level="critical", **SERVER_LIMITS))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    yield number
    server.should_exit = True
    await running


async def talk(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """All that is answered until the connection ends, or two seconds have passed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = bytearray()
    listening = asyncio.create_task(_listen(reader, answer))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
    except ConnectionError:
        pass
    await asyncio.wait((listening,), timeout=2.0 if not pause else 10.0)
    listening.cancel()
    writer.close()
    return bytes(answer)


async def _listen(reader: asyncio.StreamReader, answer: bytearray) -> None:
    with suppress(ConnectionError):
        while part := await reader.read(65536):
            answer += part


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([HEAD + b"\r\n"], 200),
        ([POST + b"Content-Length: 5\r\n\r\nhello"], 200),
        ([CHUNKED + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n"], 200),
        ([POST + b"Content-Length: 30000000\r\n\r\n", *[b"a" * 1_000_000] * 30], 200),
        ([HEAD + b"X: " + b"a" * 31_000 + b"\r\n\r\n"], 200),
        ([HEAD + b"X: ", *[b"a" * 1_000_000] * 40], 431),
        ([HEAD + b"".join(b"X%d: a\r\n" % i for i in range(200)) + b"\r\n"], 431),
        ([b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"], 431),
        ([HEAD + b"Host: y\r\n\r\n"], 400),
        ([HEAD + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"], 400),
        ([POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"], 400),
        ([POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"], 400),
        ([b"\x00\x01garbage\r\n\r\n"], 400),
        ([CHUNKED + b"5;", *[b"e" * 100_000] * 10], 400),
        ([CHUNKED + b"0\r\nX: ", *[b"e" * 100_000] * 10], 400),
    ],
)
async def test_F31_heads_and_bodies(sent: list[bytes], status: int, port: int) -> None:
    answer = await talk(port, *sent)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:100]


async def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    assert (await talk(port, (HEAD + b"\r\n") * 3)).count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize("sent", [b"", HEAD, POST + b"Content-Length: 50\r\n\r\nabc", CHUNKED + b"5\r\nhe"])
async def test_F31_who_is_slow_is_sent_away(sent: bytes, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_SECONDS", "BODY_IDLE_SECONDS"):
        monkeypatch.setattr(protocol, name, 0.5)
    monkeypatch.setattr(protocol, "LOOK_SECONDS", 0.1)
    started = time.monotonic()
    answer = await talk(port, sent, pause=0.01)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 4


async def test_F31_a_head_in_drops_is_sent_away(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "LOOK_SECONDS", 0.1)
    answer = await talk(port, HEAD, *[b"X: a\r\n"] * 20, pause=0.1)
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_F31_connections_are_bounded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS", 20)
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
    await asyncio.sleep(0.2)
    ended = sum(reader.at_eof() or reader.exception() is not None for reader, _ in held)
    assert ended == 40
    for _, writer in held:
        writer.close()
    await asyncio.sleep(0.2)
    assert (await talk(port, HEAD + b"\r\n")).startswith(b"HTTP/1.1 200")


# The server itself ----------------------------------------------------------------------------------------------------


def memory(settings: Settings) -> int:
    mark = f"app.cli serve {settings.server_port}"
    for process in psutil.process_iter(["cmdline"]):
        if " ".join(process.info["cmdline"] or ()).endswith("app.cli serve"):
            environment = process.environ()
            if environment.get("TWINGRAPH_SERVER_PORT") == str(settings.server_port):
                return int(process.memory_info().rss)
    raise AssertionError(mark)


@pytest.mark.parametrize("path", ["/graphql", "/api/models", "/api/twins", "/metrics", "/nowhere"])
async def test_F31_who_asks_comes_before_the_body(path: str, served: Settings) -> None:
    """300 MB of a stranger are answered 401 before they are read; the server's memory does not know of them."""
    before = memory(served)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 300000000\r\n\r\n".encode()
    answer = await talk(served.server_port, head, *[b"a" * 1_000_000] * 100)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"www-authenticate" in answer.lower()
    assert memory(served) - before < 50_000_000


async def test_F31_a_body_is_as_long_as_allowed(served: Settings, secured: Settings) -> None:
    headers = {"Authorization": f"Bearer {secured.token}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{served.server_port}"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
        for path in ("/graphql", "/api/models"):
            told = await http.post(path, content=b"[" + b" " * (served.body_bytes + 1) + b"]")
            assert told.status_code == 413
            said = told.json()
            code = said["errors"][0]["extensions"]["code"] if "errors" in said else said["code"]
            assert code == "TOO_LARGE"

            async def parts() -> AsyncIterator[bytes]:
                for _ in range(40):
                    yield b" " * 1_000_000

            assert (await http.post(path, content=parts())).status_code == 413


async def test_F31_failed_logins_are_limited_and_others_go_on(served: Settings, secured: Settings) -> None:
    url = f"http://127.0.0.1:{served.server_port}"
    body = {"query": "{ me { name } }"}
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        statuses = [
            (await http.post("/graphql", json=body, headers={"Authorization": f"Bearer tg_{i:012x}_x"})).status_code
            for i in range(600)
        ]
        good = await http.post("/graphql", json=body, headers={"Authorization": f"Bearer {secured.token}"})
    refused = statuses.index(429)
    assert refused <= 20  # those of the tests before count, if they are not older than a minute
    assert (set(statuses[:refused]), set(statuses[refused:])) == ({401}, {429})
    assert good.json() == {"data": {"me": {"name": "local"}}}
    metrics = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {secured.token}"}).text
    assert f'twingraph_logins_refused_total{{reason="TOO_MANY"}} {600 - refused}.0' in metrics


async def test_pages_tell_browsers_what_they_may_do(served: Settings) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.server_port}") as http:
        for path in ("/explorer", "/docs"):
            headers = (await http.get(path)).headers
            assert "script-src 'self'" in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
        headers = (await http.get("/openapi.json")).headers
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert "server" not in headers
