"""MQTT as devices speak it: JSON telemetry and events out; commands obeyed and answered."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import orjson
from aiomqtt import QoS

from app.simulate.fleet import Fleet, Observation
from app.simulate.layout import KINDS, RATED_POWER
from app.simulate.messages import component_values, farm_values, turbine_values

IN_FLIGHT = 200
EVENTS = (
    ("failed", "failure", "FAILED"),
    ("repaired", "replacement", "REPAIRED"),
    ("prevented", "replacement", "PREVENTIVE"),
)


def telemetry(fleet: Fleet, seen: Observation, farms: int, components: bool) -> list[tuple[str, bytes]]:
    """(topic, payload) of everything the first `farms` farms say of this observation."""
    layout, stamp = fleet.layout, datetime.fromtimestamp(seen.at, UTC).isoformat(timespec="milliseconds")
    said: list[tuple[str, dict[str, Any]]] = []
    for farm in range(farms):
        said.append((f"fleet/{layout.farm(farm)}/telemetry", farm_values(seen, farm)))
    for index in range(farms * layout.turbines):
        root = _root(fleet, index)
        said.append((f"{root}/telemetry", turbine_values(seen, index)))
        if components:
            for k, kind in enumerate(KINDS):
                values = component_values(seen, index, k)
                if values:
                    said.append((f"{root}/{kind.suffix}/telemetry", values))
    return [(topic, orjson.dumps({"ts": stamp} | values)) for topic, values in said]


def events(fleet: Fleet, seen: Observation) -> list[tuple[str, bytes]]:
    """What the farms on MQTT say of failures, repairs and alarms."""
    stamp = datetime.fromtimestamp(seen.at, UTC).isoformat(timespec="milliseconds")
    said: list[tuple[int, int, dict[str, Any]]] = []
    for attribute, kind, code in EVENTS:
        for index, k in getattr(seen.happenings, attribute):
            said.append((int(index), int(k), {"ts": stamp, "kind": kind, "code": code}))
    for index, k, active in seen.alarms:
        form = KINDS[k].label
        body: dict[str, Any] = {"ts": stamp, "kind": "alarm", "code": "VIBRATION", "severity": "warning", "active": active}
        said.append((index, k, body | {"message": f"{form} vibrates more than its load explains"}))
    spoken = fleet.layout.mqtt_farms * fleet.layout.turbines
    return [(f"{_root(fleet, index)}/{KINDS[k].suffix}/event", orjson.dumps(body)) for index, k, body in said if index < spoken]


async def send(client: aiomqtt.Client, said: list[tuple[str, bytes]]) -> None:
    """QoS 1, many in flight; returns when the broker has acknowledged all."""

    async def one(topic: str, payload: bytes) -> None:
        identifier = next(client.packet_ids)
        await client.publish(topic, payload, qos=QoS.AT_LEAST_ONCE, packet_id=identifier, content_type="application/json")

    for start in range(0, len(said), IN_FLIGHT):
        await asyncio.gather(*(one(*message) for message in said[start : start + IN_FLIGHT]))


async def obey(client: aiomqtt.Client, fleet: Fleet) -> None:
    """Carries out commands and answers each on its response topic."""
    layout = fleet.layout
    indexes = {layout.turbine_id(index): index for index in range(layout.count)}
    await client.subscribe("fleet/+/+/command", max_qos=QoS.AT_LEAST_ONCE)
    async for packet in client.messages():
        if not isinstance(packet, aiomqtt.PublishPacket):
            continue
        if packet.packet_id is not None:
            await client.puback(packet.packet_id)
        _, farm, turbine, _ = packet.topic.split("/")
        index = indexes.get(f"{farm}-{turbine}")
        answer = _answer(fleet, index, packet.payload or b"")
        if answer and packet.response_topic:
            await send(client, [(packet.response_topic, orjson.dumps(answer))])


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
