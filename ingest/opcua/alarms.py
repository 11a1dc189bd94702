"""Of OPC UA: events and conditions → records of kind `alarm` (a condition that is active or no longer is) or `event`.

An address is the source node's identifier where that is a text, else the source's name."""

from datetime import UTC, datetime
from typing import Any

import structlog
from asyncua import Client, Node, ua
from asyncua.common.events import Event

log = structlog.get_logger()
EPOCH = datetime.fromtimestamp(0, UTC)
BASE, CONDITION, ACKNOWLEDGEABLE, ALARM = 2041, 2782, 2881, 2915  # BaseEventType and below
FIELDS = {
    BASE: ("EventId", "EventType", "SourceNode", "SourceName", "Time", "Message", "Severity"),
    CONDITION: ("ConditionName", "BranchId"),
    ACKNOWLEDGEABLE: ("AckedState/Id",),
    ALARM: ("ActiveState/Id",),
}
REFRESH_START, REFRESH_END, REFRESH_REQUIRED = 2787, 2788, 2789
CONDITION_REFRESH = 3875


def event_filter() -> ua.EventFilter:
    clauses = []
    for kind, paths in FIELDS.items():
        for path in paths:
            steps = [ua.QualifiedName(step, 0) for step in path.split("/")]
            clauses.append(ua.SimpleAttributeOperand(ua.NodeId(kind), steps, ua.AttributeIds.Value))
    return ua.EventFilter(SelectClauses=clauses)


async def subscribe(client: Client, subscription: Any, notifiers: list[Node]) -> None:
    """Raises: ua.UaError when a node tells no events."""
    for node in notifiers:
        await subscription.subscribe_events(node, evfilter=event_filter(), queuesize=1000)
    await refresh(client, subscription)


async def refresh(client: Client, subscription: Any) -> None:
    """Every condition that is active now is told once more."""
    number = ua.Variant(subscription.subscription_id, ua.VariantType.UInt32)
    try:
        await client.get_node(ua.NodeId(CONDITION)).call_method(ua.NodeId(CONDITION_REFRESH), number)
    except ua.UaStatusCodeError as error:
        log.info("server does not support ConditionRefresh", said=str(error))


def wants_refresh(event: Event) -> bool:
    return bool(_field(event, "EventType") == ua.NodeId(REFRESH_REQUIRED))


def told(event: Event) -> tuple[str, dict[str, Any], int | None] | None:
    """Address, record and time [epoch ms]; None for what only belongs to a refresh."""
    kind = _field(event, "EventType")
    if kind in (ua.NodeId(REFRESH_START), ua.NodeId(REFRESH_END), ua.NodeId(REFRESH_REQUIRED)):
        return None
    branch = _field(event, "BranchId")
    if isinstance(branch, ua.NodeId) and not branch.is_null():  # an earlier state that still wants to be acknowledged
        return None
    node, name = _field(event, "SourceNode"), _field(event, "SourceName")
    address = node.Identifier if isinstance(node, ua.NodeId) and isinstance(node.Identifier, str) else name
    active, at = _field(event, "ActiveState/Id"), _field(event, "Time")
    code = _field(event, "ConditionName") or (str(kind.Identifier) if isinstance(kind, ua.NodeId) else "event")
    record = {
        "kind": "event" if active is None else "alarm",
        "code": str(code),
        "message": _text(_field(event, "Message")),
        "severity": _field(event, "Severity"),
        "active": active,
        "acknowledged": _field(event, "AckedState/Id"),
    }
    stamp = round((at - EPOCH).total_seconds() * 1000) if isinstance(at, datetime) else None
    return str(address or "Server"), {key: value for key, value in record.items() if value is not None}, stamp


def _field(event: Event, name: str) -> Any:
    return getattr(event, name, None)


def _text(value: Any) -> str | None:
    return value.Text if isinstance(value, ua.LocalizedText) else None if value is None else str(value)
