"""Select tree → a generated function from the record to JSON.

A function is written as Python source and compiled once a plan: one comprehension does in C what a loop over fields and
rows would do in Python. Only response keys (as literals), indexes and names of this module enter the source."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson

from app.dtdl import Catalog, Primitive, Schema
from app.graph.records import plain
from app.graph.select.printer import HIDDEN
from app.graph.select.tree import Column, Many, Value, base
from app.graphql.compile.columns import build_history, build_series
from app.graphql.compile.cursor import write_cursor
from app.graphql.compile.select import Emit, Form, Page, Selected
from app.graphql.schema.names import field_name
from app.graphql.schema.origin import (
    TYPE_KEY,
    TYPENAME,
    AsIs,
    Columns,
    Converted,
    EnumList,
    EnumValue,
    FlatObject,
    Instant,
    JsonText,
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
    ValueList,
)
from app.graphql.schema.values import value_kind

Variables = Mapping[str, Any]
Build = Callable[[list[Any], Variables], Any]


class Shaper:
    """Makes builders for one schema generation. `typed` adds each twin's type under a key the executor looks at."""

    def __init__(self, catalog: Catalog, stale_seconds: float, typed: bool) -> None:
        self.catalog, self.stale_seconds, self.typed = catalog, stale_seconds, typed
        self._names = count()
        self._lines: list[str] = []
        self._written: dict[int, tuple[Form, str]] = {}  # holds the forms, so that no id is given twice
        self._globals: dict[str, Any] = dict(GLOBALS)

    def build(self, selected: Selected) -> Build:
        """Record values → what stands under the field's response key."""
        match selected.origin:
            case OneTwin():
                return self._one(selected)
            case TwinList():
                return self._list(selected)
            case TwinPages():
                return self._connection(selected)
            case TwinMeasures():
                return self._aggregate(selected)
            case TwinGroups():
                return self._groups(selected)
            case TwinPath():
                return self._path(selected)
        raise TypeError(f"no root field: {selected.origin}")

    def _one(self, selected: Selected) -> Build:
        twin = self._compile(selected.form)
        return lambda record, variables: twin(record[0][0], variables) if record[0] else None

    def _list(self, selected: Selected) -> Build:
        twin = self._compile(selected.form)
        return lambda record, variables: [twin(row, variables) for row in record[0]]

    def _connection(self, selected: Selected) -> Build:
        page = self._page(selected.form, 0)
        many = selected.root.asked
        assert isinstance(many, Many)
        has_rows, has_total = many.scope is not None, many.aggregate is not None

        def build(record: list[Any], variables: Variables) -> Any:
            total = record[-1][0] if has_total else None
            return page(record[0] if has_rows else [], total, variables)

        return build

    def _aggregate(self, selected: Selected) -> Build:
        return lambda record, variables: _aggregated(selected.form, record[0])

    def _groups(self, selected: Selected) -> Build:
        emits, keys = selected.form
        names = [(name, _decoder(of, form)) for name, of, form in keys]
        twins = {emit.key: self._compile(emit.form) for emit in emits if emit.of == Part("twin")}
        measures = [emit for emit in emits if emit.of not in (Part("twin"), Part("keys"))]
        emit_keys = [emit.key for emit in emits]
        key_names = [emit.key for emit in emits if emit.of == Part("keys")]

        def build(record: list[Any], variables: Variables) -> Any:
            groups = []
            for totals, values, row in record[0]:
                fields = _aggregated(measures, totals)
                shared = {name: decode(value) for (name, decode), value in zip(names, values, strict=True)}
                fields |= dict.fromkeys(key_names, shared)
                fields |= {key: None if row is None else twin(row, variables) for key, twin in twins.items()}
                groups.append({key: fields[key] for key in emit_keys})
            return groups

        return build

    def _path(self, selected: Selected) -> Build:
        parts = [
            (emit.key, emit.of.key, self._compile(emit.form) if emit.of == Part("twins") else emit.form)
            for emit in selected.form
        ]

        def build(record: list[Any], variables: Variables) -> Any:
            if not record[0]:
                return None
            ((rows, steps),) = record[0]
            path: dict[str, Any] = {}
            for key, kind, form in parts:
                if kind == "twins":
                    path[key] = [form(row, variables) for row in rows]
                elif kind == "steps":
                    facts = [dict(zip(STEP, step, strict=True)) for step in steps]
                    path[key] = [{name: fact.get(part, "PathStep") for name, part in form} for fact in facts]
                else:
                    path[key] = len(steps) if kind == "length" else "Path"
            return path

        return build

    # One twin's object -----------------------------------------------------------------------------------------------

    def _compile(self, form: Form) -> Any:
        name = self._function(form)
        exec(compile("\n".join(self._lines), "<shape>", "exec"), self._globals)  # noqa: S102
        self._lines.clear()
        return self._globals[name]

    def _function(self, form: Form) -> str:
        """A form that several variants share is written once."""
        if id(form) not in self._written:
            self._written[id(form)] = (form, self._write(form))
        return self._written[id(form)][1]

    def _write(self, form: Form) -> str:
        if len(form.variants) == 1:
            name, _, emits = form.variants[0]
            return self._variant(form, name, emits)
        table: dict[str, str] = {}
        for name, models, emits in form.variants:
            function = self._variant(form, name, emits)
            table |= dict.fromkeys(models, function)
        builder = f"f{next(self._names)}"
        chooser = ", ".join(f"{model!r}: {function}" for model, function in table.items())
        place = form.columns.index(Value("_model"))
        self._lines.append(f"{builder}_t = {{{chooser}}}")
        self._lines.append(f"{builder} = lambda r, v: {builder}_t.get(text(r[{place}]), {table[form.default]})(r, v)")
        return builder

    def _variant(self, form: Form, type_name: str, emits: list[Emit]) -> str:
        own = repr(type_name)
        if form.types:
            model = f"text(r[{form.columns.index(Value('_model'))}])"
            own = f"{self._bound(form.types)}.get({model}, {form.types[form.default]!r})"
        parts = [f"{emit.key!r}: {own if emit.of == TYPENAME else self._expression(form.columns, emit)}" for emit in emits]
        if self.typed:
            parts.append(f"{TYPE_KEY!r}: {own}")
        builder = f"f{next(self._names)}"
        self._lines.append(f"{builder} = lambda r, v: {{{', '.join(parts)}}}")
        return builder

    def _expression(self, columns: tuple[Column, ...], emit: Emit) -> str:
        places = [f"r[{columns.index(column)}]" for column in emit.columns]
        at = places[0] if places else ""
        match emit.of:
            case System() | AsIs():
                return at
            case Converted() | ValueList():
                return f"plain({at})"
            case JsonText():
                return f"parsed({at})"
            case Valued():
                return f"{self._bound(_decoder(emit.of, emit.form))}({at})"
            case Instant():
                return f"instant({at})"
            case Reading():
                return self._reading(columns, emit)
            case Totals():
                return f"{self._bound(lambda totals: _aggregated(emit.form, totals))}({at})"
            case Links():
                page, edge = emit.form
                built = self._bound(self._links(page, len(edge)))
                return f"{built}([{', '.join(places)}], v)"
            case RelatedTwins(single=True):
                return f"{self._function(emit.form)}({at}[0], v) if {at} else None"
            case RelatedTwins() | Reach():
                return f"[{self._function(emit.form)}(s, v) for s in {at}]"
            case Points():
                return f"{self._bound(lambda raw, v: build_history(emit.form, raw, v))}({at}, v)"
            case Columns():
                return f"{self._bound(lambda raw, v: build_series(emit.form, raw, v))}([{', '.join(places)}], v)"
            case Properties():
                return f"{self._bound(self._properties)}({at})"
            case Signals():
                model = f"r[{columns.index(Value('_model'))}]"
                return f"{self._bound(lambda raw, dtmi: self._signals(emit.form, raw, dtmi))}({at}, {model})"
        raise TypeError(f"no field of a twin: {emit.of}")

    def _bound(self, thing: Any) -> str:
        name = f"b{next(self._names)}"
        self._globals[name] = thing
        return name

    def _reading(self, columns: tuple[Column, ...], emit: Emit) -> str:
        at = f"r[{columns.index(emit.columns[0])}]"
        parts = []
        for key, kind, form in emit.form:
            match kind:
                case "value":
                    shown = self._expression(columns, form)
                case "at":
                    shown = f"instant({at})"
                case "age":
                    shown = f"{self._bound(_age)}({at})"
                case "quality":
                    shown = f"r[{columns.index(form)}] or 'Good'"
                case "stale":
                    after = self.stale_seconds
                    limit = self._bound(form.value if form is not None else lambda variables, after=after: after)
                    shown = f"{self._bound(_is_stale)}({at}, r[{columns.index(Value('_stale'))}], {limit}(v))"
                case _:
                    shown = repr(form)
            parts.append(f"{key!r}: {shown}")
        return f"({{{', '.join(parts)}}} if {self._bound(_is_moment)}({at}) else None)"

    def _properties(self, node: Any) -> dict[str, Any]:
        node = _open(_as_of(*node) if isinstance(node, list) else node)
        if _text(node.get("_model")) not in self.catalog.interfaces:
            return _nested({key: value for key, value in node.items() if key[0] != "_" and key != "dtId"}) or {}
        properties = self.catalog.properties(node["_model"])
        flat = {key: value for key, value in node.items() if key.partition(".")[0] in properties}
        nested = _nested(flat) or {}
        return {name: _parsed(value) if _is_text(properties[name].schema) else value for name, value in nested.items()}

    def _signals(self, keys: list[tuple[str, str]], node: Mapping[str, Any], dtmi: str) -> list[dict[str, Any]]:
        signals, node = [], _open(node)
        telemetry = self.catalog.telemetry(dtmi) if _text(dtmi) in self.catalog.interfaces else {}
        for name, signal in telemetry.items():
            at = node.get(f"_at_{name}")
            if not _is_moment(at):
                continue
            flat = {key: value for key, value in node.items() if key.partition(".")[0] == name}
            value = plain(flat[name]) if name in flat else (_nested(flat) or {}).get(name)
            facts = {"name": field_name(name), "value": value, "at": _instant(at), "age": _age(at), "unit": signal.unit or None}
            facts["quality"] = node.get(f"_quality_{name}") or "Good"
            signals.append({key: facts.get(fact, "Signal") for key, fact in keys})
        return signals

    # Pages -----------------------------------------------------------------------------------------------------------

    def _links(self, page: Page, edge: int) -> Callable[[list[Any], Variables], Any]:
        build = self._page(page, edge)
        has_rows = any(emit.of != Part("totalCount") for emit in page.emits)
        has_total = any(emit.of == Part("totalCount") for emit in page.emits)

        def made(places: list[Any], variables: Variables) -> Any:
            return build(places[0] if has_rows else [], places[-1][0] if has_total else None, variables)

        return made

    def _page(self, page: Page, edge: int) -> Callable[[list[Any], int | None, Variables], Any]:
        makers = [(emit.key, self._page_part(emit, edge, page.type_name)) for emit in page.emits]

        def build(rows: list[Any], total: int | None, variables: Variables) -> dict[str, Any]:
            page_rows = rows[: page.limit.value(variables)]
            more = len(rows) > len(page_rows)
            if page.backward:
                page_rows.reverse()
            cursors = [write_cursor(page.signed, [row[place] for place in page.places]) for row in page_rows]
            facts = {
                "hasNextPage": page.forward_more if page.backward else more,
                "hasPreviousPage": more if page.backward else page.forward_more,
                "startCursor": cursors[0] if cursors else None,
                "endCursor": cursors[-1] if cursors else None,
                "totalCount": total,
            }
            return {key: make(page_rows, cursors, facts, variables) for key, make in makers}

        return build

    def _page_part(self, emit: Emit, edge: int, type_name: str) -> Callable[[list[Any], list[str], Any, Variables], Any]:
        match emit.of.key:
            case "nodes":
                twin = self._compile_apart(emit.form)
                return lambda rows, cursors, facts, v: [twin(row, v) for row in rows]
            case "edges":
                parts = [(edge_emit.key, self._edge_part(edge_emit, emit.form, edge)) for edge_emit in emit.form]
                return lambda rows, cursors, facts, v: [
                    {key: make(row, cursor, v) for key, make in parts} for row, cursor in zip(rows, cursors, strict=True)
                ]
            case "pageInfo":
                return lambda rows, cursors, facts, v: {key: facts.get(part, "PageInfo") for key, part in emit.form}
            case "totalCount":
                return lambda rows, cursors, facts, v: facts["totalCount"]
        return lambda rows, cursors, facts, v: type_name

    def _edge_part(self, emit: Emit, emits: list[Emit], edge: int) -> Callable[[Any, str, Variables], Any]:
        match emit.of:
            case Part("node"):
                twin = self._compile_apart(emit.form)
                return lambda row, cursor, v: twin(row, v)
            case Part("cursor"):
                return lambda row, cursor, v: cursor
            case Part():
                return lambda row, cursor, v: emit.form
        columns = list(dict.fromkeys(column for edge_emit in emits for column in edge_emit.columns))
        place = columns.index(emit.columns[0]) - edge
        decode = _decoder(emit.of, emit.form)
        return lambda row, cursor, v: decode(row[place])

    def _compile_apart(self, form: Form) -> Any:
        """Compiled while another function is being written."""
        waiting, self._lines = self._lines, []
        builder = self._compile(form)
        self._lines = waiting
        return builder


FARTHEST_MS = 60_000_000_000_000  # the years 68 to 3871
STEP = ("relationship", "source", "target", "id")


def _aggregated(emits: list[Emit], totals: list[Any]) -> dict[str, Any]:
    measures: dict[str, Any] = {}
    for emit in emits:
        if isinstance(emit.of, Valued):
            measures[emit.key] = {key: name if place is None else plain(totals[place]) for key, place, name in emit.form}
        else:
            measures[emit.key] = totals[emit.form] if emit.of == Part("count") else emit.form
    return measures


def _decoder(of: Origin, form: Any) -> Callable[[Any], Any]:
    """How a value that lies in the graph, or in JSON text, becomes what is answered."""
    match of:
        case EnumValue():
            return lambda value: None if isinstance(value, list) else form.get(value)
        case EnumList():
            return lambda values: [form.get(value) for value in values] if isinstance(values, list) else None
        case FlatObject():
            picked = _picker(form)
            return lambda flat: picked(_nested(flat))
        case ObjectList():
            picked = _picker(form)
            return lambda text: None if text is None else [picked(item) for item in _parsed(text)]
        case JsonText():
            return _parsed
        case AsIs() | System():
            return lambda value: value
    return plain


def _picker(parts: list[tuple[str, str, Origin, Any]]) -> Callable[[Any], Any]:
    """The fields asked for of an object that is whole already."""
    makers = [(key, name, _inner(of, form)) for key, name, of, form in parts]

    def pick(value: Any) -> Any:
        return None if value is None else {key: make(value.get(name)) for key, name, make in makers}

    return pick


def _inner(of: Origin, form: Any) -> Callable[[Any], Any]:
    match of:
        case Part():
            return lambda value: form
        case FlatObject():
            return _picker(form)
        case ObjectList():
            picked = _picker(form)
            return lambda value: None if value is None else [picked(item) for item in _parsed(value)]
    return _decoder(of, form)


def _is_text(schema: Schema) -> bool:
    """Whether a value of `schema` lies in the graph as JSON text."""
    return value_kind(schema) in (JsonText, ObjectList) or schema == Primitive("point")


def _as_of(node: dict[str, Any], versions: list[dict[str, Any]]) -> dict[str, Any]:
    """The properties of a moment: those of now, with what each version says it was before, the newest version first."""
    return node | {key: version.get(key) for version in versions for key in version["_keys"]}


def _open(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without what is hidden from who asks."""
    hidden = node.get(HIDDEN)
    return node if not hidden else {key: value for key, value in node.items() if base(key) not in hidden}


def _parsed(text: Any) -> Any:
    try:
        return orjson.loads(text) if isinstance(text, str) else plain(text)
    except orjson.JSONDecodeError:  # changed by hand: as it stands
        return text


def _nested(flat: Mapping[str, Any]) -> dict[str, Any] | None:
    """`{"a.b": 1}` → `{"a": {"b": 1}}`; what is absent is left out, and None when everything is."""
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        if value is not None:
            *steps, last = path.split(".")
            place = nested
            for step in steps:
                place = place.setdefault(step, {})
            place[last] = plain(value)
    return nested or None


def _text(value: Any) -> str:
    """A key to look up; empty for what is none."""
    return value if isinstance(value, str) else ""


def _is_moment(milliseconds: Any) -> bool:
    """A time that can be told as text; nothing else is written by this server."""
    return type(milliseconds) is int and abs(milliseconds) <= FARTHEST_MS


def _is_stale(at: int, gone: Any, after: float) -> bool:
    return _age(at) > after or (isinstance(gone, int) and gone >= at)


def _instant(milliseconds: Any) -> str | None:
    if not _is_moment(milliseconds):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


GLOBALS: Mapping[str, Any] = {"plain": plain, "parsed": _parsed, "nested": _nested, "instant": _instant, "text": _text}


def _age(milliseconds: Any) -> float:
    return float(round(time.time() - milliseconds / 1000, 3))
