"""Of OPC UA: what a server has → DTDL interfaces and a mapping that takes it: a proposal, to be read and changed.

An object with variables is a twin. Its interface is that of its type; objects without a type of their own share one when they
have the same variables. Variables become telemetry, properties (HasProperty) DTDL properties, methods commands; an object below
another is its component by `hasComponent`."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncua import Client, Node, ua

from app.errors import StackError
from ingest.opcua.methods import arguments, dtdl_name
from ingest.opcua.pages import references

BUILT_IN = {
    "Boolean": "boolean",
    **dict.fromkeys(("SByte", "Byte", "Int16", "UInt16", "Int32"), "integer"),
    **dict.fromkeys(("UInt32", "Int64", "UInt64"), "long"),
    "Float": "float",
    "Double": "double",
    **dict.fromkeys(("String", "LocalizedText", "Guid", "QualifiedName", "NodeId"), "string"),
    "DateTime": "dateTime",
}
UNTYPED = (ua.ObjectIds.BaseObjectType, ua.ObjectIds.FolderType)
OWN = {ua.ObjectIds.Server, ua.ObjectIds.Aliases, ua.ObjectIds.Locations}  # of the server itself, not of the plant
AT_ONCE, MOST_OBJECTS, DEEPEST = 50, 100_000, 100


@dataclass(slots=True)
class Thing:
    """An object that becomes a twin. `contents`: DTDL by name; `nodes`: (name, node) of what is to be monitored."""

    node: str
    type_name: str
    dt_id: str
    parent: "Thing | None"
    contents: dict[str, dict[str, Any]] = field(default_factory=dict)
    nodes: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Survey:
    """`passed_over`: variables whose type DTDL has no word for, or whose name another one has."""

    models: list[dict[str, Any]]
    mapping: dict[str, Any]
    twins: int
    passed_over: list[str]


async def survey(client: Client, namespace: str, prefix: str, options: dict[str, Any]) -> Survey:
    """`namespace`: a URI, or nothing for all but the standard's. Raises: StackError when nothing is found."""
    uris = await client.get_namespace_array()
    if namespace and namespace not in uris:
        raise StackError(f"no namespace {namespace!r}", where=client.server_url.geturl(), hint=f"it has {', '.join(uris[1:])}")
    walk = _Walk(client, uris, namespace)
    await walk.below(client.nodes.objects, (), None)
    if not walk.things:
        raise StackError("no object with variables", where=client.server_url.geturl(), hint="another --namespace")
    kinds = _kinds(walk.things)
    return Survey(_models(kinds, prefix), _mapping(kinds, options, prefix), len(walk.things), walk.passed_over)


class _Walk:
    def __init__(self, client: Client, uris: Sequence[str], namespace: str) -> None:
        self.things: list[Thing] = []
        self.passed_over: list[str] = []
        self._client, self._uris, self._namespace = client, uris, namespace
        self._seen: set[ua.NodeId] = set()
        self._dt_ids: set[str] = set()
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def below(self, node: Node, path: tuple[str, ...], parent: Thing | None) -> None:
        children = await references(node, ua.NodeClass.Object)
        for child in children:
            is_known = child.NodeId in self._seen or (child.NodeId.NamespaceIndex == 0 and child.NodeId.Identifier in OWN)
            if is_known or len(self._seen) >= MOST_OBJECTS or len(path) >= DEEPEST:
                continue
            self._seen.add(child.NodeId)
            here = (*path, child.BrowseName.Name)
            place = self._client.get_node(child.NodeId)
            thing = await self._thing(child, place, here, parent)
            await self.below(place, here, thing or parent)

    async def _thing(self, child: Any, node: Node, path: tuple[str, ...], parent: Thing | None) -> Thing | None:
        if not self._is_ours(child.NodeId):
            return None
        components, properties, methods = await asyncio.gather(
            references(node, ua.NodeClass.Variable, ua.ObjectIds.HasComponent),
            references(node, ua.NodeClass.Variable, ua.ObjectIds.HasProperty),
            references(node, ua.NodeClass.Method),
        )
        organized = await references(node, ua.NodeClass.Variable, ua.ObjectIds.Organizes)
        if not components and not organized:
            return None
        kind = child.TypeDefinition
        own_type = "" if kind.NamespaceIndex == 0 and kind.Identifier in UNTYPED else await self._name(kind)
        thing = Thing(self._text(child.NodeId), own_type, self._dt_id(path), parent)
        await asyncio.gather(
            *(self._telemetry(thing, child_node) for child_node in (*components, *organized)),
            *(self._property(thing, child_node) for child_node in properties),
            *(self._command(thing, child_node) for child_node in methods),
        )
        thing.nodes.sort()
        self.things.append(thing)
        return thing

    def _is_ours(self, node_id: ua.NodeId) -> bool:
        index = node_id.NamespaceIndex
        return 0 < index < len(self._uris) and (not self._namespace or self._uris[index] == self._namespace)

    async def _name(self, node_id: ua.NodeId) -> str:
        return dtdl_name((await self._client.get_node(node_id).read_browse_name()).Name).removesuffix("Type") or "Thing"

    async def _telemetry(self, thing: Thing, child: Any) -> None:
        schema, name = await self._schema(child), dtdl_name(child.BrowseName.Name)
        if schema is None or name in thing.contents:
            self.passed_over.append(self._text(child.NodeId))
        else:
            thing.contents[name] = {"@type": "Telemetry", "name": name, "schema": schema}
            thing.nodes.append((name, self._text(child.NodeId)))

    async def _property(self, thing: Thing, child: Any) -> None:
        schema, name = await self._schema(child), dtdl_name(child.BrowseName.Name)
        if schema is not None and name not in thing.contents:
            thing.contents[name] = {"@type": "Property", "name": name, "schema": schema, "writable": True}

    async def _schema(self, child: Any) -> Any:
        async with self._gate:
            node = self._client.get_node(child.NodeId)
            try:
                kind = (await node.read_data_type_as_variant_type()).name
                rank = await node.read_value_rank()
            except (ua.UaError, ValueError):
                return None
        element = BUILT_IN.get(kind)
        return {"@type": "Array", "elementSchema": element} if element and rank >= 0 else element

    async def _command(self, thing: Thing, child: Any) -> None:
        method, name = self._client.get_node(child.NodeId), dtdl_name(child.BrowseName.Name)
        async with self._gate:
            inputs, answered = await arguments(method, "InputArguments"), await arguments(method, "OutputArguments")
        command: dict[str, Any] = {"@type": "Command", "name": name}
        request, response = _argument(inputs, alone=True), _argument(answered, alone=False)
        command |= ({"request": request} if request else {}) | ({"response": response} if response else {})
        if name == child.BrowseName.Name and name not in thing.contents and not (inputs and request is None):
            thing.contents[name] = command

    def _text(self, node_id: ua.NodeId) -> str:
        text = node_id.to_string()
        return f"nsu={self._uris[node_id.NamespaceIndex]};{text.partition(';')[2] if text.startswith('ns=') else text}"

    def _dt_id(self, path: Iterable[str]) -> str:
        name = re.sub(r"[^A-Za-z0-9_~-]+", "-", "-".join(path)).strip("-")[:110] or "twin"
        number, dt_id = 2, name
        while dt_id in self._dt_ids:
            dt_id, number = f"{name}-{number}", number + 1
        self._dt_ids.add(dt_id)
        return dt_id


def _argument(ua_arguments: Sequence[ua.Argument], alone: bool) -> dict[str, Any] | None:
    """One argument stands for itself (`alone`), several are an object; None: there are none, or one of another type."""
    fields = [{"name": dtdl_name(argument.Name or "value"), "schema": _of_argument(argument)} for argument in ua_arguments]
    if not fields or any(argument["schema"] is None for argument in fields):
        return None
    if len(fields) == 1 and alone:
        return fields[0]
    return {"name": "request" if alone else "response", "schema": {"@type": "Object", "fields": fields}}


def _of_argument(argument: ua.Argument) -> Any:
    if argument.DataType.NamespaceIndex != 0 or argument.ValueRank >= 0:
        return None
    try:
        return BUILT_IN.get(ua.VariantType(argument.DataType.Identifier).name)
    except ValueError:
        return None


def _kinds(things: Sequence[Thing]) -> dict[str, list[Thing]]:
    """Things by the name of their interface: that of the type, or of the first of those with the same variables."""
    names: dict[Any, str] = {}
    kinds: dict[str, list[Thing]] = {}
    for thing in things:
        key = thing.type_name or tuple(sorted((name, repr(content)) for name, content in thing.contents.items()))
        if key not in names:
            preferred = thing.type_name or _spoken(thing.dt_id)
            number, name = 2, preferred
            while name in kinds:
                name, number = f"{preferred}{number}", number + 1
            names[key] = name
        kinds.setdefault(names[key], []).append(thing)
    return kinds


def _spoken(dt_id: str) -> str:
    """`line1-pump-7` → `Pump`."""
    words = [word for word in re.split(r"[^A-Za-z]+", dt_id) if word]
    return dtdl_name(words[-1].capitalize() if words else "Thing")


def _models(kinds: dict[str, list[Thing]], prefix: str) -> list[dict[str, Any]]:
    models = []
    parents = {id(thing.parent) for things in kinds.values() for thing in things if thing.parent}
    for name, things in kinds.items():
        contents = {key: content for thing in reversed(things) for key, content in thing.contents.items()}
        if any(id(thing) in parents for thing in things) and "hasComponent" not in contents:
            contents["hasComponent"] = {"@type": "Relationship", "name": "hasComponent"}
        interface = {
            "@context": "dtmi:dtdl:context;3",
            "@id": f"dtmi:{prefix}:{name};1",
            "@type": "Interface",
            "displayName": name,
        }
        models.append(interface | {"contents": [contents[key] for key in sorted(contents)]})
    return models


def _mapping(kinds: dict[str, list[Thing]], options: dict[str, Any], prefix: str) -> dict[str, Any]:
    rules: list[dict[str, Any]] = []
    nodes, commands = [], []
    for name, things in kinds.items():
        for nested in (False, True):
            some = [thing for thing in things if (thing.parent is not None) == nested]
            if not some:
                continue
            head = f"{name}/{{parent}}" if nested else name
            rule = {"match": f"{head}/{{twin}}.{{signal}}", "twin": "{twin}", "create": f"dtmi:{prefix}:{name};1"}
            rules.append(rule | ({"under": {"twin": "{parent}", "by": "hasComponent"}} if nested else {}))
            for thing in some:
                place = f"{name}/{thing.parent.dt_id}" if thing.parent else name
                nodes += [{"id": node, "address": f"{place}/{thing.dt_id}.{signal}"} for signal, node in thing.nodes]
        commands += [
            {"twin": thing.dt_id, "to": thing.node}
            for thing in things
            if any(content["@type"] == "Command" for content in thing.contents.values())
        ]
    depth = {thing.dt_id: _depth(thing) for things in kinds.values() for thing in things}
    nodes.sort(key=lambda entry: depth[entry["address"].rpartition("/")[2].rpartition(".")[0]])  # who is above comes first
    mapping = {"source": "plant", "protocol": "opcua", "options": {**options, "nodes": nodes}, "rules": rules}
    return mapping | ({"commands": commands} if commands else {})


def _depth(thing: Thing) -> int:
    return 0 if thing.parent is None else 1 + _depth(thing.parent)
