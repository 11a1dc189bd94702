"""MQTT as devices speak it: JSON telemetry and events out; commands obeyed and answered."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import orjson
from aiomqtt.client import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from app.simulate.fleet import Fleet, Observation
from app.simulate.layout import KINDS, RATED_POWER
from app.simulate.messages import component_values, farm_values, turbine_values

IN_FLIGHT = 200
AT_LEAST_ONCE = 1
ANSWER_SECONDS = 60.0
JSON = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
JSON.ContentType = "application/json"
EVENTS = (
    ("failed", "failure", "FAILED"),
    ("repaired", "replacement", "REPAIRED"),
    ("prevented", "replacement", "PREVENTIVE"),
)


def telemetry(fleet: Fleet, seen: Observation, farms: int, components: bool) -> list[tuple[str, bytes]]:
    """(topic, payload) of everything the first `farms` farms say of this observation."""
    layout, stamp = fleet.layout, datetime.fromtimestamp(seen.at, UTC).isoformat(timespec="milliseconds")
    messages: list[tuple[str, dict[str, Any]]] = []
    for farm in range(farms):
        messages.append((f"fleet/{layout.farm(farm)}/telemetry", farm_values(seen, farm)))
    for index in range(farms * layout.turbines):
        root = _root(fleet, index)
        messages.append((f"{root}/telemetry", turbine_values(seen, index)))
        if components:
            for k, kind in enumerate(KINDS):
                values = component_values(seen, index, k)
                if values:
                    messages.append((f"{root}/{kind.suffix}/telemetry", values))
    return [(topic, orjson.dumps({"ts": stamp} | values)) for topic, values in messages]


def events(fleet: Fleet, seen: Observation) -> list[tuple[str, bytes]]:
    """What the farms on MQTT say of failures, repairs and alarms."""
    stamp = datetime.fromtimestamp(seen.at, UTC).isoformat(timespec="milliseconds")
    happenings: list[tuple[int, int, dict[str, Any]]] = []
    for attribute, kind, code in EVENTS:
        for index, k in getattr(seen.happenings, attribute):
            happenings.append((int(index), int(k), {"ts": stamp, "kind": kind, "code": code}))
    for index, k, active in seen.alarms:
        form = KINDS[k].label
        body: dict[str, Any] = {"ts": stamp, "kind": "alarm", "code": "VIBRATION", "severity": "warning", "active": active}
        happenings.append((index, k, body | {"message": f"{form} vibrates more than its load explains"}))
    spoken = fleet.layout.mqtt_farms * fleet.layout.turbines
    return [
        (f"{_root(fleet, index)}/{KINDS[k].suffix}/event", orjson.dumps(body))
        for index, k, body in happenings
        if index < spoken
    ]


def device(host: str, port: int, user: str, password: str) -> aiomqtt.Client:
    """One connection for the whole fleet; its session ends with it."""
    client = aiomqtt.Client(
        host,
        port,
        username=user or None,
        password=password or None,
        identifier="twingraph-fleet",
        protocol=ProtocolVersion.V5,
        clean_start=True,
        max_inflight_messages=IN_FLIGHT,
        timeout=ANSWER_SECONDS,
    )
    client.pending_calls_threshold = IN_FLIGHT
    return client


async def send(client: aiomqtt.Client, messages: list[tuple[str, bytes]]) -> None:
    """QoS 1, many in flight; returns when the broker has acknowledged all."""
    for start in range(0, len(messages), IN_FLIGHT):
        part = messages[start : start + IN_FLIGHT]
        await asyncio.gather(*(client.publish(topic, body, AT_LEAST_ONCE, properties=JSON) for topic, body in part))


async def obey(client: aiomqtt.Client, fleet: Fleet) -> None:
    """Carries out commands and answers each on its response topic."""
    layout = fleet.layout
    indexes = {layout.turbine_id(index): index for index in range(layout.count)}
    await client.subscribe("fleet/+/+/command", AT_LEAST_ONCE)
    async for message in client.messages:
        _, farm, turbine, _ = message.topic.value.split("/")
        answer = _answer(fleet, indexes.get(f"{farm}-{turbine}"), bytes(message.payload))
        reply = getattr(message.properties, "ResponseTopic", None)
        if answer and reply:
            await send(client, [(reply, orjson.dumps(answer))])


def carry_out(fleet: Fleet, index: int, command: str, request: Any) -> dict[str, Any]:
    """The controller's own rules; `accepted` false when it refuses."""
    accepted = True
    if command == "setPowerLimit":
        accepted = isinstance(request, int | float) and 0 <= request <= RATED_POWER
        if accepted:
            fleet.control.limit[index] = float(request)
    elif command == "stop":
        fleet.control.stopped[index] = True
    elif command == "start":
        fleet.control.stopped[index] = False
        fleet.control.limit[index] = float("nan")
    else:
        accepted = False
    limit = fleet.control.limit[index]
    state = "stopped" if fleet.control.stopped[index] else "limited" if limit == limit else "running"
    return {"accepted": accepted, "state": state, "powerLimit": float(limit) if limit == limit else RATED_POWER}


def _answer(fleet: Fleet, index: int | None, payload: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(payload)
        identifier, command, request = body["id"], body["command"], body.get("request")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    if index is None:
        return {"id": identifier, "status": "FAILED", "reason": "no such turbine"}
    response = carry_out(fleet, index, command, request)
    refused = None if response["accepted"] else f"{command}: {request!r:.40} is outside 0 to {RATED_POWER:.0f} kW"
    return {"id": identifier, "status": "REFUSED" if refused else "SUCCEEDED", "response": response, "reason": refused}


def _root(fleet: Fleet, index: int) -> str:
    return f"fleet/{fleet.layout.farm(index // fleet.layout.turbines)}/{fleet.layout.turbine(index)}"
