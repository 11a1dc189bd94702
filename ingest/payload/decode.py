"""Payload → records, each the fields of one moment, and the event time.

READERS: payload → how its bytes become records. A new payload is a row."""

import base64
import binascii
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from app.errors import MessageError
from ingest.mapping.declaration import Rule
from ingest.payload.unpack import LINES, PACKED, SHORT, require_few, require_short, unpacked
from ingest.source import Payload

EARLIEST = 631_152_000_000  # 1990-01-01: clocks that were never set say 1970 or 1980
Record = dict[str, Any]


def records(payload: Payload, rule: Rule, attributes: Mapping[str, str] | None = None) -> Iterable[Record | MessageError]:
    """`attributes`: of a CloudEvent whose payload is its data alone. A MessageError in the place of a record that is none.

    Raises: MessageError when the payload is not what the rule says."""
    decoded: Any
    if type(payload) is bytes:
        body = unpacked(payload)
        if attributes and rule.payload == "cloudevents":
            decoded = list(_of_event({**attributes, "data": _json(body, rule)}, rule))
        else:
            decoded = READERS[rule.payload](body, rule)
        if type(decoded) is dict and rule.is_flat:
            return (decoded,)
    else:
        decoded = payload
    return _shaped(decoded, rule)


def _shaped(decoded: Any, rule: Rule) -> Iterator[Record | MessageError]:
    readings = rule.readings
    for record in decoded if isinstance(decoded, list | tuple) else (decoded,):
        try:
            inner = _inside(record, rule.fields)
        except MessageError as error:
            yield error
            continue
        for fields in inner if isinstance(inner, list) else (inner,):
            if not isinstance(fields, Mapping):
                yield MessageError(f"{rule.fields or 'a record'} must be an object", code="NOT_AN_OBJECT")
                continue
            time = {name: record[name] for name in (rule.time, rule.quality) if name in record and name not in fields}
            if readings is None:
                yield {**(_flat(fields) if rule.nested else fields), **time, **rule.fixed}
            elif readings.name not in fields or readings.value not in fields:
                yield MessageError(f"a reading needs {readings.name!r} and {readings.value!r}", code="NOT_A_READING")
            else:
                shared = time | {name: fields[name] for name in (rule.time, rule.quality) if name in fields}
                yield {str(fields[readings.name]): fields[readings.value], **shared, **rule.fixed}


def _inside(record: Any, path: str) -> Any:
    if not isinstance(record, Mapping):
        raise MessageError("a record must be an object", code="NOT_AN_OBJECT")
    for step in path.split(".") if path else ():
        if not isinstance(record, Mapping) or step not in record:
            raise MessageError(f"no {path!r} in the message", code="NO_FIELDS")
        record = record[step]
    return record


def _flat(fields: Mapping[str, Any], before: str = "") -> Record:
    flat: Record = {}
    for key, value in fields.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[before + key] = value
    return flat


# Readers --------------------------------------------------------------------------------------------------------------


def _json(body: bytes, rule: Rule) -> Any:
    require_few(body)
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MessageError(f"not JSON: {error}", code="NOT_JSON") from error
    if type(decoded) not in (dict, list):
        raise MessageError("a message must be a JSON object, or an array of them", code="NOT_AN_OBJECT")
    return decoded


def _msgpack(body: bytes, rule: Rule) -> Any:
    import ormsgpack

    require_short(body, PACKED)
    try:
        return ormsgpack.unpackb(body)
    except ormsgpack.MsgpackDecodeError as error:
        raise MessageError(f"not MessagePack: {error}", code="NOT_MSGPACK") from error


def _csv(body: bytes, rule: Rule) -> Any:
    if len(body) > SHORT and body.count(b"\n") + body.count(b"\r") > LINES:
        raise MessageError(f"a message has at most {LINES:,} lines", code="TOO_LARGE")
    try:
        lines = body.decode("utf-8-sig").splitlines()
        rows = list(csv.reader((line for line in lines if line.strip()), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise MessageError(f"not CSV: {error}", code="NOT_CSV") from error
    names = list(rule.columns) or (rows.pop(0) if rows else [])
    csv_records = []
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise MessageError(f"row {number} has {len(row)} values for {len(names)} columns", code="NOT_CSV")
        csv_records.append({name: _cell(text) for name, text in zip(names, row, strict=True) if text})
    return csv_records


def _cell(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float) if "_" not in text else ():
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _cloudevents(body: bytes, rule: Rule) -> Any:
    """Structured events, one or a batch of them; an event's time is that of its data, unless this says its own."""
    decoded = _json(body, rule)
    return [record for event in (decoded if isinstance(decoded, list) else [decoded]) for record in _of_event(event, rule)]


def _of_event(event: Any, rule: Rule) -> Iterator[Any]:
    if not isinstance(event, dict) or not isinstance(event.get("specversion"), str):
        raise MessageError("not a CloudEvent: no specversion", code="NOT_A_CLOUDEVENT")
    data = event.get("data")
    if "data_base64" in event:
        try:
            data = _json(base64.b64decode(event["data_base64"], validate=True), rule)
        except (binascii.Error, TypeError, ValueError) as error:
            raise MessageError("data_base64 is not Base64", code="NOT_A_CLOUDEVENT") from error
    time = {rule.time: event["time"]} if "time" in event else {}
    for record in data if isinstance(data, list) else [data]:
        yield {**time, **record} if isinstance(record, dict) else record


def _avro(body: bytes, rule: Rule) -> Any:
    from ingest.payload.avro import read

    return read(body, rule.registry)


READERS: dict[str, Callable[[bytes, Rule], Any]] = {
    "json": _json,
    "csv": _csv,
    "msgpack": _msgpack,
    "cloudevents": _cloudevents,
    "avro": _avro,
}


def instant(value: Any, now: int, skew: int) -> int:
    """Epoch milliseconds from RFC 3339 text or epoch seconds or milliseconds.

    Raises: MessageError when it is no time, or lies further ahead than `skew` [ms]."""
    if type(value) is str:
        try:
            parsed = datetime.fromisoformat(value)
            milliseconds = round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError) as error:
            raise MessageError(f"{value!r:.60} is no time", code="TIME_INVALID") from error
    elif type(value) in (int, float) and abs(value) < 1e18:  # neither NaN nor infinite
        milliseconds = round(value if abs(value) > 1e11 else value * 1000)
    else:
        raise MessageError(f"{value!r:.60} is no time", code="TIME_INVALID")
    return plausible(milliseconds, now, skew)


def plausible(at: int, now: int, skew: int) -> int:
    """Raises: MessageError for what lies before clocks were set, or further ahead than `skew` [ms]."""
    if not EARLIEST <= at <= now + skew:
        raise MessageError(f"timestamp {at} is not plausible", code="CLOCK_SKEW")
    return at
