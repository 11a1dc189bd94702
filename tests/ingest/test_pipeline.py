"""The pipeline's end while the database is away."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.graph.store import Store
from app.twins.directory import Directory
from app.twins.edit import NewTwin, create
from app.twins.registry import Registry
from ingest.mapping.declaration import Rule, SourceMapping, Under
from ingest.mapping.match import Matcher
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.pipeline import GRACE_SECONDS, Pipeline
from ingest.source import Message, Source, Take
from tests.conftest import free_port
from tests.ingest.base import recent


class One(Source):
    """A source with one message, which is never acknowledged here."""

    name = "one"

    def __init__(self) -> None:
        self.acknowledged: list[Any] = []

    async def run(self, take: Take) -> None:
        await take(Message("a", b'{"power": 1}', 1))
        await asyncio.sleep(3600)

    async def until(self, count: int) -> None:
        """Waits while fewer are acknowledged, for five seconds at most."""
        for _ in range(100):
            if len(self.acknowledged) >= count:
                break
            await asyncio.sleep(0.05)

    async def acknowledge(self, receipts: Sequence[Any]) -> None:
        self.acknowledged += receipts


class Some(One):
    """A source with a few messages."""

    def __init__(self, *messages: Message) -> None:
        super().__init__()
        self.messages = messages

    async def run(self, take: Take) -> None:
        for message in self.messages:
            await take(message)
        await asyncio.sleep(3600)


async def test_missing_twins_are_created_by_rule(registry: Registry) -> None:
    """Below the farm that the rule names; what can be no dtId is refused, what is not bound, too."""
    store = registry.store
    create(store, registry.catalog, [NewTwin("wf1", "WindFarm")])
    rule = Rule(match="{farm}/{unit}", twin="{farm}-{unit}", create="Turbine", under=Under(twin="{farm}", by="contains"))
    mapping = SourceMapping(source="one", protocol="mqtt", rules=(rule,), bound=("wf*",))
    source = Some(*(Message(address, b'{"power": 1}', recent()) for address in ("wf1/t1", "wf1/t2", "x/t1", "wf1/ü /")))
    assembler = Assembler("one", registry.catalog, Matcher(mapping, Directory(store)), 600)
    running = asyncio.create_task(Pipeline(source, assembler, store, 0.01, 10).run())
    await source.until(4)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    found = store.read("MATCH (:Twin {dtId: 'wf1'})-[:contains]->(t:Turbine) RETURN t.dtId, t.power ORDER BY t.dtId")
    assert found == [["wf1-t1", 1.0], ["wf1-t2", 1.0]]
    letters = store.read("MATCH (d:_DeadLetter) RETURN d.topic, d.code ORDER BY d.topic")
    assert letters == [["wf1/ü /", "NO_RULE"], ["x/t1", "NOT_BOUND"]]


async def test_a_stop_does_not_wait_for_a_database_that_is_gone(registry: Registry) -> None:
    create(registry.store, registry.catalog, [NewTwin("a", "Turbine")])
    mapping = SourceMapping(source="one", protocol="mqtt", rules=(Rule(match="{unit}", twin="{unit}"),))
    source = One()
    assembler = Assembler("one", registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
    with Store(f"bolt://127.0.0.1:{free_port()}", "neo4j", "x") as away:
        pipeline = Pipeline(source, assembler, away, 0.01, 10)
        running = asyncio.create_task(pipeline.run())
        await asyncio.sleep(1)
        running.cancel()
        done, _ = await asyncio.wait((running,), timeout=GRACE_SECONDS + 5)
    assert done
    assert source.acknowledged == []


async def test_no_message_stops_the_others(registry: Registry) -> None:
    """What fails in no foreseen way, and a time beyond all bounds, is rejected; the rest of its batch is stored."""
    store, start = registry.store, recent()
    store.command("MATCH (n:Twin|_Segment|_DeadLetter) DETACH DELETE n")
    create(store, registry.catalog, [NewTwin("a", "Turbine")])
    rules = (Rule(match="answer", twin="a", kind="answer"), Rule(match="{unit}", twin="{unit}"))
    mapping = SourceMapping(source="one", protocol="mqtt", rules=rules)
    deep = b'{"id": "1", "status": "SUCCEEDED", "response": ' + b"[" * 300 + b"]" * 300 + b"}"
    good = [Message("a", b'{"power": 1}', start + number, number) for number in range(20)]
    source = Some(*good[:10], Message("answer", deep, None, 100), Message("a", b'{"power": 1}', 2**70, 101), *good[10:])
    assembler = Assembler("one", registry.catalog, Matcher(mapping, Directory(store)), 600)
    running = asyncio.create_task(Pipeline(source, assembler, store, 0.05, 100).run())
    await source.until(22)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(source.acknowledged) == 22
    assert store.read("MATCH (s:_Segment) RETURN sum(size(s.power))") == [[20]]
    codes = store.read("MATCH (d:_DeadLetter) RETURN d.code ORDER BY d.code")
    assert codes == [["CLOCK_SKEW"], ["NOT_TAKEN"]]


async def test_what_was_under_way_comes_first_when_a_source_is_started_again(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a later position would be committed before what was never written."""
    monkeypatch.setattr("ingest.pipeline.pipeline.GRACE_SECONDS", 0.3)
    store, start = registry.store, recent()
    store.command("MATCH (n:Twin|_Segment|_DeadLetter) DETACH DELETE n")
    create(store, registry.catalog, [NewTwin("a", "Turbine")])
    mapping = SourceMapping(source="one", protocol="mqtt", rules=(Rule(match="{unit}", twin="{unit}"),))
    source = Some(*(Message("a", b'{"power": 1}', start + number, number) for number in range(6)))
    assembler = Assembler("one", registry.catalog, Matcher(mapping, Directory(store)), 600)
    pipeline = Pipeline(source, assembler, store, 0.01, 3)

    def away(self: Store, work: Any) -> Any:
        raise StoreUnavailable("away for a test")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "write", away)
        running = asyncio.create_task(pipeline.run())
        await asyncio.sleep(0.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    source.messages = ()
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert source.acknowledged == list(range(6))
    assert store.read("MATCH (s:_Segment) RETURN sum(size(s.power))") == [[6]]
