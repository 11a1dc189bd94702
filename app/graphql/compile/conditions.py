"""Arguments → predicates, orders and hops of the select tree."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphql import get_named_type

from app.dtdl import Catalog
from app.errors import QueryError
from app.graph.select.operators import COUNT, OPERATORS, of_kind
from app.graph.select.tree import And, Compare, Count, Exists, Hop, IsNull, Not, Or, Order, Predicate, Value, param
from app.graphql.compile.variables import Chained, each_epoch_ms
from app.graphql.schema.origin import (
    ORIGIN,
    AllOf,
    AnyOf,
    FlatObject,
    Instant,
    NoneOf,
    Nothing,
    Origin,
    Reading,
    RelatedTwins,
    Valued,
)

Arguments = Mapping[str, Any]


def key_of(origin: Origin) -> Value:
    return Value(origin.key, origin.signal if isinstance(origin, Valued) else "")


def hop_of(catalog: Catalog, origin: RelatedTwins, depth: int = 0) -> Hop:
    return Hop((origin.key,), origin.outgoing, catalog.labels.get(origin.target, ""), depth, origin.part)


def where(catalog: Catalog, given: Any, type_: Any) -> Predicate | None:
    """`type_` is the input type that `given` was coerced by."""
    if not given:
        return None
    fields = get_named_type(type_).fields
    return And(tuple(part for name, value in given.items() for part in _conditions(catalog, fields[name], value)))


def _conditions(catalog: Catalog, field_def: Any, value: Any) -> Iterator[Predicate]:
    origin: Origin = field_def.extensions[ORIGIN]
    if value is None:
        return
    match origin:
        case AllOf() | AnyOf():
            parts = tuple(where(catalog, part, field_def.type) or And(()) for part in value)
            yield And(parts) if isinstance(origin, AllOf) else Or(parts)
        case NoneOf():
            yield Not(where(catalog, value, field_def.type) or And(()))
        case RelatedTwins():
            yield from _related(catalog, origin, field_def.type, value)
        case FlatObject():
            for name, inner in value.items():
                for part in _conditions(catalog, get_named_type(field_def.type).fields[name], inner):
                    yield _inside(part, origin.key)
        case Reading():
            yield from _compared(Value(f"_at_{origin.key}"), value.get("at") or {}, each_epoch_ms)
        case Instant():
            yield from _compared(key_of(origin), value, each_epoch_ms)
        case Nothing():
            return
        case _:
            yield from _compared(key_of(origin), value)


def _related(catalog: Catalog, origin: RelatedTwins, type_: Any, value: Arguments) -> Iterator[Predicate]:
    hop, fields = hop_of(catalog, origin), get_named_type(type_).fields
    for quantifier, part in value.items():
        if part is None:
            continue
        if quantifier != "count":
            yield Exists(hop, quantifier, where(catalog, part, fields[quantifier].type))  # type: ignore[arg-type]
            continue
        fits = where(catalog, part.get("where"), get_named_type(fields["count"].type).fields["where"].type)
        for row in of_kind(COUNT):
            if part.get(row.name) is not None:
                yield Count(hop, fits, row.name, param(part[row.name]))


def _compared(key: Value, value: Arguments, convert: Callable[[Any], Any] | None = None) -> Iterator[Predicate]:
    """`convert` makes of each value what lies in the graph."""
    for name, operand in value.items():
        own = OPERATORS[name].convert
        if operand is None and name in ("eq", "ne"):
            yield IsNull(key, name == "eq")
        elif operand is not None and name == "isNull":
            yield IsNull(key, bool(operand))
        elif operand is not None:
            yield Compare(key, name, param(operand, Chained(own, convert) if own and convert else own or convert))


def _inside(part: Predicate, path: str) -> Predicate:
    """A condition on a field of the object at `path`."""
    match part:
        case Compare(key, operator, operand):
            return Compare(Value(f"{path}.{key.key}"), operator, operand)
        case IsNull(key, null):
            return IsNull(Value(f"{path}.{key.key}"), null)
    return part


def orders(catalog: Catalog, entries: Any, type_: Any) -> tuple[Order, ...]:
    """Raises: QueryError for an order by a twin further away than one relationship."""
    return tuple(order for entry in entries or () for order in _orders(catalog, entry, get_named_type(type_).fields))


def _orders(catalog: Catalog, entry: Arguments, fields: Any) -> Iterator[Order]:
    for name, value in entry.items():
        origin: Origin = fields[name].extensions[ORIGIN]
        if value is None:
            continue
        if not isinstance(origin, RelatedTwins):
            yield Order(key_of(origin), bool(value))
            continue
        for inner in _orders(catalog, value, get_named_type(fields[name].type).fields):
            if inner.hop is not None:
                raise QueryError("an order can follow one relationship", where=f"orderBy.{name}")
            yield Order(inner.key, inner.descending, hop_of(catalog, origin))
