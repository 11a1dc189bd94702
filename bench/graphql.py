"""GraphQL beside @neo4j/graphql on Yoga, on Apollo and compiled by graphql-jit, all on one Neo4j with one set of data: 12 farms
× 42 turbines × 8 components. All servers are up at once and take turns in blocks, so the machine's noise meets all alike;
answers are compared; server CPU per request and requests a second of one process with eight clients.

Without npm, ours alone. `bench graphql [growth|rights]`: with `growth` points and pages at 5,000, 50,000 and
500,000 twins; with `rights` a narrowed key beside the administrator's."""

import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from app.graph.store import Store
from app.history.compaction import Tier, compact
from app.history.series import Series
from app.identity import keys
from app.identity.keys import Grant
from app.main import with_secrets
from app.settings import Settings
from app.simulate.layout import Layout
from app.twins.edit import NewTwin, ensure
from app.twins.write import Batch, append
from bench.stack import CONSOLE, bench_stack, cpu, free_port, process, show

PEER = Path(__file__).parent / "peer"
PEERS = ("jit", "yoga", "apollo")
BLOCK, BLOCKS, WARM_SECONDS, CLIENTS = 25, 12, 30.0, 8
LONG_BLOCK = 150  # the kernel counts CPU in steps of 10 ms
DAY = 86_400
JOINED = (Tier(False, 2, 600, 0), Tier(True, 2, 200, 0))
DAY_START = (round(time.time()) - 4 * DAY) // 600 * 600
DAY_BEGIN, DAY_END = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (DAY_START, DAY_START + DAY))
DAY_WINDOW = f'from: "{DAY_BEGIN}", to: "{DAY_END}", every: "PT10M"'
PARTS = "dtId name power windSpeed healthScore ratedPower hasComponent"


@dataclass(frozen=True, slots=True)
class Query:
    """`alike`: what the two answers are made into before they are compared; None where they cannot be."""

    name: str
    ours: str
    peer: str = ""
    alike: Callable[[Any, Any], tuple[Any, Any]] | None = None


def _one(ours: Any, peer: Any) -> tuple[Any, Any]:
    (mine,), (theirs,) = ours.values(), peer.values()
    return _sorted(mine), _sorted(theirs[0])


def _same(ours: Any, peer: Any) -> tuple[Any, Any]:
    return ours, peer


def _sorted(value: Any) -> Any:
    """The peer gives nested twins in no order."""
    if isinstance(value, list):
        return sorted(map(_sorted, value), key=lambda item: json.dumps(item, sort_keys=True))
    return {key: _sorted(item) for key, item in value.items()} if isinstance(value, dict) else value


def _totals(ours: Any, peer: Any) -> tuple[Any, Any]:
    mine = {f["dtId"]: (f["containsAggregate"]["count"], *f["containsAggregate"]["power"].values()) for f in ours["windFarms"]}
    theirs: dict[str, tuple[float, ...]] = {}
    for farm in peer["windFarms"]:
        found = farm["containsConnection"]["aggregate"]
        power = found["node"]["power"]
        theirs[farm["dtId"]] = (found["count"]["nodes"], power["average"], power["max"], power["min"])
    return _rounded(mine), _rounded(theirs)


def _rounded(farms: dict[str, tuple[float, ...]]) -> dict[str, list[float]]:
    return {name: [round(value, 6) for value in values] for name, values in sorted(farms.items())}


def _buckets(ours: Any, peer: Any) -> tuple[Any, Any]:
    mine = {twin["dtId"]: twin["series"][0] for twin in ours["windFarm"]["contains"]}
    theirs = {found["dtId"]: found for found in peer["windFarms"][0]["powerOf"]}
    return tuple(  # type: ignore[return-value]
        {name: [(at, round(v, 6)) for at, v in zip(one["epochs"], one["values"], strict=True)] for name, one in found.items()}
        for found in (mine, theirs)
    )


QUERIES = (
    Query(
        "point, 8 fields",
        '{ turbine(dtId: "wf01-t01") { dtId name model etag power windSpeed healthScore ratedPower } }',
        '{ turbines(where: { dtId: { eq: "wf01-t01" } }) { dtId name model etag power windSpeed healthScore ratedPower } }',
        _one,
    ),
    Query(
        "farm → 42 turbines → 8 components",
        f'{{ windFarm(dtId: "wf01") {{ dtId name region contains {{ {PARTS} {{ dtId name healthScore confidence }} }} }} }}',
        f'{{ windFarms(where: {{ dtId: {{ eq: "wf01" }} }}) {{ dtId name region contains {{ {PARTS} '
        "{ dtId name healthScore confidence } } } }",
        _one,
    ),
    Query(
        "filter, sort, first 50, parent",
        """{ turbines(where: { power: { gt: 500 }, healthScore: { lt: 0.9 } }, first: 50, orderBy: [{ healthScore: ASC }])
          { dtId name healthScore power containsOf { name } } }""",
        """{ turbines(where: { power: { gt: 500 }, healthScore: { lt: 0.9 } }, limit: 50, sort: [{ healthScore: ASC }])
          { dtId name healthScore power containsOf { name } } }""",
        _same,
    ),
    Query(
        "aggregates of each farm",
        "{ windFarms { dtId containsAggregate { count power { avg max min } } } }",
        "{ windFarms { dtId containsConnection { aggregate { count { nodes } node { power { average max min } } } } } }",
        _totals,
    ),
    Query(
        "a farm's 42 turbines, a day by ten minutes",
        f'{{ windFarm(dtId: "wf01") {{ contains {{ dtId series(signals: ["power"], {DAY_WINDOW}) {{ epochs values }} }} }} }}',
        f'{{ windFarms(where: {{ dtId: {{ eq: "wf01" }} }}) {{ powerOf(from: {DAY_START}000, to: {DAY_START + DAY}000, '
        "every: 600000) { dtId epochs values } } }",
        _buckets,
    ),
    Query(
        "deep filter",
        "{ windFarms(where: { contains: { some: { hasComponent: { some: { healthScore: { lt: 0.1 } } } } } }) { dtId name } }",
        "{ windFarms(where: { contains: { some: { hasComponent: { some: { healthScore: { lt: 0.1 } } } } } }) { dtId name } }",
        lambda ours, peer: (_sorted(ours), _sorted(peer)),
    ),
    Query(
        "mutation",
        'mutation { updateTurbine(dtId: "wf01-t03", input: { maintenanceNote: "checked" }) { dtId maintenanceNote } }',
        'mutation { updateTurbines(where: { dtId: { eq: "wf01-t03" } }, update: { maintenanceNote: { set: "checked" } })'
        " { turbines { dtId maintenanceNote } } }",
    ),
)


@dataclass(slots=True)
class Endpoint:
    """One server: where it listens, its process, and the query each name stands for."""

    name: str
    port: int
    process: psutil.Process
    headers: dict[str, str]
    ours: bool
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, query: str) -> tuple[float, bytes]:
        """Milliseconds and the answer."""
        body = json.dumps({"query": query})
        headers = {"Content-Type": "application/json", **self.headers}
        started = time.perf_counter()
        try:
            self.connection.request("POST", "/graphql", body, headers)
            content = self.connection.getresponse().read()
        except (OSError, http.client.RemoteDisconnected):  # Node closes what was idle for five seconds
            self.connection.close()
            self.connection.request("POST", "/graphql", body, headers)
            content = self.connection.getresponse().read()
        assert b'"errors"' not in content, f"{self.name}: {content[:400]!r}"
        return (time.perf_counter() - started) * 1000, content

    def query(self, asked: Query) -> str:
        return asked.ours if self.ours else asked.peer


def fill(store: Store, registry: Any, layout: Layout) -> None:
    """Every turbine and component with its latest values."""
    ensure(store, registry.catalog, list(layout.twins()), list(layout.relationships()))
    rng, now = random.Random(5), round(time.time() * 1000)
    ids = [(twin.dt_id, "-" in twin.dt_id and twin.dt_id.count("-") > 1) for twin in layout.twins()]
    series = []
    for dt_id, part in ids:
        found = {"healthScore": rng.random()} | (
            {"confidence": rng.random()} if part else {"power": rng.random() * 3000, "windSpeed": rng.random() * 15}
        )
        series.append(Series(dt_id, [now], {key: [value] for key, value in found.items()}, found))
    for start in range(0, len(series), 1000):
        append(store, Batch(series[start : start + 1000]))


def fill_day(store: Store) -> None:
    """A day of the first farm's turbines, a point a minute, written by the hour and compacted, as a running server has it."""
    rng = random.Random(7)
    for hour in range(24):
        times = [(DAY_START + hour * 3600 + minute * 60) * 1000 for minute in range(60)]
        columns = [[rng.random() * 3000 for _ in times] for _ in range(42)]
        rows = [Series(f"wf01-t{n + 1:02}", times, {"power": found}, {"power": found[-1]}) for n, found in enumerate(columns)]
        append(store, Batch(rows))
    while compact(store, JOINED):
        pass


def main() -> None:
    with bench_stack(client_rate=100_000.0) as (settings, store, registry):
        if "growth" in sys.argv:
            growth(settings, store, registry)
            return
        fill(store, registry, Layout(12, 42))
        fill_day(store)
        start = (round(time.time()) - 2 * DAY) // 600 * 600
        for first in range(0, DAY, 60):
            times = [(start + first + second) * 1000 for second in range(60)]
            column = [float(second) for second in range(60)]
            append(store, Batch([Series("wf01-t02", times, {"power": column}, {"power": 59.0})]))
        if "rights" in sys.argv:
            rights(settings, store)
            return
        with ExitStack() as stack:
            endpoints = [stack.enter_context(ours(settings))]
            endpoints += [stack.enter_context(peer(kind, settings)) for kind in PEERS] if _has_npm() else []
            figures = compare(endpoints)
            figures |= history(endpoints[0], store, start)
            figures["rss"] = {endpoint.name: round(endpoint.process.memory_info().rss / 1024**2) for endpoint in endpoints}
    rows = []
    for name, found in figures.items():
        rows.append((name, ", ".join(f"{endpoint} {value}" for endpoint, value in found.items())))
    show("graphql: server CPU ms per request (requests/s)", rows, figures)


@contextmanager
def ours(settings: Settings) -> Iterator[Endpoint]:
    with process(settings, "serve") as server:
        headers = {"Authorization": f"Bearer {with_secrets(settings).token}"}
        endpoint = Endpoint("ours", settings.server_port, server, headers, True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                endpoint.ask("{ __typename }")
                break
            except OSError:
                endpoint.connection.close()
                time.sleep(0.2)
        yield endpoint


@contextmanager
def peer(kind: str, settings: Settings) -> Iterator[Endpoint]:
    folder = installed()
    port = free_port()
    bolt, password = f"bolt://127.0.0.1:{settings.bolt_port}", (settings.home / "secrets" / "neo4j").read_text()
    command = ["node", "server.mjs", kind, str(port), bolt, password]
    environment = {**os.environ, "NODE_ENV": "production"}
    child = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready", f"{kind} does not start"
        yield Endpoint(kind, port, psutil.Process(child.pid), {}, False)
    finally:
        child.terminate()
        child.wait(20)


# Nothing of what the queries ask is hidden, so that both are answered alike; but each statement is printed for the key.
FARMS = tuple(twin.dt_id for twin in Layout(12, 42).twins() if "-" not in twin.dt_id)
MODELS, HIDDEN = (
    ("WindFarm", "Turbine", "TurbineComponent", "Substation"),
    ("*.serialNumber", "Turbine.commissioned", "*.feeds"),
)
NARROW = Grant("narrow", "engineer", FARMS, ("contains", "hasComponent"), models=MODELS, hidden=HIDDEN)


def rights(settings: Settings, store: Store) -> None:
    """A key narrowed by subtree, model, property and relationship beside the administrator's, on one server, in turns."""
    figures: dict[str, dict[str, Any]] = {}
    with ours(settings) as endpoint:
        key = {"Authorization": f"Bearer {keys.create(store, NARROW)}"}
        both = {"administrator": endpoint.headers, "narrowed": key}
        for query in [q for q in QUERIES if not sys.argv[2:] or q.name in sys.argv[2:]]:
            used, took = dict.fromkeys(both, 0.0), {name: list[float]() for name in both}
            for block in range(BLOCKS + 2):
                for name, headers in both.items():
                    endpoint.headers = headers
                    before = cpu(endpoint.process)
                    asked = [endpoint.ask(endpoint.query(query)) for _ in range(LONG_BLOCK)]
                    if block >= 2:  # the first ones plan
                        used[name] += cpu(endpoint.process) - before
                        took[name] += [seconds for seconds, _ in asked]
                    assert b'"errors"' not in asked[-1][1], asked[-1][1][:300]
            ms = {name: seconds / LONG_BLOCK / BLOCKS * 1000 for name, seconds in used.items()}
            median = {name: f"{sorted(times)[len(times) // 2]:.1f}" for name, times in took.items()}
            figures[query.name] = {name: f"{value:.2f} ({median[name]} ms)" for name, value in ms.items()}
            figures[query.name]["ratio"] = f"{ms['narrowed'] / ms['administrator']:.2f}"
    rows = [(name, ", ".join(f"{who} {value}" for who, value in found.items())) for name, found in figures.items()]
    show("graphql rights: server CPU ms per request (median of the whole)", rows, figures)


def _has_npm() -> bool:
    return shutil.which("npm") is not None


def installed() -> Path:
    folder = Path(tempfile.gettempdir()) / "twingraph-peer"
    folder.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "server.mjs", "schema.mjs"):
        shutil.copy(PEER / name, folder)
    if not (folder / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, capture_output=True)
    return folder


def compare(endpoints: list[Endpoint]) -> dict[str, dict[str, Any]]:
    warm(endpoints)
    CONSOLE.print("warm; now in turns")
    figures: dict[str, dict[str, Any]] = {}
    for query in QUERIES:
        answers = {endpoint.name: json.loads(endpoint.ask(endpoint.query(query))[1])["data"] for endpoint in endpoints}
        if query.alike is not None:
            for name in answers.keys() - {"ours"}:
                mine, theirs = query.alike(answers["ours"], answers[name])
                assert mine == theirs, f"{query.name}: {name} answers otherwise"
        used = dict.fromkeys((endpoint.name for endpoint in endpoints), 0.0)
        for _ in range(BLOCKS):
            for endpoint in endpoints:
                before = cpu(endpoint.process)
                for _ in range(BLOCK):
                    endpoint.ask(endpoint.query(query))
                used[endpoint.name] += cpu(endpoint.process) - before
        rates = {endpoint.name: rate(endpoint, query) for endpoint in endpoints}
        per_request = {name: seconds / BLOCK / BLOCKS * 1000 for name, seconds in used.items()}
        figures[query.name] = {name: f"{ms:.2f} ({rates[name]:.0f}/s)" for name, ms in per_request.items()}
        best = min((ms for name, ms in per_request.items() if name != "ours"), default=None)
        if best is not None:
            figures[query.name]["ratio to the best peer"] = f"{per_request['ours'] / best:.2f}"
    return figures


def warm(endpoints: list[Endpoint]) -> None:
    deadline = time.monotonic() + WARM_SECONDS * len(endpoints) / 2
    while time.monotonic() < deadline:
        for endpoint in endpoints:
            for query in QUERIES:
                endpoint.ask(endpoint.query(query))


def rate(endpoint: Endpoint, query: Query, seconds: float = 2.0) -> float:
    """Requests a second of one server process, asked by eight clients at once."""
    until, counts = time.monotonic() + seconds, [0] * CLIENTS

    def client(index: int) -> None:
        own = Endpoint(endpoint.name, endpoint.port, endpoint.process, endpoint.headers, endpoint.ours)
        while time.monotonic() < until:
            own.ask(endpoint.query(query))
            counts[index] += 1

    threads = [threading.Thread(target=client, args=(index,)) for index in range(CLIENTS if query.name != "mutation" else 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def history(endpoint: Endpoint, store: Store, start: int) -> dict[str, dict[str, Any]]:
    begin, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (start, start + DAY))
    window = f'from: "{begin}", to: "{end}", every: "PT10M"'
    points = f'{{ turbine(dtId: "wf01-t02") {{ history(signal: "power", {window}) {{ at avg }} }} }}'
    columns = f'{{ turbine(dtId: "wf01-t02") {{ series(signals: ["power"], {window}) {{ epochs values }} }} }}'
    found = {"history, 86,400 points in 1,440 segments": _times(endpoint, points)}
    while compact(store, JOINED):
        pass
    found["history, compacted"] = _times(endpoint, points)
    found["series, compacted"] = _times(endpoint, columns)
    return found


def _times(endpoint: Endpoint, query: str, requests: int = 40) -> dict[str, str]:
    for _ in range(20):
        endpoint.ask(query)
    before = cpu(endpoint.process)
    times = sorted(endpoint.ask(query)[0] for _ in range(requests))
    return {"ours": f"{(cpu(endpoint.process) - before) / requests * 1000:.1f}", "median ms": f"{times[requests // 2]:.1f}"}


def growth(settings: Settings, store: Store, registry: Any) -> None:
    """Points and pages as the graph grows."""
    rows, made = [], 0
    asked = {
        "point": '{ turbine(dtId: "g-001000") { dtId name power } }',
        "first page": "{ turbinesConnection(first: 50) { nodes { dtId name } pageInfo { hasNextPage endCursor } } }",
        "filtered page": '{ turbines(where: { name: { eq: "Turbine 1000" } }, first: 50) { dtId name } }',
    }
    with ours(settings) as endpoint:
        for count in (5_000, 50_000, 500_000):
            while made < count:
                step = [NewTwin(f"g-{n:06}", "Turbine", {"name": f"Turbine {n}"}) for n in range(made, made + 5000)]
                ensure(store, registry.catalog, step, [])
                made += len(step)
            for name, query in asked.items():
                found = _times(endpoint, query)
                rows.append((f"{count:,} twins, {name}", f"{found['ours']} ms CPU, {found['median ms']} ms median"))
    show("graphql growth", rows, {})


if __name__ == "__main__":
    main()
