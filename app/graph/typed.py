"""Nodes of the graph → frozen values. What somebody has changed by hand, or another version has written, is passed over and
told: one odd node never stops the reader of all."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import structlog

from app import metrics
from app.errors import Malformed

log = structlog.get_logger()
T = TypeVar("T")
Properties = Mapping[str, Any]


def typed(kind: type[T], properties: Properties) -> T:
    """A dataclass from properties; those that it has no field for are left out.

    Raises: Malformed naming the first property that is missing or of another type."""
    arguments = {}
    for name, (annotation, required) in _fields(kind).items():  # type: ignore[arg-type]
        value = properties.get(name)
        if value is None and not required:
            continue
        if not _is(value, annotation):
            raise Malformed(f"{name} is {'missing' if value is None else f'{value!r:.40}'}", where=kind.__name__)
        arguments[name] = tuple(value) if isinstance(value, list) else value
    return kind(**arguments)


def all_typed(kind: type[T], rows: Iterable[Properties]) -> Iterator[T]:
    """Those that are whole."""
    for row in rows:
        try:
            yield typed(kind, row)
        except Malformed as error:
            passed_over(kind.__name__, str(row.get("id", "")), error.what)


def passed_over(kind: str, name: str, reason: str) -> None:
    metrics.MALFORMED.labels(kind).inc()
    log.warning("malformed graph node skipped", kind=kind, name=name[:100], reason=reason, hint="it was changed by hand")


@cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    hints = get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(kind)  # type: ignore[arg-type]
    }


def _is(value: Any, annotation: Any) -> bool:
    if annotation is Any:
        return True
    if isinstance(annotation, UnionType):
        return any(_is(value, member) for member in get_args(annotation))
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)[0]
        return isinstance(value, list | tuple) and all(_is(item, inner) for item in value)
    if annotation is float:
        return type(value) in (int, float)
    if annotation is bytes:
        return isinstance(value, bytes | bytearray)
    return type(value) is annotation or (annotation is type(None) and value is None)
