"""One loop for every source with a connection: lost and back are logged once, a refusal ends it, a stop stops it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from app.errors import StackError
from ingest import source
from ingest.source import Reconnecting, Take
from tests.pace import PACE


class Scripted(Reconnecting):
    """Each connection goes as the next of the script says: an error, or None: the other side ends it after a while."""

    name = "scripted"
    LOST = (ConnectionError, TimeoutError)

    def __init__(self, *script: Exception | None) -> None:
        self.script, self.ends = list(script), 0

    @property
    def where(self) -> str:
        return "host:1"

    def refusal(self, error: Exception) -> StackError | None:
        return StackError("refused") if isinstance(error, ConnectionRefusedError) else None

    async def session(self, take: Take) -> None:
        if not self.script:
            self.connected()
            await asyncio.sleep(3600)
        failure = self.script.pop(0)
        if failure is None:
            self.connected()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._fail(failure))

    async def _fail(self, failure: Exception) -> None:
        raise failure

    async def ended(self, take: Take) -> None:
        self.ends += 1


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Iterator[float]:
        while True:
            yield 0.0

    monkeypatch.setattr(source, "pauses", none)


async def run(scripted: Scripted) -> list[str]:
    take: Any = None
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(scripted.run(take))
        async with asyncio.timeout(PACE * 20):
            while scripted.script or not scripted.online:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
    return [one["event"] for one in logs]


async def test_lost_and_back_are_logged_once() -> None:
    down = ConnectionResetError("reset"), TimeoutError(), ConnectionError("no connection")
    scripted = Scripted(None, *down)
    lost, restored = "source connection lost", "source connection restored"
    assert await run(scripted) == ["source connected", lost, restored]
    assert (scripted.reconnects, scripted.ends, scripted.problem) == (4, 4, None)


async def test_one_that_never_was_there_is_told() -> None:
    assert await run(Scripted(ConnectionError("no"), ConnectionError("no"))) == [
        "source connection lost",
        "source connection restored",
    ]


async def test_a_refusal_ends_it_as_itself() -> None:
    take: Any = None
    with pytest.raises(StackError, match="refused"):
        await Scripted(ConnectionResetError("reset"), ConnectionRefusedError("login")).run(take)


async def test_a_fault_of_ours_is_not_taken_for_a_lost_connection() -> None:
    take: Any = None
    with pytest.raises(ExceptionGroup) as raised:
        await Scripted(KeyError("ours")).run(take)
    assert isinstance(raised.value.exceptions[0], KeyError)
