"""Introspection, compiled like other queries: graphql-core's own resolvers, called by closures made once a query.

A content's field object is shared by all interfaces that inherit it, so its JSON is written once; a schema of 767 interfaces
has 107,000 fields and a fifth as many field objects. Answers are kept with the schema generation."""

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from threading import Lock
from types import SimpleNamespace
from typing import Any

import orjson
from graphql import GraphQLList, GraphQLNonNull, GraphQLSchema, get_argument_values, get_named_type, is_leaf_type
from graphql.execution.values import VariableValues
from graphql.type.introspection import SchemaMetaFieldDef, TypeMetaFieldDef

from app.graphql.compile.collect import Collector, Sets, inner_sets

META = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}
ROOTS = {*META, "__typename"}
KEPT_BYTES = 64_000_000
Make = Callable[[Any], Any]


class Introspection:
    """The answers of one schema generation, the least used forgotten first."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._known: OrderedDict[Any, bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def answer(self, key: tuple[Any, ...], operation: Any, fragments: Any, values: VariableValues) -> bytes:
        """`data` of an operation that asks for nothing but the schema. `key` tells operations apart."""
        key = (*key, orjson.dumps(dict(values.coerced), option=orjson.OPT_SORT_KEYS))
        with self._lock:
            cached = self._known.get(key)
            if cached is not None:
                self._known.move_to_end(key)
        return cached if cached is not None else self._keep(key, self._made(operation, fragments, values))

    def _made(self, operation: Any, fragments: Any, values: VariableValues) -> bytes:
        writer = _Writer(self._schema, Collector(self._schema, fragments, values.coerced), values)
        root = self._schema.query_type
        data: dict[str, Any] = {}
        for name, nodes in writer.collector.fields(root, [operation.selection_set]):
            field_name = nodes[0].name.value
            data[name] = "Query" if field_name == "__typename" else writer.field(META[field_name], nodes)(None)
        return orjson.dumps(data)

    def _keep(self, key: Any, answer: bytes) -> bytes:
        with self._lock:
            self._known[key] = answer
            self._size += len(answer)
            while self._size > KEPT_BYTES and len(self._known) > 1:
                self._size -= len(self._known.popitem(last=False)[1])
        return answer


class _Writer:
    def __init__(self, schema: GraphQLSchema, collector: Collector, values: VariableValues) -> None:
        self.collector, self._values = collector, values
        self._info: Any = SimpleNamespace(schema=schema)

    def field(self, field_def: Any, nodes: list[Any]) -> Make:
        arguments = get_argument_values(field_def, nodes[0], self._values) if field_def.args else {}
        complete = self._completed(field_def.type, inner_sets(nodes))
        return lambda source: complete(field_def.resolve(source, self._info, **arguments))

    def _completed(self, type_: Any, sets: Sets) -> Make:
        if isinstance(type_, GraphQLNonNull):
            return self._completed(type_.of_type, sets)
        if isinstance(type_, GraphQLList):
            inner = self._completed(type_.of_type, sets)
            return lambda values: None if values is None else [inner(value) for value in values]
        if is_leaf_type(get_named_type(type_)):
            return lambda value: value.name if isinstance(value, Enum) else value
        return self._object(type_, sets)

    def _object(self, type_: Any, sets: Sets) -> Make:
        parts: list[tuple[str, Make]] = []
        for key, nodes in self.collector.fields(type_, sets):
            name = nodes[0].name.value
            parts.append((key, _constant(type_.name) if name == "__typename" else self.field(type_.fields[name], nodes)))
        written: dict[Any, orjson.Fragment] = {}
        whole = type_.name == "__Type" and any(
            name in ("fields", "inputFields") for _, name in self.collector.parts(type_, sets)
        )

        def make(value: Any) -> Any:
            if value is None:
                return None
            if type_.name == "__Schema":
                return {name: part(value) for name, part in parts}
            if whole:  # seen once each: to keep them would double what the answer takes
                return orjson.Fragment(orjson.dumps({name: part(value) for name, part in parts}))
            key = (value[0], id(value[1])) if isinstance(value, tuple) else id(value)
            fragment = written.get(key)
            if fragment is None:
                fragment = written[key] = orjson.Fragment(orjson.dumps({name: part(value) for name, part in parts}))
            return fragment

        return make


def _constant(value: str) -> Make:
    return lambda _: value


def is_introspection(names: list[str]) -> bool:
    """Whether nothing but the schema is asked for."""
    return bool(names) and all(name in ROOTS for name in names) and any(name in META for name in names)
