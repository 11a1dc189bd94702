"""The same schema answered by plain resolvers over a copy of the graph in memory: slow, simple, and written apart from the
engine. What it does not know (history, readings, asOf) is not asked of it."""

import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any

from graphql import GraphQLSchema, graphql_sync

from app.dtdl import Catalog
from app.graphql.schema.origin import (
    ORIGIN,
    AllOf,
    AnyOf,
    Links,
    NoneOf,
    OneTwin,
    Origin,
    Part,
    RelatedTwins,
    System,
    Totals,
    TwinList,
    TwinMeasures,
    TwinPages,
)

Twin = dict[str, Any]
MOST = 1000


@dataclass
class Plant:
    """`links`: (relationship, source, target)."""

    catalog: Catalog
    twins: dict[str, Twin]
    links: list[tuple[str, str, str]]

    def beyond(self, twin: Twin, origin: RelatedTwins) -> list[Twin]:
        ends = [
            (target if origin.outgoing else source)
            for name, source, target in self.links
            if name == origin.key and twin["dtId"] == (source if origin.outgoing else target)
        ]
        return [self.twins[end] for end in sorted(ends) if self.is_a(self.twins[end], origin.target)]

    def is_a(self, twin: Twin, dtmi: str) -> bool:
        return dtmi not in self.catalog.interfaces or self.catalog.is_a(twin["_model"], dtmi)

    def of(self, label: str) -> list[Twin]:
        dtmi = self.catalog.by_label.get(label, "")
        return [twin for _, twin in sorted(self.twins.items()) if self.is_a(twin, dtmi)]

    # Conditions, in three values: true, false, and None where a value is missing ----------------------------------------

    def fits(self, twin: Twin, where: Any, fields: Any) -> bool | None:
        return both(self.condition(twin, value, fields[name]) for name, value in (where or {}).items())

    def condition(self, twin: Twin, value: Any, field: Any) -> bool | None:
        origin: Origin = field.extensions[ORIGIN]
        if value is None:
            return True
        if isinstance(origin, AllOf | AnyOf):
            parts = [self.fits(twin, part, inner(field.type)) for part in value]
            return both(parts) if isinstance(origin, AllOf) else either(parts)
        if isinstance(origin, NoneOf):
            return self.fits(twin, value, inner(field.type)) is not True
        if isinstance(origin, RelatedTwins):
            return both(self.quantified(twin, origin, name, part, inner(field.type)) for name, part in value.items())
        return both(compared(twin.get(origin.key), operator, operand) for operator, operand in value.items())

    def quantified(self, twin: Twin, origin: RelatedTwins, name: str, part: Any, fields: Any) -> bool | None:
        if part is None:
            return True
        where = part.get("where") if name == "count" else part
        of = inner(fields["count"].type)["where"].type if name == "count" else fields[name].type
        found = [self.fits(other, where, inner(of)) for other in self.beyond(twin, origin)]
        count = sum(one is True for one in found)
        if name == "count":
            return both(compared(count, operator, given) for operator, given in part.items() if operator != "where")
        return {"some": count > 0, "none": count == 0, "single": count == 1, "all": count == len(found)}[name]

    # Orders --------------------------------------------------------------------------------------------------------------

    def ordered(self, twins: list[Twin], given: Any, fields: Any) -> list[Twin]:
        keys = [key for entry in given or () for name, value in entry.items() for key in self.keys(fields[name], value)]

        def compare(one: Twin, other: Twin) -> int:
            for read, descending in keys:
                sign = order(read(one), read(other))
                if sign:
                    return -sign if descending else sign
            return order(one["dtId"], other["dtId"])

        return sorted(twins, key=cmp_to_key(compare))

    def keys(self, field: Any, value: Any) -> list[Any]:
        origin: Origin = field.extensions[ORIGIN]
        if value is None:
            return []
        if not isinstance(origin, RelatedTwins):
            return [(lambda twin: twin.get(origin.key), bool(value))]
        return [
            (self.extreme(origin, read, descending), descending)
            for name, inside in value.items()
            for read, descending in self.keys(inner(field.type)[name], inside)
        ]

    def extreme(self, origin: RelatedTwins, read: Any, descending: bool) -> Any:
        def found(twin: Twin) -> Any:
            values = [value for other in self.beyond(twin, origin) if (value := read(other)) is not None]
            return (max(values) if descending else min(values)) if values else None

        return found


def both(parts: Iterable[bool | None]) -> bool | None:
    found = list(parts)
    return False if False in found else None if None in found else True


def either(parts: Iterable[bool | None]) -> bool | None:
    found = list(parts)
    return True if True in found else None if None in found else False


def inner(type_: Any) -> Any:
    while hasattr(type_, "of_type"):
        type_ = type_.of_type
    return type_.fields


def compared(value: Any, operator: str, operand: Any) -> bool | None:
    if operator == "isNull":
        return True if operand is None else (value is None) is operand
    if operand is None:
        return {"eq": value is None, "ne": value is not None}.get(operator, True)
    if operator in ("in", "notIn") and not operand:
        return operator == "notIn"  # nothing is in an empty list, not even what is missing
    if value is None:
        return None
    match operator:
        case "eq" | "ne":
            return (value == operand) is (operator == "eq")
        case "in" | "notIn":
            return (value in operand) is (operator == "in")
        case "gt" | "gte" | "lt" | "lte":
            return {"gt": value > operand, "gte": value >= operand, "lt": value < operand, "lte": value <= operand}[operator]
        case "between":
            return bool(operand[0] <= value <= operand[1])
        case "matches":
            return re.fullmatch(operand, value) is not None
    return {"contains": operand in value, "startsWith": value.startswith(operand), "endsWith": value.endswith(operand)}[
        operator
    ]


def order(one: Any, other: Any) -> int:
    """Null is the greatest."""
    if one is None or other is None:
        return (one is None) - (other is None)
    return (one > other) - (one < other)


# Resolvers ---------------------------------------------------------------------------------------------------------------


def answer(schema: GraphQLSchema, plant: Plant, query: str, variables: Any) -> Any:
    result = graphql_sync(schema, query, root_value=plant, variable_values=variables)
    return result.formatted


def instrument(schema: GraphQLSchema, plant: Plant) -> None:
    """Gives every field of `schema` a plain resolver."""
    for type_ in schema.type_map.values():
        for name, field in (getattr(type_, "fields", None) or {}).items():
            origin = (getattr(field, "extensions", None) or {}).get(ORIGIN)
            if isinstance(origin, Origin) and hasattr(field, "resolve"):
                field.resolve = resolver(plant, name, field, origin)
        if hasattr(type_, "resolve_type"):
            type_.resolve_type = lambda twin, info, kind: named(schema, plant, twin)


def named(schema: GraphQLSchema, plant: Plant, twin: Twin) -> str:
    label = plant.catalog.labels[twin["_model"]]
    return f"{label}Twin" if plant.catalog.descendants[twin["_model"]] else label


def resolver(plant: Plant, name: str, field: Any, origin: Origin) -> Any:
    def among(twins: list[Twin], arguments: dict[str, Any]) -> list[Twin]:
        fitting = [twin for twin in twins if plant.fits(twin, arguments.get("where"), given("where")) is True]
        return plant.ordered(fitting, arguments.get("orderBy"), given("orderBy"))

    def given(argument: str) -> Any:
        return inner(field.args[argument].type) if argument in field.args else {}

    def cut(twins: list[Twin], arguments: dict[str, Any]) -> list[Twin]:
        start = arguments.get("offset") or 0
        first = arguments.get("first")
        return twins[start : start + (MOST if first is None else first)]

    def paged(twins: list[Twin], arguments: dict[str, Any]) -> Any:
        last = arguments.get("last")
        if last is None:
            rows = cut(twins, arguments)
            more = len(twins) > (arguments.get("offset") or 0) + len(rows)
            facts = {"hasNextPage": more, "hasPreviousPage": bool(arguments.get("offset"))}
        else:
            rows = twins[len(twins) - min(last, len(twins)) :]
            facts = {"hasNextPage": False, "hasPreviousPage": len(twins) > len(rows)}
        return {"nodes": rows, "edges": [{"node": row} for row in rows], "pageInfo": facts, "totalCount": len(twins)}

    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        match origin:
            case OneTwin():
                twin = plant.twins.get(arguments["dtId"])
                return twin if twin is not None and twin in plant.of(origin.key) else None
            case TwinList():
                return cut(among(plant.of(origin.key), arguments), arguments)
            case TwinPages():
                return paged(among(plant.of(origin.key), arguments), arguments)
            case TwinMeasures():
                return among(plant.of(origin.key), arguments)
            case Links():
                return paged(among(plant.beyond(source, origin), arguments), arguments)
            case Totals():
                return among(plant.beyond(source, origin), arguments)
            case RelatedTwins(single=True):
                return next(iter(plant.beyond(source, origin)), None)
            case RelatedTwins():
                return cut(among(plant.beyond(source, origin), arguments), arguments)
            case Part("count"):
                return len(source)
            case Part(measure) if isinstance(source, list):
                return measured(source, measure)
            case System():
                return source[origin.key]
        if isinstance(source, list):
            return [twin[origin.key] for twin in source if twin.get(origin.key) is not None]
        return source.get(origin.key if origin.key in source or origin.key else name)

    return resolve


def measured(values: list[Any], name: str) -> Any:
    if name in ("count", "distinct"):
        return len(values) if name == "count" else len(set(values))
    if name == "sum":
        return sum(values)
    if not values:
        return 0.0 if name == "stdDev" else None
    found: dict[str, Any] = {
        "min": min,
        "max": max,
        "avg": statistics.fmean,
        "stdDev": lambda v: statistics.stdev(v) if len(v) > 1 else 0.0,
    }
    return found[name](values)
