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

from app.errors import StoreError, TwingraphError
from app.sources.state import DesiredState, report
from app.twins.registry import Registry
from ingest.backoff import pauses
from ingest.mapping.declaration import SourceMapping, check_against
from ingest.pipeline.pipeline import Pipeline, Tally

log = structlog.get_logger()
FOLLOW_SECONDS = 2.0
Files = Mapping[Path, tuple[int, int]]


@dataclass(slots=True)
class ManagedSource:
    """One source of this process. `error`: why it does not run, or why its changed mapping was not taken."""

    mapping: SourceMapping
    pipeline: Pipeline
    task: "asyncio.Task[None] | None" = None
    state: str = "STARTING"
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    error: str | None = None
    desired: DesiredState | None = None
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
        self._managed: dict[str, ManagedSource] = {}
        self._seen: Files = {}
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._away = False

    async def run(self) -> None:
        """Until cancelled. Raises: MappingError when the mappings are unsound at the start."""
        self._seen = self._files()
        for mapping in self._read():
            check_against(mapping, self._registry.catalog)
            self._managed[mapping.source] = ManagedSource(mapping, self._build(mapping))
        try:
            while True:
                await self._follow()
                await asyncio.sleep(FOLLOW_SECONDS)
        finally:
            await asyncio.gather(*(self._end(managed) for managed in self._managed.values()))
            await self._report(gone=True)

    async def _follow(self) -> None:
        await self._report()
        if await self._models_changed():
            for managed in self._managed.values():
                managed.pipeline.assembler.take(self._registry.catalog)
        files = self._files()
        if files != self._seen:
            self._seen = files
            await self._take_mappings()
        for managed in list(self._managed.values()):
            self._look_after(managed)

    def _look_after(self, managed: ManagedSource) -> None:
        """Starts what should run and does not; says why something has ended."""
        if managed.task is not None and managed.task.done():
            failure = None if managed.task.cancelled() else managed.task.exception()
            managed.task = None
            if failure is None:
                managed.turn("ENDED")
            else:
                self._failed(managed, failure)
        if (
            managed.task is None
            and not (managed.desired and managed.desired.stopped)
            and managed.state != "ENDED"
            and time.monotonic() >= managed.again_at
        ):
            managed.task = asyncio.create_task(managed.pipeline.run(), name=managed.mapping.source)
            managed.turn("RUNNING", managed.error)

    def _failed(self, managed: ManagedSource, failure: BaseException) -> None:
        pause = next(managed.tries)
        managed.again_at = time.monotonic() + pause
        expected = isinstance(failure, TwingraphError)
        managed.turn("FAILED", str(failure) if expected else repr(failure))
        log.error(
            "source failed",
            source=managed.mapping.source,
            error=managed.error,
            pause=pause,
            exc_info=None if expected else failure,
        )

    async def _take_mappings(self) -> None:
        """What is unsound is told on every source, and none of the changes is taken."""
        try:
            mappings = {mapping.source: mapping for mapping in self._read()}
            for mapping in mappings.values():
                check_against(mapping, self._registry.catalog)
            changed = [
                name
                for name, mapping in mappings.items()
                if name not in self._managed or self._managed[name].mapping != mapping
            ]
            built = {name: self._build(mappings[name]) for name in changed}
        except Exception as error:
            fault = None if isinstance(error, TwingraphError) else error
            log.error("mapping reload rejected; keeping the previous mappings", error=str(error), exc_info=fault)
            for managed in self._managed.values():
                managed.error = f"changed mappings are not taken: {error}"
            return
        for source in [name for name in self._managed if name not in mappings]:
            await self._end(self._managed.pop(source))
            log.info("source removed", source=source)
        for managed in self._managed.values():
            managed.error = None if managed.state == "RUNNING" else managed.error
        for source, pipeline in built.items():
            if source in self._managed:
                await self._reload(self._managed[source], mappings[source], pipeline)
            else:
                self._managed[source] = ManagedSource(mappings[source], pipeline)

    async def _reload(self, managed: ManagedSource, mapping: SourceMapping, pipeline: Pipeline) -> None:
        await self._end(managed)
        pipeline.tally = managed.pipeline.tally
        managed.mapping, managed.pipeline = mapping, pipeline
        managed.tries, managed.again_at = pauses(1.0, 60.0), 0.0
        managed.turn("STOPPED")
        log.info("source reloaded", source=mapping.source)

    async def _end(self, managed: ManagedSource) -> None:
        """What is under way is committed first, where the database is there."""
        if managed.task is not None:
            managed.task.cancel()
            await asyncio.gather(managed.task, return_exceptions=True)
            managed.task = None
        managed.turn("STOPPED")

    async def _report(self, gone: bool = False) -> None:
        """Tells the graph what is done, and does what is wished."""
        rows = [{"source": name, "properties": _properties(managed)} for name, managed in self._managed.items()]
        try:
            wishes = await asyncio.to_thread(report, self._registry.store, self._worker, rows)
        except StoreError as error:
            if not self._away:
                log.warning("cannot report the sources", error=str(error))
            self._away = True
            return
        self._away = False
        for source, desired in () if gone else wishes.items():
            await self._obey(self._managed[source], desired)

    async def _obey(self, managed: ManagedSource, desired: DesiredState) -> None:
        before, managed.desired = managed.desired, desired
        if desired.stopped and managed.task is not None:
            await self._end(managed)
            log.info("source stopped", source=managed.mapping.source)
        elif before and before.stopped and not desired.stopped:
            managed.turn("STOPPED")
        if before and desired.reload > before.reload:
            try:
                await self._reload(managed, managed.mapping, self._build(managed.mapping))
            except Exception as error:
                log.error("source not reloaded", source=managed.mapping.source, exc_info=not isinstance(error, TwingraphError))
                managed.error = f"not reloaded: {error}"

    async def _models_changed(self) -> bool:
        try:
            return await asyncio.to_thread(self._registry.refresh)
        except TwingraphError as error:
            log.warning("reading new models failed", error=str(error))
            return False


def _condition(managed: ManagedSource) -> tuple[str, str | None]:
    """State and error as they are shown: what runs may be unconnected, or wait for the database."""
    source = managed.pipeline.source
    if managed.state != "RUNNING":
        return managed.state, managed.error
    if managed.pipeline.problem:
        return "PAUSED", managed.pipeline.problem
    if not source.online:
        return ("DISCONNECTED" if source.problem else "CONNECTING"), source.problem or managed.error
    return "RUNNING", managed.error


def _properties(managed: ManagedSource) -> dict[str, Any]:
    tally, before = managed.pipeline.tally, managed.before
    now, (state, error) = time.monotonic(), _condition(managed)
    seconds, batches = max(now - managed.before_at, 0.001), tally.batches - before.batches
    properties = {
        "protocol": managed.mapping.protocol,
        "state": state,
        "since": managed.shown_since(state),
        "error": error,
        "waiting": managed.pipeline.waiting,
        "reconnects": managed.pipeline.source.reconnects,
        **{name: getattr(tally, name) for name in ("messages", "values", "duplicates", "rejected", "retries")},
        "message_rate": (tally.messages - before.messages) / seconds,
        "value_rate": (tally.values - before.values) / seconds,
    }
    if batches:
        properties["batch"] = (tally.messages - before.messages) / batches
        properties["commit_ms"] = (tally.seconds - before.seconds) / batches * 1000
    if tally.newest > before.newest:
        properties["delay"] = time.time() - tally.newest / 1000
    managed.before, managed.before_at = Tally(**asdict(tally)), now
    return properties
