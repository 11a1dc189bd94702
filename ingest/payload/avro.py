"""Avro as Kafka's schema registries frame it: a zero, the schema's number, the record. Schemas are fetched once each."""

import io
import struct
import time
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import fastavro
import httpx
import orjson

from app.errors import MessageError, Unavailable

TIMEOUT, MOST_BYTES = 10.0, 4 * 1024**2
DAMAGED = (EOFError, ValueError, IndexError, TypeError, struct.error, UnicodeDecodeError, AssertionError, OverflowError)


def read(body: bytes, registry: str) -> Any:
    """Raises: MessageError when it is no record of its schema; Unavailable while the registry is."""
    if len(body) < 5 or body[0] != 0:
        raise MessageError("not Avro of a schema registry: it begins with a zero and four bytes", code="NOT_AVRO")
    schema = _schema(registry, struct.unpack(">I", body[1:5])[0])
    stream = io.BytesIO(body[5:])
    try:
        decoded = fastavro.schemaless_reader(stream, schema, None)
    except DAMAGED as error:
        raise MessageError(f"not a record of its schema: {error}", code="NOT_AVRO") from error
    if stream.read(1):
        raise MessageError("more than a record of its schema", code="NOT_AVRO")
    return _plain(decoded)


@lru_cache(1000)
def _schema(registry: str, number: int) -> Any:
    try:
        status, body = _fetched(f"{registry.rstrip('/')}/schemas/ids/{number}")
    except (httpx.TransportError, TimeoutError) as error:
        raise Unavailable(f"schema registry: {error!r}", where=registry) from error
    if status == 404:
        raise MessageError(f"the registry has no schema {number}", code="NO_SCHEMA")
    if status != 200:
        raise Unavailable(f"schema registry answers {status}", where=registry)
    try:
        return fastavro.parse_schema(orjson.loads(orjson.loads(body)["schema"]))
    except (ValueError, KeyError, TypeError, fastavro.schema.SchemaParseException) as error:
        raise MessageError(f"schema {number} of the registry cannot be read: {error}", code="NO_SCHEMA") from error


def _fetched(url: str) -> tuple[int, bytes]:
    """Status and at most MOST_BYTES, within TIMEOUT in all. Raises: httpx.TransportError, TimeoutError."""
    until, body = time.monotonic() + TIMEOUT, bytearray()
    with httpx.stream("GET", url, timeout=TIMEOUT) as answer:
        for part in answer.iter_bytes():
            body += part
            if time.monotonic() > until:
                raise TimeoutError(f"no whole answer within {TIMEOUT:g} s")
            if len(body) > MOST_BYTES:
                raise TimeoutError(f"more than {MOST_BYTES:,} bytes")
        return answer.status_code, bytes(body)


def _plain(value: Any) -> Any:
    """Logical types as JSON has them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value
