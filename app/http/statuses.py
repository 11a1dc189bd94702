"""Error → HTTP status, and the headers that go with it. The first row that fits counts."""

from collections.abc import Mapping
from typing import Any

from app.errors import (
    BadRequest,
    Busy,
    CommandError,
    Conflict,
    Forbidden,
    Malformed,
    ModelError,
    NotFound,
    StoreRefused,
    StoreTimeout,
    TooLarge,
    TwinError,
    TwingraphError,
    Unauthenticated,
    Unavailable,
    ValueRefused,
)

ROWS: Mapping[type[TwingraphError], int] = {
    Unauthenticated: 401,
    Busy: 429,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    BadRequest: 422,
    Unavailable: 503,
    StoreTimeout: 504,
    StoreRefused: 422,
    ValueRefused: 422,
    Malformed: 422,
    TwinError: 422,
    ModelError: 422,
    CommandError: 422,
}
HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer, Basic realm="twingraph"'},
    429: {"Retry-After": "1"},
    503: {"Retry-After": "5"},
    504: {"Retry-After": "5"},
}


def status_of(error: TwingraphError) -> int:
    return next((status for kind, status in ROWS.items() if isinstance(error, kind)), 500)


def body_of(error: TwingraphError) -> dict[str, Any]:
    return {"what": error.what, **error.extensions()}
