"""Sparkplug B payloads: protobuf ↔ metrics. Sparkplug specification 3.0, section 6.4; the schema is sparkplug.proto."""

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import DecodeError

from app.errors import MessageError
from ingest.sparkplug import sparkplug_pb2

INT64, BOOLEAN, DOUBLE, STRING, DATETIME = 4, 11, 10, 12, 13
BITS = {1: 8, 2: 16, 3: 32, 4: 64}  # of signed whole numbers: they come as two's complement, or extended to the field's width
ARRAYS = {22: "b", 23: "h", 24: "i", 25: "q", 26: "B", 27: "H", 28: "I", 29: "Q", 30: "f", 31: "d", 34: "q"}
BOOLEANS, TEXTS = 32, 33


@dataclass(frozen=True, slots=True)
class Metric:
    """`name` and `datatype` are empty where the birth has said them; `value` None: null; `quality`: 192 good, 0 bad, 500
    stale."""

    name: str
    alias: int | None
    datatype: int
    timestamp: int | None
    value: Any
    historical: bool = False
    transient: bool = False
    quality: int = 192


@dataclass(frozen=True, slots=True)
class Payload:
    timestamp: int | None
    seq: int | None
    metrics: tuple[Any, ...]  # as protobuf has them: a value needs its type, which may be known from the birth alone


def decode(body: bytes) -> Payload:
    """Raises: MessageError when it is no Sparkplug B payload."""
    message = sparkplug_pb2.Payload()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise MessageError("not a Sparkplug B payload", code="NOT_SPARKPLUG") from error
    return Payload(_held(message, "timestamp"), _held(message, "seq"), tuple(message.metrics))


def metric(raw_metric: Any, datatype: int = 0) -> Metric:
    """`datatype`: as its birth said. Raises: MessageError when the value is not of its type."""
    kind = raw_metric.datatype or datatype
    try:
        value = None if raw_metric.is_null else _value(raw_metric, kind)
    except (struct.error, UnicodeDecodeError, OverflowError, ValueError, IndexError, TypeError) as error:
        raise MessageError(f"metric {raw_metric.name!r:.80}: {error}", code="NOT_SPARKPLUG") from error
    properties = (
        dict(zip(raw_metric.properties.keys, raw_metric.properties.values, strict=False))
        if raw_metric.HasField("properties")
        else {}
    )
    quality = properties["Quality"].int_value if "Quality" in properties else 192
    alias, at = _held(raw_metric, "alias"), _held(raw_metric, "timestamp")
    return Metric(raw_metric.name, alias, kind, at, value, raw_metric.is_historical, raw_metric.is_transient, quality)


def encode(metrics: Mapping[str, Any], timestamp: int, seq: int | None = None) -> bytes:
    """A payload of metrics by name; the type is that of the value."""
    payload = sparkplug_pb2.Payload(timestamp=timestamp)
    if seq is not None:
        payload.seq = seq
    for name, value in metrics.items():
        raw_metric = payload.metrics.add(name=name, timestamp=timestamp)
        if type(value) is bool:
            raw_metric.datatype, raw_metric.boolean_value = BOOLEAN, value
        elif type(value) is int:
            raw_metric.datatype, raw_metric.long_value = INT64, value % 2**64
        elif type(value) is float:
            raw_metric.datatype, raw_metric.double_value = DOUBLE, value
        else:
            raw_metric.datatype, raw_metric.string_value = STRING, str(value)
    return bytes(payload.SerializeToString())


def _held(message: Any, field: str) -> int | None:
    return int(getattr(message, field)) if message.HasField(field) else None


def _value(raw_metric: Any, kind: int) -> Any:
    field = raw_metric.WhichOneof("value")
    if field is None:
        return None
    raw = getattr(raw_metric, field)
    if field == "dataset_value":
        return _dataset(raw)
    if field == "template_value":
        return {member.name: metric(member).value for member in raw.metrics}
    if field == "bytes_value":
        return _array(raw, kind) if kind in ARRAYS or kind in (BOOLEANS, TEXTS) else base64.b64encode(raw).decode()
    if kind in BITS:
        return _signed(int(raw), BITS[kind])
    return _moment(raw) if kind == DATETIME else raw


def _signed(raw: int, bits: int) -> int:
    low = raw & ((1 << bits) - 1)
    return low - (1 << bits) if low >> (bits - 1) else low


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(_signed(milliseconds, 64) / 1000, UTC).isoformat(timespec="milliseconds")


def _array(raw: bytes, kind: int) -> list[Any]:
    if kind == TEXTS:
        return [part.decode() for part in raw.split(b"\0")[:-1]]
    if kind == BOOLEANS:  # the specification's example counts from the highest bit
        (count,) = struct.unpack_from("<I", raw)
        return [bool(raw[4 + i // 8] & (0x80 >> i % 8)) for i in range(count)]
    values = [value for (value,) in struct.iter_unpack(f"<{ARRAYS[kind]}", raw)]
    return [_moment(value) for value in values] if kind == 34 else values


def _dataset(raw: Any) -> dict[str, Any]:
    rows = []
    for row in raw.rows:
        cells = zip(row.elements, raw.types, strict=False)
        rows.append([_value(cell, kind) for cell, kind in cells])
    return {"columns": list(raw.columns), "rows": rows}
