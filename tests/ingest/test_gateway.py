"""Edge, region and cloud as three real processes: MQTT at the edge, windows, spools, an uplink that is away and comes back."""

import asyncio
import gzip
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.errors import MappingError, Unavailable
from app.settings import Settings
from app.stack.child import Child
from app.twins.edit import NewTwin, create
from app.twins.registry import Registry
from app.twins.write import Position
from ingest.gateway.gateway import forward, read_plan
from ingest.gateway.spool import Aggregate, Spool, lines
from ingest.mqtt import connect
from tests.conftest import apart, eventually, free_port, program
from tests.ingest.base import recent
from tests.pace import PACE
from tests.rigs.mqtt import publish

EDGE = """
gateway: edge
uplink: {{url: "http://127.0.0.1:{region}", token_variable: TWINGRAPH_PUSH_TOKEN}}
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

            def is_whole(unit: str) -> bool:
                return len(store.read(text, {"id": unit})) >= 20

            for unit in ("g-1", "g-2"):
                assert eventually(partial(is_whole, unit), 40)
                assert store.read(text, {"id": unit}) == wanted
            assert eventually(lambda: waiting.execute(count).fetchone() == (0,), 20)
        waiting.close()


def test_F15_a_full_spool_drops_the_oldest_or_takes_no_more(tmp_path: Path) -> None:
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Four megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_F15_disk_full(small_disk: Path) -> None:
    """What has no room is refused, so it stays unacknowledged; nothing is spoilt; with room again it goes on."""
    spool = Spool(small_disk / "spool.sqlite", 1024**3, drop=False)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 1024**2)
    taken = 0
    while _has_room(spool, [("t", "s", taken + i, "x" * 100) for i in range(1000)]):
        taken += 1000
    held = spool.counts()["outgoing"]
    assert held == taken > 0
    with pytest.raises(Unavailable):
        spool.put([("t", "s", taken + i, "x" * 100) for i in range(1000)], [], [], windowed=False)
    filler.unlink()
    spool.put([("t", "s", taken + i, "x" * 100) for i in range(1000)], [], [], windowed=False)
    assert spool.counts()["outgoing"] == held + 1000
    assert [row[1][2] for row in spool.outgoing(10**6)] == list(range(held + 1000))
    spool.close()
    with closing(sqlite3.connect(small_disk / "spool.sqlite")) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_F14_sink_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The far end answers nothing for a while, then slowly: taking is as fast as ever, all is delivered, in order."""
    monkeypatch.setattr("ingest.gateway.gateway.TIMEOUT", 0.5)
    silent, rows = True, [("t", "s", at, float(at)) for at in range(2000)]
    delivered: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
        await asyncio.sleep(3600 if silent else 0.2)
        delivered.append(gzip.decompress(body))
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    port = free_port()
    server = await asyncio.start_server(answer, "127.0.0.1", port)
    uplink = f"uplink: {{url: 'http://127.0.0.1:{port}'}}"
    (tmp_path / "edge.yaml").write_text(f"gateway: e\n{uplink}\nspool: {{file: e.sqlite}}\nmappings: []")
    plan, _ = read_plan(tmp_path / "edge.yaml")
    spool = Spool(tmp_path / "e.sqlite", 10 * 1024**2, drop=False)
    forwarding = asyncio.create_task(forward(spool, plan))
    slowest = 0.0
    for first in range(0, 2000, 20):
        began = time.perf_counter()
        await asyncio.to_thread(spool.put, rows[first : first + 20], [], [], False)
        slowest = max(slowest, time.perf_counter() - began)
        silent = first < 1500
        await asyncio.sleep(0.02)
    async with asyncio.timeout(PACE * 30):
        while spool.counts()["outgoing"]:
            await asyncio.sleep(0.1)
    forwarding.cancel()
    server.close()
    assert slowest < 0.5  # the far end's silence is longer
    once = list(dict.fromkeys(line for body in delivered for line in body.splitlines()))  # a late answer is asked for again
    assert once == lines(rows).splitlines()


def _has_room(spool: Spool, rows: list[Any]) -> bool:
    try:
        spool.put(rows, [], [], windowed=False)
    except Unavailable:
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
