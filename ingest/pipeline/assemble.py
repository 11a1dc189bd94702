"""Messages → one batch, in columns. What does not fit is rejected with the reason; the rest goes on."""

import math
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from app.commands.outlet import ANSWERS
from app.dtdl import Catalog, Enum, Primitive, Schema, Telemetry
from app.dtdl.kinds import column_kind
from app.errors import MessageError, NotFound, TwinError, nearest
from app.graph.values import flatten, storable
from app.history.series import Series
from app.twins.edit import NewRelationship, NewTwin, twin_row
from app.twins.write import Batch, Event, Position, Quality
from ingest.mapping.convert import Conversion, conversion_of
from ingest.mapping.declaration import Target
from ingest.mapping.match import Matcher, Route
from ingest.payload import decode
from ingest.payload.quality import is_bad, quality
from ingest.source import DeviceState, Message

LONGEST_PAYLOAD = 64_000
LONGEST_CODE = 500  # of an event: part of its identifier, which an index holds
REMEMBERED_SHAPES, WIDEST_SHAPE = 10_000, 200
MOST_FAULTS = 100
PLAIN = Target(to="-")
AS_THEY_COME = ("double", "float", "integer", "long", "boolean", "string")
OF_THE_SYSTEM = ("id", "dtId", "at", "endedAt")  # properties of an event: what a device says of its own keeps apart
KINDS = ("alarm", "failure", "replacement", "maintenance", "error", "event")
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Signal:
    """How one field becomes values of one column. `scale`: for a whole column of numbers; `convert` and `check` run per
    value, where the type alone does not decide."""

    name: str
    schema: Schema
    kind: str
    check: Callable[[Any], Any] | None
    scale: Conversion | None = None
    convert: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Names and types of a message, judged once: `take` are positions and signals, `refused` names and reasons; `simple`: no
    value needs a look of its own; `direct`: values are stored as they come."""

    take: tuple[tuple[int, Signal], ...]
    refused: tuple[tuple[str, str], ...]
    simple: bool
    direct: bool


@dataclass(slots=True)
class Assembled:
    batch: Batch
    rejected: dict[str, int] = field(default_factory=dict)
    values: int = 0
    doubled: int = 0


class Assembler:
    """Turns lists of messages of one source into batches; remembers shapes, never messages."""

    def __init__(self, source: str, catalog: Catalog, matcher: Matcher, skew: float) -> None:
        self.source, self.catalog, self.matcher = source, catalog, matcher
        self._skew = round(skew * 1000)
        self._shapes: dict[Any, Shape] = {}
        self._alike: dict[Any, Shape] = {}

    def assemble(self, messages: Sequence[Message], positions: Sequence[Position] = ()) -> Assembled:
        work = _Work(self, round(time.time() * 1000), self._skew)
        for message in messages:
            try:
                work.add(message)
            except MessageError as error:
                work.reject(message, error)
        return work.finish(positions)

    def take(self, catalog: Catalog) -> None:
        """Models have changed."""
        self.catalog = catalog
        self._shapes, self._alike = {}, {}
        self.matcher.forget()

    def missing(self, messages: Sequence[Message]) -> tuple[list[NewTwin], list[NewRelationship]]:
        """Twins to be created first, with what leads to them; one that no model or dtId allows is left to be refused."""
        twins, links = self.matcher.wanted({message.address for message in messages})
        creatable = {twin.dt_id: twin for twin in twins if _can_be(self.catalog, twin)}
        return list(creatable.values()), [link for link in links if link.target in creatable]

    def shape(self, route: Route, names: tuple[str, ...], types: tuple[type, ...]) -> Shape:
        key = (route.rule.match, route.model, names, types)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= REMEMBERED_SHAPES:
                self._shapes.clear()
                self._alike.clear()
            shape = self._judge(route, names, types)
            # 20 beside 20.5 is one shape: their rows make one table
            alike = (route.rule.match, route.model, names, tuple(index for index, _ in shape.take), shape.refused)
            shape = self._alike.setdefault(alike, shape) if len(names) <= WIDEST_SHAPE else shape
            if len(names) <= WIDEST_SHAPE:
                self._shapes[key] = shape
        return shape

    def _judge(self, route: Route, names: tuple[str, ...], types: tuple[type, ...]) -> Shape:
        signals = self.catalog.telemetry(route.model)
        take, refused = [], []
        for index, (name, kind) in enumerate(zip(names, types, strict=True)):
            signal = signals.get(route.rule.signal_of(name))
            if signal is None:
                if route.rule.unknown == "deadletter":
                    near = nearest(name, signals)
                    near = f"; {near}" if near else ""
                    refused.append((name, f"{self.catalog.labels[route.model]} has no telemetry {name!r}{near}"))
            elif kind is not type(None):
                target = route.rule.signals.get(name, PLAIN)
                problem = _type_problem(signal.schema, kind, target)
                if problem:
                    refused.append((name, f"{name}: {problem}"))
                else:
                    take.append((index, _signal(signal, target)))
        simple = all(signal.check is None and signal.convert is None for _, signal in take)
        return Shape(tuple(take), tuple(refused), simple, all(_is_direct(signal) for _, signal in take))


class _Work:
    """One batch in the making."""

    def __init__(self, assembler: Assembler, now: int, skew: int) -> None:
        self.assembler, self.now, self.skew = assembler, now, skew
        self.groups: dict[str, dict[Shape, Rows]] = {}
        self.events: list[Event] = []
        self.closed: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.deadletters: list[dict[str, Any]] = []
        self.stale: dict[str, int] = {}
        self.qualities: list[Quality] = []
        self.received: dict[str, int] = {}
        self.doubled = 0
        self.rejected: dict[str, int] = {}

    def add(self, message: Message) -> None:
        if message.payload is None:
            return
        route = self.assembler.matcher.route(message.address)
        if isinstance(message.payload, DeviceState):
            if isinstance(route, Route):
                since = min(message.payload.at, self.now)
                self.stale[route.dt_id] = 0 if message.payload.online else max(since, self.stale.get(route.dt_id, 0))
            return
        if isinstance(route, str):
            code = "NO_TWIN" if route.startswith("no twin") else "NOT_BOUND" if "bound" in route else "NO_RULE"
            raise MessageError(route, where=message.address, code=code)
        refused: list[MessageError] = []
        for record in decode.records(message.payload, route.rule, message.attributes):
            try:
                refused += self._record(message, route, record)
            except MessageError as error:
                refused.append(error)
            if len(refused) >= MOST_FAULTS:
                refused.append(
                    MessageError(f"more than {MOST_FAULTS} faults: the rest was not looked at", code="TOO_MANY_FAULTS")
                )
                break
        if refused:
            self.reject(message, *refused)

    def _record(self, message: Message, route: Route, record: dict[str, Any] | MessageError) -> list[MessageError]:
        """What of it is refused, while the rest is taken. Raises: MessageError when nothing is."""
        if isinstance(record, MessageError):
            raise record
        stamp = record.pop(route.rule.time, None)
        received = self.now if message.received is None else message.received
        if message.time is not None:
            at = decode.plausible(message.time, self.now, self.skew)
        else:
            at = received if stamp is None else decode.instant(stamp, self.now, self.skew)
        if route.rule.kind == "telemetry":
            self.received[route.dt_id] = received
            if route.rule.quality and route.rule.quality in record:
                quality_text = quality(record.pop(route.rule.quality))
                self._qualities(route, dict.fromkeys(record, quality_text), at)
                if is_bad(quality_text):
                    return []
            elif message.quality:
                self._qualities(route, message.quality, at)
            return self._telemetry(route, record, at)
        if route.rule.kind == "event":
            self._event(route, record, at)
        else:
            self._answer(record, at)
        return []

    def _qualities(self, route: Route, qualities: Mapping[str, str], at: int) -> None:
        signals = self.assembler.catalog.telemetry(route.model)
        for field_name, text in qualities.items():
            signal = route.rule.signal_of(field_name)
            if signal in signals:
                self.qualities.append(Quality(route.dt_id, signal, text, at))

    def _telemetry(self, route: Route, data: dict[str, Any], at: int) -> list[MessageError]:
        names, values = tuple(data), (*data.values(),)
        shape = self.assembler.shape(route, names, tuple(map(type, values)))
        refused = [MessageError(reason, code="SCHEMA_VIOLATION") for _, reason in shape.refused]
        if not shape.simple:
            shape, values, bad = self._checked(shape, values)
            refused += bad
        if shape.take:
            self.groups.setdefault(route.dt_id, {}).setdefault(shape, []).append((at, *values))
        return refused

    def _checked(self, shape: Shape, values: tuple[Any, ...]) -> tuple[Shape, tuple[Any, ...], list[MessageError]]:
        bad: dict[int, MessageError] = {}
        converted = list(values)
        for index, signal in shape.take:
            try:
                if signal.convert is not None:
                    converted[index] = signal.convert(converted[index])
                if signal.check is not None:
                    signal.check(converted[index])
            except (ValueError, OverflowError, TwinError) as error:
                reason = f"{signal.name}: {values[index]!r:.80} {error}"
                bad[index] = MessageError(reason, code="VALUE_REFUSED")
        if not bad:
            return shape, tuple(converted), []
        accepted = tuple(row for row in shape.take if row[0] not in bad)
        return Shape(accepted, (), False, shape.direct), tuple(converted), list(bad.values())

    def _event(self, route: Route, data: dict[str, Any], at: int) -> None:
        kind, code = data.get("kind"), str(data.get("code", ""))
        if kind not in KINDS:
            raise MessageError(f"event kind {kind!r:.40} is not known", code="SCHEMA_VIOLATION")
        if len(code) > LONGEST_CODE:
            raise MessageError(f"code has {len(code)} characters, at most {LONGEST_CODE} are allowed", code="VALUE_REFUSED")
        moment = datetime.fromtimestamp(at / 1000, UTC)
        if kind == "alarm" and data.get("active") is False:
            self.closed.append({"dtId": route.dt_id, "code": code, "at": moment})
            return
        own = {
            f"reported_{key}" if key in OF_THE_SYSTEM else key: value for key, value in data.items() if key and key[0] != "_"
        }
        own |= {key: str(own[key]) for key in ("text", "severity") if own.get(key) is not None}
        plain = {key: value for key, value in own.items() if isinstance(value, str | int | float | bool)}
        large = next((key for key, value in plain.items() if type(value) is int and not -(2**63) <= value < 2**63), None)
        if large is not None:
            raise MessageError(f"{large}: {plain[large]} has more than 64 bits", code="VALUE_REFUSED")
        properties = plain | {"code": code, "at": moment}
        properties.pop("kind")
        self.events.append(Event(route.dt_id, f"{route.dt_id}|{kind}|{code}|{at}", str(kind), properties))

    def _answer(self, data: dict[str, Any], at: int) -> None:
        if not isinstance(data.get("id"), str) or data.get("status") not in ANSWERS:
            raise MessageError("an answer needs id and status", code="SCHEMA_VIOLATION")
        response, reason = data.get("response"), data.get("reason")
        row = {"id": data["id"], "status": data["status"], "reason": None if reason is None else str(reason)}
        self.answers.append(row | {"response": None if response is None else orjson.dumps(response).decode()})

    def reject(self, message: Message, *errors: MessageError) -> None:
        """One letter a message, whatever the number of its faults: replayed, it becomes one message again."""
        for error in errors:
            self.rejected[error.code] = self.rejected.get(error.code, 0) + 1
        received = self.now if message.received is None else message.received
        reason = "; ".join(map(str, errors))
        self.deadletters.append(letter(self.assembler.source, message, errors[0].code, reason, received))

    def finish(self, positions: Sequence[Position]) -> Assembled:
        series = [assembled for dt_id, shapes in self.groups.items() if (assembled := self._series(dt_id, shapes))]
        for twin_series in series:
            twin_series.received = self.received[twin_series.dt_id]
        stale = [{"id": dt_id, "at": at} for dt_id, at in self.stale.items()]
        qualities = _changes(self.qualities)
        batch = Batch(
            series,
            self.events,
            self.closed,
            self.answers,
            self.deadletters,
            stale,
            positions,
            (),
            qualities,
            self.now + self.skew,
        )
        return Assembled(batch, self.rejected, sum(twin_series.points() for twin_series in series), self.doubled)

    def _series(self, dt_id: str, shapes: dict[Shape, Rows]) -> Series | None:
        if len(shapes) == 1:
            ((shape, rows),) = shapes.items()
            if shape.direct and (direct := _direct(dt_id, shape, rows)) is not None:
                return direct
            columns = [(s, self._column(s, index + 1, rows)) for index, s in shape.take]
            times = [row[0] for row in rows]
            if _ascending(times) and all(len(values) == len(times) for _, (_, values) in columns):
                return self._uniform(dt_id, times, [(signal, values) for signal, (_, values) in columns])
        return self._mixed(dt_id, shapes)

    def _uniform(self, dt_id: str, times: list[int], columns: list[tuple[Signal, list[Any]]]) -> Series:
        latest: dict[str, Any] = {}
        for signal, values in columns:
            latest |= _latest(signal, values[-1])
        return Series(dt_id, times, {s.name: _stored(s, values) for s, values in columns}, latest)

    def _mixed(self, dt_id: str, shapes: dict[Shape, Rows]) -> Series | None:
        """Signals with times of their own, or out of order, or with points taken out: sorted, first value stays."""
        points: dict[str, tuple[Signal, dict[int, Any]]] = {}
        for shape, rows in shapes.items():
            for index, signal in shape.take:
                _, by_time = points.setdefault(signal.name, (signal, {}))
                times, values = self._column(signal, index + 1, rows)
                before = len(by_time)
                for at, value in zip(times, values, strict=True):
                    by_time.setdefault(at, value)
                self.doubled += len(times) - (len(by_time) - before)
        filled = {name: (signal, dict(sorted(by_time.items()))) for name, (signal, by_time) in points.items() if by_time}
        if not filled:
            return None
        own = {name: list(by_time) for name, (_, by_time) in filled.items()}
        times = next(iter(own.values()))
        columns = {name: _stored(signal, list(by_time.values())) for name, (signal, by_time) in filled.items()}
        latest: dict[str, Any] = {}
        for signal, by_time in filled.values():
            latest |= _latest(signal, next(reversed(by_time.values())))
        return Series(dt_id, times, columns, latest, {name: t for name, t in own.items() if t != times})

    def _column(self, signal: Signal, index: int, rows: Rows) -> tuple[list[int], list[Any]]:
        times, values = [row[0] for row in rows], [row[index] for row in rows]
        if signal.kind != "float":
            return times, values
        times, values = self._finite(times, values)
        if signal.scale is None:
            return times, values
        return self._finite(times, signal.scale.numbers(values).tolist())

    def _finite(self, times: list[int], values: list[Any]) -> tuple[list[int], list[Any]]:
        if _is_sound(values):
            return times, values
        finite = [(at, value) for at, value in zip(times, values, strict=True) if _is_finite(value)]
        self.rejected["NOT_FINITE"] = self.rejected.get("NOT_FINITE", 0) + len(values) - len(finite)
        return [at for at, _ in finite], [value for _, value in finite]


def _changes(qualities: list[Quality]) -> list[Quality]:
    """In order of time, without what repeats the one before."""
    last_status: dict[tuple[str, str], str] = {}
    changes = []
    for entry in sorted(qualities, key=lambda entry: entry.at):
        if last_status.get((entry.dt_id, entry.signal)) != entry.said:
            last_status[entry.dt_id, entry.signal] = entry.said
            changes.append(entry)
    return changes


def _direct(dt_id: str, shape: Shape, rows: Rows) -> Series | None:
    """Rows become columns at once; None where times are out of order, or a number is not finite."""
    times, *columns = zip(*rows, strict=True)
    if not _ascending(times):
        return None
    signal_columns: dict[str, list[Any]] = {}
    try:
        for index, signal in shape.take:
            values = signal_columns[signal.name] = list(
                map(float, columns[index]) if signal.kind == "float" else columns[index]
            )
            if signal.kind == "float" and not math.isfinite(sum(values)):
                return None
    except OverflowError:
        return None
    return Series(dt_id, list(times), signal_columns, {name: values[-1] for name, values in signal_columns.items()})


def _is_direct(signal: Signal) -> bool:
    is_plain = isinstance(signal.schema, Enum) or (isinstance(signal.schema, Primitive) and signal.schema.name in AS_THEY_COME)
    return is_plain and signal.scale is None


def _is_sound(values: list[Any]) -> bool:
    try:
        return math.isfinite(sum(values))
    except OverflowError:
        return False


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floating-point ones
        return False


def _can_be(catalog: Catalog, twin: NewTwin) -> bool:
    try:
        twin_row(catalog, twin)
    except (TwinError, NotFound):
        return False
    return True


def letter(source: str, message: Message, code: str, reason: str, received: int) -> dict[str, Any]:
    """A row of telemetry/deadletters; a payload that came as fields is kept as JSON."""
    payload = message.payload if isinstance(message.payload, bytes) else _json(message.payload)
    row = {"source": source, "topic": writable(message.address), "code": code, "reason": writable(reason)}
    at = message.time if message.time is None or abs(message.time) < 2**63 else None
    return row | {"payload": payload[:LONGEST_PAYLOAD], "size": len(payload), "received": received, "time": at}


def _json(payload: Any) -> bytes:
    try:
        return orjson.dumps(payload, default=str)
    except TypeError:  # nested too deep, or a number too large
        return repr(payload)[:LONGEST_PAYLOAD].encode(errors="replace")


def writable(text: str) -> str:
    """The beginning of a text, without what UTF-8 cannot hold."""
    return text[:1000].encode(errors="replace").decode()


def _signal(signal: Telemetry, target: Target) -> Signal:
    name, schema = signal.name, signal.schema
    column = column_kind(schema)
    check = None if column in ("float", "bool") and isinstance(schema, Primitive) else storable(name, schema)
    conversion = conversion_of(target, signal.unit)
    if conversion is None:
        return Signal(name, schema, column, check)
    if conversion.values:
        return Signal(name, schema, column, storable(name, schema), convert=conversion)
    if column == "float":
        return Signal(name, schema, column, check, conversion)
    return Signal(name, schema, column, check, convert=lambda value: round(conversion(value)))


def _type_problem(schema: Schema, kind: type, target: Target) -> str:
    if target.values:
        return ""
    if not target.plain and kind not in (int, float):
        return "must be a number, to be converted"
    if not isinstance(schema, Primitive | Enum):
        return ""
    expected: tuple[type, ...] = {"float": (int, float), "int": (int,), "bool": (bool,), "str": (str, dict, list)}[
        column_kind(schema)
    ]
    return "" if kind in expected else f"must be {schema.name if isinstance(schema, Primitive) else 'an enum value'}"


def _latest(signal: Signal, value: Any) -> dict[str, Any]:
    return flatten(signal.name, signal.schema, value)


def _stored(signal: Signal, values: list[Any]) -> list[Any]:
    if signal.kind == "float":
        return list(map(float, values))
    if signal.kind == "str":
        return [value if type(value) is str else orjson.dumps(value).decode() for value in values]
    return values


def _ascending(times: Sequence[int]) -> bool:
    return len(times) == 1 or all(map(operator.lt, times, times[1:]))
