"""What changed from one interface to another, and what of it breaks those who use it.

Breaking is what a reader or writer of the old version would trip over: a content gone, of another kind or schema, in
another unit, no longer writable; a command that asks for more; an ancestor gone. Wider numbers and new contents are not."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.dtdl.catalog import Catalog
from app.dtdl.model import (
    AnyContent,
    Array,
    Command,
    Component,
    Enum,
    Map,
    Object,
    Payload,
    Property,
    Relationship,
    Schema,
    Telemetry,
)

WIDER = {
    "byte": ("short", "integer", "long", "float", "double"),
    "short": ("integer", "long", "float", "double"),
    "integer": ("long", "double"),
    "unsignedByte": ("unsignedShort", "unsignedInteger", "unsignedLong", "short", "integer", "long", "float", "double"),
    "unsignedShort": ("unsignedInteger", "unsignedLong", "integer", "long", "float", "double"),
    "unsignedInteger": ("unsignedLong", "long", "double"),
    "float": ("double",),
}


@dataclass(frozen=True, slots=True)
class Change:
    name: str
    what: str
    breaking: bool

    def __str__(self) -> str:
        return f"{'breaks' if self.breaking else 'ok    '}  {self.name}: {self.what}"


def diff(catalog: Catalog, before: str, after: str) -> list[Change]:
    """Changes between the effective contents of two interfaces, by DTMI or label. Raises: NotFound."""
    old, new = catalog.interface(before).dtmi, catalog.interface(after).dtmi
    changes = [*_ancestors(catalog, old, new)]
    was, now = catalog.contents[old], catalog.contents[new]
    for name, content in was.items():
        if name not in now:
            changes.append(Change(name, f"the {_kind(content)} is gone", True))
        else:
            changes += _content(content, now[name])
    changes += [Change(name, f"a new {_kind(content)}", False) for name, content in now.items() if name not in was]
    return changes


def _ancestors(catalog: Catalog, old: str, new: str) -> Iterator[Change]:
    def stems(dtmi: str) -> dict[str, str]:
        return {name.partition(";")[0]: name for name in catalog.ancestors[dtmi]}

    was, now = stems(old), stems(new)
    for stem, name in was.items():
        if stem not in now:
            yield Change("extends", f"no longer a {name}", True)
        elif now[stem] != name:
            yield Change("extends", f"{now[stem]} instead of {name}", False)
    for stem, name in now.items():
        if stem not in was:
            yield Change("extends", f"now also a {name}", False)


def _content(was: AnyContent, now: AnyContent) -> Iterator[Change]:
    if type(was) is not type(now):
        yield Change(was.name, f"a {_kind(now)} instead of a {_kind(was)}", True)
        return
    match was, now:
        case (Property() | Telemetry(), Property() | Telemetry()):
            yield from _schema(was.name, was.schema, now.schema)
            if was.unit != now.unit:
                yield Change(was.name, f"in {now.unit or 'no unit'} instead of {was.unit or 'no unit'}", True)
            if isinstance(was, Property) and isinstance(now, Property) and was.writable != now.writable:
                yield Change(was.name, "writable" if now.writable else "no longer writable", not now.writable)
        case Command(), Command():
            yield from _payload(was.name, "request", was.request, now.request)
            yield from _payload(was.name, "response", was.response, now.response)
        case Relationship(), Relationship():
            if was.target.partition(";")[0] == now.target.partition(";")[0] != "":
                if was.target != now.target and was.target != was.declared_by:
                    yield Change(was.name, f"points at {now.target} instead of {was.target}", False)
            elif was.target != now.target:
                yield Change(
                    was.name, f"points at {now.target or 'anything'} instead of {was.target or 'anything'}", bool(now.target)
                )
            if was.max_multiplicity != now.max_multiplicity:
                fewer = now.max_multiplicity is not None and (
                    was.max_multiplicity is None or now.max_multiplicity < was.max_multiplicity
                )
                yield Change(was.name, f"at most {now.max_multiplicity or 'any number'}", fewer)
        case Component(), Component() if was.interface != now.interface:
            yield Change(was.name, f"is a {now.interface} instead of a {was.interface}", True)
    if (was.display_name, was.description) != (now.display_name, now.description):
        yield Change(was.name, "other words", False)


def _payload(name: str, role: str, was: Payload | None, now: Payload | None) -> Iterator[Change]:
    if was is None and now is not None:
        yield Change(name, f"now has a {role}", role == "request")
    elif was is not None and now is None:
        yield Change(name, f"no longer has a {role}", role == "response")
    elif was is not None and now is not None:
        yield from _schema(f"{name}.{role}", was.schema, now.schema)


def _schema(name: str, was: Schema, now: Schema) -> Iterator[Change]:
    if was == now:
        return
    match was, now:
        case Enum(), Enum() if was.base == now.base:
            gone = [value.name for value in was.values if value not in now.values]
            more = [value.name for value in now.values if value not in was.values]
            if gone:
                yield Change(name, f"no longer takes {', '.join(gone)}", True)
            if more:
                yield Change(name, f"also takes {', '.join(more)}", False)
        case Object(), Object():
            old, new = {f.name: f.schema for f in was.fields}, {f.name: f.schema for f in now.fields}
            for field, schema in old.items():
                if field in new:
                    yield from _schema(f"{name}.{field}", schema, new[field])
                else:
                    yield Change(f"{name}.{field}", "the field is gone", True)
            for field in new.keys() - old.keys():
                yield Change(f"{name}.{field}", "a new field", False)
        case Array(), Array():
            yield from _schema(f"{name}[]", was.element, now.element)
        case Map(), Map():
            yield from _schema(f"{name}{{}}", was.value, now.value)
        case _:
            before, after = getattr(was, "name", type(was).__name__), getattr(now, "name", type(now).__name__)
            yield Change(name, f"{after} instead of {before}", after not in WIDER.get(before, ()))


def _kind(content: AnyContent) -> str:
    return type(content).__name__.lower()
