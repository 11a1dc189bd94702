"""The feed: every kind of change wakes who listens to it and nobody else; whatever goes wrong once, the next one is told."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.events import feed as feeds
from app.events.feed import Feed, Kind, Topic
from app.graph.statements import statement
from app.graph.store import Store
from app.history.series import Series
from app.twins.edit import NewTwin, create, delete, patch
from app.twins.registry import Registry
from app.twins.write import Batch, Event, Quality, append
from tests.pace import PACE

T1 = Topic(Kind.TWIN, "t1")
AT = 1_700_000_000_000


@pytest.fixture
def plant(registry: Registry) -> Iterator[Registry]:
    create(registry.store, registry.catalog, [NewTwin(name, "Turbine") for name in ("t1", "t2")])
    measured(AT + 10, power=1.0, windSpeed=1.0)(registry)
    properties = {"command": "stop", "request": "null", "timeout": 10.0}
    registry.store.run(statement("command/issue"), dtId="t1", id="c1", properties=properties)
    yield registry
    registry.store.run("MATCH (t:Twin)-[*0..1]-(n) WHERE NOT n:_Interface DETACH DELETE n")


def measured(at: int, **values: float) -> Callable[[Registry], Any]:
    return lambda plant: append(plant.store, Batch([Series("t1", [at], {k: [v] for k, v in values.items()}, values)]))


def batch(**parts: Any) -> Callable[[Registry], Any]:
    return lambda plant: append(plant.store, Batch(**parts))


ALARM = Event("t2", "t2|HOT", "alarm", {"code": "HOT", "at": datetime(2026, 1, 1, tzinfo=UTC)})
ANSWER = {"id": "c1", "status": "SUCCEEDED", "response": "null", "reason": None}


@pytest.mark.parametrize(
    ("topic", "change"),
    [
        (T1, measured(AT + 20, power=2.0)),
        (T1, measured(AT + 5, rotorSpeed=2.0)),  # late, but its signal's newest
        (T1, batch(stale=[{"id": "t1", "at": AT + 10}])),
        (T1, batch(qualities=[Quality("t1", "power", "Bad", AT + 10)])),
        (T1, lambda plant: patch(plant.store, plant.catalog, "t1", {"maintenanceNote": "oil"})),
        (T1, lambda plant: delete(plant.store, "t1", relationships=True)),
        (Topic(Kind.COMMAND, "c1"), batch(answers=[ANSWER])),
        (Topic(Kind.ALARMS), batch(events=[ALARM])),
        (Topic(Kind.MODELS), lambda plant: plant.changed()),
        (Topic(Kind.ANY), lambda plant: patch(plant.store, plant.catalog, "t2", {"maintenanceNote": "oil"})),
    ],
)
async def test_every_kind_of_change_wakes_who_listens(plant: Registry, topic: Topic, change: Callable[[Registry], Any]) -> None:
    """29-twin-changed-first-change-lost: also what is changed at once, and what moves neither etag nor last time."""
    async with Feed(plant.store).listen(topic) as news:
        await asyncio.to_thread(change, plant)
        async with asyncio.timeout(PACE * 20):
            await news.next()


async def test_a_change_of_another_wakes_nobody_else(plant: Registry) -> None:
    feed = Feed(plant.store)
    async with (
        feed.listen(T1) as first,
        feed.listen(Topic(Kind.TWIN, "t2")) as second,
        feed.listen(Topic(Kind.COMMAND, "c1")) as third,
    ):
        await asyncio.to_thread(patch, plant.store, plant.catalog, "t2", {"maintenanceNote": "oil"})
        async with asyncio.timeout(PACE * 20):
            await second.next()
        assert [first.changed.is_set(), third.changed.is_set()] == [False, False]


async def test_an_alarm_ends(plant: Registry) -> None:
    append(plant.store, Batch(events=[ALARM]))
    async with Feed(plant.store).listen(Topic(Kind.ALARMS)) as news:
        await asyncio.sleep(1)
        news.changed.clear()
        await asyncio.to_thread(append, plant.store, Batch(closed=[{"dtId": "t2", "code": "HOT", "at": datetime.now(UTC)}]))
        async with asyncio.timeout(PACE * 20):
            await news.next()


class Counting:
    """The graph, with what is asked of it counted."""

    def __init__(self, store: Store) -> None:
        self.position, self._read, self.reads = store.position, store.read, 0

    def read(self, *asked: Any) -> Any:
        self.reads += 1
        return self._read(*asked)


async def test_nothing_is_read_while_nothing_is_committed(plant: Registry) -> None:
    store: Any = Counting(plant.store)
    async with Feed(store).listen(T1):
        await asyncio.sleep(1.5)
    assert store.reads == 1


async def test_who_is_gone_is_not_asked_for(plant: Registry) -> None:
    feed = Feed(plant.store)
    for _ in range(3):
        async with feed.listen(T1):
            pass
    async with asyncio.timeout(PACE * 20):
        while feed._task is not None and not feed._task.done():
            await asyncio.sleep(0.01)
    assert feed._watched == {}


class Failing:
    """Answers each question with the next of `answers`; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def position(self) -> object:
        return object()

    def read(self, *_: Any) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [[answer, [], [0, 0, None], None, None]]


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), RuntimeError("a fault of our own"), ValueError("odd")])
async def test_one_failed_look_does_not_end_the_feed(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "FAILED_SECONDS", 0.01)
    store: Any = Failing([["t1", "a", 1, None]], fault, [["t1", "b", 1, None]])
    async with Feed(store).listen(T1) as news, asyncio.timeout(PACE * 20):
        await news.next()


async def test_who_begins_to_listen_while_the_graph_is_away_is_told_once_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "FAILED_SECONDS", 0.01)
    store: Any = Failing(StoreUnavailable("away"), [["t1", "a", 1, None]])
    async with Feed(store).listen(T1) as news, asyncio.timeout(PACE * 20):
        await news.next()
