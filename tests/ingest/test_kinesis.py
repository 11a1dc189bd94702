"""Kinesis against moto's server with the real client: several shards, splits and merges at work, positions in the graph."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import orjson
import pytest
from moto.server import ThreadedMotoServer

from app.errors import MappingError, StackError
from app.settings import Settings
from app.twins.directory import Directory
from app.twins.registry import Registry
from app.twins.write import positions_of
from ingest.kinesis import ENDED, KinesisSource
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.mapping.match import Matcher
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.pipeline import Pipeline
from tests.conftest import free_port
from tests.ingest.base import SourceContract, recent


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


class TestKinesis(SourceContract):
    @pytest.fixture
    def mapping(self, moto: str, monkeypatch: pytest.MonkeyPatch) -> SourceMapping:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        self.stream = f"plant-{uuid.uuid4().hex}"
        self.aws = boto3.client("kinesis", region_name="eu-central-1", endpoint_url=moto)
        self.aws.create_stream(StreamName=self.stream, ShardCount=2)
        options = {"stream": self.stream, "region": "eu-central-1", "endpoint": moto, "key": True, "every": 0.05, "look": 0.3}
        rules = (Rule(match=f"{self.stream}/{{unit}}", twin="{unit}"),)
        return SourceMapping(source=self.stream, protocol="kinesis", options=options, rules=rules, bound=("c-*",))

    @pytest.fixture
    def source(self, mapping: SourceMapping, secured: Settings) -> KinesisSource:
        return KinesisSource(mapping, secured)

    async def send(self, dt_id: str, at: int, values: dict[str, Any]) -> None:
        data = orjson.dumps({"ts": at, **values})
        await asyncio.to_thread(self.aws.put_record, StreamName=self.stream, Data=data, PartitionKey=dt_id)

    async def test_F23_reshard(self, running: Any, registry: Registry, mapping: SourceMapping, secured: Settings) -> None:
        """A shard split, two merged, while records come: no gap, parents at their end before their children begin."""
        start, sent = recent(), 0
        stop = asyncio.Event()

        async def produce() -> None:
            nonlocal sent
            while not stop.is_set():
                await self.send(f"c-0{1 + sent % 3}", start + sent, {"power": float(sent)})
                sent += 1

        producing = asyncio.create_task(produce())
        await asyncio.sleep(1)
        shards = self.aws.list_shards(StreamName=self.stream)["Shards"]
        low, high = (int(shards[0]["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
        split = {"ShardToSplit": shards[0]["ShardId"], "NewStartingHashKey": str((low + high) // 2)}
        await asyncio.to_thread(self.aws.split_shard, StreamName=self.stream, **split)
        await asyncio.sleep(1)
        opened = [one["ShardId"] for one in self.aws.list_shards(StreamName=self.stream)["Shards"] if "ParentShardId" in one]
        merge = {"ShardToMerge": opened[0], "AdjacentShardToMerge": opened[1]}
        await asyncio.to_thread(self.aws.merge_shards, StreamName=self.stream, **merge)
        await asyncio.sleep(1)
        stop.set()
        await producing
        found = await self.stored(registry.store, sent, 30)
        assert sorted(row[2] for row in found) == [float(i) for i in range(sent)]
        for _ in range(100):
            positions = positions_of(registry.store, mapping.source)
            if [positions.get(shard) for shard in (shards[0]["ShardId"], *opened)] == [ENDED] * 3:
                break
            await asyncio.sleep(0.1)
        assert [positions.get(shard) for shard in (shards[0]["ShardId"], *opened)] == [ENDED] * 3
        assert registry.store.read("MATCH (d:_DeadLetter) RETURN count(d)") == [[0]]

    async def test_a_restart_goes_on_where_it_was(
        self, running: Any, registry: Registry, mapping: SourceMapping, secured: Settings
    ) -> None:
        start = recent()
        for i in range(10):
            await self.send("c-01", start + i, {"power": float(i)})
        await self.stored(registry.store, 10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        registry.store.run("MATCH (s:_Segment) DETACH DELETE s")
        assembler = Assembler(mapping.source, registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
        again = KinesisSource(mapping, secured)
        task = asyncio.create_task(Pipeline(again, assembler, registry.store, 0.02, 1000).run())
        await self.send("c-01", start + 100, {"power": 100.0})
        assert await self.stored(registry.store, 1) == [["c-01", start + 100, 100.0]]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def test_a_stream_that_is_not_there_is_told(self, mapping: SourceMapping, secured: Settings) -> None:
        other = mapping.model_copy(update={"options": {**mapping.options, "stream": "missing"}})
        source = KinesisSource(other, secured)
        with pytest.raises(StackError, match="Kinesis refuses"):
            await source.run(lambda message: None)  # type: ignore[arg-type, return-value]
        with pytest.raises(MappingError, match="need stream"):
            KinesisSource(mapping.model_copy(update={"options": {}}), secured)
