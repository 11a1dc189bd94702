"""Edge, region and cloud as three real processes: MQTT at the edge, windows, spools, an uplink that is away and comes back."""

import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.errors import MappingError
from app.settings import Settings
from app.stack.child import Child
from app.twins.registry import Registry
from app.twins.write import NewTwin, Position, create
from ingest.gateway import read_plan
from ingest.mqtt import connect
from ingest.spool import Aggregate, Full, Spool, lines
from tests.conftest import apart, eventually, free_port, program
from tests.ingest.base import recent
from tests.ingest.test_mqtt import publish

EDGE = """
gateway: edge
uplink: {{url: "http://127.0.0.1:{region}", token_variable: TWINGRAPH_TOKEN}}
spool: {{file: edge.sqlite}}
window: 1
grace: 0.5
aggregates: [{{of: power, by: avg}}, {{of: windSpeed, by: max}}]
mappings: [plant.yaml]
"""
PLANT = """
source: {source}
protocol: mqtt
rules: [{{match: "{source}/{{unit}}", twin: "{{unit}}", signals: {{P_W: {{to: power, scale: 0.001}}}}}}]
"""
REGION = """
gateway: region
uplink: {{url: "http://127.0.0.1:{cloud}", token_variable: TWINGRAPH_TOKEN}}
spool: {{file: region.sqlite}}
mappings: [push.yaml]
"""
PUSH = """
source: {name}
protocol: http
options: {{port: {port}}}
rules: [{{match: "twin,id={{twin}}", twin: "{{twin}}"}}]
"""


async def test_edge_region_and_cloud(tmp_path: Path, secured: Settings, broker: Child, registry: Registry) -> None:
    """While the cloud is away both take on what comes; afterwards every window is there once, with the right values."""
    store, source = registry.store, f"plant-{uuid.uuid4().hex[:8]}"
    create(store, registry.catalog, [NewTwin(name, "Turbine") for name in ("g-1", "g-2")])
    region, cloud = free_port(), free_port()
    for name, text in (
        ("edge.yaml", EDGE.format(region=region)),
        ("plant.yaml", PLANT.format(source=source)),
        ("region.yaml", REGION.format(cloud=cloud)),
        ("push.yaml", PUSH.format(name="push", port=region)),
        ("cloud.yaml", PUSH.format(name="cloud", port=cloud)),
    ):
        (tmp_path / name).write_text(text)
    for name in ("e", "r"):
        (tmp_path / name).mkdir()
    start = recent() // 1000 * 1000
    with (
        program(apart(secured, home=tmp_path / "e"), "edge", "gateway", str(tmp_path / "edge.yaml")),
        program(apart(secured, home=tmp_path / "r"), "region", "gateway", str(tmp_path / "region.yaml")),
    ):
        async with connect(secured, f"edge-{source}", clean_start=True) as plant:
            for i in range(200):  # twenty windows of ten readings, for each of two
                for unit in ("g-1", "g-2"):
                    body = {"ts": start + i * 100, "P_W": i * 1000, "windSpeed": float(i), "operatingState": "running"}
                    await publish(plant, f"{source}/{unit}", orjson.dumps(body))
            await publish(plant, f"{source}/g-1", b"{broken")
        waiting = sqlite3.connect(tmp_path / "region.sqlite")
        count = "SELECT count(*) FROM outgoing"
        assert eventually(lambda: waiting.execute(count).fetchone() == (2 * 20 * 3,), 20)
        assert (
            sqlite3.connect(tmp_path / "edge.sqlite")
            .execute("SELECT reason FROM refused")
            .fetchall()[0][0]
            .startswith("not JSON")
        )
        with program(secured, "cloud", "ingest", str(tmp_path / "cloud.yaml")):
            text = """MATCH (:Twin {dtId: $id})-[:_HISTORY]->(s:_Segment) UNWIND range(0, size(s.power) - 1) AS i
              WITH s._from + s._dt[i] AS at, s.power[i] AS power, s.windSpeed[i] AS wind ORDER BY at RETURN at, power, wind"""
            wanted = [[start + w * 1000, w * 10 + 4.5, w * 10 + 9.0] for w in range(20)]
            for unit in ("g-1", "g-2"):
                assert eventually(lambda unit=unit: len(store.read(text, {"id": unit})) >= 20, 40)
                assert store.read(text, {"id": unit}) == wanted
            assert eventually(lambda: waiting.execute(count).fetchone() == (0,), 20)
        waiting.close()


def test_a_full_spool_drops_the_oldest_or_takes_no_more(tmp_path: Path) -> None:
    """F15 in small: by the stated policy, counted, and room is used again."""
    rows = [("t", "s", i, "x" * 100) for i in range(5000)]
    stops = Spool(tmp_path / "stops.sqlite", 2 * 1024**2, drop=False)
    while _has_room(stops, rows):
        pass
    held = stops.counts()["outgoing"]
    stops.forwarded(stops.outgoing(20_000)[-1][0])
    assert stops.put(rows, [], [], windowed=False) == 0
    drops = Spool(tmp_path / "drops.sqlite", 2 * 1024**2, drop=True)
    for _ in range(100):
        drops.put(rows, [], [], windowed=False)
    counts = drops.counts()
    assert counts["dropped"] + counts["outgoing"] == 100 * 5000
    assert counts["outgoing"] <= 2 * held
    assert (tmp_path / "drops.sqlite").stat().st_size < 5 * 1024**2


def _has_room(spool: Spool, rows: list[Any]) -> bool:
    try:
        spool.put(rows, [], [], windowed=False)
    except Full:
        return False
    return True


def test_windows_are_told_once_and_positions_lie_beside_their_readings(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s.sqlite", 10 * 1024**2, drop=False)
    readings: list[Any] = [("t", "p", i * 100, float(i)) for i in range(25)] + [("t", "on", 50, b"\x01"), ("t", "n", 70, 5)]
    assert spool.put(readings, [], [Position("k", "0", 7)], windowed=True) == 0
    assert spool.put(readings[:3], [], [Position("k", "0", 8)], windowed=True) == 3
    aggregates = [Aggregate("p", by, by) for by in ("avg", "min", "max", "sum", "count", "first", "last")]
    now = round(time.time() * 1000)
    assert spool.close_windows(1000, now - 5000, aggregates) == 0  # more may come
    assert spool.close_windows(1000, now + 5000, aggregates) == 3 * 7 + 2
    assert spool.close_windows(1000, now + 5000, aggregates) == 0
    spool.close()
    again = Spool(tmp_path / "s.sqlite", 10 * 1024**2, drop=False)
    assert again.positions("k") == {"0": 8}
    told = {(signal, at): value for _, (_, signal, at, value) in again.outgoing(100)}
    first = {"avg": 4.5, "min": 0.0, "max": 9.0, "sum": 45.0, "count": 10, "first": 0.0, "last": 9.0, "on": b"\x01", "n": 5}
    assert {signal: value for (signal, at), value in told.items() if at == 0} == first
    assert told["last", 1000] == 19.0
    assert lines([("a b", "on", 5, b"\x01"), ("a b", "s", 5, 'x"y'), ("c", "n", 6, 7)]) == (
        b'twin,id=a\\ b on=t,s="x\\"y" 5\ntwin,id=c n=7i 6'
    )
    assert again.counts()["reading"] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("window: -1", "window: Input should be greater"),
        ("aggregates: [{of: power, by: median}]", "aggregates.0.by"),
        ("mappings: [missing.yaml]", "cannot read the mapping"),
        ("mappings: [units.yaml]", "knows no models"),
        ("uplink: {}", "uplink.url: Field required"),
    ],
)
def test_a_mistake_is_explained(change: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "plant.yaml").write_text(PLANT.format(source="p"))
    (tmp_path / "units.yaml").write_text(PLANT.format(source="p").replace("scale: 0.001", "unit: watt"))
    key = change.partition(":")[0]
    kept = [line for line in EDGE.format(region=1).splitlines() if not line.startswith(f"{key}:")]
    (tmp_path / "g.yaml").write_text("\n".join([*kept, change]))
    with pytest.raises(MappingError, match=said):
        read_plan(tmp_path / "g.yaml")
