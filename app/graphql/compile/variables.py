"""Variables of an operation left open, and the converters their values pass when a plan is bound.

A variable's scalar leaves become Holes: they flow through graphql-core's own coercion of arguments into Params, so one
plan serves all values. What decides the tree itself (enums, booleans, nulls, the shape of a filter, a model's name) is
read from the variables and is part of the plan's key. Each converter is a value, so that equal params stay equal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from graphql import GraphQLInputObjectType, GraphQLList, GraphQLNonNull, get_named_type, is_enum_type

from app.errors import QueryError
from app.graph.rollup import coarsest
from app.graph.select.tree import VariableRef
from app.graphql.schema.origin import ORIGIN
from app.graphql.schema.scalars import epoch_ms

DAY_MS = 86_400_000


def open_variables(values: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Coerced variables with every scalar leaf replaced by a Hole; enums of the API, booleans and nulls stay."""
    return {name: _opened(value, types[name], (name,)) for name, value in values.items()}


def _opened(value: Any, type_: Any, path: tuple[str | int, ...]) -> Any:
    if isinstance(type_, GraphQLNonNull):
        return _opened(value, type_.of_type, path)
    if value is None or isinstance(value, bool) or _decides(get_named_type(type_)):
        return value
    if isinstance(type_, GraphQLInputObjectType):
        return {key: _opened(item, type_.fields[key].type, (*path, key)) for key, item in value.items()}
    if isinstance(type_, GraphQLList) and isinstance(get_named_type(type_), GraphQLInputObjectType):
        return [_opened(item, type_.of_type, (*path, index)) for index, item in enumerate(value)]
    return VariableRef(path)


def _decides(type_: Any) -> bool:
    return is_enum_type(type_) and ORIGIN not in (type_.extensions or {})


@dataclass(frozen=True, slots=True)
class Within:
    """`first`, `last`: at most so many."""

    most: int
    name: str = "first"

    def __call__(self, first: int) -> int:
        if not 0 <= first <= self.most:
            raise QueryError(f"{self.name}: {first} is outside 0 to {self.most}", hint="page with after or before")
        return first


@dataclass(frozen=True, slots=True)
class PlusOne:
    inner: Within

    @property
    def most(self) -> int:
        return self.inner.most + 1

    def __call__(self, first: int) -> int:
        return self.inner(first) + 1


def not_negative(offset: int) -> int:
    if offset < 0:
        raise QueryError(f"offset: {offset} is below 0")
    return offset


def rank(value: float) -> float:
    if not 0 <= value <= 1:
        raise QueryError(f"rank: {value} is outside 0 to 1", hint="0.5 is the median")
    return value


def each_epoch_ms(value: Any) -> Any:
    return [epoch_ms(moment) for moment in value] if isinstance(value, list) else epoch_ms(value)


@dataclass(frozen=True, slots=True)
class Chained:
    """One converter after another; a value itself, so that equal params stay equal."""

    first: Callable[[Any], Any]
    then: Callable[[Any], Any]

    def __call__(self, given: Any) -> Any:
        return self.then(self.first(given))


def now(_: str) -> int:
    return epoch_ms(datetime.now(UTC))


def day_ago(_: str) -> int:
    return now(_) - DAY_MS


def day_before(moment: datetime) -> int:
    return epoch_ms(moment) - DAY_MS


@dataclass(frozen=True, slots=True)
class Level:
    """`every` → the widest roll-up [ms] that serves it."""

    zoned: bool

    def __call__(self, seconds: float) -> int:
        return coarsest(bucket(seconds), self.zoned)


def bucket(seconds: float) -> int:
    if not 1 <= seconds <= 366 * 86400:
        raise QueryError(f"every: {seconds} s is outside one second to 366 days", hint="an ISO 8601 duration: PT10M")
    return round(seconds * 1000)
