"""Catalog → graphql-core types of twins. Each field carries its Origin: what it reads in the graph."""

from collections.abc import Mapping
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
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLString,
)

from app.dtdl import Catalog, Component, Object, Primitive, Property, Relationship, Schema, Telemetry
from app.graphql.schema.filters import Filters
from app.graphql.schema.names import Taken, field_name, upper_first
from app.graphql.schema.origin import (
    ORIGIN,
    AsIs,
    Columns,
    Converted,
    EnumValue,
    FlatObject,
    Instant,
    Links,
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
    Valued,
    by_key,
    resolve_type,
)
from app.graphql.schema.scalars import make_scalars
from app.graphql.schema.values import BUILT_IN as BUILT_IN_TYPES
from app.graphql.schema.values import Schemas, leaf_paths, listed, type_name, value_kind

GROWN_TYPES = (  # of every schema, whatever its models; tests/graphql/test_names.py looks that none is missing
    "Query", "Mutation", "Subscription", "Twin", "UnservedTwin", "Signal", "HistoryPoint", "Series", "PageInfo", "Aggregate",
    "SortDirection", "Fill", "Relationship", "RelationshipField", "Path", "PathStep", "TwinChange", "ChangeKind",
)  # fmt: skip
AGGREGATES = ("AVG", "MIN", "MAX", "SUM", "COUNT", "FIRST", "LAST", "STDDEV")
FILLS = {"NONE": "none", "NULL": "null", "PREVIOUS": "previous", "LINEAR": "linear"}
MEASURED = ("value", "plain", "enum", "array", "enums", "json", "object", "objects")


@dataclass
class TypeFactory:
    """Makes every type of one schema generation. Types of fields are looked up late, so circles are no matter."""

    catalog: Catalog
    scalars: dict[str, GraphQLScalarType] = field(default_factory=make_scalars)
    reserved: frozenset[str] = frozenset()  # names of types that do not grow from models
    roots: frozenset[str] = frozenset()  # names of their fields of Query
    outputs: dict[str, Any] = field(default_factory=dict)
    objects: dict[str, GraphQLObjectType] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # DTMI → what the model is called in this schema
    _made: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.taken = Taken((*GROWN_TYPES, *BUILT_IN_TYPES, *self.reserved, *self.scalars))
        self.schemas = Schemas(self.scalars, self.taken)
        self.filters = Filters(self)
        self.direction = GraphQLEnumType("SortDirection", {"ASC": False, "DESC": True})
        self.measure = GraphQLEnumType("Aggregate", {name: name.lower() for name in AGGREGATES})
        self.fill = GraphQLEnumType("Fill", FILLS, description="What stands where a bucket has no points")
        forward = sorted({name for dtmi in self.catalog.interfaces for name in self.catalog.relationships(dtmi)})
        self.relationships = tuple(forward)
        self.relationship = _names("Relationship", forward)
        self.relationship_field = _names("RelationshipField", [*forward, *(f"{name}Of" for name in forward)])
        self.twin = GraphQLInterfaceType(
            "Twin",
            lambda: self.system,
            resolve_type=resolve_type,
            description="Any twin, whatever its model.",
            extensions={ORIGIN: ""},
        )
        self.objects[""] = GraphQLObjectType(
            "UnservedTwin",
            lambda: self.system,
            interfaces=[self.twin],
            description="A twin whose model is not loaded, or cannot be served: see modelsLeftOut.",
            extensions={ORIGIN: ""},
        )
        self._claim_static()
        self._name_models()
        for dtmi, _ in sorted(self.catalog.labels.items(), key=lambda row: row[1]):
            self._make(dtmi, self.label(dtmi))
        for dtmi, _ in sorted(self.catalog.labels.items(), key=lambda row: row[1]):
            for content in self.catalog.interfaces[dtmi].contents:
                self._content(content)  # names are given in one order, whatever is asked for first

    def _make(self, dtmi: str, label: str) -> None:
        description = text(self.catalog.interfaces[dtmi].description)
        name = label
        if self.catalog.descendants[dtmi]:
            name = self.taken.claim(f"{label}Twin", f"{label}_Twin")
            self.outputs[dtmi] = GraphQLInterfaceType(
                label,
                lambda: self.fields(dtmi),
                interfaces=lambda: self._interfaces(dtmi, itself=False),
                resolve_type=resolve_type,
                description=description,
                extensions={ORIGIN: dtmi},
            )
        object_type = GraphQLObjectType(
            name,
            lambda: self.fields(dtmi),
            interfaces=lambda: self._interfaces(dtmi, itself=True),
            description=description,
            extensions={ORIGIN: dtmi},
        )
        self.objects[dtmi] = object_type
        self.outputs.setdefault(dtmi, object_type)

    def _interfaces(self, dtmi: str, itself: bool) -> list[GraphQLInterfaceType]:
        above = [self.outputs[name] for name in self.catalog.ancestors[dtmi]]
        own = self.outputs[dtmi]
        return [self.twin, *([own] if itself and isinstance(own, GraphQLInterfaceType) else []), *above]

    def output(self, dtmi: str) -> Any:
        """The type of twins of this model; any twin where the model is not known."""
        return self.outputs.get(dtmi, self.twin)

    def _claim_static(self) -> None:
        """The types of any twin and of the scalars, made before any of a model: so no model takes their names."""
        self.root_page("", "Twin")
        self.aggregate("")
        self._connection("")
        self.filters.claim_static()
        for scalar in (*BUILT_IN_TYPES.values(), *self.scalars.values()):
            for type_ in (scalar, GraphQLList(scalar)):
                self._reading(type_)
        _ = self._measures

    def _name_models(self) -> None:
        labels = sorted((label, dtmi) for dtmi, label in self.catalog.labels.items())
        clashing = [(label, dtmi) for label, dtmi in labels if label in self.taken]
        self.names = {dtmi: self.taken.claim(label) for label, dtmi in labels if (label, dtmi) not in clashing}
        self.names |= {dtmi: self.taken.claim(f"{label}Twin") for label, dtmi in clashing}

    def label(self, dtmi: str) -> str:
        """What a model is called here: its label, unless GraphQL or this schema has a type of that name."""
        return self.names.get(dtmi, "")

    def claimed(self, dtmi: str, suffix: str) -> str:
        label = self.label(dtmi) or "Twin"
        return self.taken.claim(f"{label}{suffix}", f"{label}_{suffix}")

    # Fields of twins -------------------------------------------------------------------------------------------------

    @cached_property
    def system(self) -> dict[str, GraphQLField]:
        string = GraphQLNonNull(GraphQLString)
        moment, span = self.scalars["DateTime"], self.scalars["Duration"]
        window = {
            "from": GraphQLArgument(moment, description="inclusive; a day before `to`"),
            "to": GraphQLArgument(moment, description="exclusive; now"),
            "every": GraphQLArgument(span, description="width of a bucket, such as PT10M"),
            "aggregate": GraphQLArgument(
                GraphQLList(GraphQLNonNull(self.measure)), description="the first one is shown as `value`; AVG"
            ),
            "fill": GraphQLArgument(self.fill, default_value="none", description="what stands in empty buckets"),
            "tz": GraphQLArgument(GraphQLString, description="buckets begin at local times of this zone; UTC"),
        }
        reach = self._reach_arguments()
        return {
            "dtId": made_field(GraphQLNonNull(GraphQLID), System("dtId"), "Identifier of the twin"),
            "model": made_field(string, System("_model"), "DTMI of its interface"),
            "etag": made_field(GraphQLString, System("_etag"), "Changes with every change of properties"),
            "lastMeasured": made_field(moment, Instant("_last"), "Newest event time of all its telemetry"),
            "lastReceived": made_field(moment, Instant("_received"), "When something was last heard of it, new or not"),
            "properties": made_field(self.scalars["JSON"], Properties(), "All properties"),
            "signals": made_field(listed(self._signal), Signals(), "Latest telemetry with its time"),
            "history": made_field(
                listed(self._point),
                Points(),
                "A signal over time, oldest first: its points, or buckets of `every`",
                {"signal": GraphQLArgument(string)} | window,
            ),
            "series": made_field(
                listed(self._series),
                Columns(),
                "Signals over time in columns, for charts",
                {"signals": GraphQLArgument(listed(GraphQLString))} | window,
            ),
            "descendants": made_field(listed(self.twin), Reach(), "Twins below, over relationships", reach),
            "ancestors": made_field(listed(self.twin), Reach(outgoing=False), "Twins above, against relationships", reach),
        }

    def _reach_arguments(self) -> dict[str, GraphQLArgument]:
        via = {"via": GraphQLArgument(GraphQLList(GraphQLNonNull(self.relationship)), description="all")}
        return {
            **(via if self.relationships else {}),
            "depth": GraphQLArgument(GraphQLInt, default_value=5, description="1 to 16 relationships"),
            "model": GraphQLArgument(GraphQLString, description="label or DTMI; twins of it and of what extends it"),
            "first": GraphQLArgument(GraphQLInt),
            "offset": GraphQLArgument(GraphQLInt),
            "where": GraphQLArgument(self.filters.where("")),
        }

    def fields(self, dtmi: str) -> dict[str, GraphQLField]:
        if dtmi not in self._made:
            self._made[dtmi] = self._make_fields(dtmi)
        return self._made[dtmi]  # type: ignore[no-any-return]

    def _make_fields(self, dtmi: str) -> dict[str, GraphQLField]:
        """A content's own name comes first; what is grown beside it gets `_` at its end where a content has its name."""
        fields = dict(self.system)
        beside: dict[str, GraphQLField] = {}
        for name, content in self.catalog.contents[dtmi].items():
            made = dict(self._content(content))
            if name in made:
                fields[field_name(name)] = made.pop(name)
            beside |= made
        above = {dtmi, *self.catalog.ancestors[dtmi]}
        for name, (owner, targets) in self.reverses.items():
            if not targets.isdisjoint(above):
                beside |= self._reverse(name, owner)
        taken = Taken(fields)
        return fields | {taken.claim(name): made for name, made in beside.items()}

    def _content(self, content: Any) -> dict[str, GraphQLField]:
        """The content's field first, then those beside it; shared by all interfaces that inherit the content."""
        if id(content) not in self._made:
            self._made[id(content)] = self._content_fields(content)
        return self._made[id(content)]  # type: ignore[no-any-return]

    def _content_fields(self, content: Any) -> dict[str, GraphQLField]:
        name, description = content.name, text(content.description) or text(content.display_name)
        owner = self.label(content.declared_by) + upper_first(name)
        match content:
            case Property() | Telemetry():
                shown = f"{description} [{content.unit}]" if content.unit else description
                origin = value_origin(name, content.schema, isinstance(content, Telemetry), content.unit)
                type_ = self.schemas.output(content.schema, owner)
                fields = {name: made_field(type_, origin, shown)}
                if origin.signal:
                    reading = Reading(name, origin, content.unit)
                    about = f"{description or name}: value, event time, age"
                    fields[f"{name}Reading"] = made_field(self._reading(type_), reading, about)
                return fields
            case Relationship():
                edge = tuple(content.properties)
                single = content.max_multiplicity == 1
                return self._related(name, RelatedTwins(name, True, content.target, single), description, owner, edge)
            case Component():
                component = RelatedTwins(name, True, content.interface, single=True, part=True)
                return {name: made_field(self.output(content.interface), component, description)}
        return {}

    def _related(
        self, name: str, origin: RelatedTwins, description: str, owner: str, edge: tuple[Property, ...] = ()
    ) -> dict[str, GraphQLField]:
        target = self.output(origin.target)
        arguments = self.filters.list_arguments(origin.target)
        links = Links(origin.key, origin.outgoing, origin.target)
        connection = made_field(
            GraphQLNonNull(self._connection(origin.target, owner, edge)),
            links,
            "By pages, with the relationship's own properties",
            self.filters.page_arguments(origin.target),
        )
        if origin.single:
            single = {name: made_field(target, origin, description)}
            return single | ({f"{name}Connection": connection} if edge else {})
        totals = Totals(origin.key, origin.outgoing, origin.target)
        return {
            name: made_field(listed(target), origin, description, arguments),
            f"{name}Connection": connection,
            f"{name}Aggregate": made_field(
                GraphQLNonNull(self.aggregate(origin.target)),
                totals,
                "Over all that fit",
                {"where": GraphQLArgument(self.filters.where(origin.target))},
            ),
        }

    @cached_property
    def reverses(self) -> dict[str, tuple[str, set[str]]]:
        """Relationship → (the interface that declares it, empty when several do; its targets)."""
        by_relationship: dict[str, tuple[str, set[str]]] = {}
        for dtmi, interface in self.catalog.interfaces.items():
            for content in interface.contents:
                if isinstance(content, Relationship) and content.target in self.catalog.interfaces:
                    owner, targets = by_relationship.setdefault(content.name, (dtmi, set()))
                    targets.add(content.target)
                    by_relationship[content.name] = (owner if owner == dtmi else "", targets)
        return by_relationship

    def _reverse(self, name: str, owner: str) -> dict[str, GraphQLField]:
        key = ("reverse", name)
        if key not in self._made:
            origin = RelatedTwins(name, False, owner)
            self._made[key] = self._related(f"{name}Of", origin, f"The other end of {name}", f"{upper_first(name)}Of")
        return self._made[key]  # type: ignore[no-any-return]

    # Types beside them -----------------------------------------------------------------------------------------------

    def _connection(self, target: str, owner: str = "", edge: tuple[Property, ...] = ()) -> GraphQLObjectType:
        """Shared by all relationships to `target` that have no properties of their own."""
        key = ("connection", owner if edge else target, bool(edge))
        if key not in self._made:
            properties = {
                field_name(edge_property.name)
                if edge_property.name not in ("node", "cursor")
                else f"{edge_property.name}_": made_field(
                    self.schemas.output(edge_property.schema, owner + upper_first(edge_property.name)),
                    value_origin(edge_property.name, edge_property.schema, False, edge_property.unit),
                    text(edge_property.description),
                )
                for edge_property in edge
            }
            names = (owner,) if edge else (f"{self.label(target) or 'Twin'}Related",)
            self._made[key] = self.page_types(target, names[0], properties | self._since)
        return self._made[key]  # type: ignore[no-any-return]

    @cached_property
    def _since(self) -> dict[str, GraphQLField]:
        return {
            "id": made_field(GraphQLString, AsIs("_id"), "Identifier of the relationship"),
            "since": made_field(self.scalars["DateTime"], Converted("_since"), "When they were related"),
        }

    def root_page(self, dtmi: str, stem: str) -> GraphQLObjectType:
        """The pages of all twins of a model; of any twin for the empty one."""
        key = ("page", dtmi)
        if key not in self._made:
            self._made[key] = self.page_types(dtmi, stem, {})
        return self._made[key]  # type: ignore[no-any-return]

    def page_types(self, target: str, stem: str, edge: Mapping[str, GraphQLField]) -> GraphQLObjectType:
        node = self.output(target)
        edge_type = GraphQLObjectType(
            self.taken.claim(f"{stem}Edge"),
            lambda: {
                "node": made_field(GraphQLNonNull(node), Part("node")),
                "cursor": made_field(GraphQLNonNull(GraphQLString), Part("cursor")),
                **edge,
            },
        )
        return GraphQLObjectType(
            self.taken.claim(f"{stem}Connection"),
            lambda: {
                "nodes": made_field(listed(node), Part("nodes")),
                "edges": made_field(listed(edge_type), Part("edges")),
                "pageInfo": made_field(GraphQLNonNull(self._page), Part("pageInfo")),
                "totalCount": made_field(GraphQLNonNull(GraphQLInt), Part("totalCount")),
            },
        )

    def aggregate(self, dtmi: str, grouped: bool = False) -> GraphQLObjectType:
        key = ("aggregate", dtmi, grouped)
        if key not in self._made:
            name = self.claimed(dtmi, "Group" if grouped else "Aggregate")
            self._made[key] = GraphQLObjectType(name, lambda: self._aggregate_fields(dtmi, grouped))
        return self._made[key]  # type: ignore[no-any-return]

    def _aggregate_fields(self, dtmi: str, grouped: bool) -> dict[str, GraphQLField]:
        measures = {}
        for name, twin_field in (self.fields(dtmi) if dtmi in self.catalog.interfaces else {}).items():
            if isinstance(twin_field.extensions[ORIGIN], AGGREGATED):
                measures[name] = self._measured(twin_field)
        own = {"count": made_field(GraphQLNonNull(GraphQLInt), Part("count"))}
        if grouped:
            own["keys"] = made_field(GraphQLNonNull(self.scalars["JSON"]), Part("keys"), "What the twins of the group share")
            own["twin"] = made_field(self.twin, Part("twin"), "The related twin of `via`")
        return measures | own

    def _measured(self, twin_field: GraphQLField) -> GraphQLField:
        key = ("measured", id(twin_field))
        if key not in self._made:
            kind = MEASURES_OF.get(type_name(twin_field.type), "Values")
            self._made[key] = made_field(
                GraphQLNonNull(self._measures[kind]), twin_field.extensions[ORIGIN], twin_field.description
            )
        return self._made[key]  # type: ignore[no-any-return]

    @cached_property
    def _measures(self) -> dict[str, GraphQLObjectType]:
        whole = {name: made_field(GraphQLNonNull(GraphQLInt), Part(name)) for name in ("count", "distinct")}
        rank = {"rank": GraphQLArgument(GraphQLNonNull(GraphQLFloat), description="0 to 1; 0.5 is the median")}
        numbers = {name: made_field(GraphQLFloat, Part(name)) for name in ("min", "max", "avg", "sum", "stdDev")}
        numbers["percentile"] = made_field(GraphQLFloat, Part("percentile"), "Interpolated", rank)
        moments = {name: made_field(self.scalars["DateTime"], Part(name)) for name in ("min", "max")}
        return {
            "Numbers": GraphQLObjectType(self.taken.claim("NumberAggregate"), whole | numbers),
            "Moments": GraphQLObjectType(self.taken.claim("DateTimeAggregate"), whole | moments),
            "Values": GraphQLObjectType(self.taken.claim("ValueAggregate"), whole),
        }

    def _reading(self, type_: Any) -> GraphQLObjectType:
        lists = 0
        inner = type_
        while isinstance(inner, GraphQLList):
            inner, lists = inner.of_type, lists + 1
        key = ("reading", inner.name, lists)
        if key not in self._made:
            after = {"after": GraphQLArgument(self.scalars["Duration"], description="the setting stale_seconds")}
            self._made[key] = GraphQLObjectType(
                self.taken.claim(f"{inner.name}{'List' * lists}Reading"),
                {
                    "value": made_field(type_, Part("value")),
                    "at": made_field(self.scalars["DateTime"], Part("at"), "Event time"),
                    "age": made_field(GraphQLFloat, Part("age"), "Seconds since then"),
                    "stale": made_field(
                        GraphQLBoolean,
                        Part("stale"),
                        "Older than `after`, or said by a device that has gone since",
                        after,
                    ),
                    "quality": made_field(
                        GraphQLNonNull(GraphQLString), Part("quality"), "Good, or what its source says against it now"
                    ),
                    "unit": made_field(GraphQLString, Part("unit")),
                },
            )
        return self._made[key]  # type: ignore[no-any-return]

    @cached_property
    def _signal(self) -> GraphQLObjectType:
        return GraphQLObjectType(
            "Signal",
            {
                "name": made_field(GraphQLNonNull(GraphQLString), Part()),
                "value": made_field(self.scalars["JSON"], Part()),
                "at": made_field(self.scalars["DateTime"], Part(), "Event time"),
                "age": made_field(GraphQLFloat, Part(), "Seconds since then"),
                "quality": made_field(GraphQLString, Part(), "Good, or what its source says against it now"),
                "unit": made_field(GraphQLString, Part()),
            },
        )

    @cached_property
    def _point(self) -> GraphQLObjectType:
        numbers = ("avg", "min", "max", "sum", "first", "last", "stddev")
        return GraphQLObjectType(
            "HistoryPoint",
            {
                "at": made_field(GraphQLNonNull(self.scalars["DateTime"]), Part(), "Time; start of the bucket"),
                "value": made_field(self.scalars["Value"], Part()),
                "count": made_field(GraphQLInt, Part()),
                **{name: made_field(GraphQLFloat, Part()) for name in numbers},
            },
        )

    @cached_property
    def _series(self) -> GraphQLObjectType:
        numbers = ("avg", "min", "max", "sum", "first", "last", "stddev")
        column = GraphQLNonNull(GraphQLList(self.scalars["Value"]))
        return GraphQLObjectType(
            "Series",
            {
                "signal": made_field(GraphQLNonNull(GraphQLString), Part()),
                "unit": made_field(GraphQLString, Part()),
                "count": made_field(GraphQLNonNull(GraphQLInt), Part(), "Length of every column"),
                "timestamps": made_field(listed(self.scalars["DateTime"]), Part(), "As text"),
                "epochs": made_field(listed(self.scalars["Long"]), Part(), "Milliseconds since 1970, UTC"),
                "values": made_field(column, Part()),
                "counts": made_field(GraphQLList(GraphQLInt), Part(), "Points in each bucket"),
                **{name: made_field(GraphQLList(GraphQLFloat), Part()) for name in numbers},
            },
        )

    @cached_property
    def _page(self) -> GraphQLObjectType:
        return GraphQLObjectType(
            "PageInfo",
            {
                "hasNextPage": made_field(GraphQLNonNull(GraphQLBoolean), Part()),
                "hasPreviousPage": made_field(GraphQLNonNull(GraphQLBoolean), Part()),
                "startCursor": made_field(GraphQLString, Part()),
                "endCursor": made_field(GraphQLString, Part()),
            },
        )


AGGREGATED = (AsIs, Converted, EnumValue)
MEASURES_OF = dict.fromkeys(("Int", "Long", "Float"), "Numbers") | {"DateTime": "Moments"}


def value_origin(name: str, schema: Schema, measured: bool, unit: str = "") -> Valued:
    kind = value_kind(schema)
    signal = (schema.name if isinstance(schema, Primitive) and kind is Converted else "value") if measured else ""
    return FlatObject(name, signal, unit, tuple(leaf_paths(schema))) if isinstance(schema, Object) else kind(name, signal, unit)


def made_field(
    type_: Any, origin: Origin, description: str | None = None, arguments: Mapping[str, GraphQLArgument] | None = None
) -> GraphQLField:
    return GraphQLField(type_, dict(arguments or {}), by_key, description=description or None, extensions={ORIGIN: origin})


def text(texts: Mapping[str, str]) -> str:
    return texts.get("en", "") or next(iter(texts.values()), "")


def _names(name: str, values: list[str]) -> GraphQLEnumType:
    return GraphQLEnumType(name, {value: value for value in values} or {"NONE": "NONE"})
