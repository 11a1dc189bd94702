"""Select tree → a generated function from the record to JSON.

A function is written as Python source and compiled once a plan: one comprehension does in C what a loop over fields and
rows would do in Python. Only response keys (as literals), indexes and names of this module enter the source."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson

from app.dtdl import Catalog
from app.graph.records import plain
from app.graph.select import Value
from app.graphql.history import build_history
from app.graphql.names import field_name
from app.graphql.select import Emit, Form, Page, Selected, write_cursor
from app.graphql.types import TYPE_KEY

Variables = Mapping[str, Any]
Build = Callable[[list[Any], Variables], Any]


class Shaper:
    """Makes builders for one schema generation. `typed` adds each twin's type under a key the executor looks at."""

    def __init__(self, catalog: Catalog, typed: bool) -> None:
        self.catalog, self.typed = catalog, typed
        self._names = count()
        self._lines: list[str] = []
        self._globals: dict[str, Any] = {"plain": plain, "parsed": _parsed, "nested": _nested}

    def build(self, selected: Selected) -> Build:
        """record values → what stands under the field's response key."""
        if selected.origin.kind == "aggregate":
            return lambda record, variables: _aggregated(selected.emits, record[0])
        if selected.page is not None:
            return self._pages(selected, selected.page)
        assert selected.form is not None
        twin = self._compile(selected.form)
        if selected.origin.kind == "one":
            return lambda record, variables: twin(record[0][0], variables) if record[0] else None
        return lambda record, variables: [twin(row, variables) for row in record[0]]

    def _compile(self, form: Form) -> Any:
        name = self._function(form)
        exec(compile("\n".join(self._lines), "<shape>", "exec"), self._globals)  # noqa: S102
        return self._globals[name]

    def _function(self, form: Form) -> str:
        if len(form.variants) == 1:
            name, _, emits = form.variants[0]
            return self._variant(form, name, emits)
        table: dict[str, str] = {}
        for name, models, emits in form.variants:
            function = self._variant(form, name, emits)
            table |= dict.fromkeys(models, function)
        made = f"f{next(self._names)}"
        chooser = ", ".join(f"{model!r}: {function}" for model, function in table.items())
        place = form.columns.index(Value("_model"))
        self._lines.append(f"{made}_t = {{{chooser}}}")
        self._lines.append(f"{made} = lambda r, v: {made}_t[r[{place}]](r, v)")
        return made

    def _variant(self, form: Form, type_name: str, emits: list[Emit]) -> str:
        parts = [f"{emit.key!r}: {self._expression(form, emit)}" for emit in emits]
        if self.typed:
            parts.append(f"{TYPE_KEY!r}: {type_name!r}")
        made = f"f{next(self._names)}"
        self._lines.append(f"{made} = lambda r, v: {{{', '.join(parts)}}}")
        return made

    def _expression(self, form: Form, emit: Emit) -> str:
        if emit.column is None:
            return repr(emit.form)
        at = f"r[{form.columns.index(emit.column)}]"
        match emit.kind:
            case "value":
                return at
            case "temporal":
                return f"plain({at})"
            case "json":
                return f"parsed({at})"
            case "object":
                return f"nested({at})"
            case "many":
                return f"[{self._function(emit.form)}(s, v) for s in {at}]"
            case "one":
                return f"{self._function(emit.form)}({at}[0], v) if {at} else None"
            case "history":
                return f"{self._bound(lambda given, v: build_history(emit.form, given, v))}({at}, v)"
            case "properties":
                return f"{self._bound(self._properties)}({at})"
            case _:
                model = f"r[{form.columns.index(Value('_model'))}]"
                return f"{self._bound(lambda given, dtmi: self._signals(emit.form, given, dtmi))}({at}, {model})"

    def _bound(self, function: Any) -> str:
        name = f"b{next(self._names)}"
        self._globals[name] = function
        return name

    def _properties(self, node: Mapping[str, Any]) -> dict[str, Any]:
        known = self.catalog.properties(node["_model"])
        flat = {key: value for key, value in node.items() if key.partition(".")[0] in known}
        return _nested(flat) or {}

    def _signals(self, keys: list[tuple[str, str]], node: Mapping[str, Any], dtmi: str) -> list[dict[str, Any]]:
        said = []
        for name, signal in self.catalog.telemetry(dtmi).items():
            at = node.get(f"_at_{name}")
            if at is None:
                continue
            flat = {key: value for key, value in node.items() if key.partition(".")[0] == name}
            value = plain(flat[name]) if name in flat else _nested(flat)
            facts = {"name": field_name(name), "value": value, "at": _instant(at), "unit": signal.unit or None}
            said.append({key: facts.get(fact, "Signal") for key, fact in keys})
        return said

    def _pages(self, selected: Selected, page: Page) -> Build:
        makers = [self._page_part(emit, selected.origin.key) for emit in selected.emits]
        has_rows = selected.root.scope is not None

        def build(record: list[Any], variables: Variables) -> dict[str, Any]:
            rows = record[0] if has_rows else []
            most = page.limit.value(variables) - 1 if has_rows else 0
            kept = rows[:most]
            cursors = [write_cursor(page.order, [row[place] for place in page.cursor_places]) for row in kept]
            facts = {
                "hasNextPage": len(rows) > len(kept),
                "hasPreviousPage": page.backward,
                "startCursor": cursors[0] if cursors else None,
                "endCursor": cursors[-1] if cursors else None,
                "totalCount": record[-1][0] if len(record) > has_rows else None,
            }
            return {key: make(kept, cursors, facts, variables) for key, make in makers}

        return build

    def _page_part(self, emit: Emit, label: str) -> tuple[str, Callable[[list[Any], list[str], Any, Variables], Any]]:
        match emit.kind:
            case "nodes":
                twin = self._compile(emit.form)
                return emit.key, lambda rows, cursors, facts, v: [twin(row, v) for row in rows]
            case "edges":
                parts = [(key, part, self._compile(form) if form else None) for key, part, form in emit.form]
                return emit.key, lambda rows, cursors, facts, v: [
                    _edge(parts, label, row, cursor, v) for row, cursor in zip(rows, cursors, strict=True)
                ]
            case "pageInfo":
                return emit.key, lambda rows, cursors, facts, v: {k: facts.get(part, "PageInfo") for k, part in emit.form}
            case "totalCount":
                return emit.key, lambda rows, cursors, facts, v: facts["totalCount"]
            case _:
                return emit.key, lambda rows, cursors, facts, v: f"{label}Connection"


def _edge(parts: list[tuple[str, str, Any]], label: str, row: Any, cursor: str, variables: Variables) -> dict[str, Any]:
    facts = {"cursor": cursor, "__typename": f"{label}Edge"}
    return {key: twin(row, variables) if twin else facts[part] for key, part, twin in parts}


def _aggregated(emits: list[Emit], totals: list[Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for emit in emits:
        if emit.kind == "numbers":
            said[emit.key] = {key: "NumberAggregate" if place is None else totals[place] for key, place in emit.form}
        elif emit.kind == "count":
            said[emit.key] = totals[emit.form]
        else:
            said[emit.key] = "Aggregate"
    return said


def _parsed(text: Any) -> Any:
    return orjson.loads(text) if isinstance(text, str) else plain(text)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any] | None:
    """`{"a.b": 1}` → `{"a": {"b": 1}}`; what is absent is left out, and None when everything is."""
    said: dict[str, Any] = {}
    for path, value in flat.items():
        if value is not None:
            *steps, last = path.split(".")
            place = said
            for step in steps:
                place = place.setdefault(step, {})
            place[last] = plain(value)
    return said or None


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
