"""The one way to change the graph."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app import clock
from app.errors import Conflict
from app.graph.rollup import COARSEST
from app.graph.segment import signals, sound, times
from app.graph.statements import statement
from app.graph.store import Store, Transaction
from app.history.series import Series, latest_properties, segment_properties, without


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a twin at a time; `id` makes it happen once."""

    dt_id: str
    id: str
    kind: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """How far one part of a source, such as a partition, has been read; positions of a part grow, as numbers or as texts."""

    source: str
    part: str
    position: int | str


@dataclass(frozen=True, slots=True)
class Quality:
    """What is said of a signal from `at` [epoch ms] on: Good, or what is wrong."""

    dt_id: str
    signal: str
    said: str
    at: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything of one transaction. Either all of it is in the graph afterwards, or none.

    `stale`: {id, at} of twins whose values up to then are no longer current. `taken`: ids and payloads of the dead letters that
    this batch is made of; they go. `limit` [epoch ms]: the latest time that can be one of measure; 0: that of now."""

    series: Sequence[Series] = ()
    events: Sequence[Event] = ()
    closed: Sequence[Mapping[str, Any]] = ()
    answers: Sequence[Mapping[str, Any]] = ()
    deadletters: Sequence[Mapping[str, Any]] = ()
    stale: Sequence[Mapping[str, Any]] = ()
    positions: Sequence[Position] = ()
    taken: Sequence[tuple[str, bytes]] = ()
    qualities: Sequence[Quality] = ()
    limit: int = 0


@dataclass(slots=True)
class Outcome:
    """`ahead`: twins whose latest values lay beyond the limit, by a clock that was wrong, and now are those of the batch."""

    points: int = 0
    duplicates: int = 0
    segments: int = 0
    ahead: int = 0
    unknown: list[str] = field(default_factory=list)


def append(store: Store, batch: Batch) -> Outcome:
    """Telemetry, events, command answers, dead letters and positions of the source, in one transaction.

    A twin that does not exist is named in `unknown`; the rest is written. Raises: StoreError; Conflict when one of `taken`
    is not as it was, and nothing is written then."""
    return store.write(lambda transaction: _append(transaction, batch))


def _append(transaction: Transaction, batch: Batch) -> Outcome:
    outcome, limit = Outcome(), batch.limit or clock.limit()
    if batch.series:
        _append_series(transaction, batch.series, limit, outcome)
    for name, rows in (
        ("event/record", [_event_row(event) for event in batch.events]),
        ("event/close", list(batch.closed)),
        ("command/answer", list(batch.answers)),
        ("telemetry/deadletters", list(batch.deadletters)),
        ("telemetry/stale", list(batch.stale)),
        ("telemetry/quality", [_quality_row(one) for one in batch.qualities]),
    ):
        if rows:
            transaction.run(statement(name), rows=rows, limit=limit)
    if batch.taken:
        rows = [{"id": identifier, "payload": payload} for identifier, payload in batch.taken]
        ((taken,),) = transaction.run(statement("deadletter/take"), rows=rows)
        if taken < len(rows):
            raise Conflict("dead letters were changed or taken by another process meanwhile", hint="replay once more")
    if batch.positions:
        transaction.run(statement("telemetry/position"), rows=[_position_row(one) for one in batch.positions])
    return outcome


def positions_of(store: Store, source: str) -> dict[str, int | str]:
    """The position after which each part of a source goes on. Raises: StoreError."""
    return dict(store.read(statement("telemetry/positions"), {"source": source}))


def _append_series(transaction: Transaction, series: Sequence[Series], limit: int, outcome: Outcome) -> None:
    series = sorted(series, key=lambda twin_series: twin_series.dt_id)  # one order of locks for all writers: no deadlocks
    rows = []
    for index, twin_series in enumerate(series):
        first, last = twin_series.span()
        row = {"i": index, "id": twin_series.dt_id, "from": first, "latest": latest_properties(twin_series, last)}
        rows.append(row | {"segment": segment_properties(twin_series, first, last)})
    ((taken,),) = transaction.run(statement("telemetry/append"), rows=rows)
    outcome.segments += len(taken)
    outcome.points += sum(series[index].points() for index in taken)
    if len(taken) < len(series):
        rest = set(range(len(series))).difference(taken)
        _append_late(transaction, [series[index] for index in sorted(rest)], limit, outcome)


def _append_late(transaction: Transaction, series: Sequence[Series], limit: int, outcome: Outcome) -> None:
    spans = [twin_series.span() for twin_series in series]
    windows = [
        {"i": index, "id": twin_series.dt_id, "from": first, "to": last}
        for index, (twin_series, (first, last)) in enumerate(zip(series, spans, strict=True))
    ]
    ((twin_states,),) = transaction.run(statement("telemetry/late"), rows=windows)
    outcome.unknown += [series[index].dt_id for index in set(range(len(series))).difference(row[0] for row in twin_states)]
    rows: list[dict[str, Any]] = []
    heard: list[dict[str, Any]] = []
    for index, newest, ahead, stale, at, segments in twin_states:
        whole = list(sound(segments))
        fresh, duplicates = without(series[index], _stored_times(whole), _forgotten(whole))
        outcome.duplicates += duplicates
        if fresh is None:
            if series[index].received:
                heard.append({"id": series[index].dt_id, "received": series[index].received})
            continue
        first, last = fresh.span()
        newest_time = newest if isinstance(newest, int) else last
        latest = _newer(fresh, dict(at), max(last, newest_time) if newest_time <= limit else last, limit)
        if newest_time > limit:  # what comes goes on here until the time is past, so that no instant is stored twice
            latest["_ahead"] = max(newest_time, ahead or newest_time)
            outcome.ahead += 1
        if isinstance(stale, int) and stale > limit:
            latest["_stale"] = None
        rows.append({"id": fresh.dt_id, "latest": latest, "segment": segment_properties(fresh, first, last)})
        outcome.points += fresh.points()
    outcome.segments += len(rows)
    if rows:
        transaction.run(statement("telemetry/insert"), rows=rows)
    if heard:
        transaction.run(statement("telemetry/touch_received"), rows=heard, limit=limit)


def _stored_times(segments: Iterable[Mapping[str, Any]]) -> dict[str, set[int]]:
    stored: dict[str, set[int]] = {}
    for segment in segments:
        for signal in signals(segment):
            stored.setdefault(signal, set()).update(times(segment, signal))
    return stored


def _forgotten(segments: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, int]]]:
    """Where only roll-ups are left of a signal: its points there are counted in them."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for segment in segments:
        for key in segment:
            if key.startswith(COARSEST) and (signal := key.removeprefix(COARSEST)) not in segment:
                spans.setdefault(signal, []).append((segment["_from"], segment.get("_to", segment["_from"])))
    return spans


def _newer(series: Series, at: Mapping[str, int], last: int, limit: int) -> dict[str, Any]:
    """What becomes the latest: what is newer than what is held, unless that lies in the future."""
    properties = latest_properties(series, last)
    for signal in series.columns:
        stored_at = at.get(f"_at_{signal}")
        if isinstance(stored_at, int) and properties[f"_at_{signal}"] <= stored_at <= limit:
            stale = [key for key in properties if key.partition(".")[0] in (signal, f"_at_{signal}")]
            for key in stale:
                del properties[key]
    return properties


def _position_row(position: Position) -> dict[str, Any]:
    return {
        "id": f"{position.source}|{position.part}",
        "source": position.source,
        "part": position.part,
        "position": position.position,
    }


def _quality_row(quality: Quality) -> dict[str, Any]:
    key, good = f"_quality_{quality.signal}", quality.said == "Good"
    event = {"code": quality.signal, "quality": quality.said, "at": datetime.fromtimestamp(quality.at / 1000, UTC)}
    at_key = f"_quality_at_{quality.signal}"
    row = {"dtId": quality.dt_id, "key": key, "atKey": at_key, "at": quality.at, "said": quality.said}
    row |= {"set": {key: None if good else quality.said, at_key: quality.at}}
    return row | {"event": event, "id": f"{quality.dt_id}|quality|{quality.signal}|{quality.at}|{quality.said}"}


def _event_row(event: Event) -> dict[str, Any]:
    return {"dtId": event.dt_id, "id": event.id, "kind": event.kind, "properties": dict(event.properties)}
