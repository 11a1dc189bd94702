"""Hostile MQTT: random bytes, topics and shapes at a source of each kind; what is sound among them still comes."""

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from app.settings import Settings
from app.stack.child import Child
from app.twins.edit import NewTwin, ensure
from app.twins.registry import Registry
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.mqtt import MqttSource, connect
from ingest.sparkplug.source import SparkplugSource
from tests.ingest.base import recent
from tests.ingest.test_extremes import Running
from tests.ingest.test_sparkplug import body, power
from tests.pace import PACE
from tests.rigs.mqtt import publish

COUNT = 300
PIECES = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"power", b'"ts"', b"\\u0000", b"\\ud800", b"\xff", b"\x00", b"-", b"1e999"),
    *(b"null", b"true", b"NaN", b"\xf0\x9f\x98\x80", b" ", b"power=1 2", b"\n", b"\x08\x96\x01", b"\x12\x02"),
    *(b"9" * 400, b"[" * 2000, b'{"a":' * 2000),
)
LEVELS = ("t", "", "..", "é", "😀", "a" * 5000, "`", "'", '"', "{", "$x", "%00", " ", "t/t/t", "\ufeff", "DROP", "\\")


def payloads(rng: random.Random) -> Iterator[bytes]:
    sound = json.dumps({"ts": recent(), "power": 1.0, "windSpeed": 2.0}).encode()
    for _ in range(COUNT):
        match rng.randrange(4):
            case 0:
                yield rng.randbytes(rng.randrange(200))
            case 1:
                yield b"".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 12)))
            case 2:  # a sound one with a byte changed
                place = rng.randrange(len(sound))
                yield sound[:place] + rng.randbytes(1) + sound[place + 1 :]
            case _:
                yield sound[: rng.randrange(len(sound))]


@pytest.mark.parametrize("payload", ["json", "csv", "msgpack", "cloudevents"])
async def test_hostile_mqtt(payload: Any, registry: Registry, secured: Settings, broker: Child) -> None:
    name = f"hostile-{payload}"
    ensure(registry.store, registry.catalog, [NewTwin(f"{name}-t", "Turbine")], [])
    twin = f"{name}-{{unit}}"
    rules = (Rule(match=f"{name}/{{unit}}/power", twin=twin, payload=payload), Rule(match=f"{name}/{{unit}}/sound", twin=twin))
    mapping = SourceMapping(source=name, protocol="mqtt", rules=rules)
    rng, running = random.Random(payload), Running(MqttSource(mapping, secured), mapping, registry)
    async with running, connect(secured, f"{name}-plant", clean_start=True) as plant:
        for hostile in payloads(rng):
            await publish(plant, f"{name}/{rng.choice(LEVELS)}/power", hostile)
        await publish(plant, f"{name}/t/sound", json.dumps({"ts": recent() + 1000, "power": 77.0}).encode())
        async with asyncio.timeout(PACE * 60):
            while latest(registry, f"{name}-t") != 77.0:
                await asyncio.sleep(0.1)
        assert running.pipeline.problem is None


async def test_hostile_sparkplug(registry: Registry, secured: Settings, broker: Child) -> None:
    """Random bytes, broken births, numbers out of turn; then an edge node as it should be."""
    ensure(registry.store, registry.catalog, [NewTwin("edge-D", "Turbine")], [])
    rules = (Rule(match="Hostile/{node}/{device}", twin="edge-{device}"),)
    mapping = SourceMapping(source="hostile-sparkplug", protocol="sparkplug", options={"groups": ["Hostile"]}, rules=rules)
    rng, running = random.Random(7), Running(SparkplugSource(mapping, secured), mapping, registry)
    sound = (body(0, bd_seq=0, at=recent()), body(1, power(1.0), at=recent()), body(None, bd_seq=1))
    async with running, connect(secured, "hostile-edge", clean_start=True) as plant:
        for _ in range(COUNT):
            kind, packet = rng.choice(("NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH", "NCMD", "STATE", "X", "")), b""
            match rng.randrange(3):
                case 0:
                    packet = rng.randbytes(rng.randrange(100))
                case 1:
                    whole = rng.choice(sound)
                    place = rng.randrange(len(whole))
                    packet = whole[:place] + rng.randbytes(1) + whole[place + 1 :]
                case _:
                    packet = rng.choice(sound)
            device = f"/{rng.choice(('D', 'é', '', '..', 'a/b'))}" if kind.startswith("D") else ""
            await publish(plant, f"spBv1.0/Hostile/{kind}/N{rng.randrange(3)}{device}", packet)
        await publish(plant, "spBv1.0/Hostile/NBIRTH/N9", body(0, bd_seq=0, at=recent()))
        await publish(plant, "spBv1.0/Hostile/DBIRTH/N9/D", body(1, power(77.0, timestamp=recent() + 1000), at=recent() + 1000))
        async with asyncio.timeout(PACE * 60):
            while latest(registry, "edge-D") != 77.0:
                await asyncio.sleep(0.1)
        assert running.pipeline.problem is None


def latest(registry: Registry, dt_id: str) -> Any:
    return registry.store.read("MATCH (t:Twin {dtId: $dtId}) RETURN t.power", {"dtId": dt_id})[0][0]
