"""How long history takes to read as it grows: `bench history [millions of points…]`. Turbines with a point a second, in the
long segments that compaction makes; asked through GraphQL, beside the same question as Cypher that unrolls the points, with
the bare driver. All in one run, on one Neo4j."""

import random
import sys
import time
from pathlib import Path
from typing import Any

from app.graph.store import Store
from app.history.compaction import POINTS
from app.history.series import Series
from app.settings import Settings
from app.twins.edit import NewRelationship, NewTwin, ensure
from app.twins.write import Batch, append
from bench.graphql import Endpoint, ours
from bench.stack import CONSOLE, bench_stack, cpu, show

DAY, TURBINES, MONTH = 86_400, 50, 30
END = round(time.time()) // DAY * DAY
REQUESTS = 25
UNROLLED = """MATCH (t:Twin)-[:_HISTORY]->(s:_Segment) WHERE t.dtId IN $ids AND s._to >= $from AND s._from < $to
UNWIND range(0, size(s.power) - 1) AS i
WITH t, s._from + s._dt[i] AS at, s.power[i] AS value WHERE at >= $from AND at < $to
WITH t, at / $every * $every AS bucket, avg(value) AS mean ORDER BY bucket
WITH t, collect([bucket, mean]) AS rows RETURN collect([t.dtId, rows])"""
Row = tuple[str, str]


def main() -> None:
    sizes = [int(million) for million in sys.argv[1:]] or [10]
    rows: list[Row] = []
    made, before = 0, 0

    def stopped(settings: Settings) -> None:
        rows.append(("bytes a point on disk, checkpointed", f"{(_bytes(settings) - before) / made:.1f}"))

    with bench_stack(stopped=stopped, client_rate=100_000.0) as (settings, store, registry):
        twins = [NewTwin("farm", "WindFarm"), *(NewTwin(f"t{n:03}", "Turbine") for n in range(1000))]
        ensure(store, registry.catalog, twins, [NewRelationship("farm", "contains", f"t{n:03}") for n in range(TURBINES)])
        before = _bytes(settings)
        with ours(settings) as endpoint:
            for written, day, turbines in _days():
                _write(store, day, turbines)
                made += DAY * len(turbines)
                if written and sizes and made >= sizes[0] * 1_000_000:
                    CONSOLE.print(f"{made:,} points")
                    rows += _asked(endpoint, store, made)
                    del sizes[0]
                if not sizes:
                    break
    show("history", rows, {})


def _days() -> Any:
    """Which day of which turbines next; True once the questions can be asked: the farm's last day, a turbine's month first."""
    yield False, 0, [f"t{n:03}" for n in range(TURBINES)]
    for day in range(1, MONTH):
        yield day == MONTH - 1, day, ["t000"]
    for first in range(TURBINES, 1000, 10):
        for day in range(3):
            yield True, day, [f"t{n:03}" for n in range(first, first + 10)]


def _write(store: Store, day: int, turbines: list[str]) -> None:
    rng, start = random.Random(day), (END - (day + 1) * DAY) * 1000
    for first in range(0, DAY, POINTS):
        times = [start + second * 1000 for second in range(first, first + POINTS)]
        column = [rng.random() * 3000 for _ in times]
        for part in range(0, len(turbines), 10):
            append(
                store, Batch([Series(name, times, {"power": column}, {"power": 1.0}) for name in turbines[part : part + 10]])
            )


def _asked(endpoint: Endpoint, store: Store, made: int) -> list[Row]:
    def moment(days: int) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(END - days * DAY))

    def series(days: int, every: str) -> str:
        return f'series(signals: ["power"], from: "{moment(days)}", to: "{moment(0)}", every: "{every}") {{ epochs values }}'

    farm = [f"t{n:03}" for n in range(TURBINES)]
    questions = (
        ("a day by 10 minutes", f'{{ turbine(dtId: "t000") {{ {series(1, "PT10M")} }} }}', ["t000"], 1, 600),
        ("a month by the hour", f'{{ turbine(dtId: "t000") {{ {series(MONTH, "PT1H")} }} }}', ["t000"], MONTH, 3600),
        (
            "50 turbines, a day by 10 minutes",
            f'{{ windFarm(dtId: "farm") {{ contains {{ {series(1, "PT10M")} }} }} }}',
            farm,
            1,
            600,
        ),
    )
    rows = []
    for name, query, ids, days, every in questions:
        given = {"ids": ids, "from": (END - days * DAY) * 1000, "to": END * 1000, "every": every * 1000}
        beside = _median(lambda given=given: store.read(UNROLLED, given), 5)
        for _ in range(10):
            endpoint.ask(query)
        before = cpu(endpoint.process)
        wall = _median(lambda query=query: endpoint.ask(query), REQUESTS)
        used = (cpu(endpoint.process) - before) / REQUESTS * 1000
        shown = f"{wall:.1f} ms, server CPU {used:.1f} ms; unrolled in Cypher {beside:.0f} ms"
        rows.append((f"{made:,} points, {name}", shown))
    return rows


def _median(work: Any, times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken)[times // 2]


def _bytes(settings: Settings) -> int:
    folder = Path(settings.home) / "neo4j" / "data" / "databases" / "neo4j"
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
