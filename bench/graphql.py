"""Server CPU per request of point, nested and filtered queries, and of history: 12 farms × 42 turbines × 8 components."""

import http.client
import json
import random
import sys
import time

from app.main import with_secrets
from app.simulate.layout import Layout
from app.twins.history import compact
from app.twins.series import Series
from app.twins.write import Batch, append, ensure
from bench.stack import bench_stack, cpu, process, show

REQUESTS, WARM = 400, 100
DAY = 86_400
QUERIES = {
    "point, 8 fields": '{ turbine(dtId: "wf01-t01") { dtId name model etag power windSpeed healthScore ratedPower } }',
    "farm → 42 turbines → 8 components": """{ windFarm(dtId: "wf01") { dtId name region contains { dtId name power windSpeed
      healthScore ratedPower hasComponent { dtId name healthScore confidence } } } }""",
    "filter, sort, first 50, parent": """{ turbines(where: { power: { gt: 500 }, healthScore: { lt: 0.9 } }, first: 50,
      orderBy: [{ healthScore: ASC }]) { dtId name healthScore power containsOf { name } } }""",
}
HISTORY = """{ turbine(dtId: "wf01-t02") { history(signal: "power", from: "%s", to: "%s", every: "PT10M") { at avg } } }"""


def values(layout: Layout) -> list[Series]:
    now, made = round(time.time() * 1000), []
    for index in range(layout.count):
        name = layout.turbine_id(index)
        found = {"power": random.random() * 3000, "windSpeed": random.random() * 15, "healthScore": random.random()}
        made.append(Series(name, [now], {key: [value] for key, value in found.items()}, found))
    return made


def main() -> None:
    layout = Layout(12, 42)
    with bench_stack() as (settings, store, registry):
        ensure(store, registry.catalog, list(layout.twins()), list(layout.relationships()))
        append(store, Batch(values(layout)))
        start = (round(time.time()) - 2 * DAY) // 600 * 600
        for first in range(0, DAY, 60):
            times = [(start + first + second) * 1000 for second in range(60)]
            column = [float(second) for second in range(60)]
            append(store, Batch([Series("wf01-t02", times, {"power": column}, {"power": 59.0})]))
        with process(settings, "serve") as server:
            _wait(settings)
            figures = {name: _measure(settings, server, query) for name, query in QUERIES.items()}
            spans = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (start, start + DAY)]
            query = HISTORY % tuple(spans)
            figures["history, 86,400 points, 1,440 segments"] = _measure(settings, server, query, 40)
            while compact(store, least=2):
                pass
            figures["history, 86,400 points, compacted"] = _measure(settings, server, query, 40)
    rows = [(name, f"{c:.2f} ms CPU, {t:.2f} ms median, {size:,} bytes") for name, (c, t, size) in figures.items()]
    show("graphql", rows, {name: {"cpu_ms": c, "median_ms": t} for name, (c, t, _) in figures.items()})


def _wait(settings: object) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection(settings.host, settings.server_port)  # type: ignore[attr-defined]
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
    sys.exit("the server is not ready")


def _measure(settings: object, server: object, query: str, requests: int = REQUESTS) -> tuple[float, float, int]:
    token = with_secrets(settings).token  # type: ignore[arg-type]
    connection = http.client.HTTPConnection(settings.host, settings.server_port)  # type: ignore[attr-defined]
    body, headers = json.dumps({"query": query}), {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    times, before, content = [], 0.0, b""
    for number in range(requests + WARM):
        if number == WARM:
            before = cpu(server)  # type: ignore[arg-type]
        started = time.perf_counter()
        connection.request("POST", "/graphql", body, headers)
        content = connection.getresponse().read()
        times.append((time.perf_counter() - started) * 1000)
    assert b'"errors"' not in content, content[:400]
    used = (cpu(server) - before) / requests * 1000  # type: ignore[arg-type]
    return used, sorted(times[WARM:])[requests // 2], len(content)


if __name__ == "__main__":
    main()
