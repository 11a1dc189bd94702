"""What every source must do, tested once and inherited: a protocol brings `send` and its own mapping."""

import asyncio
import random
import time
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.graph.store import Store
from app.twins import edit
from app.twins.directory import Directory
from app.twins.registry import Registry
from ingest.mapping.declaration import SourceMapping
from ingest.mapping.match import Matcher
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.pipeline import Pipeline
from ingest.source import Message
from tests.pace import PACE


def recent(offset: int = 0) -> int:
    return round(time.time()) * 1000 - 3_600_000 + offset


async def nowhere(message: Message) -> None:
    """Takes a message and does nothing with it."""


class SourceContract:
    """What a subclass has:

    - the fixture `mapping`: rules that lead to twins `c-01` to `c-03` of model Turbine, whose signals bear DTDL's names and
      whose event time [epoch ms] is `ts`, and `bound=("c-*",)`;
    - the fixture `source`, made of `mapping` and `secured` (the settings, with passwords);
    - `send(dtId, at, values)`, which returns when the far end has the reading; `prepare`, where the source needs longer than
      half a second until it listens."""

    @pytest.fixture
    def twins(self, registry: Registry) -> list[str]:
        names = ["c-01", "c-02", "c-03"]
        edit.ensure(registry.store, registry.catalog, [edit.NewTwin(name, "Turbine") for name in names], [])
        return names

    @pytest.fixture
    async def running(self, registry: Registry, twins: list[str], mapping: SourceMapping, source: Any) -> Any:
        registry.store.command("MATCH (s:_Segment|_DeadLetter) DETACH DELETE s")
        registry.store.run("MATCH (t:Twin) REMOVE t._last, t.power, t._at_power, t.windSpeed, t._at_windSpeed")
        assembler = Assembler(mapping.source, registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
        task = asyncio.create_task(Pipeline(source, assembler, registry.store, 0.02, 1000).run())
        await self.prepare()
        yield task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def prepare(self) -> None:
        await asyncio.sleep(0.5)

    async def send(self, dt_id: str, at: int, values: dict[str, Any]) -> None:
        raise NotImplementedError

    async def stored(self, store: Store, expected: int, seconds: float = 15) -> list[list[Any]]:
        """[dtId, time, power] of every point, once there are `expected` of them."""
        text = """MATCH (t:Twin)-[:_HISTORY]->(s:_Segment) WHERE s.power IS NOT NULL
          WITH t, s, coalesce(s._dt_power, s._dt) AS dt UNWIND range(0, size(s.power) - 1) AS i
          RETURN t.dtId AS id, s._from + dt[i] AS at, s.power[i] AS power ORDER BY id, at"""
        deadline = time.monotonic() + PACE * seconds
        while True:
            rows = await asyncio.to_thread(store.read, text)
            if len(rows) >= expected or time.monotonic() > deadline:
                return rows
            await asyncio.sleep(0.05)

    async def test_readings_arrive(self, running: Any, registry: Registry) -> None:
        start = recent()
        sent: list[Any] = [["c-01", start + i * 1000, float(i)] for i in range(20)]
        for dt_id, at, value in sent:
            await self.send(dt_id, at, {"power": value})
        found = await self.stored(registry.store, 20)
        assert found == sent

    async def test_order_of_arrival_does_not_matter(self, running: Any, registry: Registry) -> None:
        start = recent()
        sent: list[Any] = [["c-02", start + i * 1000, float(i)] for i in range(20)]
        for dt_id, at, value in random.Random(3).sample(sent, 20):
            await self.send(dt_id, at, {"power": value})
        found = await self.stored(registry.store, 20)
        assert found == sent
        assert registry.store.read("MATCH (t:Twin {dtId: 'c-02'}) RETURN t.power") == [[19.0]]

    async def test_duplicates_are_stored_once(self, running: Any, registry: Registry) -> None:
        start = recent()
        for _ in range(3):
            await self.send("c-01", start, {"power": 1.0})
        await self.send("c-01", start + 1000, {"power": 2.0})
        found = await self.stored(registry.store, 2)
        assert found == [["c-01", start, 1.0], ["c-01", start + 1000, 2.0]]

    async def test_F2_the_database_comes_back(
        self, running: Any, registry: Registry, source: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """F2 in small: while the database is away nothing is acknowledged; then all is there once, and acknowledged."""
        write_, acknowledge, calls, acknowledged = Store.write, source.acknowledge, [], []

        def away(self: Store, work: Any) -> Any:
            calls.append(1)
            if len(calls) < 4:
                raise StoreUnavailable("away for a test")
            return write_(self, work)

        async def noted(receipts: Any) -> None:
            acknowledged.append(len(calls))
            await acknowledge(receipts)

        monkeypatch.setattr(Store, "write", away)
        monkeypatch.setattr(source, "acknowledge", noted)
        start = recent()
        await self.send("c-03", start, {"power": 3.0})
        found = await self.stored(registry.store, 1)
        assert found == [["c-03", start, 3.0]]
        assert len(calls) >= 4
        async with asyncio.timeout(PACE * 10):
            while not acknowledged:
                await asyncio.sleep(0.01)
        assert min(acknowledged) >= 4, "acknowledged before it was committed"
        await self.require_unheld(source)

    async def require_unheld(self, source: Any) -> None:
        """Where it can be seen: that what was acknowledged is gone at the far end, and not before."""
