"""The tree a query becomes: what is asked of which twins. Frozen values, printable, without GraphQL and without Neo4j.

A *scope* is a set of twins and the columns asked of each; a column may hold a scope of its own. A *param* knows how its
value is found when the plan is bound: a constant, or a tree with holes that are paths into the variables, and what
converts it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

ACCESS = "\x00access"  # no variable of GraphQL can have this name


@dataclass(frozen=True, slots=True)
class VariableRef:
    """A value that is not known yet: a path into the variables."""

    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Param:
    """`kind` keeps 1, 1.0 and true apart, which are equal in Python. Made by `param`."""

    tree: Any = None
    convert: Callable[[Any], Any] | None = None
    kind: str = ""

    def value(self, variables: Mapping[str, Any]) -> Any:
        filled = _filled(self.tree, variables)
        return filled if self.convert is None or filled is None else self.convert(filled)


@dataclass(frozen=True, slots=True)
class _List:
    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Map:
    items: tuple[tuple[str, Any], ...]


def param(value: Any, convert: Callable[[Any], Any] | None = None) -> Param:
    return Param(_frozen(value), convert, _kind(value))


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return _List(tuple(map(_frozen, value)))
    if isinstance(value, dict):
        return _Map(tuple((key, _frozen(item)) for key, item in value.items()))
    return value


def _filled(tree: Any, variables: Mapping[str, Any]) -> Any:
    match tree:
        case VariableRef(path):
            value: Any = variables
            for step in path:
                value = value[step]
            return value
        case _List(items):
            return [_filled(item, variables) for item in items]
        case _Map(items):
            return {key: _filled(item, variables) for key, item in items}
    return tree


def _kind(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_kind, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(_kind(item) for item in value.values())}}}"
    return type(value).__name__


def base(key: str) -> str:
    """The name in a model of what a key of a node holds: `_at_power` and `power` are of power, `box.width` is of box."""
    return key.removeprefix("_at_").removeprefix("_quality_at_").removeprefix("_quality_").partition(".")[0]


@dataclass(frozen=True, slots=True)
class Access:
    """Which part of the graph is there for who asks; a statement is printed for it.

    `via` None: twins wherever they are; else those below the twins whose dtIds the request carries, over these relationships.
    `models`: twins with one of these labels, None: all. `hidden`: (name of a property, signal, component or relationship,
    labels of the twins on which it is not there; none: on all)."""

    via: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    hidden: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def hides(self, name: str, labels: Collection[str]) -> bool:
        """Whether a twin with these labels has no `name`."""
        return any(hidden_name == name and (not on or any(label in labels for label in on)) for hidden_name, on in self.hidden)


# Predicates ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compare:
    key: "Value"
    operator: str
    param: Param


@dataclass(frozen=True, slots=True)
class IsNull:
    key: "Value"
    null: bool


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Predicate"


@dataclass(frozen=True, slots=True)
class Exists:
    """`some`: at least one related twin fits; `none`: none does; `all`: none is there that does not fit; `single`: one."""

    hop: "Hop"
    quantifier: Literal["some", "none", "all", "single"]
    part: "Predicate | None"


@dataclass(frozen=True, slots=True)
class Count:
    """How many related twins fit `part`, compared."""

    hop: "Hop"
    part: "Predicate | None"
    operator: str
    param: Param


Predicate = Compare | IsNull | And | Or | Not | Exists | Count


# Columns -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Value:
    """`signal`: of telemetry, how its past lies in segments (value, dateTime, date, time, duration); empty of what is set,
    whose past lies in versions."""

    key: str
    signal: str = ""


@dataclass(frozen=True, slots=True)
class Fields:
    """An object, flattened in the graph as `name.field`."""

    name: str
    fields: tuple[str, ...]
    signal: str = ""


@dataclass(frozen=True, slots=True)
class AllProperties:
    """All of the node's properties as one map; of a moment, with the versions after it, the newest first."""


@dataclass(frozen=True, slots=True)
class History:
    """`[joined, segments, joined]`: how often the twin's segments had been joined before and after they were read, and those of
    one signal that reach into [start, end): `[from, offsets, values]`, or `[rows]` of the roll-up as wide as `level` [ms], or
    finer, where the segment has it and lies inside whole. `level` None: points alone."""

    signal: str
    start: Param
    end: Param
    level: Param | None = None


@dataclass(frozen=True, slots=True)
class Related:
    """Rows of the twins beyond; `edge` is asked of the relationship and follows each row's columns."""

    hop: "Hop"
    scope: "Scope"
    edge: tuple[Value | Fields, ...] = ()


@dataclass(frozen=True, slots=True)
class RelatedAggregate:
    """Measures over the twins beyond, as one list."""

    hop: "Hop"
    aggregate: "Aggregate"


Column = Value | Fields | AllProperties | History | Related | RelatedAggregate


@dataclass(frozen=True, slots=True)
class Hop:
    """From a twin over one of the relationships `types`, 1 to `depth` times (0: once); `label` of the twins beyond, empty for
    any. A `part` is a component: no twin of its own."""

    types: tuple[str, ...]
    outgoing: bool
    label: str = ""
    depth: int = 0
    part: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """By a property, or by the least (descending: the greatest) one of the twins beyond `hop`."""

    key: Value
    descending: bool
    hop: Hop | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """`after` gives one cursor value per order key, the dtId last; `backward`: the rows before it, in reverse; `limit`
    None: all."""

    columns: tuple[Column, ...]
    where: Predicate | None = None
    order: tuple[Order, ...] = ()
    limit: Param | None = None
    offset: Param | None = None
    after: tuple[Param, ...] = ()
    backward: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """`name`: count, distinct, min, max, avg, sum, stdDev or percentile (`at` is then its rank, 0 to 1)."""

    name: str
    key: Value | None = None
    at: Param | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Measures over all twins of a label that fit."""

    measures: tuple[Measure, ...]
    where: Predicate | None = None


@dataclass(frozen=True, slots=True)
class Groups:
    """Measures for each combination of `keys` and, with `hop`, of the twin beyond, of which `columns` are asked."""

    aggregate: Aggregate
    keys: tuple[Value, ...] = ()
    hop: Hop | None = None
    columns: tuple[Column, ...] = ()
    limit: Param | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """A shortest path between two twins over relationships of `types`; `columns` are asked of each twin on it."""

    start: Param
    end: Param
    types: tuple[str, ...]
    most: int
    directed: bool
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class One:
    """The twin with `dt_id`."""

    dt_id: Param
    scope: Scope


@dataclass(frozen=True, slots=True)
class Many:
    """Rows of the twins that fit, measures over all that fit, or both."""

    scope: Scope | None = None
    aggregate: Aggregate | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """One top-level field: what is `asked` of twins of `label`.

    `also`: labels above `label`, on which the indexes of what is asked lie. `parted`: components have `label`, too.
    `access` None: all of the graph; the dtIds of roots are carried by the request under ACCESS. `as_of`: what the graph said
    then [datetime]."""

    label: str
    asked: One | Many | Groups | Path
    access: Access | None = None
    as_of: Param | None = None
    also: tuple[str, ...] = ()
    parted: bool = False
