"""F37: a peer that never says that it is at its end. Each reading is bounded, told, and the source goes on."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from asyncua import ua
from asyncua.client.ua_session import UaSession
from prometheus_client import REGISTRY

import ingest.kinesis
import ingest.opcua.nodes
import ingest.opcua.pages
import ingest.opcua.session
import ingest.payload.avro
from app.errors import Unavailable
from app.settings import Settings
from ingest.kinesis import KinesisSource
from ingest.mapping.declaration import SourceMapping
from ingest.opcua.nodes import browsed
from ingest.opcua.pages import past, references
from ingest.opcua.session import restored
from ingest.payload.avro import _schema
from tests.ingest.base import recent
from tests.ingest.test_opcua import Plant
from tests.ingest.test_opcua_faults import RULES, Line, mapped, reading, serving
from tests.pace import PACE

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1, tzinfo=UTC)


def told(what: str) -> float:
    return REGISTRY.get_sample_value("twingraph_ingest_endless_total", {"what": what}) or 0.0


async def test_F37_after_a_cut_little_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asyncua's own server answers an empty notification for each number to come."""
    asked, republish = itertools.count(), UaSession.republish

    async def counted(self: UaSession, subscription: int, number: int) -> Any:
        next(asked)
        return await republish(self, subscription, number)

    monkeypatch.setattr(UaSession, "republish", counted)
    async with serving(Plant()) as plant, Line(int(plant.url.rpartition(":")[2].partition("/")[0])) as line:
        url = plant.url.replace(plant.url.rpartition(":")[2].partition("/")[0], str(line.port))
        options = {"url": url, "namespace": "urn:test:plant"}
        with structlog.testing.capture_logs() as said:
            async with reading(mapped(plant, "cut", **options)) as reader:
                await asyncio.sleep(1)
                await plant.write("c.01.power", 1.0, recent())
                await reader.until(lambda: 1.0 in reader.values("c.01.power"))
                line.drop()
                await reader.until(lambda: any(one["event"] == "source connection restored" for one in said), 30)
                await plant.write("c.01.power", 2.0, recent() + 1000)
                await reader.until(lambda: 2.0 in reader.values("c.01.power"))
    assert next(asked) < 20


class Republishing:
    """A subscription whose server has always one notification more."""

    def __init__(self, kept: list[int], empty: bool = False) -> None:
        self.server, self.subscription_id, self.last_sequence_number = self, 7, 3
        self.kept, self.empty, self.asked, self.came, self.made_anew = kept, empty, 0, 0, 0
        self._subscription_callbacks: dict[int, Any] = {}
        self._replaying, self.last_publish_at = False, 0.0

    async def transfer_subscriptions(self, _: Any) -> list[Any]:
        return [ua.TransferResult(AvailableSequenceNumbers=self.kept)]

    async def republish(self, _: int, number: int) -> Any:
        self.asked += 1
        data = [] if self.empty else [ua.ExtensionObject()]
        return ua.NotificationMessage(SequenceNumber=number, NotificationData=data)

    async def set_publishing_mode(self, _: Any) -> list[ua.StatusCode]:
        return [ua.StatusCode(ua.StatusCodes.Good)]

    async def publish_callback(self, _: Any) -> None:
        self.came += 1

    async def recreate(self) -> None:
        self.made_anew += 1


@pytest.mark.parametrize(
    ("kept", "empty", "asked", "came", "made_anew"),
    [
        ([], False, 50, 50, 1),
        ([], True, 1, 0, 0),
        (list(range(100_000)), False, 50, 50, 1),
        ([2, 3, 4, 5], False, 2, 2, 0),
        ([4, 5], True, 1, 0, 1),
    ],
)
async def test_F37_numbers_without_end(
    monkeypatch: pytest.MonkeyPatch, kept: list[int], empty: bool, asked: int, came: int, made_anew: int
) -> None:
    monkeypatch.setattr(ingest.opcua.session, "MOST_MISSED", 50)
    made = Republishing(kept, empty)
    await asyncio.wait_for(restored(made), PACE * 10)
    assert (made.asked, made.came, made.made_anew) == (asked, came, made_anew)


class Browsing:
    """A node below which there is always one page more; of `fresh` pages each brings something new."""

    def __init__(self, fresh: bool) -> None:
        self.session, self.nodeid = self, ua.NodeId("top", 2)
        self.fresh, self.pages, self.released = fresh, 0, False

    async def browse(self, _: Any) -> list[Any]:
        self.pages += 1
        name = f"n{self.pages if self.fresh else 0}"
        one = ua.ReferenceDescription(NodeId=ua.NodeId(name, 2), NodeClass=ua.NodeClass.Variable)
        return [ua.BrowseResult(ContinuationPoint=b"%d" % self.pages, References=[one])]

    async def browse_next(self, parameters: Any) -> list[Any]:
        self.released = parameters.ReleaseContinuationPoints
        return await self.browse(parameters)


@pytest.mark.parametrize(("fresh", "found"), [(True, 30), (False, 1)])
async def test_F37_browsing_without_end(monkeypatch: pytest.MonkeyPatch, fresh: bool, found: int) -> None:
    monkeypatch.setattr(ingest.opcua.pages, "MOST_REFERENCES", 30)
    made, before = Browsing(fresh), told("browsing")
    assert len(await asyncio.wait_for(references(made, ua.NodeClass.Variable), PACE * 10)) == found  # type: ignore[arg-type]
    assert made.released
    assert made.pages < 40
    assert told("browsing") == before + 1


async def test_F37_objects_in_a_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a server that makes a new object below each."""
    made: dict[ua.NodeId, Any] = {}

    def node(node_id: ua.NodeId) -> Any:
        return made.setdefault(node_id, SimpleNamespace(nodeid=node_id))

    async def below(one: Any, _: Any) -> list[Any]:
        number = int(str(one.nodeid.Identifier).removeprefix("o") or 0) if one.nodeid.NamespaceIndex == 2 else 0
        objects = [f"o{(number + 1) % ring}" if ring else f"o{number + 1}"]
        kinds = [(name, ua.NodeClass.Object) for name in objects] + [(f"v{number}", ua.NodeClass.Variable)]
        return [ua.ReferenceDescription(NodeId=ua.NodeId(name, 2), NodeClass=kind) for name, kind in kinds]

    monkeypatch.setattr(ingest.opcua.nodes, "references", below)
    monkeypatch.setattr(ingest.opcua.nodes, "MOST_OBJECTS", 100)
    client: Any = SimpleNamespace(nodes=SimpleNamespace(objects=node(ua.NodeId(85))), get_node=node)
    everything = [SimpleNamespace(fullmatch=lambda _: True)]
    for ring, variables, endless in ((5, 5, 0), (0, 100, 1)):  # noqa: B007 `below` reads it
        before = told("browsing")
        found = await asyncio.wait_for(browsed(client, 2, everything), PACE * 10)
        assert (len(found), told("browsing") - before) == (variables, endless)


class Recorded:
    """A history with always one page more: `step` forward each, or not at all."""

    def __init__(self, step: timedelta) -> None:
        self.nodeid, self.step, self.pages = ua.NodeId("n", 2), step, 0

    async def history_read(self, *_: Any) -> Any:
        self.pages += 1
        stamp = START + self.step * self.pages
        data = ua.HistoryData(DataValues=[ua.DataValue(ua.Variant(1.0), SourceTimestamp=stamp)])
        answer = ua.HistoryReadResult(ContinuationPoint=b"%d" % self.pages)
        answer.HistoryData = data  # type: ignore[assignment]
        return answer


@pytest.mark.parametrize(("step", "pages"), [(timedelta(0), 5), (timedelta(minutes=7), 9), (timedelta(microseconds=1), 40)])
async def test_F37_history_without_end(monkeypatch: pytest.MonkeyPatch, step: timedelta, pages: int) -> None:
    monkeypatch.setattr(ingest.opcua.pages, "MOST_VALUES", 40)
    made, before = Recorded(step), told("reading history")
    async with asyncio.timeout(PACE * 10):
        values = [value async for value in past(made, START, START + timedelta(hours=1))]  # type: ignore[arg-type]
    assert (made.pages, len(values)) == (pages, pages)
    assert told("reading history") == before + 1


def shards() -> Iterator[dict[str, Any]]:
    for number in itertools.count():
        yield {"Shards": [{"ShardId": f"s{number}", "SequenceNumberRange": {}}]}


async def test_F37_shards_and_records_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.kinesis, "MOST_SHARDS", 20)
    options = {"stream": "s", "every": 0.01}
    source = KinesisSource(SourceMapping(source="endless", protocol="kinesis", options=options, rules=RULES), Settings())
    before = told("listing shards")
    client: Any = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: shards()))
    assert len(source._shards(client)) == 21
    assert told("listing shards") == before + 1
    record = {"PartitionKey": "p", "SequenceNumber": "5", "Data": b"", "ApproximateArrivalTimestamp": START}
    client.get_shard_iterator = lambda **_: {"ShardIterator": "i"}
    client.get_records = lambda **_: {"Records": [record], "NextShardIterator": "i", "MillisBehindLatest": 1}
    taken = []

    async def take(message: Any) -> None:
        taken.append(message)

    with pytest.raises(Unavailable, match="the same records of s0 again"):
        await asyncio.wait_for(source._read(client, "s0", {}, take), PACE * 10)
    assert len(taken) == 1


class Dripping(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" " * (65536 if "/1" in self.path else 1))
                self.wfile.flush()
                if not self.path.endswith("/1"):
                    time.sleep(0.05)
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        pass


def test_F37_a_registry_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that sends too much, one that sends a byte now and then."""
    monkeypatch.setattr(ingest.payload.avro, "TIMEOUT", 1.0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        for number in (1, 2):
            with pytest.raises(Unavailable, match="schema registry"):
                _schema(f"http://127.0.0.1:{server.server_port}", number)
    finally:
        server.shutdown()
        server.server_close()
