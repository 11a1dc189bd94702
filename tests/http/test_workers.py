"""F30: threads are shared between clients in turn, and nobody waits beyond a deadline."""

import asyncio
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from app.errors import StoreTimeout
from app.http.workers import Workers
from app.identity import keys
from app.identity.keys import Grant
from app.settings import Settings
from app.twins.edit import NewTwin, ensure
from app.twins.registry import Registry
from tests.pace import PACE


class Gate:
    """Work that ends when it is let go."""

    def __init__(self) -> None:
        self.event, self.done = threading.Event(), list[str]()

    def work(self, name: str) -> str:
        self.event.wait(30)
        self.done.append(name)
        return name


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.event.set()


async def started(workers: Workers, gate: Gate, *names: str) -> list["asyncio.Task[str]"]:
    """Work of clients named by the first letter, in this order."""
    tasks = []
    for name in names:
        tasks.append(asyncio.create_task(workers.run(name[0], gate.work, name)))
        await asyncio.sleep(0)
    return tasks


async def test_F30_a_client_has_its_share_and_no_more(gate: Gate) -> None:
    workers = Workers(10, threads=4, share=2)
    greedy = await started(workers, gate, *[f"a{i}" for i in range(20)])
    assert await workers.run("b", str, 7) == "7"
    gate.event.set()
    assert await asyncio.gather(*greedy) == [f"a{i}" for i in range(20)]


async def test_F30_who_waits_is_served_in_turn(gate: Gate) -> None:
    workers = Workers(10, threads=1, share=1)
    tasks = await started(workers, gate, "a0", "a1", "a2", "a3", "b0", "b1", "c0")
    gate.event.set()
    await asyncio.gather(*tasks)
    assert gate.done == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]


async def test_F30_nobody_waits_beyond_the_deadline(gate: Gate) -> None:
    """Neither at work nor in the queue; a thread that still works is not given to another."""
    workers = Workers(0.3, threads=1, share=1)
    began = time.monotonic()
    for task in await started(workers, gate, "a0", "a1", "b0"):
        with pytest.raises(StoreTimeout):
            await task
    assert time.monotonic() - began < 5
    gate.event.set()
    await asyncio.sleep(0.1)
    assert await workers.run("c", str, 1) == "1"
    assert gate.done == ["a0"]


async def test_who_gives_up_leaves_no_trace(gate: Gate) -> None:
    workers = Workers(10, threads=1, share=1)
    first, second, third = await started(workers, gate, "a0", "a1", "b0")
    second.cancel()
    await asyncio.wait((second,))
    first.cancel()
    gate.event.set()
    assert await third == "b0"
    assert (workers._running, workers._clients, list(workers._turns)) == (0, {}, [])


@pytest.mark.parametrize("hops", range(6))
async def test_who_gives_up_while_a_thread_becomes_free_holds_up_nobody(hops: int) -> None:
    """Whenever in between: the next in turn has the thread."""
    workers = Workers(PACE * 20, threads=1, share=1)
    tasks = [asyncio.create_task(workers.run("c", time.sleep, 0.1))]
    await asyncio.sleep(0.05)
    tasks += [asyncio.create_task(workers.run("c", time.sleep, 0.01)) for _ in range(2)]
    await asyncio.sleep(0.02)
    time.sleep(0.2)  # the event loop is busy while the thread ends
    for _ in range(hops):
        await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] is results[2] is None
    assert results[1] is None or isinstance(results[1], asyncio.CancelledError)
    assert workers._clients == {}


async def test_an_error_is_the_callers(gate: Gate) -> None:
    workers = Workers(10)
    with pytest.raises(ZeroDivisionError):
        await workers.run("a", lambda: 1 // 0)
    assert workers._clients == {}


NOWHERE = " ".join(f'{{ maintenanceNote: {{ contains: "z{i}" }} }}' for i in range(60))
HEAVY = f"{{ turbines(first: 1, where: {{ or: [{NOWHERE}] }}) {{ dtId }} }}"
SMALL = '{ turbine(dtId: "t1") { name } }'


async def test_F30_another_clients_question_does_not_wait(served: Settings, plant: Registry) -> None:
    """Fifty heavy queries of one key: ten small ones of another, one after the other, are answered before they are."""
    note = "y" * 2000
    twins = [NewTwin(f"h{i}", "Turbine", {"maintenanceNote": note}) for i in range(10_000)]
    ensure(plant.store, plant.catalog, twins, [])
    greedy, modest = (keys.create(plant.store, Grant(name, "reader")) for name in ("greedy", "modest"))
    url = f"http://127.0.0.1:{served.server_port}/graphql"
    async with httpx.AsyncClient(timeout=120) as http:

        def ask(key: str, query: str) -> "asyncio.Task[httpx.Response]":
            return asyncio.create_task(http.post(url, json={"query": query}, headers={"Authorization": f"Bearer {key}"}))

        heavy = [ask(greedy, HEAVY) for _ in range(50)]
        await asyncio.sleep(0.5)
        times = []
        for _ in range(10):
            began = time.monotonic()
            assert (await ask(modest, SMALL)).json() == {"data": {"turbine": {"name": "Turbine 1"}}}
            times.append(time.monotonic() - began)
        waiting = sum(not task.done() for task in heavy)
        print(f"small {max(times):.3f} s, {waiting} of 50 heavy ones not answered")
        assert waiting > 20
        answers = [(await task).json() for task in heavy]
    codes = {answer["errors"][0]["extensions"]["code"] if "errors" in answer else "answered" for answer in answers}
    assert codes <= {"answered", "STORE_TIMEOUT"}
