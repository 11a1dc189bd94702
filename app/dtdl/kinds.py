"""The kind of a schema's values in a column: 'float', 'int', 'bool' or 'str'."""

from app.dtdl.model import Enum, Primitive, Schema

COLUMNS = {
    "boolean": "bool",
    **dict.fromkeys(("byte", "short", "integer", "long"), "int"),
    **dict.fromkeys(("unsignedByte", "unsignedShort", "unsignedInteger", "unsignedLong"), "int"),
    **dict.fromkeys(("float", "double"), "float"),
}


def column_kind(schema: Schema) -> str:
    """Composite values, and what Neo4j's columns have no kind for, are text."""
    if isinstance(schema, Enum):
        return "int" if schema.base == "integer" else "str"
    return COLUMNS.get(schema.name, "str") if isinstance(schema, Primitive) else "str"
