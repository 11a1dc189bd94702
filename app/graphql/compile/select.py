"""Selection set → select tree, and the form of the answer: what each response key is made of."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from graphql import FieldNode, GraphQLObjectType, get_argument_values, get_named_type, is_abstract_type
from graphql.execution.values import VariableValues

from app.dtdl import Catalog, is_indexed
from app.dtdl.kinds import column_kind
from app.errors import QueryError, nearest
from app.graph.select.printer import sort_key
from app.graph.select.tree import (
    Access,
    Aggregate,
    AllProperties,
    And,
    Column,
    Compare,
    Fields,
    Groups,
    History,
    Hop,
    Many,
    Measure,
    One,
    Order,
    Param,
    Path,
    Related,
    RelatedAggregate,
    Root,
    Scope,
    Value,
    VariableRef,
    param,
)
from app.graphql.compile.collect import Collector, Sets, inner_sets
from app.graphql.compile.conditions import hop_of, key_of, orders, where
from app.graphql.compile.cursor import CursorPart, signature
from app.graphql.compile.variables import Level, PlusOne, Within, bucket, day_ago, day_before, not_negative, now, rank
from app.graphql.schema.origin import (
    ORIGIN,
    TYPENAME,
    Columns,
    EnumList,
    EnumValue,
    FlatObject,
    Instant,
    Links,
    ObjectList,
    OneTwin,
    Origin,
    Part,
    Points,
    Properties,
    Reach,
    Reading,
    RelatedTwins,
    Signals,
    System,
    Totals,
    TwinGroups,
    TwinList,
    TwinMeasures,
    TwinPages,
    TwinPath,
    Valued,
)
from app.graphql.schema.scalars import epoch_ms

Arguments = Mapping[str, Any]
FARTHEST = 16
LONGEST_PATH = 32
ROLLED = {"at", "timestamps", "epochs", "signal", "unit", "__typename", "value", "values"}  # what roll-ups can tell
ROLLED |= {"count", "counts", "sum", "avg", "min", "max"}
PRESENT_ONLY = (Signals, Instant, Reach, Points, Columns)  # what is known of the present only


@dataclass(slots=True)
class Emit:
    """How one response key is made: of which field, the columns the graph answers for it, and what else it needs."""

    key: str
    of: Origin
    columns: tuple[Column, ...] = ()
    form: Any = None


@dataclass(slots=True)
class Form:
    """The shape of one twin's object: per model, its type's name and what each response key is made of."""

    variants: list[tuple[str, frozenset[str], list[Emit]]] = field(default_factory=list)
    columns: tuple[Column, ...] = ()
    types: dict[str, str] = field(default_factory=dict)  # model → type's name, where the form is of an abstract type
    default: str = ""  # the model as which a twin is shown whose own is not served


@dataclass(slots=True)
class Page:
    """A connection: `places` say where the cursor's parts lie in a row; `backward`: rows come from the end."""

    signed: str
    limit: Param
    forward_more: bool
    backward: bool
    places: tuple[int, ...]
    emits: list[Emit]
    type_name: str


@dataclass(slots=True)
class Selected:
    """One top-level field: its tree, and the form of its answer."""

    key: str
    origin: Origin
    root: Root
    form: Any = None


@dataclass(frozen=True, slots=True)
class HistoryForm:
    """`names`: (signal, unit) for columns, empty for the points of one signal."""

    start: Param
    end: Param
    every: Param
    shown: str
    fill: str
    zone: ZoneInfo | None
    keys: list[tuple[str, str]]
    names: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Selector:
    """Translates the fields of one operation. `structural` collects the holes whose values decided the tree."""

    catalog: Catalog
    collector: Collector
    variables: VariableValues
    page_limit: int
    access: Access | None = None
    hidden_types: bool = False
    as_of: Param | None = None
    _emits: dict[tuple[Any, ...], Emit] = field(default_factory=dict)
    structural: set[tuple[str | int, ...]] = field(default_factory=set)

    def root(self, key: str, field_def: Any, nodes: list[FieldNode]) -> Selected:
        """Raises: QueryError with the field's name."""
        origin: Origin = field_def.extensions[ORIGIN]
        arguments = get_argument_values(field_def, nodes[0], self.variables)
        self._emits = {}
        self.as_of = param(arguments["asOf"]) if arguments.get("asOf") is not None else None
        selected = self._root(key, origin, field_def, arguments, inner_sets(nodes))
        parted = selected.root.label in self.catalog.part_labels
        selected.root = replace(
            selected.root, access=self.access, as_of=self.as_of, also=self._indexed(selected.root), parted=parted
        )
        return selected

    def _root(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Sets) -> Selected:
        match origin:
            case OneTwin():
                return self._one(key, origin, field_def, arguments, sets)
            case TwinList():
                return self._list(key, origin, field_def, arguments, sets)
            case TwinPages():
                return self._connection(key, origin, field_def, arguments, sets)
            case TwinMeasures():
                return self._aggregate(key, origin, field_def, arguments, sets)
            case TwinGroups():
                return self._groups(key, origin, field_def, arguments, sets)
            case TwinPath():
                return self._path(key, origin, field_def, arguments, sets)
        raise TypeError(f"no root field: {origin}")

    def _indexed(self, root: Root) -> tuple[str, ...]:
        """Labels of the interfaces that declare what is compared: a property has one index, on the label of its own."""
        if root.label not in self.catalog.by_label or self.as_of is not None:
            return ()
        contents = self.catalog.contents[self.catalog.by_label[root.label]]
        selection = (root.asked.scope or root.asked.aggregate) if isinstance(root.asked, Many) else None
        fits = selection.where if selection is not None else None
        compared = {part.key.key for part in (fits.parts if isinstance(fits, And) else ()) if isinstance(part, Compare)}
        declared = {contents[key].declared_by for key in compared & contents.keys() if is_indexed(contents[key])}
        return tuple(sorted({self.catalog.labels[dtmi] for dtmi in declared} - {root.label}))

    def _one(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Sets) -> Selected:
        form = self._form(get_named_type(field_def.type), sets)
        return Selected(key, origin, Root(origin.key, One(param(arguments["dtId"]), Scope(form.columns))), form)

    def _list(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Sets) -> Selected:
        form = self._form(get_named_type(field_def.type), sets)
        scope = self._scope(form.columns, field_def, arguments)
        return Selected(key, origin, Root(self._label(origin.key, arguments), Many(scope)), form)

    def _label(self, default: str, arguments: Arguments) -> str:
        model = self.settle(arguments.get("model"))
        if model is None:
            return default
        if model not in self.catalog.interfaces and model not in self.catalog.by_label:
            model_names = (*self.catalog.by_label, *self.catalog.interfaces)
            raise QueryError(f"no model {model!r}", hint=nearest(model, model_names, "see models"))
        return self.catalog.labels[self.catalog.interface(model).dtmi]

    def _connection(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Sets) -> Selected:
        page, scope, total, _ = self._page(field_def, arguments, sets)
        root = Root(self._label(origin.key, arguments), Many(scope, total))
        return Selected(key, origin, root, page)

    def _aggregate(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Sets) -> Selected:
        aggregate, emits = self._measures(field_def, arguments, sets)
        return Selected(key, origin, Root(self._label(origin.key, arguments), Many(aggregate=aggregate)), emits)

    def _groups(self, key: str, origin: TwinGroups, field_def: Any, arguments: Arguments, sets: Sets) -> Selected:
        aggregate, emits = self._measures(field_def, arguments, sets)
        twin_type: Any = self.collector.schema.type_map[origin.type_name]
        fields: dict[str, Any] = {name: graphql_field.extensions[ORIGIN] for name, graphql_field in twin_type.fields.items()}
        names = [str(name) for name in arguments.get("by") or ()]
        hop, via = None, arguments.get("via")
        if via is not None:
            beyond = fields.get(via)
            if type(beyond) is not RelatedTwins:
                relationships = ", ".join(
                    name
                    for name, field_origin in fields.items()
                    if type(field_origin) is RelatedTwins and not field_origin.part
                )
                raise QueryError(f"{origin.key} has no relationship {via!r}", where="via", hint=f"there are {relationships}")
            hop = hop_of(self.catalog, beyond)
        if not names and hop is None:
            raise QueryError("by: at least one field is needed", where=key, hint="give by: [a property] or via: a relationship")
        twin = next((emit.form for emit in emits if emit.of == Part("twin")), None)
        groups = Groups(
            aggregate,
            tuple(key_of(fields[name]) for name in names),
            hop,
            twin.columns if twin else (),
            self._limited(arguments),
        )
        keys = [self._value(name, twin_type.fields[name], fields[name], []) for name in names]
        return Selected(key, origin, Root(origin.key, groups), (emits, [(e.key, e.of, e.form) for e in keys]))

    def _path(self, key: str, origin: Origin, field_def: Any, arguments: Arguments, sets: Sets) -> Selected:
        type_ = get_named_type(field_def.type)
        emits = []
        for name, nodes in self.collector.fields(type_, sets):
            kind, inner = nodes[0].name.value, inner_sets(nodes)
            form: Any = None
            if kind == "twins":
                form = self._form(get_named_type(type_.fields["twins"].type), inner)
            elif kind == "steps":
                form = self.collector.parts(get_named_type(type_.fields["steps"].type), inner)
            emits.append(Emit(name, Part(kind), form=form))
        forms = [emit.form for emit in emits if emit.of == Part("twins")]
        columns = _merge(forms) or (Value("dtId"),)
        types = tuple(sorted(arguments.get("via") or _relationships(self.catalog)))
        most = self.bounded("most", arguments["most"], 1, LONGEST_PATH)
        start, end = (param(arguments[name]) for name in ("from", "to"))
        path = Path(start, end, types, most, bool(arguments.get("directed")), columns)
        return Selected(key, origin, Root("Twin", path), emits)

    # Pages and measures ----------------------------------------------------------------------------------------------

    def _page(
        self, field_def: Any, arguments: Arguments, sets: Sets
    ) -> tuple[Page, Scope | None, Aggregate | None, tuple[Any, ...]]:
        """The page, its rows, its total, and the relationship's properties that follow each row."""
        type_ = get_named_type(field_def.type)
        node = get_named_type(type_.fields["nodes"].type)
        edge_type = get_named_type(type_.fields["edges"].type)
        emits, forms, edge = [], [], dict[Any, None]()
        for name, nodes in self.collector.fields(type_, sets):
            kind, inner = nodes[0].name.value, inner_sets(nodes)
            part: Any = None
            if kind == "nodes":
                part = self._form(node, inner)
                forms.append(part)
            elif kind == "edges":
                part = [self._edge_part(edge_type, node, key, own) for key, own in self.collector.fields(edge_type, inner)]
                forms += [emit.form for emit in part if emit.of == Part("node")]
                edge |= dict.fromkeys(column for emit in part for column in emit.columns)
            elif kind == "pageInfo":
                part = self.collector.parts(get_named_type(type_.fields["pageInfo"].type), inner)
            emits.append(Emit(name, Part(kind), form=part))
        backward = arguments.get("last") is not None or arguments.get("before") is not None
        if backward and any(arguments.get(name) is not None for name in ("first", "after", "offset")):
            raise QueryError("last and before go without first, after and offset", hint="page in one direction")
        scope = self._scope((), field_def, arguments, backward)
        cursor = (*(order.key for order in scope.order if order.hop is None), Value("dtId"))
        columns = _merge(forms, cursor)
        assert scope.limit is not None
        rows = any(emit.of != Part("totalCount") for emit in emits)
        total = Aggregate((Measure("count"),), scope.where) if any(e.of == Part("totalCount") for e in emits) else None
        more = bool(arguments.get("before")) if backward else bool(arguments.get("after") or arguments.get("offset"))
        keys = (*scope.order, Order(Value("dtId"), False))
        behind = itertools.count(len(columns))  # keys of related twins follow the columns
        places = tuple(next(behind) if order.hop else columns.index(order.key) for order in keys)
        page = Page(signature(scope.order), scope.limit, more, backward, places, emits, type_.name)
        scope = replace(scope, columns=columns, limit=replace(scope.limit, convert=PlusOne(scope.limit.convert)))  # type: ignore[arg-type]
        return page, scope if rows or total is None else None, total, tuple(edge)

    def _edge_part(self, edge: Any, node: Any, key: str, nodes: list[FieldNode]) -> Emit:
        name = nodes[0].name.value
        if name == "node":
            return Emit(key, Part("node"), form=self._form(node, inner_sets(nodes)))
        if name in ("cursor", "__typename"):
            return Emit(key, Part(name), form=edge.name)
        field_def = edge.fields[name]
        return self._value(key, field_def, field_def.extensions[ORIGIN], inner_sets(nodes))

    def _measures(self, field_def: Any, arguments: Arguments, sets: Sets) -> tuple[Aggregate, list[Emit]]:
        type_ = get_named_type(field_def.type)
        emits: list[Emit] = []
        places: dict[Measure, int] = {}
        for name, nodes in self.collector.fields(type_, sets):
            kind, inner = nodes[0].name.value, inner_sets(nodes)
            if kind == "__typename":
                emits.append(Emit(name, TYPENAME, form=type_.name))
                continue
            own: Origin = type_.fields[kind].extensions[ORIGIN]
            form: Any = None
            match own:
                case Part("count"):
                    form = places.setdefault(Measure("count"), len(places))
                case Part("twin"):
                    form = self._form(get_named_type(type_.fields[kind].type), inner)
                case Valued():
                    form = self._numbers(get_named_type(type_.fields[kind].type), key_of(own), inner, places)
            emits.append(Emit(name, own, form=form))
        condition = arguments.get("where")
        fits = where(self.catalog, condition, field_def.args["where"].type)
        return Aggregate(tuple(places) or (Measure("count"),), fits), emits

    def _numbers(self, type_: Any, key: Value, sets: Sets, places: dict[Measure, int]) -> list[tuple[str, int | None, str]]:
        parts: list[tuple[str, int | None, str]] = []
        for name, nodes in self.collector.fields(type_, sets):
            measure = nodes[0].name.value
            if measure == "__typename":
                parts.append((name, None, type_.name))
                continue
            arguments = get_argument_values(type_.fields[measure], nodes[0], self.variables)
            at = param(arguments["rank"], rank) if "rank" in arguments else None
            parts.append((name, places.setdefault(Measure(measure, key, at), len(places)), measure))
        return parts

    # One twin's object -----------------------------------------------------------------------------------------------

    def _form(self, type_: Any, sets: Sets) -> Form:
        form = Form(default=(type_.extensions or {}).get(ORIGIN, ""))
        groups: dict[Any, tuple[str, set[str], list[tuple[str, list[FieldNode]]], Any]] = {}
        for possible in self.collector.possible(type_):
            collected = list(self.collector.fields(possible, sets))
            signed = tuple((name, _defined(possible, nodes), *map(id, nodes)) for name, nodes in collected)
            group = groups.setdefault(signed, (possible.name, set(), collected, possible))
            group[1].add(possible.extensions[ORIGIN])
        for name, models, collected, possible in groups.values():
            emits = [self._emit(possible, key, nodes) for key, nodes in collected]
            form.variants.append((name, frozenset(models), emits))
        emitted = [emit for _, _, emits in form.variants for emit in emits]
        columns = {column for emit in emitted for column in emit.columns}
        if is_abstract_type(type_) and (self.hidden_types or any(emit.of == TYPENAME for emit in emitted)):
            form.types = {possible.extensions[ORIGIN]: possible.name for possible in self.collector.possible(type_)}
        if len(form.variants) > 1 or form.types or any(isinstance(emit.of, Signals) for emit in emitted):
            columns.add(Value("_model"))
        form.columns = tuple(sorted(columns or {Value("dtId")}, key=sort_key))
        return form

    def _emit(self, type_: GraphQLObjectType, key: str, nodes: list[FieldNode]) -> Emit:
        """Made once for all types that share the field: else each level of abstract types would multiply the work."""
        signed = (key, _defined(type_, nodes), *map(id, nodes))
        if nodes[0].name.value == "__typename":
            return Emit(key, TYPENAME, form=type_.name)
        if nodes[0].name.value in ("history", "series"):  # signals are those of the type
            return self._made(type_, key, nodes)
        if signed not in self._emits:
            self._emits[signed] = self._made(type_, key, nodes)
        return self._emits[signed]

    def _made(self, type_: GraphQLObjectType, key: str, nodes: list[FieldNode]) -> Emit:
        name = nodes[0].name.value
        field_def = type_.fields[name]
        origin: Origin = field_def.extensions[ORIGIN]
        arguments = get_argument_values(field_def, nodes[0], self.variables) if field_def.args else {}
        sets = inner_sets(nodes)
        if self.as_of is not None and (isinstance(origin, PRESENT_ONLY) or origin == System("_etag")):
            raise QueryError(f"{name} does not go with asOf", where=key, hint="ask history, or leave asOf out")
        match origin:
            case System() | Instant():
                return Emit(key, origin, (key_of(origin),))
            case Properties():
                return Emit(key, origin, (AllProperties(),))
            case Signals():
                return Emit(key, origin, (AllProperties(),), self.collector.parts(get_named_type(field_def.type), sets))
            case Reading():
                return self._reading(key, field_def, origin, sets)
            case Points() | Columns():
                return self._history(type_, key, origin, arguments, sets, field_def)
            case Links():
                return self._links(key, origin, field_def, arguments, sets)
            case Totals():
                aggregate, emits = self._measures(field_def, arguments, sets)
                return Emit(key, origin, (RelatedAggregate(hop_of(self.catalog, origin), aggregate),), emits)
            case RelatedTwins():
                return self._related(key, origin, field_def, arguments, sets)
            case Reach():
                return self._reach(key, origin, field_def, arguments, sets)
            case Valued():
                return self._value(key, field_def, origin, sets)
        raise TypeError(f"no field of a twin: {origin}")

    def _value(self, key: str, field_def: Any, origin: Valued, sets: Sets) -> Emit:
        """A property or signal: its column, and how its value is written."""
        type_ = get_named_type(field_def.type)
        column: Column = Fields(origin.key, origin.fields, origin.signal) if isinstance(origin, FlatObject) else key_of(origin)
        form: Any = None
        if isinstance(origin, EnumValue | EnumList):
            form = {value.value: name for name, value in type_.values.items()}
        elif isinstance(origin, FlatObject | ObjectList):
            form = self._inside(type_, sets)
        return Emit(key, origin, (column,), form)

    def _inside(self, type_: Any, sets: Sets) -> list[tuple[str, str, Origin, Any]]:
        """(response key, field, what it is of, form) of the fields of an object."""
        parts: list[tuple[str, str, Origin, Any]] = []
        for key, nodes in self.collector.fields(type_, sets):
            name = nodes[0].name.value
            if name == "__typename":
                parts.append((key, "", TYPENAME, type_.name))
                continue
            emit = self._value(key, type_.fields[name], type_.fields[name].extensions[ORIGIN], inner_sets(nodes))
            parts.append((key, name, emit.of, emit.form))
        return parts

    def _reading(self, key: str, field_def: Any, origin: Reading, sets: Sets) -> Emit:
        type_ = get_named_type(field_def.type)
        columns: dict[Column, None] = {Value(f"_at_{origin.key}"): None}
        parts: list[tuple[str, str, Any]] = []
        for name, nodes in self.collector.fields(type_, sets):
            kind = nodes[0].name.value
            form: Any = None
            if kind == "value":
                form = self._value(name, type_.fields["value"], origin.of, inner_sets(nodes))
                columns |= dict.fromkeys(form.columns)
            elif kind == "stale":
                after = get_argument_values(type_.fields["stale"], nodes[0], self.variables).get("after")
                form = None if after is None else param(after)
                columns[Value("_stale")] = None
            elif kind == "quality":
                form = Value(f"_quality_{origin.key}")
                columns[form] = None
            elif kind in ("unit", "__typename"):
                form = type_.name if kind == "__typename" else origin.unit or None
            parts.append((name, kind, form))
        return Emit(key, origin, tuple(columns), parts)

    def _related(self, key: str, origin: RelatedTwins, field_def: Any, arguments: Arguments, sets: Sets) -> Emit:
        form = self._form(get_named_type(field_def.type), sets)
        scope = Scope(form.columns) if origin.single else self._scope(form.columns, field_def, arguments)
        return Emit(key, origin, (Related(hop_of(self.catalog, origin), scope),), form)

    def _links(self, key: str, origin: Links, field_def: Any, arguments: Arguments, sets: Sets) -> Emit:
        page, scope, total, edge = self._page(field_def, arguments, sets)
        hop = hop_of(self.catalog, origin)
        columns: list[Column] = [Related(hop, scope, edge)] if scope is not None else []
        columns += [RelatedAggregate(hop, total)] if total is not None else []
        return Emit(key, origin, tuple(columns), (page, edge))

    def _reach(self, key: str, origin: Reach, field_def: Any, arguments: Arguments, sets: Sets) -> Emit:
        form = self._form(get_named_type(field_def.type), sets)
        types = tuple(sorted(arguments.get("via") or _relationships(self.catalog)))
        depth = self.bounded("depth", arguments["depth"], 1, FARTHEST)
        hop = Hop(types, origin.outgoing, self._label("Twin", arguments), depth)
        return Emit(key, origin, (Related(hop, self._scope(form.columns, field_def, arguments)),), form)

    def _history(
        self, type_: GraphQLObjectType, key: str, origin: Points | Columns, arguments: Arguments, sets: Sets, field_def: Any
    ) -> Emit:
        value = self.settle(arguments["signal"] if isinstance(origin, Points) else arguments["signals"])
        signals = [self.settle(signal_name) for signal_name in value] if isinstance(value, list) else [value]
        model = type_.extensions[ORIGIN]
        telemetry = self.catalog.telemetry(model) if model in self.catalog.interfaces else {}
        for signal in signals:
            if signal not in telemetry:
                self._unknown_signal(signal, type_.name, telemetry)
        end = param("now", now) if arguments.get("to") is None else param(arguments["to"], epoch_ms)
        if arguments.get("from") is not None:
            start = param(arguments["from"], epoch_ms)
        else:
            start = param("now", day_ago) if arguments.get("to") is None else param(arguments["to"], day_before)
        form = HistoryForm(
            start,
            end,
            param(arguments.get("every"), bucket),
            (arguments.get("aggregate") or ["avg"])[0],
            arguments.get("fill") or "none",
            self._zone(self.settle(arguments.get("tz"))),
            self.collector.parts(get_named_type(field_def.type), sets),
            tuple((signal_name, telemetry[signal_name].unit if signal_name in telemetry else "") for signal_name in signals)
            if isinstance(origin, Columns)
            else (),
        )
        columns = {form.shown, *(name for _, name in form.keys)}
        level = param(arguments["every"], Level(form.zone is not None)) if arguments.get("every") is not None else None
        levels = {
            signal_name: level
            for signal_name in telemetry
            if columns <= ROLLED and column_kind(telemetry[signal_name].schema) in ("int", "float")
        }
        return Emit(
            key, origin, tuple(History(signal_name, start, end, levels.get(signal_name)) for signal_name in signals), form
        )

    def _unknown_signal(self, signal: str, type_name: str, signals: Iterable[str]) -> None:
        everything = {name for dtmi in self.catalog.interfaces for name in self.catalog.telemetry(dtmi)}
        if signal not in everything:
            hint = nearest(signal, [*signals] or everything, f"signals are {', '.join(signals)}")
            raise QueryError(f"{type_name} has no signal {signal!r}", where=f"history({signal})", hint=hint)

    def _zone(self, name: str | None) -> ZoneInfo | None:
        try:
            return None if name is None else ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise QueryError(f"no time zone {name!r}", where="tz", hint="a name such as Europe/Berlin") from error

    # Scopes ----------------------------------------------------------------------------------------------------------

    def _scope(self, columns: tuple[Column, ...], field_def: Any, arguments: Arguments, backward: bool = False) -> Scope:
        fits = where(self.catalog, arguments.get("where"), field_def.args["where"].type)
        order: tuple[Order, ...] = ()
        if arguments.get("orderBy"):
            order = orders(self.catalog, arguments["orderBy"], field_def.args["orderBy"].type)
        offset = param(arguments["offset"], not_negative) if arguments.get("offset") is not None else None
        cursor = arguments.get("before") if backward else arguments.get("after")
        after: tuple[Param, ...] = ()
        if cursor is not None:
            signed = signature(order)
            name = "before" if backward else "after"
            after = tuple(param(cursor, CursorPart(i, signed, name)) for i in range(len(order) + 1))
        return Scope(columns, fits, order, self._limited(arguments, "last" if backward else "first"), offset, after, backward)

    def _limited(self, arguments: Arguments, name: str = "first") -> Param:
        count = arguments.get(name)
        return param(self.page_limit if count is None else count, Within(self.page_limit, name))

    # Values ----------------------------------------------------------------------------------------------------------

    def settle(self, value: Any) -> Any:
        """A value that decides the tree: read now, and part of the plan's key from now on."""
        if not isinstance(value, VariableRef):
            return value
        self.structural.add(value.path)
        settled: Any = self.collector.raw
        for step in value.path:
            settled = settled[step]
        return settled

    def bounded(self, name: str, value: Any, least: int, most: int) -> int:
        settled = self.settle(value)
        if settled is None or not least <= settled <= most:
            raise QueryError(f"{name}: {settled} is outside {least} to {most}")
        return int(settled)


def _merge(forms: Iterable[Form], more: Iterable[Column] = ()) -> tuple[Column, ...]:
    """One set of columns for several forms of the same rows."""
    forms = list(forms)
    columns = tuple(sorted({*(column for form in forms for column in form.columns), *more}, key=sort_key))
    for form in forms:
        form.columns = columns
    return columns


def _defined(type_: GraphQLObjectType, nodes: list[FieldNode]) -> int:
    """Types that share a field's definition share its column; a reading or an enum may differ between them."""
    return id(type_.fields.get(nodes[0].name.value))


def _relationships(catalog: Catalog) -> set[str]:
    return {name for dtmi in catalog.interfaces for name in catalog.relationships(dtmi)}
