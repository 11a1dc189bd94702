"""What a select tree may read, estimated before it runs from what the graph's own counts say.

Rows multiply from level to level: so many twins of a label, so many relationships of a type on each, never more than
`first` lets through. The unit is one value; one signal's history counts as a hundred."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.graph.quoting import quote
from app.graph.select.operators import OPERATORS
from app.graph.select.tree import (
    Aggregate,
    And,
    Column,
    Compare,
    Count,
    Exists,
    Fields,
    Groups,
    History,
    Hop,
    Many,
    Not,
    One,
    Or,
    Path,
    Predicate,
    Related,
    RelatedAggregate,
    Root,
    Scope,
    VariableRef,
)
from app.graph.store import Store

HISTORY = 100.0
MEASURED = 0.05  # what is compared or summed costs less than what is sent


@dataclass(frozen=True, slots=True)
class Sizes:
    """Twins by label, relationships by type."""

    twins: Mapping[str, int] = field(default_factory=dict)
    relationships: Mapping[str, int] = field(default_factory=dict)

    def beyond(self, hop: Hop, label: str) -> float:
        """Twins beyond one twin of `label` on average; over several relationships, as many as there are at most."""
        link_count = sum(self.relationships.get(name, 0) for name in hop.types)
        if hop.depth:
            return float(min(self.twins.get(hop.label or "Twin", 0), link_count)) + 1
        return link_count / max(self.twins.get(label, 1), 1) + 1


def count_sizes(store: Store, labels: list[str], types: list[str]) -> Sizes:
    """Neo4j keeps these counts: each is one look, however large the graph."""
    twins = _counted(store, labels, lambda name: f"COUNT {{ MATCH (:{quote(name)}) }}")
    return Sizes(twins, _counted(store, types, lambda name: f"COUNT {{ MATCH ()-[:{quote(name)}]->() }}"))


def _counted(store: Store, names: list[str], count: Callable[[str], str]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for start in range(0, len(names), 100):
        part = names[start : start + 100]
        ((counts,),) = store.read(f"RETURN [{', '.join(count(name) for name in part)}]")
        totals |= dict(zip(part, counts, strict=True))
    return totals


def cost(root: Root, sizes: Sizes) -> float:
    """Values read by estimate."""
    twin_count, label = float(sizes.twins.get(root.label, 1)), root.label
    match root.asked:
        case One(_, scope):
            return _scope(scope, 1.0, label, sizes)
        case Many(scope, aggregate):
            rows = (
                0.0
                if scope is None
                else twin_count * _conditions(scope.where, label, sizes) + _scope(scope, twin_count, label, sizes)
            )
            return rows + (0.0 if aggregate is None else twin_count * _measures(aggregate, label, sizes))
        case Groups(aggregate):
            return twin_count * _measures(aggregate, label, sizes)
        case Path(columns=columns):
            return 1000.0 * len(columns)


def _measures(aggregate: Aggregate, label: str, sizes: Sizes) -> float:
    return len(aggregate.measures) * MEASURED + _conditions(aggregate.where, label, sizes)


def _scope(scope: Scope, twin_count: float, label: str, sizes: Sizes) -> float:
    rows = min(twin_count, _most(scope))
    return rows * sum(_column(column, label, sizes) for column in scope.columns)


def _most(scope: Scope) -> float:
    if scope.limit is None:
        return float("inf")
    limit = scope.limit.tree
    return float(scope.limit.convert.most if isinstance(limit, VariableRef) else limit)  # type: ignore[union-attr]


def _column(column: Column, label: str, sizes: Sizes) -> float:
    match column:
        case Related(hop, scope):
            beyond = 1.0 if scope.limit is None else sizes.beyond(hop, label)
            beneath = hop.label or "Twin"
            return beyond * (MEASURED + _conditions(scope.where, beneath, sizes)) + _scope(scope, beyond, beneath, sizes)
        case RelatedAggregate(hop, aggregate):
            return sizes.beyond(hop, label) * _measures(aggregate, hop.label or "Twin", sizes)
        case History():
            return HISTORY
        case Fields(_, fields):
            return float(len(fields))
    return 1.0


def _conditions(predicate: Predicate | None, label: str, sizes: Sizes) -> float:
    match predicate:
        case And(parts) | Or(parts):
            return sum(_conditions(part, label, sizes) for part in parts)
        case Not(part):
            return _conditions(part, label, sizes)
        case Exists(hop, _, part) | Count(hop, part):
            return sizes.beyond(hop, label) * (MEASURED + _conditions(part, hop.label or "Twin", sizes))
        case Compare(_, operator):
            return OPERATORS[operator].cost
        case None:
            return 0.0
    return MEASURED
