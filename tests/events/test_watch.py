"""Changes as they are seen: whatever goes wrong once, who waits hears of the next change."""

import asyncio
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.events import watch


class Failing:
    """Answers each question with the next of `answers`; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def read(self, *_: Any) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [[answer]]


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), RuntimeError("a fault of our own"), ValueError("odd")])
async def test_one_failed_look_does_not_end_the_watch(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)
    store: Any = Failing([("t", "a", 1)], fault, [("t", "b", 1)])
    seen = watch.Watcher(store).watch("t")
    async with asyncio.timeout(20):
        assert [await anext(seen), await anext(seen)] == ["t", "t"]
    await seen.aclose()  # type: ignore[attr-defined]
