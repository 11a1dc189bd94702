"""Of OPC UA: what a server answers in pages. Whether a page is the last is the server's word, so each reading has a bound; one
that ends by it is told, and what was read is taken."""

from collections.abc import AsyncIterator
from datetime import datetime

import structlog
from asyncua import Node, ua

from app import metrics

log = structlog.get_logger()
MOST_REFERENCES, MOST_VALUES = 100_000, 5_000_000
MOST_STILL = 5  # pages one after another that bring nothing new
VALUES_AT_ONCE = 10_000
HIERARCHICAL = ua.ObjectIds.HierarchicalReferences


async def references(node: Node, classes: ua.NodeClass, kind: int = HIERARCHICAL) -> list[ua.ReferenceDescription]:
    """What lies below a node, each once. Raises: ua.UaError."""
    description = ua.BrowseDescription(
        NodeId=node.nodeid,
        BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(kind),
        IncludeSubtypes=True,
        NodeClassMask=classes,
        ResultMask=ua.BrowseResultMask.All,
    )
    parameters = ua.BrowseParameters(NodesToBrowse=[description])
    parameters.View.Timestamp = ua.get_win_epoch()
    by_node_id: dict[ua.NodeId, ua.ReferenceDescription] = {}
    results, still = await node.session.browse(parameters), 0
    while results:
        count_before = len(by_node_id)
        by_node_id |= {reference.NodeId: reference for reference in results[0].References if reference.NodeId not in by_node_id}
        still = 0 if len(by_node_id) > count_before else still + 1
        point = results[0].ContinuationPoint
        if not point:
            break
        release = still >= MOST_STILL or len(by_node_id) >= MOST_REFERENCES
        results = await node.session.browse_next(ua.BrowseNextParameters(release, [point]))
        if release:
            _tell("browsing", node, len(by_node_id))
            break
    return list(by_node_id.values())


async def past(node: Node, since: datetime, until: datetime) -> AsyncIterator[ua.DataValue]:
    """What the server has recorded of a node, oldest first, page by page. Raises: ua.UaError."""
    details = ua.ReadRawModifiedDetails(StartTime=since, EndTime=until, NumValuesPerNode=VALUES_AT_ONCE, ReturnBounds=True)
    point, count, still, newest = None, 0, 0, since
    while True:
        answer = await node.history_read(details, point)
        answer.StatusCode.check()
        values = getattr(answer.HistoryData, "DataValues", None) or []
        for value in values:
            yield value
        stamps = [stamp for value in values if (stamp := value.SourceTimestamp or value.ServerTimestamp) is not None]
        count, still, newest = (
            count + len(values),
            0 if max(stamps, default=since) > newest else still + 1,
            max([*stamps, newest]),
        )
        point = answer.ContinuationPoint
        if not point:
            return
        if still >= MOST_STILL or count >= MOST_VALUES or newest > until:
            _tell("reading history", node, count)
            return


def _tell(what: str, node: Node, count: int) -> None:
    metrics.ENDLESS.labels(what).inc()
    log.warning("paged answer exceeds the limit; using the pages read so far", what=what, node=str(node.nodeid), taken=count)
