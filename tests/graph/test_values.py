"""One table holds schema ↔ Neo4j ↔ GraphQL ↔ check."""

from typing import Any

import pytest

from app.dtdl import Array, Enum, Map, Object, Primitive
from app.dtdl.model import EnumValue, Field
from app.errors import TwinError
from app.graph.values import flatten

PLACE = Object((Field("city", Primitive("string")), Field("at", Object((Field("x", Primitive("double")),)))))
STATE = Enum("string", (EnumValue("on", "on"), EnumValue("off", "off")))


@pytest.mark.parametrize(
    ("schema", "value", "stored"),
    [
        (Primitive("double"), 3, {"v": 3.0}),
        (Primitive("integer"), -5, {"v": -5}),
        (Primitive("long"), 2**53 + 1, {"v": 2**53 + 1}),
        (Primitive("boolean"), False, {"v": False}),
        (Primitive("string"), "é😀", {"v": "é😀"}),
        (STATE, "on", {"v": "on"}),
        (PLACE, {"city": "Kiel", "at": {"x": 1}}, {"v.city": "Kiel", "v.at.x": 1.0}),
        (Array(Primitive("double")), [1, 2.5], {"v": [1.0, 2.5]}),
        (Map(Primitive("string")), {"a": "b"}, {"v": '{"a":"b"}'}),
    ],
)
def test_value_is_stored(schema: Any, value: Any, stored: dict[str, Any]) -> None:
    assert flatten("v", schema, value) == stored


@pytest.mark.parametrize(
    ("schema", "value", "where"),
    [
        (Primitive("double"), "3", "v"),
        (Primitive("double"), float("nan"), "v"),
        (Primitive("double"), True, "v"),
        (Primitive("integer"), 2**31, "v"),
        (Primitive("integer"), 1.0, "v"),
        (Primitive("long"), 2**63, "v"),
        (Primitive("string"), "a\x00b", "v"),
        (Primitive("string"), "\ud800", "v"),
        (Primitive("dateTime"), "yesterday", "v"),
        (STATE, "broken", "v"),
        (PLACE, {"town": "Kiel"}, "v"),
        (PLACE, {"at": {"x": "1"}}, "v.at.x"),
        (Array(Primitive("double")), [1, "2"], "v[1]"),
        (Map(Primitive("string")), {"a": 1}, "v.a"),
    ],
)
def test_value_is_refused_with_its_place(schema: Any, value: Any, where: str) -> None:
    with pytest.raises(TwinError) as raised:
        flatten("v", schema, value)
    assert raised.value.where == where
