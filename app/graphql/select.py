"""Selection set → select tree, with the variables left open.

A variable's scalar leaves become Holes: they flow through graphql-core's own coercion of arguments into Params, so one
plan serves all values. What decides the tree itself (enums, booleans, nulls, the shape of a filter, a model's name) is
read from the variables and is part of the plan's key."""

import base64
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    VariableNode,
    get_argument_values,
    get_named_type,
    is_abstract_type,
    is_enum_type,
)
from graphql.execution.values import VariableValues

from app.dtdl import Catalog
from app.errors import TwingraphError
from app.graph.cypher import sort_key
from app.graph.records import tagged, untagged
from app.graph.select import (
    Aggregate,
    Both,
    Column,
    Compare,
    Either,
    Everything,
    Exists,
    Fields,
    History,
    Hop,
    IsNull,
    Measure,
    Not,
    Order,
    Param,
    Predicate,
    Related,
    Root,
    Scope,
    Value,
)
from app.graphql.scalars import epoch_ms
from app.graphql.types import ORIGIN, Origin

Arguments = Mapping[str, Any]


class QueryError(TwingraphError):
    code = "BAD_USER_INPUT"


@dataclass(frozen=True, slots=True)
class Hole:
    """A value that is not known yet: a path into the variables."""

    path: tuple[str | int, ...]


@dataclass(slots=True)
class Emit:
    """How one response key is made: `kind` and what it needs; `column` is what the graph answers for it."""

    key: str
    kind: str
    column: Column | None = None
    form: Any = None


@dataclass(slots=True)
class Form:
    """The shape of one twin's object: per model, its type's name and what each response key is made of."""

    variants: list[tuple[str, frozenset[str], list[Emit]]] = field(default_factory=list)
    columns: tuple[Column, ...] = ()


@dataclass(slots=True)
class Selected:
    """One top-level field: its tree, and the form of its answer."""

    key: str
    origin: Origin
    root: Root
    form: Form | None
    page: "Page | None" = None
    emits: list[Emit] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """`order` names the cursor's parts, `cursor_places` where they lie in a row."""

    order: tuple[Order, ...]
    limit: Param
    backward: bool
    cursor_places: tuple[int, ...]


@dataclass(slots=True)
class Selector:
    """Translates the fields of one operation. `structural` collects the holes whose values decided the tree."""

    schema: GraphQLSchema
    catalog: Catalog
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: VariableValues
    raw: Mapping[str, Any]
    page_limit: int
    hidden_types: bool = False
    structural: set[tuple[str | int, ...]] = field(default_factory=set)

    def root(self, key: str, field_def: Any, nodes: list[FieldNode]) -> Selected:
        """Raises: QueryError with the field's name."""
        origin: Origin = field_def.extensions[ORIGIN]
        arguments = get_argument_values(field_def, nodes[0], self.variables)
        selections = [node.selection_set for node in nodes if node.selection_set]
        made = {"one": self._one, "list": self._many, "connection": self._connection, "aggregate": self._aggregate}
        return made[origin.kind](key, origin, field_def, arguments, selections)

    def _one(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Any) -> Selected:
        form = self._form(get_named_type(field_def.type), sets)
        root = Root(origin.key, Scope(form.columns), dt_id=self.param(arguments["dtId"]))
        return Selected(key, origin, root, form)

    def _many(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Any) -> Selected:
        form = self._form(get_named_type(field_def.type), sets)
        scope = self._scope(form.columns, origin.target, arguments)
        return Selected(key, origin, Root(self._label(origin, arguments), scope), form)

    def _label(self, origin: Origin, arguments: Arguments) -> str:
        model = self.settle(arguments.get("model"))
        if model is None:
            return origin.key
        if model not in self.catalog.interfaces and model not in self.catalog.by_label:
            close = difflib.get_close_matches(model, [*self.catalog.by_label, *self.catalog.interfaces], 1)
            raise QueryError(f"no model {model!r}", hint=f"did you mean {close[0]!r}?" if close else "see models")
        return self.catalog.labels[self.catalog.interface(model).dtmi]

    def _connection(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Any) -> Selected:
        type_ = get_named_type(field_def.type)
        node = get_named_type(type_.fields["nodes"].type)
        emits, forms = [], []
        for name, nodes in self.collect(type_, sets):
            kind = nodes[0].name.value
            inner = [node.selection_set for node in nodes if node.selection_set]
            part: Any = self._form(node, inner) if kind == "nodes" else []
            if kind == "edges":
                part = self._edge(get_named_type(type_.fields["edges"].type), node, inner)
            elif kind == "pageInfo":
                part = self._sub_keys(get_named_type(type_.fields["pageInfo"].type), inner)
            emits.append(Emit(name, kind, form=part))
            forms += [part] if kind == "nodes" else [form for _, _, form in part if form] if kind == "edges" else []
        form = Form(columns=tuple({column for one in forms for column in one.columns}))
        scope = self._scope(form.columns, origin.target, arguments)
        cursor = tuple(Value(order.key) for order in (*scope.order, Order("dtId", False)))
        columns = tuple(sorted({*form.columns, *cursor}, key=sort_key))
        for one in forms:
            one.columns = columns
        rows = any(emit.kind != "totalCount" for emit in emits)
        total = Aggregate((("count", ""),), scope.where) if any(e.kind == "totalCount" for e in emits) else None
        scope = Scope(columns, scope.where, scope.order, _plus_one(scope.limit), scope.offset, scope.after)
        root = Root(origin.key, scope if rows else None, aggregate=total)
        assert scope.limit is not None
        page = Page(
            scope.order,
            scope.limit,
            bool(arguments.get("after") or arguments.get("offset")),
            tuple(columns.index(column) for column in cursor),
        )
        return Selected(key, origin, root, None, page, emits)

    def _edge(self, edge: Any, node: Any, sets: list[SelectionSetNode]) -> list[tuple[str, str, Form | None]]:
        parts: list[tuple[str, str, Form | None]] = []
        for name, nodes in self.collect(edge, sets):
            kind = nodes[0].name.value
            inner = [one.selection_set for one in nodes if one.selection_set]
            parts.append((name, kind, self._form(node, inner) if kind == "node" else None))
        return parts

    def _sub_keys(self, type_: Any, sets: list[SelectionSetNode]) -> list[tuple[str, str]]:
        if not isinstance(type_, GraphQLObjectType):
            return []
        return [(name, nodes[0].name.value) for name, nodes in self.collect(type_, sets)]

    def _aggregate(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Any) -> Selected:
        type_ = get_named_type(field_def.type)
        emits: list[Emit] = []
        measures: dict[tuple[Measure, str], int] = {}
        for name, nodes in self.collect(type_, sets):
            kind = nodes[0].name.value
            if kind in ("__typename", "count"):
                if kind == "count":
                    measures.setdefault(("count", ""), len(measures))
                emits.append(Emit(name, kind, form=measures.get(("count", ""))))
                continue
            own: Origin = type_.fields[kind].extensions[ORIGIN]
            inner = [node.selection_set for node in nodes if node.selection_set]
            parts = []
            for inner_name, inner_nodes in self.collect(get_named_type(type_.fields[kind].type), inner):
                measure: Any = inner_nodes[0].name.value
                place = None if measure == "__typename" else measures.setdefault((measure, own.key), len(measures))
                parts.append((inner_name, place))
            emits.append(Emit(name, "numbers", form=parts))
        where = self._where(arguments.get("where"), origin.target)
        root = Root(origin.key, aggregate=Aggregate(tuple(measures) or (("count", ""),), where))
        return Selected(key, origin, root, None, emits=emits)

    # One twin's object -----------------------------------------------------------------------------------------------

    def _form(self, type_: Any, sets: list[SelectionSetNode]) -> Form:
        form = Form()
        groups: dict[Any, tuple[str, set[str], list[tuple[str, list[FieldNode]]], Any]] = {}
        for possible in self._possible(type_):
            collected = list(self.collect(possible, sets))
            typed = any(nodes[0].name.value == "__typename" for _, nodes in collected) or self.hidden_types
            mark = possible.name if typed and is_abstract_type(type_) else ""
            signature = (mark, *((name, *map(id, nodes)) for name, nodes in collected))
            known = groups.setdefault(signature, (possible.name, set(), collected, possible))
            known[1].add(possible.extensions[ORIGIN])
        for name, models, collected, possible in groups.values():
            emits = [self._emit(possible, key, nodes) for key, nodes in collected]
            form.variants.append((name, frozenset(models), emits))
        columns = {emit.column for _, _, emits in form.variants for emit in emits if emit.column is not None}
        if len(form.variants) > 1 or any(e.kind == "signals" for _, _, emits in form.variants for e in emits):
            columns.add(Value("_model"))
        form.columns = tuple(sorted(columns or {Value("dtId")}, key=sort_key))
        return form

    def _possible(self, type_: Any) -> list[GraphQLObjectType]:
        return list(self.schema.get_possible_types(type_)) if is_abstract_type(type_) else [type_]

    def _emit(self, type_: GraphQLObjectType, key: str, nodes: list[FieldNode]) -> Emit:
        name = nodes[0].name.value
        if name == "__typename":
            return Emit(key, "typename", form=type_.name)
        field_def = type_.fields[name]
        origin: Origin = field_def.extensions[ORIGIN]
        arguments = get_argument_values(field_def, nodes[0], self.variables) if field_def.args else {}
        sets = [node.selection_set for node in nodes if node.selection_set]
        match origin.kind:
            case "id" | "model" | "etag":
                return Emit(key, "value", Value({"id": "dtId", "model": "_model", "etag": "_etag"}[origin.kind]))
            case "value" | "array":
                temporal = get_named_type(field_def.type).name in TEMPORAL
                return Emit(key, "temporal" if temporal else "value", Value(origin.key))
            case "json":
                return Emit(key, "json", Value(origin.key))
            case "object":
                return Emit(key, "object", Fields(origin.key, origin.fields))
            case "properties":
                return Emit(key, "properties", Everything())
            case "signals":
                return Emit(key, "signals", Everything(), self._sub_keys(get_named_type(field_def.type), sets))
            case "history":
                return self._history(type_, key, arguments, sets, field_def)
            case _:
                return self._related(key, origin, field_def, arguments, sets)

    def _related(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Any) -> Emit:
        form = self._form(get_named_type(field_def.type), sets)
        label = self.catalog.labels.get(origin.target, "")
        scope = Scope(form.columns) if origin.single else self._scope(form.columns, origin.target, arguments)
        column = Related(Hop(origin.key, origin.outgoing, label), scope)
        return Emit(key, "one" if origin.single else "many", column, form)

    def _history(self, type_: GraphQLObjectType, key: str, arguments: Arguments, sets: Any, field_def: Any) -> Emit:
        model = type_.extensions[ORIGIN]
        signal = self.settle(arguments["signal"])
        known = self.catalog.telemetry(model)
        if signal not in known:
            everything = {name for dtmi in self.catalog.interfaces for name in self.catalog.telemetry(dtmi)}
            if signal not in everything:
                close = difflib.get_close_matches(signal, known or everything, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"signals are {', '.join(known)}"
                raise QueryError(f"{type_.name} has no signal {signal!r}", where=f"history({signal})", hint=hint)
        given = arguments.get("to")
        end = Param("now", convert=_now) if given is None else self.param(given, epoch_ms)
        start = self.param(arguments["from"], epoch_ms) if arguments.get("from") is not None else None
        if start is None:
            start = Param("now", convert=_day_ago) if given is None else self.param(given, _day_before)
        every = self.param(arguments.get("every"), _bucket)
        aggregate = arguments.get("aggregate") or ["avg"]
        keys = self._sub_keys(get_named_type(field_def.type), sets)
        return Emit(key, "history", History(signal, start, end), HistoryForm(start, end, every, aggregate[0], keys))

    # Scopes ----------------------------------------------------------------------------------------------------------

    def _scope(self, columns: tuple[Column, ...], target: str, arguments: Arguments) -> Scope:
        order = self._order(arguments.get("orderBy"), target)
        limit = self._limited(arguments.get("first"))
        offset = self.param(arguments["offset"], _not_negative) if arguments.get("offset") is not None else None
        where = self._where(arguments.get("where"), target)
        after: tuple[Param, ...] = ()
        if arguments.get("after") is not None:
            signature = _signature(order)
            after = tuple(self.param(arguments["after"], _CursorPart(i, signature)) for i in range(len(order) + 1))
        return Scope(columns, where, order, limit, offset, after)

    def _limited(self, first: Any) -> Param:
        return self.param(self.page_limit if first is None else first, _Within(self.page_limit))

    def _order(self, given: Any, target: str) -> tuple[Order, ...]:
        if not given:
            return ()
        fields = self._input(target, "Order")
        orders = []
        for entry in given:
            for name, descending in entry.items():
                if descending is not None:
                    origin: Origin = fields[name].extensions[ORIGIN]
                    orders.append(Order("dtId" if origin.kind == "id" else origin.key, bool(descending)))
        return tuple(orders)

    def _where(self, given: Any, target: str) -> Predicate | None:
        if not given:
            return None
        fields = self._input(target, "Where")
        return Both(tuple(part for name, value in given.items() for part in self._condition(fields[name], value, target)))

    def _condition(self, field_def: Any, value: Any, target: str) -> Iterator[Predicate]:
        origin: Origin = field_def.extensions[ORIGIN]
        if value is None:
            return
        match origin.kind:
            case "and" | "or":
                parts = tuple(self._where(part, target) or Both(()) for part in value)
                yield Both(parts) if origin.kind == "and" else Either(parts)
            case "not":
                yield Not(self._where(value, target) or Both(()))
            case "related":
                hop = Hop(origin.key, origin.outgoing, self.catalog.labels.get(origin.target, ""))
                for quantifier, part in value.items():
                    if part is not None:
                        yield Exists(hop, quantifier, self._where(part, origin.target) or Both(()))
            case _:
                key = "dtId" if origin.kind == "id" else origin.key
                for operator, operand in value.items():
                    if operator == "isNull" and operand is not None:
                        yield IsNull(key, bool(operand))
                    elif operand is None and operator in ("eq", "ne"):
                        yield IsNull(key, operator == "eq")
                    elif operand is not None:
                        yield Compare(key, operator, self.param(operand))

    def _input(self, target: str, suffix: str) -> Mapping[str, Any]:
        label = self.catalog.labels[target]
        type_: Any = self.schema.type_map.get(f"{label}{suffix}")
        if not isinstance(type_, GraphQLInputObjectType):
            type_ = self.schema.type_map[f"{label}_{suffix}"]
        fields: Mapping[str, Any] = type_.fields
        return fields

    # Values ----------------------------------------------------------------------------------------------------------

    def param(self, value: Any, convert: Callable[[Any], Any] | None = None) -> Param:
        if isinstance(value, Hole):
            return Param(path=value.path, convert=convert)
        constant = tuple(value) if isinstance(value, list) else value
        return Param(constant, convert=convert, kind=type(value).__name__)

    def settle(self, value: Any) -> Any:
        """A value that decides the tree: read now, and part of the plan's key from now on."""
        if not isinstance(value, Hole):
            return value
        self.structural.add(value.path)
        found: Any = self.raw
        for step in value.path:
            found = found[step]
        return found

    def collect(self, type_: Any, sets: list[SelectionSetNode]) -> Iterator[tuple[str, list[FieldNode]]]:
        found: dict[str, list[FieldNode]] = {}
        for given in sets:
            self._into(type_, given, found, set())
        yield from found.items()

    def _into(self, type_: Any, given: SelectionSetNode, found: dict[str, list[FieldNode]], seen: set[str]) -> None:
        for node in given.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or self._applies(node.type_condition.name.value, type_):
                    self._into(type_, node.selection_set, found, seen)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                fragment = self.fragments[node.name.value]
                if self._applies(fragment.type_condition.name.value, type_):
                    self._into(type_, fragment.selection_set, found, seen)

    def _applies(self, condition: str, type_: Any) -> bool:
        wanted = self.schema.type_map[condition]
        return wanted is type_ or (is_abstract_type(wanted) and self.schema.is_sub_type(wanted, type_))

    def _included(self, node: Any) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name in ("skip", "include"):
                given = directive.arguments[0].value
                chosen = self.raw[given.name.value] if isinstance(given, VariableNode) else given.value
                if bool(chosen) is (name == "skip"):
                    return False
        return True


@dataclass(frozen=True, slots=True)
class HistoryForm:
    start: Param
    end: Param
    every: Param
    shown: str
    keys: list[tuple[str, str]]


TEMPORAL = ("DateTime", "Date", "Time", "Duration")
DAY_MS = 86_400_000


def open_variables(values: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Coerced variables with every scalar leaf replaced by a Hole; enums, booleans and nulls stay."""
    return {name: _opened(value, types[name], (name,)) for name, value in values.items()}


def _opened(value: Any, type_: Any, path: tuple[str | int, ...]) -> Any:
    if isinstance(type_, GraphQLNonNull):
        return _opened(value, type_.of_type, path)
    if value is None or isinstance(value, bool) or is_enum_type(get_named_type(type_)):
        return value
    if isinstance(type_, GraphQLInputObjectType):
        return {key: _opened(item, type_.fields[key].type, (*path, key)) for key, item in value.items()}
    if isinstance(type_, GraphQLList) and isinstance(get_named_type(type_), GraphQLInputObjectType):
        return [_opened(item, type_.of_type, (*path, index)) for index, item in enumerate(value)]
    return Hole(path)


# Converters of open values; each is a value itself, so that equal params stay equal ------------------------------------


@dataclass(frozen=True, slots=True)
class _Within:
    most: int

    def __call__(self, first: int) -> int:
        if not 0 <= first <= self.most:
            raise QueryError(f"first: {first} is outside 0 to {self.most}", hint="page with after")
        return first


@dataclass(frozen=True, slots=True)
class _PlusOne:
    inner: Callable[[int], int]

    def __call__(self, first: int) -> int:
        return self.inner(first) + 1


def _plus_one(limit: Param | None) -> Param | None:
    assert limit is not None
    assert limit.convert is not None
    return Param(limit.constant, limit.path, _PlusOne(limit.convert), limit.kind)


def _not_negative(offset: int) -> int:
    if offset < 0:
        raise QueryError(f"offset: {offset} is below 0")
    return offset


@dataclass(frozen=True, slots=True)
class _CursorPart:
    index: int
    signature: str

    def __call__(self, cursor: str) -> Any:
        return read_cursor(cursor, self.signature)[self.index]


def _signature(order: tuple[Order, ...]) -> str:
    return ",".join(f"{'-' if one.descending else ''}{one.key}" for one in order)


def write_cursor(order: tuple[Order, ...], values: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([_signature(order), *values], default=tagged)).decode()


def read_cursor(cursor: str, signature: str) -> list[Any]:
    try:
        found, *values = orjson.loads(base64.urlsafe_b64decode(cursor))
        values = [untagged(value) if isinstance(value, list) else value for value in values]
    except (ValueError, KeyError, TypeError) as error:
        raise QueryError("after: not a cursor of this API", hint="take it from pageInfo or an edge") from error
    if found != signature or len(values) != signature.count(",") + bool(signature) + 1:
        raise QueryError("after: the cursor was made for another orderBy", hint="keep orderBy while paging")
    return values


def _now(_: str) -> int:
    return epoch_ms(datetime.now(UTC))


def _day_ago(_: str) -> int:
    return _now(_) - DAY_MS


def _day_before(moment: datetime) -> int:
    return epoch_ms(moment) - DAY_MS


def _bucket(seconds: float) -> int:
    if not 1 <= seconds <= 366 * 86400:
        raise QueryError(f"every: {seconds} s is outside one second to 366 days", hint="an ISO 8601 duration: PT10M")
    return round(seconds * 1000)
