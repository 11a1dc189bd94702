"""A gateway at the edge or in a region: sources in, readings aggregated by windows, spooled to disk, forwarded.

gateway: north-edge
uplink: {url: "http://region:8088", token_variable: UPLINK_TOKEN}    an HTTP push source; its rules match `twin,id={twin}`
spool: {file: north.sqlite, most_mb: 512, full: oldest}              oldest: the oldest give way, counted; stop: no more taken
window: 10                                                           seconds; 0 or absent: every reading
grace: 2                                                             seconds after its last reading until a window is told
aggregates:                                                          of the others, a window tells the last value
  - {of: power, by: avg}
  - {of: power, by: max, to: powerMax}
mappings: [plant.yaml]                                               as for `twingraph ingest`; beside this file

Its HTTP sources ask for TWINGRAPH_PUSH_TOKEN, or the one in secrets/push of its state folder; its uplink wants a key of role
ingest, or the next gateway's token. What a source calls bad is not forwarded; the quality itself is not, either.

A source is acknowledged once its readings are in the spool; the spool lets go of them once the uplink has answered 202. A
reading that comes after its window was closed makes a second row of the same moment, which the far end drops as a duplicate."""

import asyncio
import gzip
import math
import os
import time
from pathlib import Path
from typing import Any, Literal

import httpx
import structlog
import yaml
from pydantic import Field, ValidationError

from app.errors import MappingError, MessageError, TwinError, TwingraphError, Unavailable
from app.settings import Settings
from app.twins.edit import check_dt_id
from ingest.backoff import pauses
from ingest.gateway.spool import Aggregate, Reading, Spool, lines
from ingest.mapping.convert import Conversion, conversion_of
from ingest.mapping.declaration import Rule, SourceMapping, Strict, fill, pattern
from ingest.payload import decode
from ingest.payload.quality import GOOD, is_bad, quality
from ingest.pipeline.assemble import LONGEST_PAYLOAD, writable
from ingest.pipeline.pipeline import Batcher
from ingest.source import DeviceState, Message, Source
from ingest.sources import make_source, read_mappings

log = structlog.get_logger()
AT_ONCE, TIMEOUT = 5000, 30.0
NEVER = (400, 413)


class Uplink(Strict):
    url: str
    token_variable: str = ""


class KeptSource(Strict):
    file: Path
    most_mb: int = Field(default=512, ge=1)
    full: Literal["oldest", "stop"] = "oldest"


class Wanted(Strict):
    of: str
    by: Literal["avg", "min", "max", "sum", "count", "first", "last"]
    to: str = ""


class Plan(Strict):
    gateway: str
    uplink: Uplink
    spool: KeptSource
    window: float = Field(default=0, ge=0)
    grace: float = Field(default=2, ge=0)
    aggregates: tuple[Wanted, ...] = ()
    mappings: tuple[Path, ...]


def read_plan(path: Path) -> tuple[Plan, list[SourceMapping]]:
    """Raises: MappingError naming file and place."""
    try:
        plan = Plan.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise MappingError(f"cannot read the gateway's file: {error.strerror}", where=str(path)) from error
    except yaml.YAMLError as error:
        raise MappingError(f"not YAML: {error}", where=str(path)) from error
    except ValidationError as error:
        first = error.errors()[0]
        step = ".".join(str(part) for part in first["loc"])
        raise MappingError(
            f"{step}: {first['msg']}", where=str(path), hint="see the head of ingest/gateway/gateway.py"
        ) from error
    mappings = read_mappings([path.parent / mapping_path for mapping_path in plan.mappings])
    for mapping in mappings:
        for index, rule in enumerate(mapping.rules):
            place = f"{mapping.source}: rules[{index}]"
            if rule.kind != "telemetry":
                raise MappingError(f"a gateway forwards telemetry, not {rule.kind}", where=place)
            if field := next((name for name, target in rule.signals.items() if target.unit), None):
                what = f"signals.{field}: a gateway knows no models, so no units to convert to"
                raise MappingError(what, where=place, hint="scale and offset, or the unit in the mapping at the far end")
    variable = plan.uplink.token_variable
    if variable and not os.environ.get(variable):
        raise MappingError(f"uplink.token_variable: {variable} is not set", where=str(path), hint=f"export {variable}=…")
    return plan, mappings


async def run_gateway(settings: Settings, path: Path) -> None:
    """Until cancelled. Raises: MappingError, StackError."""
    plan, mappings = read_plan(path)
    file = path.parent / plan.spool.file
    spool = Spool(file, plan.spool.most_mb * 1024**2, plan.spool.full == "oldest")
    try:
        async with asyncio.TaskGroup() as tasks:
            for mapping in mappings:
                source = make_source(mapping, settings)
                batcher = Spooling(source, mapping, spool, settings, bool(plan.window))
                tasks.create_task(_kept(batcher))
            if plan.window:
                tasks.create_task(_close(spool, plan))
            tasks.create_task(forward(spool, plan))
    finally:
        spool.close()


class Spooling(Batcher):
    """Into the spool. Without models: fields become signals as the rules say, and are checked at the far end."""

    def __init__(self, source: Source, mapping: SourceMapping, spool: Spool, settings: Settings, windowed: bool) -> None:
        super().__init__(source, settings.flush_seconds, settings.batch_messages)
        self._spool, self._mapping, self._windowed = spool, mapping, windowed
        self._rules = [(pattern(rule.match), rule) for rule in mapping.rules]
        self._conversions = {
            rule.match: {field: conversion_of(target, "") for field, target in rule.signals.items()} for rule in mapping.rules
        }
        self._skew = round(settings.max_skew_seconds * 1000)
        source.stored = lambda: spool.positions(source.name)

    def _write(self, messages: list[Message]) -> None:
        now = round(time.time() * 1000)
        readings: list[Reading] = []
        refused: list[tuple[str, str, str, bytes]] = []
        for message in messages:
            try:
                readings += self._readings(message, now)
            except (MessageError, ArithmeticError, RecursionError) as error:  # numbers and depths without end, too
                refused.append(self._refused(message, error))
        positions = self.source.positions([message.receipt for message in messages])
        doubled = self._spool.put(readings, refused, positions, self._windowed)
        self.tally.values += len(readings) - doubled
        self.tally.duplicates += doubled
        self.tally.rejected += len(refused)

    def _reject(self, message: Message, error: Exception) -> None:
        positions = self.source.positions([message.receipt])
        self._spool.put([], [self._refused(message, error)], positions, self._windowed)
        self.tally.rejected += 1

    def _refused(self, message: Message, error: Exception) -> tuple[str, str, str, bytes]:
        payload = message.payload if isinstance(message.payload, bytes) else repr(message.payload).encode(errors="replace")
        return self.source.name, writable(message.address), writable(str(error)), payload[:LONGEST_PAYLOAD]

    def _readings(self, message: Message, now: int) -> list[Reading]:
        """Raises: MessageError when it, or a part of it, cannot be understood; nothing of it is kept then."""
        if message.payload is None or isinstance(message.payload, DeviceState):
            return []
        rule, dt_id = self._route(message.address)
        readings: list[Reading] = []
        for record in decode.records(message.payload, rule):
            if isinstance(record, MessageError):
                raise record
            stamp = record.pop(rule.time, None)
            timestamp = message.time if message.time is not None else stamp
            if rule.quality and is_bad(quality(record.pop(rule.quality, GOOD))):
                continue
            at = (message.received or now) if timestamp is None else decode.instant(timestamp, now, self._skew)
            conversions = self._conversions[rule.match]
            for field, value in record.items():
                if value is not None and (rule.unknown == "deadletter" or field in rule.signals or field in rule.fixed):
                    readings.append((dt_id, rule.signal_of(field), at, _stored(conversions.get(field), field, value)))
        return readings

    def _route(self, address: str) -> tuple[Rule, str]:
        for regex, rule in self._rules:
            match = regex.fullmatch(address)
            if match:
                dt_id = fill(rule.twin, match.groupdict())
                try:
                    check_dt_id(dt_id)
                except TwinError as error:
                    raise MessageError(error.what, code="NO_TWIN") from error
                if self._mapping.may_touch(dt_id):
                    return rule, dt_id
                raise MessageError(f"the source is not bound to {dt_id!r}", code="NOT_BOUND")
        raise MessageError("no rule matches the address", where=address, code="NO_RULE")


def _stored(conversion: Conversion | None, field: str, value: Any) -> Any:
    """As SQLite keeps it: a truth as one byte. Raises: MessageError."""
    if conversion is not None:
        try:
            value = conversion(value)
        except ValueError as error:
            raise MessageError(f"{field}: {value!r:.40} {error}", code="VALUE_REFUSED") from error
    if type(value) is bool:
        return bytes([value])
    sound = isinstance(value, str) or (type(value) is int and -(2**63) <= value < 2**63)
    if not (sound or (type(value) is float and math.isfinite(value))) or not field or any(c in '"\n' for c in field):
        raise MessageError(f"{field}: {value!r:.40} cannot be forwarded", code="VALUE_REFUSED")
    return value


async def _kept(batcher: Batcher) -> None:
    """A source that fails is started again, later and later; the others and the uplink go on."""
    for pause in pauses(1.0, 60.0):
        try:
            await batcher.run()
            return
        except Exception as error:  # whatever it is: logged, and tried again
            expected = isinstance(error, TwingraphError)
            reason = str(error) if expected else repr(error)
            log.error(
                "source failed", source=batcher.source.name, error=reason, pause=pause, exc_info=None if expected else error
            )
        await asyncio.sleep(pause)


async def _close(spool: Spool, plan: Plan) -> None:
    width = round(plan.window * 1000)
    aggregates = [Aggregate(aggregate.of, aggregate.by, aggregate.to or aggregate.of) for aggregate in plan.aggregates]
    while True:
        before = round((time.time() - plan.grace) * 1000)
        try:
            await asyncio.to_thread(spool.close_windows, width, before, aggregates)
        except Unavailable as error:
            log.warning("closing windows paused", gateway=plan.gateway, error=str(error))
        await asyncio.sleep(min(plan.window, 1.0))


async def forward(spool: Spool, plan: Plan) -> None:
    """For ever: the oldest first; a far end that is away is tried again, later and later."""
    token = os.environ.get(plan.uplink.token_variable, "")
    headers = {"Content-Encoding": "gzip"} | ({"Authorization": f"Bearer {token}"} if token else {})
    url = f"{plan.uplink.url.rstrip('/')}/write?precision=ms"
    async with httpx.AsyncClient(headers=headers, timeout=TIMEOUT) as http:
        for pause in pauses():
            while True:
                try:
                    rows = await asyncio.to_thread(spool.outgoing, AT_ONCE)
                    problem = await _delivered(http, url, spool, rows) if rows else ""
                except Unavailable as error:
                    problem = str(error)
                if problem:
                    break
                if len(rows) < AT_ONCE:
                    await asyncio.sleep(0.2)
            log.warning("forwarding failed", gateway=plan.gateway, problem=problem, pause=pause)
            await asyncio.sleep(pause)


async def _delivered(http: httpx.AsyncClient, url: str, spool: Spool, rows: list[tuple[int, Reading]]) -> str:
    """Why the far end has not taken them; empty when it has. What it will never take is halved down to the one row to blame."""
    body = gzip.compress(lines(reading for _, reading in rows), 1)
    try:
        answer = await http.post(url, content=body)
    except httpx.TransportError as error:
        return f"cannot be reached: {error!r}"
    if answer.status_code == 202:
        await asyncio.to_thread(spool.forwarded, rows[-1][0])
        return ""
    if answer.status_code not in NEVER:
        return f"answers {answer.status_code}: {answer.text[:200]}"
    if len(rows) == 1:
        log.error("reading rejected by the target", twin=rows[0][1][0], signal=rows[0][1][1], said=answer.text[:200])
        await asyncio.to_thread(spool.refuse, *rows[0], answer.text[:500])
        return ""
    middle = len(rows) // 2
    return await _delivered(http, url, spool, rows[:middle]) or await _delivered(http, url, spool, rows[middle:])
