"""The sources of one process: each runs, fails, starts again, stops and is reloaded without the others."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from app.errors import MappingError, StoreError, TwingraphError
from app.sources.state import Wish, report
from app.twins.registry import Registry
from ingest.backoff import pauses
from ingest.mapping.declaration import Mapping as SourceMapping
from ingest.mapping.declaration import check_against
from ingest.pipeline.pipeline import Pipeline, Tally

log = structlog.get_logger()
FOLLOW_SECONDS = 2.0
Files = Mapping[Path, tuple[int, int]]


@dataclass(slots=True)
class Road:
    """One source of this process. `error`: why it does not run, or why its changed mapping was not taken."""

    mapping: SourceMapping
    pipeline: Pipeline
    task: "asyncio.Task[None] | None" = None
    state: str = "STARTING"
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    error: str | None = None
    wish: Wish | None = None
    tries: Iterator[float] = field(default_factory=lambda: pauses(1.0, 60.0))
    again_at: float = 0.0
    before: Tally = field(default_factory=Tally)
    before_at: float = field(default_factory=time.monotonic)
    shown: str = ""

    def shown_since(self, state: str) -> datetime:
        """Since when that is what is shown."""
        if state != self.shown:
            self.shown, self.since = state, datetime.now(UTC)
        return self.since

    def turn(self, state: str, error: str | None = None) -> None:
        self.state, self.error, self.since = state, error, datetime.now(UTC)


class Runner:
    """`read` gives the mappings, `files` what they are made of; `build` makes a mapping's pipeline."""

    def __init__(
        self,
        registry: Registry,
        read: Callable[[], Sequence[SourceMapping]],
        files: Callable[[], Files],
        build: Callable[[SourceMapping], Pipeline],
    ) -> None:
        self._registry, self._read, self._files, self._build = registry, read, files, build
        self._roads: dict[str, Road] = {}
        self._seen: Files = {}
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._away = False

    async def run(self) -> None:
        """Until cancelled. Raises: MappingError when the mappings are unsound at the start."""
        self._seen = self._files()
        for mapping in self._read():
            check_against(mapping, self._registry.catalog)
            self._roads[mapping.source] = Road(mapping, self._build(mapping))
        try:
            while True:
                await self._follow()
                await asyncio.sleep(FOLLOW_SECONDS)
        finally:
            await asyncio.gather(*(self._end(road) for road in self._roads.values()))
            await self._report(gone=True)

    async def _follow(self) -> None:
        await self._report()
        if await self._models_changed():
            for road in self._roads.values():
                road.pipeline.assembler.take(self._registry.catalog)
        files = self._files()
        if files != self._seen:
            self._seen = files
            await self._take_mappings()
        for road in list(self._roads.values()):
            self._look_after(road)

    def _look_after(self, road: Road) -> None:
        """Starts what should run and does not; says why something has ended."""
        if road.task is not None and road.task.done():
            failure = None if road.task.cancelled() else road.task.exception()
            road.task = None
            if failure is None:
                road.turn("ENDED")
            else:
                self._failed(road, failure)
        if (
            road.task is None
            and not (road.wish and road.wish.stopped)
            and road.state != "ENDED"
            and time.monotonic() >= road.again_at
        ):
            road.task = asyncio.create_task(road.pipeline.run(), name=road.mapping.source)
            road.turn("RUNNING", road.error)

    def _failed(self, road: Road, failure: BaseException) -> None:
        pause = next(road.tries)
        road.again_at = time.monotonic() + pause
        known = isinstance(failure, TwingraphError)
        road.turn("FAILED", str(failure) if known else repr(failure))
        log.error(
            "source failed", source=road.mapping.source, error=road.error, pause=pause, exc_info=None if known else failure
        )

    async def _take_mappings(self) -> None:
        """What is unsound is told on every source, and none of the changes is taken."""
        try:
            mappings = {mapping.source: mapping for mapping in self._read()}
            for mapping in mappings.values():
                check_against(mapping, self._registry.catalog)
            changed = [
                name for name, mapping in mappings.items() if name not in self._roads or self._roads[name].mapping != mapping
            ]
            built = {name: self._build(mappings[name]) for name in changed}
        except MappingError as error:
            log.error("mapping reload rejected; keeping the previous mappings", error=str(error))
            for road in self._roads.values():
                road.error = f"changed mappings are not taken: {error}"
            return
        for source in [name for name in self._roads if name not in mappings]:
            await self._end(self._roads.pop(source))
            log.info("source removed", source=source)
        for road in self._roads.values():
            road.error = None if road.state == "RUNNING" else road.error
        for source, pipeline in built.items():
            if source in self._roads:
                await self._reload(self._roads[source], mappings[source], pipeline)
            else:
                self._roads[source] = Road(mappings[source], pipeline)

    async def _reload(self, road: Road, mapping: SourceMapping, pipeline: Pipeline) -> None:
        await self._end(road)
        pipeline.tally = road.pipeline.tally
        road.mapping, road.pipeline = mapping, pipeline
        road.tries, road.again_at = pauses(1.0, 60.0), 0.0
        road.turn("STOPPED")
        log.info("source reloaded", source=mapping.source)

    async def _end(self, road: Road) -> None:
        """What is under way is committed first, where the database is there."""
        if road.task is not None:
            road.task.cancel()
            await asyncio.gather(road.task, return_exceptions=True)
            road.task = None
        road.turn("STOPPED")

    async def _report(self, gone: bool = False) -> None:
        """Tells the graph what is done, and does what is wished."""
        rows = [{"source": name, "properties": _properties(road)} for name, road in self._roads.items()]
        try:
            wishes = await asyncio.to_thread(report, self._registry.store, self._worker, rows)
        except StoreError as error:
            if not self._away:
                log.warning("cannot report the sources", error=str(error))
            self._away = True
            return
        self._away = False
        for source, wish in () if gone else wishes.items():
            await self._obey(self._roads[source], wish)

    async def _obey(self, road: Road, wish: Wish) -> None:
        before, road.wish = road.wish, wish
        if wish.stopped and road.task is not None:
            await self._end(road)
            log.info("source stopped", source=road.mapping.source)
        elif before and before.stopped and not wish.stopped:
            road.turn("STOPPED")
        if before and wish.reload > before.reload:
            try:
                await self._reload(road, road.mapping, self._build(road.mapping))
            except MappingError as error:
                road.error = f"not reloaded: {error}"

    async def _models_changed(self) -> bool:
        try:
            return await asyncio.to_thread(self._registry.refresh)
        except TwingraphError as error:
            log.warning("reading new models failed", error=str(error))
            return False


def _condition(road: Road) -> tuple[str, str | None]:
    """State and error as they are shown: what runs may be unconnected, or wait for the database."""
    source = road.pipeline.source
    if road.state != "RUNNING":
        return road.state, road.error
    if road.pipeline.problem:
        return "PAUSED", road.pipeline.problem
    if not source.online:
        return ("DISCONNECTED" if source.problem else "CONNECTING"), source.problem or road.error
    return "RUNNING", road.error


def _properties(road: Road) -> dict[str, Any]:
    tally, before = road.pipeline.tally, road.before
    now, (state, error) = time.monotonic(), _condition(road)
    seconds, batches = max(now - road.before_at, 0.001), tally.batches - before.batches
    made = {
        "protocol": road.mapping.protocol,
        "state": state,
        "since": road.shown_since(state),
        "error": error,
        "waiting": road.pipeline.waiting,
        "reconnects": road.pipeline.source.reconnects,
        **{name: getattr(tally, name) for name in ("messages", "values", "duplicates", "rejected", "retries")},
        "message_rate": (tally.messages - before.messages) / seconds,
        "value_rate": (tally.values - before.values) / seconds,
    }
    if batches:
        made["batch"] = (tally.messages - before.messages) / batches
        made["commit_ms"] = (tally.seconds - before.seconds) / batches * 1000
    if tally.newest > before.newest:
        made["delay"] = time.time() - tally.newest / 1000
    road.before, road.before_at = Tally(**asdict(tally)), now
    return made
