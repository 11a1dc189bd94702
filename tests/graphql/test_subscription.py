"""Subscriptions over a real WebSocket: what is written by another process is seen, a reconnect goes on, a revoked key ends."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from fastapi import FastAPI
from gql import Client, gql
from gql.transport.exceptions import TransportError
from gql.transport.websockets import WebsocketsTransport

from app.graph.statements import statement
from app.graphql.resolve.subscription import Subscription
from app.history.series import Series
from app.identity import keys
from app.identity.keys import Grant
from app.identity.policy import LOCAL
from app.settings import Settings
from app.twins.edit import NewTwin, create, patch
from app.twins.fresh import begin, fresh
from app.twins.registry import Registry
from app.twins.write import Batch, Event, append
from tests.pace import PACE

WEAK = """subscription($after: String) { turbinesChanged(where: { healthScore: { lt: 0.5 } }, after: $after)
  { kind dtId cursor twin { ... on Turbine { healthScore } } } }"""


@asynccontextmanager
async def listening(settings: Settings, key: str, query: str, **variables: Any) -> AsyncIterator[Any]:
    """`await next()` answers the next event."""
    url = f"ws://127.0.0.1:{settings.server_port}/graphql"
    transport = WebsocketsTransport(url=url, init_payload={"Authorization": f"Bearer {key}"})
    async with Client(transport=transport) as session:
        asked = gql(query)
        asked.variable_values = variables
        events = session.subscribe(asked)

        async def following() -> Any:
            (value,) = (await asyncio.wait_for(anext(events), PACE * 20)).values()
            return value

        yield following
        await events.aclose()


def measure(registry: Registry, dt_id: str, **values: float) -> None:
    at = round(datetime.now(UTC).timestamp() * 1000)
    append(registry.store, Batch([Series(dt_id, [at], {name: [value] for name, value in values.items()}, values)]))


async def test_twins_enter_change_in_and_leave_a_query(served: Settings, secured: Settings, plant: Registry) -> None:
    async with listening(served, secured.token, WEAK) as following:
        measure(plant, "t1", healthScore=0.4)
        entered = await following()
        measure(plant, "t1", healthScore=0.3)
        changed = await following()
        measure(plant, "t1", healthScore=0.9)
        left = await following()
    assert [(e["kind"], e["dtId"]) for e in (entered, changed, left)] == [("ENTERED", "t1"), ("CHANGED", "t1"), ("LEFT", "t1")]
    assert changed["twin"] == {"healthScore": 0.3}
    measure(plant, "t2", healthScore=0.2)
    async with listening(served, secured.token, WEAK, after=changed["cursor"]) as following:
        events = [await following(), await following()]
    assert {(e["kind"], e["dtId"]) for e in events} == {("LEFT", "t1"), ("ENTERED", "t2")}
    async with listening(served, secured.token, WEAK, after="another.server.1") as following:
        events = [await following(), await following()]
    assert [(e["kind"], e["dtId"]) for e in events] == [("RESET", None), ("ENTERED", "t2")]


async def test_telemetry_goes_on_after_a_reconnect(served: Settings, secured: Settings, plant: Registry) -> None:
    query = """subscription($after: String) { telemetry(dtId: "t3", signals: ["power"], every: 0.2, after: $after)
      { cursor signals { signal unit values } } }"""
    async with listening(served, secured.token, query) as following:
        waiting = asyncio.create_task(following())
        await asyncio.sleep(1)
        measure(plant, "t3", power=1.0)
        before = await waiting
    measure(plant, "t3", power=2.0)
    await asyncio.sleep(0.01)  # another millisecond, another point
    measure(plant, "t3", power=3.0)
    async with listening(served, secured.token, query, after=before["cursor"]) as following:
        values = (await following())["signals"][0]
    assert before["signals"] == [{"signal": "power", "unit": "kilowatt", "values": [1.0]}]
    assert values == {"signal": "power", "unit": "kilowatt", "values": [2.0, 3.0]}


TELEMETRY = """subscription($after: String, $dtId: ID!) { telemetry(dtId: $dtId, every: 0.1, after: $after)
  { cursor signals { signal values } } }"""


@pytest.mark.parametrize(
    ("before", "measured"),
    [
        ([], [(60, "power", 1.0), (30, "windSpeed", 2.0)]),  # of another signal, behind what was told
        ([], [(60, "power", 1.0), (30, "power", 2.0), (61, "power", 3.0), (29, "power", 4.0)]),  # behind its own signal's
        ([], [(500, "power", 1.0), (0, "windSpeed", 2.0), (1, "power", 3.0)]),  # one clock is ahead
        ([], [(-30, "rotorSpeed", 1.0), (-29, "rotorSpeed", 2.0)]),  # a device's clock is behind ours
        ([(-100, "vaneAngle", 1.0)], [(-90, "vaneAngle", 2.0), (-95, "vaneAngle", 3.0)]),
    ],
)
async def test_every_committed_point_is_told_whenever_it_was_measured(
    before: list[Any], measured: list[Any], served: Settings, secured: Settings, plant: Registry
) -> None:
    """As it comes, and after a reconnect the same again: 27-telemetry-subscription-late-points."""
    dt_id, start = f"late-{secrets.token_hex(4)}", round(datetime.now(UTC).timestamp() * 1000)
    create(plant.store, plant.catalog, [NewTwin(dt_id, "Turbine")])

    def put(seconds: int, signal: str, value: float) -> None:
        series = Series(dt_id, [start + seconds * 1000], {signal: [value]}, {signal: value})
        append(plant.store, Batch([series]))

    for point in before:
        put(*point)
    told: list[Any] = []
    away: list[tuple[str, float]] = []
    async with listening(served, secured.token, TELEMETRY, dtId=dt_id) as following:
        coming = asyncio.create_task(following())
        await asyncio.sleep(1)
        put(-200, "powerLimit", 0.0)
        cursor = (await coming)["cursor"]
        for point in measured:
            put(*point)
            told += (await following())["signals"]
    async with listening(served, secured.token, TELEMETRY, dtId=dt_id, after=cursor) as following:
        expected = {(signal, value) for _, signal, value in measured}
        while not expected <= set(away):  # late ones of the five seconds before may be told again
            away += [(e["signal"], value) for e in (await following())["signals"] for value in e["values"]]
    assert told == [{"signal": signal, "values": [value]} for _, signal, value in measured]
    assert set(away) - expected <= {("powerLimit", 0.0)}


async def test_a_cursor_of_no_numbers_is_refused(served: Settings, secured: Settings, plant: Registry) -> None:
    with pytest.raises(TransportError, match="not a cursor"):
        await first(served, secured.token, 'subscription { telemetry(dtId: "t2", after: "2026-01-01~power=x") { cursor } }')


async def test_alarms_begin_and_end(served: Settings, secured: Settings, plant: Registry) -> None:
    def alarm(code: str) -> Event:
        return Event("t1", f"t1|{code}", "alarm", {"code": code, "severity": "warning", "at": datetime.now(UTC)})

    append(plant.store, Batch(events=[alarm("OLD")]))
    query = "subscription($after: String) { alarms(after: $after) { dtId code endedAt cursor } }"
    async with listening(served, secured.token, query) as following:
        old = await following()
        append(plant.store, Batch(events=[alarm("NEW")]))
        new = await following()
        append(plant.store, Batch(closed=[{"dtId": "t1", "code": "NEW", "at": datetime.now(UTC)}]))
        ended = await following()
    assert [old["code"], new["code"], ended["code"]] == ["OLD", "NEW", "NEW"]
    assert new["endedAt"] is None
    assert ended["endedAt"] is not None


def test_a_look_reads_what_is_new_and_not_the_whole_history(plant: Registry) -> None:
    """Also for a signal that has never been measured, or seldom."""
    dt_id = f"long-{secrets.token_hex(4)}"
    create(plant.store, plant.catalog, [NewTwin(dt_id, "Turbine")])
    start = round(datetime.now(UTC).timestamp() * 1000) - 10_000_000

    def put(number: int, **values: float) -> None:
        append(plant.store, Batch([Series(dt_id, [start + number], {k: [v] for k, v in values.items()}, values)]))

    put(0, windSpeed=1.0)
    for number in range(1, 50):
        put(number, power=float(number))
    told, limit = begin(plant.store, dt_id, ["power", "windSpeed", "rotorSpeed"]), start + 20_000_000
    put(50, power=50.0)
    read: list[Any] = []

    def noted(*asked: Any) -> Any:
        read.append(plant.store.read(*asked))
        return read[-1]

    store: Any = SimpleNamespace(read=noted)
    points, told = fresh(store, dt_id, told, limit)
    assert points == {"power": [(start + 50, 50.0)]}
    ((segments, _, _),) = read[-1]
    assert len(segments) == 1
    put(51, rotorSpeed=1.0)
    put(20, windSpeed=2.0)
    points, told = fresh(store, dt_id, told, limit)
    assert points == {"rotorSpeed": [(start + 51, 1.0)], "windSpeed": [(start + 20, 2.0)]}
    assert fresh(store, dt_id, told, limit)[0] == {}


async def test_every_alarm_of_a_burst_is_told_and_those_after_it(served: Settings, secured: Settings, plant: Registry) -> None:
    """More in one commit than a page holds; who comes later is told all that are open: 28-alarms-subscription-stuck."""
    tag, query = secrets.token_hex(4), 'subscription { alarms(dtId: "t3") { code } }'

    def burst(name: str, count: int) -> list[str]:
        codes = [f"{tag}-{name}-{number:04}" for number in range(count)]
        when = {"severity": "warning", "at": datetime.now(UTC)}
        events = [Event("t3", f"t3|{code}", "alarm", {"code": code, **when}) for code in codes]
        append(plant.store, Batch(events=events))
        return codes

    async def told(following: Any, count: int) -> list[str]:
        codes: list[str] = []
        while len(codes) < count:
            code = (await following())["code"]
            codes += [code] if code.startswith(tag) else []
        return sorted(codes)

    async with listening(served, secured.token, query) as following:
        await asyncio.sleep(1)
        many = burst("many", 2300)
        assert await told(following, 2300) == many
        few = burst("few", 3)
        assert await told(following, 3) == few
    async with listening(served, secured.token, query) as following:
        assert await told(following, 2303) == sorted(many + few)
    plant.store.run("MATCH (e:_Event) WHERE e.code STARTS WITH $tag DETACH DELETE e", tag=tag)


async def test_a_command_is_followed_to_its_end(served: Settings, secured: Settings, plant: Registry) -> None:
    properties = {"command": "stop", "request": "null", "timeout": 10.0}
    plant.store.run(statement("command/issue"), dtId="t1", id="followed", properties=properties)
    query = 'subscription { commandChanged(id: "followed") { dtId command status response } }'
    answer = {"id": "followed", "status": "SUCCEEDED", "response": '{"stopped": true}', "reason": None}
    async with listening(served, secured.token, query) as following:
        pending = await following()
        append(plant.store, Batch(answers=[answer]))
        done = await following()
        with pytest.raises(StopAsyncIteration):
            await following()
    assert pending == {"dtId": "t1", "command": "stop", "status": "PENDING", "response": None}
    assert (done["status"], done["response"]) == ("SUCCEEDED", {"stopped": True})
    south = keys.create(plant.store, Grant("south", "reader", ("south",), ("contains", "hasComponent")))
    for key, name in ((south, "followed"), (secured.token, "nothing")):
        with pytest.raises(TransportError, match=f"no command '{name}'"):
            await first(served, key, f'subscription {{ commandChanged(id: "{name}") {{ status }} }}')


async def test_a_scope_hears_of_its_own_twins_only(served: Settings, plant: Registry) -> None:
    key = keys.create(plant.store, Grant("south", "reader", ("south",), ("contains", "hasComponent")))
    async with listening(served, key, "subscription { twinsChanged { kind dtId } }") as following:
        events = [await following(), await following()]
        patch(plant.store, plant.catalog, "t1", {"maintenanceNote": "hidden"})
        patch(plant.store, plant.catalog, "t3", {"maintenanceNote": "seen"})
        events.append(await following())
    assert [event["dtId"] for event in events] == ["south", "t3", "t3"]


@pytest.mark.parametrize("field", ["twinChanged { dtId }", "telemetry { cursor }", "alarms { id }"])
async def test_a_scope_cannot_listen_to_a_twin_outside(field: str, served: Settings, plant: Registry) -> None:
    key = keys.create(plant.store, Grant("south", "reader", ("south",), ("contains", "hasComponent")))
    name, _, selection = field.partition(" ")
    with pytest.raises(TransportError, match="no twin 't1'"):
        await first(served, key, f'subscription {{ {name}(dtId: "t1") {selection} }}')


async def first(settings: Settings, key: str, query: str) -> Any:
    async with listening(settings, key, query) as following:
        return await following()


async def test_a_revoked_key_ends_its_subscriptions(served: Settings, plant: Registry) -> None:
    key = keys.create(plant.store, Grant("brief", "reader"))
    waiting = asyncio.create_task(first(served, key, 'subscription { alarms(after: "2100-01-01") { id } }'))
    await asyncio.sleep(1)
    keys.revoke(plant.store, key.split("_")[1])
    with pytest.raises(TransportError, match="valid token"):
        await waiting


async def test_alarms_are_told_while_the_clock_of_the_server_is_ahead(app: FastAPI, plant: Registry) -> None:
    info: Any = SimpleNamespace(context={"server": app.state.server, "identity": LOCAL})
    subscribe: Any = Subscription.__strawberry_definition__.get_field("alarms").base_resolver.wrapped_func  # type: ignore[attr-defined]
    when = {"severity": "warning", "at": datetime.now(UTC)}
    append(plant.store, Batch(events=[Event("t2", "t2|OPEN", "alarm", {"code": "OPEN", **when})]))
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=True):
        alarms = subscribe(Subscription(), info, dt_id="t2")
        codes = [(await anext(alarms)).code]
        coming = asyncio.create_task(anext(alarms))
        await asyncio.sleep(1)
        await asyncio.to_thread(append, plant.store, Batch(events=[Event("t2", "t2|NEW", "alarm", {"code": "NEW", **when})]))
        codes.append((await asyncio.wait_for(coming, PACE * 20)).code)
        await alarms.aclose()
    assert codes == ["OPEN", "NEW"]
