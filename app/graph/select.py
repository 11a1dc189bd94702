"""The tree a query becomes: what is asked of which twins. Frozen values, printable, without GraphQL and without Neo4j.

A *scope* is a set of twins and the columns asked of each; a column may hold a scope of its own. A *param* knows how its
value is found when the plan is bound: a constant, or a path into the variables, and what converts it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Param:
    """`kind` keeps 1, 1.0 and true apart, which are equal in Python; a constant list is kept as a tuple."""

    constant: Any = None
    path: tuple[str | int, ...] = ()
    convert: Callable[[Any], Any] | None = None
    kind: str = ""

    def value(self, variables: Mapping[str, Any]) -> Any:
        found: Any = self.constant
        if self.path:
            found = variables
            for step in self.path:
                found = found[step]
        return found if self.convert is None or found is None else self.convert(found)


# Predicates ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compare:
    key: str
    operator: str
    param: Param


@dataclass(frozen=True, slots=True)
class IsNull:
    key: str
    null: bool


@dataclass(frozen=True, slots=True)
class Both:
    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Predicate"


@dataclass(frozen=True, slots=True)
class Exists:
    """`some`: at least one related twin fits; `none`: none does; `all`: none is there that does not fit."""

    hop: "Hop"
    quantifier: Literal["some", "none", "all"]
    part: "Predicate"


Predicate = Compare | IsNull | Both | Either | Not | Exists


# Columns -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Value:
    key: str


@dataclass(frozen=True, slots=True)
class Fields:
    """An object, flattened in the graph as `name.field`."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Everything:
    """All of the node's properties as one map."""


@dataclass(frozen=True, slots=True)
class History:
    """Segments of one signal that reach into [start, end], as `[from, offsets, values]`."""

    signal: str
    start: Param
    end: Param


@dataclass(frozen=True, slots=True)
class Related:
    hop: "Hop"
    scope: "Scope"


Column = Value | Fields | Everything | History | Related


@dataclass(frozen=True, slots=True)
class Hop:
    """From a twin over a relationship; `label` of the twins beyond, empty for any."""

    type: str
    outgoing: bool
    label: str


@dataclass(frozen=True, slots=True)
class Order:
    key: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """`after` gives one cursor value per order key, the dtId last; `limit` None: all."""

    columns: tuple[Column, ...]
    where: Predicate | None = None
    order: tuple[Order, ...] = ()
    limit: Param | None = None
    offset: Param | None = None
    after: tuple[Param, ...] = ()


Measure = Literal["count", "min", "max", "avg", "sum"]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Measures over all twins of a label that fit: (measure, key) pairs; key empty for count."""

    measures: tuple[tuple[Measure, str], ...]
    where: Predicate | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """One top-level field: twins of `label` (a name, or a Param), or the one with `dt_id`; what is asked of all."""

    label: str | Param
    scope: Scope | None = None
    dt_id: Param | None = None
    aggregate: Aggregate | None = None
