"""Ten documents as dear as 4,000 tokens allow, asked at once by one client, and again with other texts: how long /health/live
takes beside them, and what 150 distinct ones leave in the server's memory."""

import asyncio

import httpx

from app.identity import keys
from app.identity.keys import Grant
from app.settings import Settings
from app.twins.edit import NewTwin, ensure
from bench.stack import bench_stack, process, show
from tests.conftest import eventually
from tests.graphql.test_documents import DEAR, looked

TURNS, DISTINCT = 5, 150


async def beside(http: httpx.AsyncClient) -> list[float]:
    texts = [f"{query} # {turn}" for turn in range(TURNS) for query in DEAR.values()]
    return await looked(http, [asyncio.create_task(http.post("/graphql", json={"query": text})) for text in texts])


async def distinct(http: httpx.AsyncClient) -> None:
    for start in range(DISTINCT):
        query = DEAR["as wide as is allowed"].replace("a0:", f"b{start}:")
        assert "data" in (await http.post("/graphql", json={"query": query})).json()


def ready(settings: Settings) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{settings.server_port}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


async def measure(url: str, key: str, server: object) -> tuple[list[float], float]:
    async with httpx.AsyncClient(base_url=url, timeout=120, headers={"Authorization": f"Bearer {key}"}) as http:
        looks = sorted(await beside(http))
        before = server.memory_info().rss  # type: ignore[attr-defined]
        await distinct(http)
        return looks, (server.memory_info().rss - before) / 1e6  # type: ignore[attr-defined]


def main() -> None:
    with bench_stack() as (settings, store, registry):
        ensure(store, registry.catalog, [NewTwin(f"t{i:03d}", "Turbine") for i in range(500)], [])
        key = keys.create(store, Grant("bench", "reader"))
        with process(settings, "serve") as server:
            assert eventually(lambda: ready(settings), 60)
            looks, grown = asyncio.run(measure(f"http://127.0.0.1:{settings.server_port}", key, server))
    p50, p99 = (looks[int(len(looks) * part)] * 1000 for part in (0.5, 0.99))
    rows = [("looks", str(len(looks))), ("median", f"{p50:.0f} ms"), ("p99", f"{p99:.0f} ms"), ("memory", f"{grown:.0f} MB")]
    show("documents", rows, {"median_ms": p50, "p99_ms": p99, "grown_mb": grown})


if __name__ == "__main__":
    main()
