"""Catalog → graphql-core types. Each field carries its Origin: what it reads in the graph."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLString,
)

from app.dtdl import Array, Catalog, Enum, Object, Primitive, Property, Relationship, Schema, Telemetry
from app.dtdl.values import graphql_scalar
from app.graphql.names import field_name, root_names, type_name
from app.graphql.scalars import make_scalars

ORIGIN = "origin"
COMPARED = ("eq", "ne", "in", "gt", "gte", "lt", "lte", "isNull")
OPERATORS: dict[str, tuple[str, ...]] = {
    "String": (*COMPARED, "contains", "startsWith", "endsWith"),
    "ID": ("eq", "ne", "in", "startsWith"),
    "Boolean": ("eq", "ne", "isNull"),
    **dict.fromkeys(("Int", "Long", "Float", "DateTime", "Date", "Time"), COMPARED),
}
NUMBERS = ("Int", "Long", "Float")


@dataclass(frozen=True, slots=True)
class Origin:
    """`kind`: id, model, etag, value, object, json, signals, properties, history, related, component; or what a root
    field answers: one, list, connection, aggregate. `key` is the property, relationship or label."""

    kind: str
    key: str = ""
    outgoing: bool = True
    target: str = ""
    single: bool = False
    fields: tuple[str, ...] = ()


@dataclass
class TypeFactory:
    """Makes every type of one schema generation. Types of fields are looked up late, so circles are no matter."""

    catalog: Catalog
    scalars: dict[str, GraphQLScalarType] = field(default_factory=make_scalars)
    outputs: dict[str, Any] = field(default_factory=dict)
    objects: dict[str, GraphQLObjectType] = field(default_factory=dict)
    filters: dict[str, GraphQLInputObjectType] = field(default_factory=dict)
    wheres: dict[str, GraphQLInputObjectType] = field(default_factory=dict)
    orders: dict[str, GraphQLInputObjectType] = field(default_factory=dict)
    _made: dict[str, dict[str, GraphQLField]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.direction = GraphQLEnumType("SortDirection", {"ASC": False, "DESC": True})
        self.signal = self._signal_type()
        self.point = self._point_type()
        self.page = self._page_type()
        self.measure = GraphQLEnumType("Aggregate", {n: n.lower() for n in AGGREGATES})
        self.twin = GraphQLInterfaceType(
            "Twin", lambda: self._system, resolve_type=_resolve_type, description="Any twin, whatever its model."
        )
        for dtmi, label in self.catalog.labels.items():
            self._make(dtmi, label)

    def _make(self, dtmi: str, label: str) -> None:
        description = _text(self.catalog.interfaces[dtmi].description)
        name = label
        if self.catalog.descendants[dtmi]:
            name = type_name(self.catalog, label, "Twin")
            self.outputs[dtmi] = GraphQLInterfaceType(
                label,
                lambda: self._fields(dtmi),
                interfaces=lambda: self._interfaces(dtmi, itself=False),
                resolve_type=_resolve_type,
                description=description,
            )
        made = GraphQLObjectType(
            name,
            lambda: self._fields(dtmi),
            interfaces=lambda: self._interfaces(dtmi, itself=True),
            description=description,
            extensions={ORIGIN: dtmi},
        )
        self.objects[dtmi] = made
        self.outputs.setdefault(dtmi, made)

    def _interfaces(self, dtmi: str, itself: bool) -> list[GraphQLInterfaceType]:
        above = [self.outputs[name] for name in self.catalog.ancestors[dtmi]]
        own = self.outputs[dtmi]
        return [self.twin, *([own] if itself and isinstance(own, GraphQLInterfaceType) else []), *above]

    @cached_property
    def type_of_model(self) -> dict[str, str]:
        return {dtmi: made.name for dtmi, made in self.objects.items()}

    # Fields of twins -------------------------------------------------------------------------------------------------

    @cached_property
    def _system(self) -> dict[str, GraphQLField]:
        text = GraphQLNonNull(GraphQLString)
        points = GraphQLNonNull(GraphQLList(GraphQLNonNull(self.point)))
        return {
            "dtId": _field(GraphQLNonNull(GraphQLID), Origin("id"), "Identifier of the twin"),
            "model": _field(text, Origin("model"), "DTMI of its interface"),
            "etag": _field(GraphQLString, Origin("etag"), "Changes with every change of properties"),
            "properties": _field(self.scalars["JSON"], Origin("properties"), "All properties"),
            "signals": _field(
                GraphQLNonNull(GraphQLList(GraphQLNonNull(self.signal))),
                Origin("signals"),
                "Latest telemetry with its time",
            ),
            "history": _field(
                points,
                Origin("history"),
                "A signal over time, oldest first: its points, or buckets of `every`",
                {
                    "signal": GraphQLArgument(text),
                    "from": GraphQLArgument(self.scalars["DateTime"], description="inclusive; a day before `to`"),
                    "to": GraphQLArgument(self.scalars["DateTime"], description="exclusive; now"),
                    "every": GraphQLArgument(self.scalars["Duration"], description="width of a bucket, such as PT10M"),
                    "aggregate": GraphQLArgument(
                        GraphQLList(GraphQLNonNull(self.measure)), description="the first one is shown as `value`; AVG"
                    ),
                },
            ),
        }

    def _fields(self, dtmi: str) -> dict[str, GraphQLField]:
        if dtmi not in self._made:
            self._made[dtmi] = self._make_fields(dtmi)
        return self._made[dtmi]

    def _make_fields(self, dtmi: str) -> dict[str, GraphQLField]:
        fields = dict(self._system)
        for name, content in self.catalog.contents[dtmi].items():
            made = self._content(content)
            if made is not None:
                fields[field_name(name)] = made
        self_and_above = {dtmi, *self.catalog.ancestors[dtmi]}
        for name, (owner, targets) in self.reverses.items():
            if not targets.isdisjoint(self_and_above):
                fields.setdefault(f"{name}Of", self._reverse(name, owner))
        return fields

    def _content(self, content: Any) -> GraphQLField | None:
        description = _text(content.description) or _text(content.display_name)
        if isinstance(content, Property | Telemetry):
            unit = f" [{content.unit}]" if content.unit else ""
            return _field(self._output(content.schema), _value_origin(content.name, content.schema), description + unit)
        if isinstance(content, Relationship):
            single = content.max_multiplicity == 1
            origin = Origin("related", content.name, True, content.target, single)
            return self._related(origin, description)
        if hasattr(content, "interface"):
            origin = Origin("related", content.name, True, content.interface, True)
            return _field(self.output(content.interface), origin, description)
        return None

    def _related(self, origin: Origin, description: str) -> GraphQLField:
        target = self.output(origin.target)
        if origin.single:
            return _field(target, origin, description)
        return _field(_list(target), origin, description, self.list_arguments(origin.target))

    @cached_property
    def reverses(self) -> dict[str, tuple[str, set[str]]]:
        """Relationship → (the interface that declares it, empty when several do; its targets)."""
        found: dict[str, tuple[str, set[str]]] = {}
        for dtmi, interface in self.catalog.interfaces.items():
            for content in interface.contents:
                if isinstance(content, Relationship):
                    owner, targets = found.get(content.name, (dtmi, set()))
                    known = {content.target} & self.catalog.interfaces.keys()
                    found[content.name] = (owner if owner == dtmi else "", targets | known)
        return found

    def _reverse(self, relationship: str, owner: str) -> GraphQLField:
        origin = Origin("related", relationship, False, owner)
        return self._related(origin, f"Twins whose `{relationship}` points here")

    def output(self, dtmi: str) -> Any:
        """Type of twins of this interface or below; any twin when it is not known."""
        return self.outputs.get(dtmi, self.twin)

    def _output(self, schema: Schema) -> Any:
        if isinstance(schema, Array) and isinstance(schema.element, Primitive | Enum):
            return GraphQLList(self.scalar(graphql_scalar(schema.element)))
        return self.scalar(graphql_scalar(schema))

    def scalar(self, name: str) -> Any:
        return BUILT_IN.get(name) or self.scalars[name]

    # Arguments -------------------------------------------------------------------------------------------------------

    def list_arguments(self, dtmi: str) -> dict[str, GraphQLArgument]:
        arguments = {
            "first": GraphQLArgument(GraphQLInt),
            "after": GraphQLArgument(GraphQLString, description="a cursor of the connection"),
            "offset": GraphQLArgument(GraphQLInt),
        }
        if dtmi in self.catalog.interfaces:
            arguments["where"] = GraphQLArgument(self.where(dtmi))
            arguments["orderBy"] = GraphQLArgument(GraphQLList(GraphQLNonNull(self.order(dtmi))))
        return arguments

    def where(self, dtmi: str) -> GraphQLInputObjectType:
        if dtmi not in self.wheres:
            name = type_name(self.catalog, self.catalog.labels[dtmi], "Where")
            self.wheres[dtmi] = GraphQLInputObjectType(name, lambda: self._where_fields(dtmi))
        return self.wheres[dtmi]

    def _where_fields(self, dtmi: str) -> dict[str, GraphQLInputField]:
        own = self.where(dtmi)
        fields: dict[str, GraphQLInputField] = {
            "and": GraphQLInputField(GraphQLList(GraphQLNonNull(own)), extensions={ORIGIN: Origin("and")}),
            "or": GraphQLInputField(GraphQLList(GraphQLNonNull(own)), extensions={ORIGIN: Origin("or")}),
            "not": GraphQLInputField(own, extensions={ORIGIN: Origin("not")}),
            "dtId": GraphQLInputField(self.filter("ID"), extensions={ORIGIN: Origin("id")}),
        }
        for name, made in self._fields(dtmi).items():
            origin: Origin = made.extensions[ORIGIN]
            scalar = _named(made.type)
            if origin.kind == "value" and scalar in OPERATORS:
                fields[name] = GraphQLInputField(self.filter(scalar), extensions={ORIGIN: origin})
            elif origin.kind == "related" and origin.target in self.catalog.interfaces:
                fields[name] = GraphQLInputField(self._related_filter(origin), extensions={ORIGIN: origin})
        return fields

    def filter(self, scalar: str) -> GraphQLInputObjectType:
        if scalar not in self.filters:
            of = self.scalar(scalar)
            kinds = {"in": GraphQLList(GraphQLNonNull(of)), "isNull": GraphQLBoolean}
            self.filters[scalar] = GraphQLInputObjectType(
                f"{scalar}Filter", {name: GraphQLInputField(kinds.get(name, of)) for name in OPERATORS[scalar]}
            )
        return self.filters[scalar]

    def _related_filter(self, origin: Origin) -> GraphQLInputObjectType:
        key = f"related {origin.target}"
        if key not in self.filters:
            where = self.where(origin.target)
            name = type_name(self.catalog, self.catalog.labels[origin.target], "RelatedFilter")
            self.filters[key] = GraphQLInputObjectType(
                name, {quantifier: GraphQLInputField(where) for quantifier in ("some", "none", "all")}
            )
        return self.filters[key]

    def order(self, dtmi: str) -> GraphQLInputObjectType:
        if dtmi not in self.orders:
            name = type_name(self.catalog, self.catalog.labels[dtmi], "Order")
            self.orders[dtmi] = GraphQLInputObjectType(name, lambda: self._order_fields(dtmi))
        return self.orders[dtmi]

    def _order_fields(self, dtmi: str) -> dict[str, GraphQLInputField]:
        values = {n: f.extensions[ORIGIN] for n, f in self._fields(dtmi).items() if f.extensions[ORIGIN].kind == "value"}
        keys = {"dtId": Origin("id")} | values
        return {name: GraphQLInputField(self.direction, extensions={ORIGIN: key}) for name, key in keys.items()}

    # Root fields -----------------------------------------------------------------------------------------------------

    def query_fields(self, resolve: Callable[..., Any]) -> dict[str, GraphQLField]:
        one = {"dtId": GraphQLArgument(GraphQLNonNull(GraphQLID))}
        model = GraphQLArgument(GraphQLString, description="label or DTMI; twins of it and of what extends it")
        fields = {
            "twin": _field(self.twin, Origin("one", "Twin"), "The twin with this identifier", one),
            "twins": _field(_list(self.twin), Origin("list", "Twin"), "Twins", self.list_arguments("") | {"model": model}),
        }
        for dtmi, (single, many) in root_names(self.catalog).items():
            label, type_ = self.catalog.labels[dtmi], self.output(dtmi)
            arguments = self.list_arguments(dtmi)
            where = {"where": arguments["where"]}
            fields[single] = _field(type_, Origin("one", label, target=dtmi), f"The {label} with this identifier", one)
            fields[many] = _field(_list(type_), Origin("list", label, target=dtmi), f"Every {label}", arguments)
            fields[f"{many}Connection"] = _field(
                GraphQLNonNull(self._connection(dtmi)), Origin("connection", label, target=dtmi), "By pages", arguments
            )
            fields[f"{many}Aggregate"] = _field(
                GraphQLNonNull(self._aggregate(dtmi)),
                Origin("aggregate", label, target=dtmi),
                "Over all that fit",
                where,
            )
        for made in fields.values():
            made.resolve = resolve
        return fields

    def _connection(self, dtmi: str) -> GraphQLObjectType:
        label, node = self.catalog.labels[dtmi], GraphQLNonNull(self.output(dtmi))
        edge = GraphQLObjectType(
            type_name(self.catalog, label, "Edge"),
            lambda: {
                "node": _field(node, Origin("node")),
                "cursor": _field(GraphQLNonNull(GraphQLString), Origin("cursor")),
            },
        )
        return GraphQLObjectType(
            type_name(self.catalog, label, "Connection"),
            lambda: {
                "nodes": _field(_list(node.of_type), Origin("nodes")),
                "edges": _field(_list(edge), Origin("edges")),
                "pageInfo": _field(GraphQLNonNull(self.page), Origin("pageInfo")),
                "totalCount": _field(GraphQLNonNull(GraphQLInt), Origin("totalCount")),
            },
        )

    def _aggregate(self, dtmi: str) -> GraphQLObjectType:
        def fields() -> dict[str, GraphQLField]:
            made = {"count": _field(GraphQLNonNull(GraphQLInt), Origin("count"))}
            for name, one in self._fields(dtmi).items():
                if one.extensions[ORIGIN].kind == "value" and _named(one.type) in NUMBERS:
                    made[name] = _field(GraphQLNonNull(self.numbers), one.extensions[ORIGIN], one.description)
            return made

        return GraphQLObjectType(type_name(self.catalog, self.catalog.labels[dtmi], "Aggregate"), fields)

    @cached_property
    def numbers(self) -> GraphQLObjectType:
        return GraphQLObjectType(
            "NumberAggregate",
            {n: _field(GraphQLFloat, Origin("measure", n)) for n in ("min", "max", "avg", "sum", "count")},
        )

    def _signal_type(self) -> GraphQLObjectType:
        return GraphQLObjectType(
            "Signal",
            {
                "name": _field(GraphQLNonNull(GraphQLString), Origin("plain")),
                "value": _field(self.scalars["Value"], Origin("plain")),
                "at": _field(self.scalars["DateTime"], Origin("plain"), "Time of measure"),
                "unit": _field(GraphQLString, Origin("plain")),
            },
        )

    def _point_type(self) -> GraphQLObjectType:
        numbers = {n: _field(GraphQLFloat, Origin("plain")) for n in ("avg", "min", "max", "sum", "first", "last")}
        return GraphQLObjectType(
            "HistoryPoint",
            {
                "at": _field(GraphQLNonNull(self.scalars["DateTime"]), Origin("plain"), "Time of measure; start of the bucket"),
                "value": _field(self.scalars["Value"], Origin("plain")),
                "count": _field(GraphQLInt, Origin("plain")),
                **numbers,
            },
        )

    def _page_type(self) -> GraphQLObjectType:
        return GraphQLObjectType(
            "PageInfo",
            {
                "hasNextPage": _field(GraphQLNonNull(GraphQLBoolean), Origin("plain")),
                "hasPreviousPage": _field(GraphQLNonNull(GraphQLBoolean), Origin("plain")),
                "startCursor": _field(GraphQLString, Origin("plain")),
                "endCursor": _field(GraphQLString, Origin("plain")),
            },
        )


AGGREGATES = ("AVG", "MIN", "MAX", "SUM", "COUNT", "FIRST", "LAST")
BUILT_IN: dict[str, Any] = {
    "String": GraphQLString, "Int": GraphQLInt, "Float": GraphQLFloat, "Boolean": GraphQLBoolean, "ID": GraphQLID
}  # fmt: skip


def _field(
    type_: Any, origin: Origin, description: str | None = None, arguments: Mapping[str, GraphQLArgument] | None = None
) -> GraphQLField:
    return GraphQLField(type_, dict(arguments or {}), _by_key, description=description or None, extensions={ORIGIN: origin})


def _by_key(source: Any, info: Any, **arguments: Any) -> Any:
    """In the executor a compiled field's value lies ready under its response key."""
    return source[info.path.key]


def _resolve_type(value: Any, info: Any, type_: Any) -> str:
    return str(value[TYPE_KEY])


TYPE_KEY = "\x00type"


def _list(type_: Any) -> Any:
    return GraphQLNonNull(GraphQLList(GraphQLNonNull(type_)))


def _named(type_: Any) -> str:
    while hasattr(type_, "of_type"):
        type_ = type_.of_type
    return str(type_.name)


def _value_origin(name: str, schema: Schema) -> Origin:
    if isinstance(schema, Object):
        return Origin("object", name, fields=tuple(leaf_paths(schema)))
    if isinstance(schema, Primitive | Enum):
        is_text = graphql_scalar(schema) == "JSON"
        return Origin("json" if is_text else "value", name)
    if isinstance(schema, Array) and isinstance(schema.element, Primitive | Enum):
        return Origin("array", name)
    return Origin("json", name)


def leaf_paths(schema: Object) -> list[str]:
    paths = []
    for one in schema.fields:
        inner = leaf_paths(one.schema) if isinstance(one.schema, Object) else [""]
        paths += [f"{one.name}.{path}".rstrip(".") for path in inner]
    return paths


def _text(texts: Mapping[str, str]) -> str:
    return texts.get("en", "") or next(iter(texts.values()), "")
