"""Where and order: input types grown from the fields of twins, one for each kind of value."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLString,
)

from app.graph.select import operators
from app.graphql.schema.origin import (
    ORIGIN,
    AllOf,
    AnyOf,
    AsIs,
    Converted,
    EnumList,
    EnumValue,
    FlatObject,
    Instant,
    Links,
    NoneOf,
    Nothing,
    Origin,
    Part,
    Reading,
    RelatedTwins,
    System,
    Totals,
    ValueList,
)
from app.graphql.schema.values import BUILT_IN, type_name

if TYPE_CHECKING:
    from app.graphql.schema.types import TypeFactory

KINDS = {
    "String": operators.TEXT,
    "ID": operators.IDENTIFIER,
    "Boolean": operators.BOOLEAN,
    "Duration": operators.DURATION,
    "Point": operators.POINT,
    **dict.fromkeys(("Int", "Long", "Float"), operators.NUMBER),
    **dict.fromkeys(("DateTime", "Date", "Time"), operators.MOMENT),
}
SORTED = (Instant, AsIs, Converted, EnumValue)


class Filters:
    def __init__(self, factory: "TypeFactory") -> None:
        self.factory = factory
        self._made: dict[tuple[str, str], GraphQLInputObjectType] = {}
        self._inputs: dict[tuple[str, int], GraphQLInputField | None] = {}

    def claim_static(self) -> None:
        """Makes what does not grow from models."""
        self._related("").fields  # noqa: B018 - the fields make the types below
        self.order("")
        _ = self._reading, self._near, self._within
        for name, kind in KINDS.items():
            self.compare(name, kind)
            self.compare(f"{name}List", operators.LIST, BUILT_IN.get(name) or self.factory.scalars[name])

    def list_arguments(self, dtmi: str) -> dict[str, GraphQLArgument]:
        return {
            "first": GraphQLArgument(GraphQLInt),
            "after": GraphQLArgument(GraphQLString, description="a cursor of the connection"),
            "offset": GraphQLArgument(GraphQLInt),
            "where": GraphQLArgument(self.where(dtmi)),
            "orderBy": GraphQLArgument(GraphQLList(GraphQLNonNull(self.order(dtmi)))),
        }

    def page_arguments(self, dtmi: str) -> dict[str, GraphQLArgument]:
        before = {
            "last": GraphQLArgument(GraphQLInt, description="the last ones, before `before`"),
            "before": GraphQLArgument(GraphQLString),
        }
        return self.list_arguments(dtmi) | before

    def where(self, dtmi: str) -> GraphQLInputObjectType:
        """The conditions on twins of a model; those on any twin for the empty one."""
        return self._once("where", dtmi, "Where", lambda: self._where_fields(dtmi))

    def order(self, dtmi: str) -> GraphQLInputObjectType:
        return self._once("order", dtmi, "Order", lambda: self._order_fields(dtmi))

    def _once(self, kind: str, dtmi: str, suffix: str, fields: Any) -> GraphQLInputObjectType:
        dtmi = dtmi if dtmi in self.factory.catalog.interfaces else ""
        if (kind, dtmi) not in self._made:
            self._made[kind, dtmi] = GraphQLInputObjectType(self.factory.claimed(dtmi, suffix), fields)
        return self._made[kind, dtmi]

    def _fields_of(self, dtmi: str) -> dict[str, Any]:
        return self.factory.fields(dtmi) if dtmi in self.factory.catalog.interfaces else self.factory.system

    def _where_fields(self, dtmi: str) -> dict[str, GraphQLInputField]:
        own = self.where(dtmi)
        fields: dict[str, GraphQLInputField] = {}
        for name, output_field in self._fields_of(dtmi).items():
            input_field = self._shared("where", output_field, self._condition)
            if input_field is not None:
                fields[name] = input_field
        many = GraphQLList(GraphQLNonNull(own))
        glue = {"and": (many, AllOf()), "or": (many, AnyOf()), "not": (own, NoneOf())}
        return {
            name if name not in fields else f"{name}_": _given(type_, origin) for name, (type_, origin) in glue.items()
        } | fields

    def _condition(self, type_: Any, origin: Origin) -> Any:
        match origin:
            case System("_etag"):
                return None
            case System() | Instant() | AsIs() | Converted():
                name = "ID" if isinstance(origin, System) else type_name(type_)
                return self.compare(name, KINDS[name]) if name in KINDS else None
            case EnumValue():
                return self.compare(type_name(type_), operators.ENUM, type_)
            case ValueList() | EnumList():
                return self.compare(f"{type_name(type_)}List", operators.LIST, type_.of_type)
            case FlatObject():
                return self._object(type_, origin.key)
            case Reading():
                return self._reading
            case Links() | Totals():
                return None
            case RelatedTwins() if not origin.part or origin.target in self.factory.catalog.interfaces:
                return self._related(origin.target)
        return None

    def compare(self, name: str, kind: str, of: Any = None) -> GraphQLInputObjectType:
        key = ("compare", name)
        if key not in self._made:
            of = of or BUILT_IN.get(name) or self.factory.scalars[name]
            operands = {"one": of, "many": GraphQLList(GraphQLNonNull(of)), "Boolean": GraphQLBoolean, "String": GraphQLString}
            operands |= {"PointNear": self._near, "PointWithin": self._within}
            fields = {row.name: GraphQLInputField(operands[row.operand]) for row in operators.of_kind(kind)}
            self._made[key] = GraphQLInputObjectType(self.factory.taken.claim(f"{name}Filter"), fields)
        return self._made[key]

    @property
    def _near(self) -> GraphQLInputObjectType:
        numbers = ("longitude", "latitude", "distance")
        return self._numbers("PointNear", numbers, "At most `distance` metres from a place")

    @property
    def _within(self) -> GraphQLInputObjectType:
        return self._numbers("PointWithin", ("west", "south", "east", "north"), "Inside a box, in degrees")

    def _numbers(self, name: str, fields: tuple[str, ...], description: str) -> GraphQLInputObjectType:
        if ("numbers", name) not in self._made:
            inputs = {field: GraphQLInputField(GraphQLNonNull(GraphQLFloat)) for field in fields}
            claimed = self.factory.taken.claim(name)
            self._made["numbers", name] = GraphQLInputObjectType(claimed, inputs, description=description)
        return self._made["numbers", name]

    def _object(self, type_: Any, path: str) -> GraphQLInputObjectType:
        key = ("object", type_.name)
        if key not in self._made:
            self._made[key] = GraphQLInputObjectType(
                self.factory.taken.claim(f"{type_.name}Filter"), lambda: self._object_fields(type_)
            )
        return self._made[key]

    def _object_fields(self, type_: Any) -> dict[str, GraphQLInputField]:
        conditions = {}
        for name, output_field in type_.fields.items():
            origin = output_field.extensions[ORIGIN]
            condition = self._condition(output_field.type, origin)
            if condition is not None:
                conditions[name] = _given(condition, origin)
        return conditions or {"isNull": GraphQLInputField(GraphQLBoolean, extensions={ORIGIN: Nothing()})}

    @property
    def _reading(self) -> GraphQLInputObjectType:
        key = ("reading", "")
        if key not in self._made:
            moment = self.compare("DateTime", operators.MOMENT)
            name = self.factory.taken.claim("ReadingFilter")
            self._made[key] = GraphQLInputObjectType(name, {"at": _given(moment, Part("at"))})
        return self._made[key]

    def _related(self, target: str) -> GraphQLInputObjectType:
        def fields() -> dict[str, GraphQLInputField]:
            where = self.where(target)
            quantified = {name: GraphQLInputField(where) for name in ("some", "none", "all", "single")}
            return quantified | {"count": GraphQLInputField(self._once("count", target, "CountFilter", counted))}

        def counted() -> dict[str, GraphQLInputField]:
            numbers = {row.name: GraphQLInputField(GraphQLInt) for row in operators.of_kind(operators.COUNT)}
            return numbers | {"where": GraphQLInputField(self.where(target), description="of those that fit")}

        return self._once("related", target, "RelatedFilter", fields)

    def _order_fields(self, dtmi: str) -> dict[str, GraphQLInputField]:
        fields: dict[str, GraphQLInputField] = {}
        for name, output_field in self._fields_of(dtmi).items():
            input_field = self._shared("order", output_field, self._sorting)
            if input_field is not None:
                fields[name] = input_field
        return fields

    def _sorting(self, type_: Any, origin: Origin) -> Any:
        if (isinstance(origin, SORTED) or origin == System("dtId")) and type_name(type_) not in ("Point", "Duration"):
            return self.factory.direction
        if type(origin) is RelatedTwins and not origin.part and origin.target in self.factory.catalog.interfaces:
            return self.order(origin.target)
        return None

    def _shared(self, use: str, output_field: Any, of: Callable[[Any, Origin], Any]) -> GraphQLInputField | None:
        """One input field for a field that many types share."""
        key = (use, id(output_field))
        if key not in self._inputs:
            origin: Origin = output_field.extensions[ORIGIN]
            type_ = of(output_field.type, origin)
            self._inputs[key] = None if type_ is None else _given(type_, origin)
        return self._inputs[key]


def _given(type_: Any, origin: Origin) -> GraphQLInputField:
    return GraphQLInputField(type_, extensions={ORIGIN: origin})
