"""Changes of a query: one look at the graph serves all who ask the same."""

import asyncio
import math
from contextlib import aclosing
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.events.feed import Feed
from app.graphql.resolve import changes
from app.graphql.resolve.changes import DeliveredDiff, ResumeCache, Seen, SharedLooks
from app.twins.edit import patch
from app.twins.registry import Registry
from tests.pace import PACE


class Looking:
    """The notes of all turbines, looked up and counted; fails while `failure` is set."""

    def __init__(self, plant: Registry) -> None:
        self.plant, self.looks, self.failure = plant, 0, None

    async def __call__(self) -> Seen:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        rows = await asyncio.to_thread(self.plant.store.read, "MATCH (t:Turbine) RETURN t.dtId, t.maintenanceNote")
        return {dt_id: (note,) for dt_id, note in rows}

    def note(self, text: str) -> None:
        patch(self.plant.store, self.plant.catalog, "t1", {"maintenanceNote": text})


async def test_one_look_serves_all_who_ask_the_same(plant: Registry) -> None:
    look, shared, feed = Looking(plant), SharedLooks(), Feed(plant.store)
    async with asyncio.timeout(PACE * 30), aclosing(shared.answers(feed, "q", look)) as first:
        await anext(first)
        async with aclosing(shared.answers(feed, "q", look)) as second:
            assert await anext(second) == await asyncio.to_thread(lambda: asyncio.run(Looking(plant)()))
            assert look.looks == 1
            await asyncio.to_thread(look.note, "one")
            assert (await anext(first))["t1"] == (await anext(second))["t1"] == ("one",)
        seen = look.looks
        await asyncio.to_thread(look.note, "two")
        assert (await anext(first))["t1"] == ("two",)
        assert look.looks > seen
    assert shared._open == {}


async def test_nothing_is_looked_up_while_nothing_changes(plant: Registry) -> None:
    look = Looking(plant)
    async with aclosing(SharedLooks().answers(Feed(plant.store), "q", look)) as answers:
        await anext(answers)
        coming = asyncio.ensure_future(anext(answers))
        await asyncio.sleep(1)
        assert look.looks == 1
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), RuntimeError("a fault of our own")])
async def test_a_failure_is_told_to_all_and_the_next_one_looks_again(
    plant: Registry, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "AT_LEAST_SECONDS", 0.01)
    look, shared, feed = Looking(plant), SharedLooks(), Feed(plant.store)
    both: list[Any] = [shared.answers(feed, "q", look) for _ in range(2)]
    for answers in both:
        await anext(answers)
    look.failure = fault  # type: ignore[assignment]
    await asyncio.to_thread(look.note, repr(fault))
    told = await asyncio.wait_for(asyncio.gather(*map(anext, both), return_exceptions=True), PACE * 30)
    assert told == [fault, fault]
    look.failure = None
    async with aclosing(shared.answers(feed, "q", look)) as again:
        assert (await anext(again))["t1"] == (repr(fault),)


def test_what_is_kept_for_resuming_is_bounded_by_its_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "KEPT_TWINS", 100)
    memory = ResumeCache()
    for number in range(50):
        found: Seen = {f"t{n}": (number,) for n in range(20)}
        memory.keep(f"s.{number}", DeliveredDiff("q", {}, found, [("ENTERED", dt_id) for dt_id in found], math.inf))
    assert sum(diff.size for diff in memory._kept.values()) <= 100
    assert memory.known("s.49.20", "q") == found
    assert memory.known("s.0.20", "q") is None
    for number in range(200):
        memory.keep(f"e.{number}", DeliveredDiff("q", {}, {}, [], math.inf))
    assert len(memory._kept) <= 100
