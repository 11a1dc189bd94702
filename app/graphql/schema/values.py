"""DTDL schema → GraphQL types: scalars, enums, objects, both as what is answered and as what is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
)

from app.dtdl import Array, Enum, Object, Primitive, Schema
from app.graph.values import graphql_scalar
from app.graphql.schema.names import Taken, enum_name, upper_first
from app.graphql.schema.origin import (
    ORIGIN,
    AsIs,
    Converted,
    EnumList,
    EnumValue,
    FlatObject,
    JsonText,
    ObjectList,
    Valued,
    ValueList,
    by_key,
)
from app.graphql.schema.scalars import TEMPORAL

BUILT_IN: dict[str, Any] = {
    "String": GraphQLString, "Int": GraphQLInt, "Float": GraphQLFloat, "Boolean": GraphQLBoolean, "ID": GraphQLID
}  # fmt: skip
GEOMETRIES = ("lineString", "polygon", "multiPoint", "multiLineString", "multiPolygon")


def scalar_name(schema: Schema) -> str:
    if isinstance(schema, Primitive) and schema.name in GEOMETRIES:
        return "GeoJSON"
    return "Point" if schema == Primitive("point") else graphql_scalar(schema)


def value_kind(schema: Schema) -> type[Valued]:
    """How a value of `schema` lies in the graph and is answered."""
    match schema:
        case Enum():
            return EnumValue
        case Object():
            return FlatObject
        case Array(element=Object()):
            return ObjectList
        case Array(element=Enum()):
            return EnumList
        case Array(element=Primitive() as element) if value_kind(element) is not JsonText:
            return ValueList
        case Primitive():
            name = scalar_name(schema)
            return Converted if name in (*TEMPORAL, "Point") else JsonText if name in ("JSON", "GeoJSON") else AsIs
    return JsonText


class NamedEnum(GraphQLEnumType):
    """What is read has become a name already, in the executor too."""

    def coerce_output_value(self, output_value: Any) -> str:
        return str(output_value)


@dataclass
class Schemas:
    """Names of enums and objects are `<Owner><Name>`: the label of the interface that declares them, and the content."""

    scalars: Mapping[str, Any]
    taken: Taken
    _outputs: dict[tuple[str, bool], Any] = field(default_factory=dict)
    _inputs: dict[tuple[str, bool], Any] = field(default_factory=dict)

    def scalar(self, name: str) -> Any:
        return BUILT_IN.get(name) or self.scalars[name]

    def output(self, schema: Schema, owner: str) -> Any:
        match schema:
            case Enum():
                return self._enum(schema, owner)
            case Object():
                return self._object(schema, owner)
            case Array(element=element) if value_kind(schema) is not JsonText:
                return GraphQLList(self.output(element, owner))
        return self.scalar(scalar_name(schema))

    def input(self, schema: Schema, owner: str) -> Any:
        match schema:
            case Enum():
                return self._enum(schema, owner)
            case Object():
                return self._input(schema, owner)
            case Array(element=element):
                return GraphQLList(self.input(element, owner))
        name = scalar_name(schema)  # a duration of months is no number of seconds: its own text is kept
        return self.scalar("String" if name == "Duration" else name)

    def _enum(self, schema: Enum, owner: str) -> GraphQLEnumType:
        key = (owner, False)
        if key not in self._outputs:
            values = {enum_name(member.name): member.value for member in schema.values}
            self._outputs[key] = NamedEnum(self.taken.claim(owner), values, extensions={ORIGIN: EnumValue()})
        return self._outputs[key]  # type: ignore[no-any-return]

    def _object(self, schema: Object, owner: str) -> GraphQLObjectType:
        key = (owner, False)
        if key not in self._outputs:
            self._outputs[key] = GraphQLObjectType(self.taken.claim(owner), lambda: self._fields(schema, owner))
        return self._outputs[key]  # type: ignore[no-any-return]

    def _fields(self, schema: Object, owner: str) -> dict[str, GraphQLField]:
        return {
            object_field.name: GraphQLField(
                self.output(object_field.schema, owner + upper_first(object_field.name)),
                resolve=by_key,
                extensions={ORIGIN: value_kind(object_field.schema)(object_field.name)},
            )
            for object_field in schema.fields
        }

    def _input(self, schema: Object, owner: str) -> GraphQLInputObjectType:
        key = (owner, True)
        if key not in self._inputs:
            self._inputs[key] = GraphQLInputObjectType(
                self.taken.claim(f"{owner}Input"),
                lambda: {f.name: GraphQLInputField(self.input(f.schema, owner + upper_first(f.name))) for f in schema.fields},
            )
        return self._inputs[key]  # type: ignore[no-any-return]


def leaf_paths(schema: Object) -> list[str]:
    paths = []
    for object_field in schema.fields:
        inner = leaf_paths(object_field.schema) if isinstance(object_field.schema, Object) else [""]
        paths += [f"{object_field.name}.{path}".rstrip(".") for path in inner]
    return paths


def listed(type_: Any) -> Any:
    return GraphQLNonNull(GraphQLList(GraphQLNonNull(type_)))


def type_name(type_: Any) -> str:
    while hasattr(type_, "of_type"):
        type_ = type_.of_type
    return str(type_.name)
