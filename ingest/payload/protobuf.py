"""Protobuf messages from a few lines of text: `field=number:kind`, `*` repeats, after `|` comes what the value is one of."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

KINDS = {"u32": 13, "u64": 4, "i64": 3, "bool": 8, "string": 9, "bytes": 12, "float": 2, "double": 1}


def message(package: str, schema: Mapping[str, str], name: str) -> Any:
    """The class of the message `name`; `schema` has every message by its name, proto2."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    for title, text in schema.items():
        made = file.message_type.add(name=title)
        plain, one, choice = text.partition("|")
        if one:
            made.oneof_decl.add(name="value")
        for part, index in ((plain, None), (choice, 0)):
            for said in part.split():
                _add(made, package, said, index)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))


def _add(made: Any, package: str, said: str, index: int | None) -> None:
    field, _, rest = said.partition("=")
    number, _, kind = rest.partition(":")
    added = made.field.add(name=field, number=int(number), label=3 if kind.endswith("*") else 1)
    kind = kind.rstrip("*")
    added.type = KINDS.get(kind, 11)
    if kind not in KINDS:
        added.type_name = f".{package}.{kind}"
    if index is not None:
        added.oneof_index = index
