"""Payload → fields and time of measure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from app.errors import MessageError

EARLIEST = 631_152_000_000  # 1990-01-01: clocks that were never set say 1970 or 1980


def fields(payload: bytes | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(payload, bytes):
        return dict(payload)
    try:
        decoded = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise MessageError(f"not JSON: {error}", code="NOT_JSON") from error
    if type(decoded) is not dict:
        raise MessageError("a message must be a JSON object", code="NOT_AN_OBJECT")
    return decoded


def instant(value: Any, now: int, skew: int) -> int:
    """Epoch milliseconds from RFC 3339 text or epoch seconds or milliseconds.

    Raises: MessageError when it is no time, or lies further ahead than `skew` [ms]."""
    if type(value) is str:
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError as error:
            raise MessageError(f"{value!r:.60} is no time", code="TIME_INVALID") from error
        milliseconds = round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)
    elif type(value) in (int, float):
        milliseconds = round(value if abs(value) > 1e11 else value * 1000)
    else:
        raise MessageError(f"{value!r:.60} is no time", code="TIME_INVALID")
    if not EARLIEST <= milliseconds <= now + skew:
        raise MessageError(f"time of measure {value!r:.60} is not plausible", code="CLOCK_SKEW")
    return milliseconds
