"""The pipeline's end while the database is away."""

import asyncio
from collections.abc import Callable
from typing import Any

from app.graph.store import Store
from app.twins.directory import Directory
from app.twins.registry import Registry
from app.twins.write import NewTwin, create
from ingest.assemble import Assembler
from ingest.mapping import Mapping, Rule
from ingest.match import Matcher
from ingest.message import Message
from ingest.pipeline import GRACE_SECONDS, Pipeline
from tests.conftest import free_port


class One:
    """A source with one message, which is never acknowledged here."""

    name = "one"

    def __init__(self) -> None:
        self.acknowledged: list[Any] = []

    async def run(self, take: Callable[[Message], Any]) -> None:
        await take(Message("a", b'{"power": 1}', 1))
        await asyncio.sleep(3600)

    async def acknowledge(self, receipts: list[Any]) -> None:
        self.acknowledged += receipts


async def test_a_stop_does_not_wait_for_a_database_that_is_gone(registry: Registry) -> None:
    create(registry.store, registry.catalog, [NewTwin("a", "Turbine")])
    mapping = Mapping(source="one", protocol="mqtt", rules=(Rule(match="{unit}", twin="{unit}"),))
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
