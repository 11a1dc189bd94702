"""Which nodes of an OPC UA server are monitored: those a rule matches, or those a list names. A list may be OPC Publisher's.

options.nodes: [{id: "nsu=urn:plant;s=pump1.power", address: pump1.power, sampling: 500, queue: 10, deadband: 0.5}]
options.publishednodes: publishednodes.json"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from asyncua import Client, Node, ua

from app import metrics
from app.errors import MappingError
from ingest.opcua.options import SAMPLING_MS, OpcUaOptions
from ingest.opcua.pages import references

log = structlog.get_logger()
MOST_OBJECTS = 100_000
TAKEN = {"Id", "ExpandedNodeId", "DataSetFieldId", "DisplayName", "OpcSamplingInterval", "QueueSize", "DeadbandValue"}
ENDPOINT = {"EndpointUrl", "OpcNodes"}


@dataclass(frozen=True, slots=True)
class Item:
    """`node`: an identifier, with the URI of its namespace (`nsu=`) or its index; `sampling` [ms]; `queue` 0: as the pace
    asks."""

    node: str
    address: str
    sampling: float = SAMPLING_MS
    queue: int = 0
    deadband: float | None = None

    def room(self, publishing: float) -> int:
        """Changes between two publishings, and one."""
        return self.queue or (math.ceil(publishing / self.sampling) + 1 if self.sampling > 0 else 10)

    async def on(self, client: Client) -> Node:
        """Raises: ua.UaError, ValueError for what is no identifier here."""
        return await node(client, self.node)


async def node(client: Client, text: str) -> Node:
    """Raises: ua.UaError, ValueError for what is no identifier here."""
    if text.startswith("nsu="):
        uri, _, rest = text[4:].partition(";")
        text = f"ns={await client.get_namespace_index(uri)};{rest}"
    return client.get_node(ua.NodeId.from_string(text))


def listed(options: OpcUaOptions, url: str) -> list[Item]:
    """Raises: MappingError naming the place."""
    items = [
        _paced(entry.id, entry.address or identifier(entry.id), entry.sampling, entry.queue, entry.deadband)
        for entry in options.nodes
    ]
    if options.publishednodes:
        items += published(Path(options.publishednodes), url)
    return items


def _paced(node: str, address: str, sampling: Any, queue: Any, deadband: Any) -> Item:
    """Raises: ValueError, TypeError for what is no number."""
    pace = SAMPLING_MS if sampling is None else float(sampling)
    return Item(node, address, pace, 0 if queue is None else int(queue), None if deadband is None else float(deadband))


def published(path: Path, url: str) -> list[Item]:
    """The nodes of an endpoint in OPC Publisher's file; each key that is passed over is told once. Raises: MappingError."""
    try:
        entries = json.loads(path.read_text("utf-8"))
        items = [item for entry in entries if entry["EndpointUrl"].rstrip("/") == url.rstrip("/") for item in _nodes(entry)]
    except OSError as error:
        raise MappingError(f"cannot read the published nodes: {error.strerror}", where=str(path)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MappingError(f"not OPC Publisher's format: {error!r}", where=str(path)) from error
    if not items:
        endpoints = ", ".join(sorted({entry["EndpointUrl"] for entry in entries}))
        raise MappingError(f"no nodes of {url}", where=str(path), hint=f"its endpoints are {endpoints}")
    ignored = {key for entry in entries for key in entry if key not in ENDPOINT}
    ignored |= {key for entry in entries for node in entry["OpcNodes"] for key in node if key not in TAKEN}
    for key in sorted(ignored):
        log.warning("unsupported key in the published nodes ignored", file=str(path), key=key)
    return items


def _nodes(entry: Mapping[str, Any]) -> Iterator[Item]:
    for node in entry["OpcNodes"]:
        text = node.get("ExpandedNodeId") or node["Id"]
        address = node.get("DataSetFieldId") or node.get("DisplayName") or identifier(text)
        yield _paced(text, address, node.get("OpcSamplingInterval"), node.get("QueueSize"), node.get("DeadbandValue"))


def identifier(node: str) -> str:
    """`nsu=urn:plant;s=pump1.power` → `pump1.power`."""
    head, _, rest = node.partition(";")
    return (rest if head.startswith(("nsu=", "ns=")) else node).partition("=")[2] or node


async def browsed(client: Client, index: int, patterns: Sequence[Any]) -> list[tuple[Item, Node]]:
    """Every variable of a namespace whose identifier one of the patterns matches. Objects may lie in a ring."""
    variables: dict[ua.NodeId, None] = {}
    level, seen = [client.nodes.objects.nodeid], {client.nodes.objects.nodeid}
    while level:
        below: list[ua.NodeId] = []
        for node_id in level:
            for reference in await references(client.get_node(node_id), ua.NodeClass.Object | ua.NodeClass.Variable):
                if reference.NodeId.NamespaceIndex != index:
                    continue
                if reference.NodeClass == ua.NodeClass.Variable:
                    variables[reference.NodeId] = None
                elif reference.NodeId not in seen:
                    seen.add(reference.NodeId)
                    below.append(reference.NodeId)
        level = below
        if level and len(seen) > MOST_OBJECTS:
            metrics.ENDLESS.labels("browsing").inc()
            log.warning("address space exceeds the browse limit", objects=len(seen), hint="options.nodes lists nodes")
            break
    named = [(str(node_id.Identifier), client.get_node(node_id)) for node_id in variables]
    return [(Item(name, name), node) for name, node in named if any(regex.fullmatch(name) for regex in patterns)]
