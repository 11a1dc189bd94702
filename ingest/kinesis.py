"""Kinesis: every shard of a stream, its position committed with the readings in one transaction of the graph.

An address is the stream's name, or with `key: true` stream/partition key. Credentials are those of the AWS SDK (environment,
profile, role). A shard that was split or merged is read to its end, and committed, before those that came of it begin."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field

from app import metrics
from app.errors import StackError, Unavailable
from app.settings import Settings
from app.twins.write import Position
from ingest.mapping.declaration import SourceMapping
from ingest.options import Options
from ingest.source import Message, Reconnecting, Take

log = structlog.get_logger()
EVERY, LOOK_SECONDS, AT_ONCE = 1.0, 10.0, 1000
MOST_SHARDS = 10_000
WIDTH = 64  # sequence numbers are long whole numbers; as texts of one width they are ordered alike
ENDED = "~"  # greater than every number
REFUSED = ("AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ResourceNotFoundException")


class KinesisOptions(Options):
    stream: str = Field(min_length=1, description="name of the stream")
    region: str | None = Field(None, description="AWS region; the SDK's")
    endpoint: str | None = Field(None, description="another endpoint than AWS's")
    key: bool = Field(False, description="the address is stream/partition key")
    start: Literal["TRIM_HORIZON", "LATEST"] = Field("TRIM_HORIZON", alias="from", description="where a new shard begins")
    every: float = Field(EVERY, gt=0, description="time between two reads of a shard that has nothing new [s]")
    look: float = Field(LOOK_SECONDS, gt=0, description="time between two looks for new shards [s]")


class KinesisSource(Reconnecting):
    LOST = (BotoCoreError, ClientError, Unavailable)

    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        self.name, options = mapping.source, KinesisOptions.of(mapping)
        self._stream, self._keyed = options.stream, options.key
        self._from, self._every, self._look = options.start, options.every, options.look
        self._where = {"region_name": options.region, "endpoint_url": options.endpoint}
        self._closed: set[str] = set()  # shards that take no more
        self._committed = asyncio.Event()

    @property
    def where(self) -> str:
        return self._stream

    def refusal(self, error: Exception) -> StackError | None:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        hint = "the AWS SDK's credentials"
        return StackError(f"Kinesis refuses: {error}", where=self._stream, hint=hint) if code in REFUSED else None

    async def session(self, take: Take) -> None:
        client = boto3.client("kinesis", **self._where, config=Config(retries={"mode": "standard"}, read_timeout=20))
        await self._consume(client, take)

    async def _consume(self, client: Any, take: Take) -> None:
        """Looks for shards again and again; each is read by a task of its own, once its parents are at their end."""
        reading: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                stored = await asyncio.to_thread(self.stored)
                shards = await asyncio.to_thread(self._shards, client)
                for shard, parents in shards.items():
                    ready = all(stored.get(parent) == ENDED for parent in parents if parent in shards)
                    if shard not in reading and ready and stored.get(shard) != ENDED:
                        reading[shard] = tasks.create_task(self._read(client, shard, stored, take))
                self._committed.clear()
                try:
                    async with asyncio.timeout(self._look):
                        await self._committed.wait()
                except TimeoutError:
                    continue

    def _shards(self, client: Any) -> dict[str, tuple[str, ...]]:
        """Each shard and its parents."""
        shards: list[Any] = []
        for page in client.get_paginator("list_shards").paginate(StreamName=self._stream):
            shards += page["Shards"]
            if len(shards) > MOST_SHARDS:
                metrics.ENDLESS.labels("listing shards").inc()
                log.warning("stream exceeds the shard limit", source=self.name, shards=len(shards))
                break
        self.connected()
        self._closed = {shard["ShardId"] for shard in shards if "EndingSequenceNumber" in shard["SequenceNumberRange"]}
        keys = ("ParentShardId", "AdjacentParentShardId")
        return {shard["ShardId"]: tuple(shard[key] for key in keys if key in shard) for shard in shards}

    async def _read(self, client: Any, shard: str, stored: Mapping[str, int | str], take: Take) -> None:
        iterator = await asyncio.to_thread(self._iterator, client, shard, str(stored.get(shard, "")))
        log.info("reading shard", source=self.name, shard=shard, after=stored.get(shard))
        newest = ""
        while iterator:
            try:
                answer = await asyncio.to_thread(client.get_records, ShardIterator=iterator, Limit=AT_ONCE)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "ProvisionedThroughputExceededException":
                    await asyncio.sleep(self._every)
                    continue
                if code != "ExpiredIteratorException":
                    raise
                await asyncio.sleep(self._every)
                stored = await asyncio.to_thread(self.stored)
                iterator = await asyncio.to_thread(self._iterator, client, shard, str(stored.get(shard, "")))
                newest = ""
                continue
            records = answer["Records"]
            if records:
                before, newest = newest, records[-1]["SequenceNumber"].zfill(WIDTH)
                if newest <= before:
                    metrics.ENDLESS.labels("reading a shard").inc()
                    raise Unavailable(f"Kinesis answers the same records of {shard} again", where=self._stream)
            for record in records:
                address = f"{self._stream}/{record['PartitionKey']}" if self._keyed else self._stream
                receipt = (shard, record["SequenceNumber"].zfill(WIDTH))
                received = round(record["ApproximateArrivalTimestamp"].timestamp() * 1000)
                await take(Message(address, record["Data"], None, receipt, received))
            iterator = answer.get("NextShardIterator")
            if not records and not answer.get("MillisBehindLatest") and shard in self._closed:
                break
            if not records or not answer.get("MillisBehindLatest"):
                await asyncio.sleep(self._every)
        await take(Message(self._stream, None, None, (shard, ENDED)))

    def _iterator(self, client: Any, shard: str, after: str) -> str | None:
        where: dict[str, str] = {"ShardIteratorType": self._from}
        if after:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after.lstrip("0")}
        iterator: str = client.get_shard_iterator(StreamName=self._stream, ShardId=shard, **where)["ShardIterator"]
        return iterator

    def positions(self, receipts: Sequence[tuple[str, str]]) -> Sequence[Position]:
        ends: dict[str, str] = {}
        for shard, number in receipts:
            ends[shard] = max(ends.get(shard, ""), number)
        return [Position(self.name, shard, number) for shard, number in ends.items()]

    async def acknowledge(self, receipts: Sequence[tuple[str, str]]) -> None:
        if any(number == ENDED for _, number in receipts):
            self._committed.set()
