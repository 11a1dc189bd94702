"""Devices of the embedded broker: each by a login of its own, bound to its topics; let in and sent away while it runs."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt5 import ConnectPacket, QoS
from rich.console import Console

from app.identity import keys
from app.identity.keys import Grant
from app.keeper import Keeper
from app.main import with_secrets
from app.settings import Settings
from app.stack import broker
from app.stack.accounts import _closed, _covers, _shared
from app.stack.broker import FLEET, fleet_password, start_broker
from app.stack.child import Child, port_is_open
from app.stack.parts import BROKER
from app.stack.supervise import Held, Supervisor
from app.twins.registry import Registry
from ingest.broker import Connection, ConnectionLost, Refused, connected
from tests.conftest import apart, eventually, free_port, installed, twingraph
from tests.pace import PACE
from tests.rigs.mqtt import publish

LEVELS = st.lists(st.sampled_from(["a", "b", "+"]), min_size=1, max_size=3)
PATTERNS = st.tuples(LEVELS, st.booleans()).map(lambda one: (*one[0], "#") if one[1] else tuple(one[0]))
TOPICS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5).map(tuple)


def fits(topic: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """As MQTT says it."""
    if pattern[-1] == "#":
        return len(topic) >= len(pattern) - 1 and fits(topic[: len(pattern) - 1], pattern[:-1]) if pattern != ("#",) else True
    return len(topic) == len(pattern) and all(p in ("+", t) for t, p in zip(topic, pattern, strict=True))


@given(PATTERNS, PATTERNS, TOPICS)
def test_what_two_patterns_share(one: Any, other: Any, topic: Any) -> None:
    shared = _shared(one, other)
    assert (fits(topic, one) and fits(topic, other)) == (shared is not None and fits(topic, shared))
    if _covers(one, other):
        assert not fits(topic, other) or fits(topic, one)


@given(st.sets(PATTERNS, max_size=5))
def test_patterns_are_closed(patterns: Any) -> None:
    closed = _closed(patterns)
    assert patterns <= closed
    assert all(_shared(a, b) in closed for a in closed for b in closed if _shared(a, b) is not None)


@pytest.mark.parametrize("topic", ["", "#", "+", "a/#/b", "a+/b", "a.b", "a/b,c", "a b", "a/\n", "a/b#"])
def test_no_device_is_bound_to_such_a_topic(topic: str, registry: Registry) -> None:
    with pytest.raises(Exception, match=r"no topic for a device|bound to"):
        keys.create(registry.store, Grant("d", "ingest", publish=(topic,)))


@pytest.fixture(scope="module")
def own(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A broker's own state folder, beside the session's database."""
    home = tmp_path_factory.mktemp("broker")
    return with_secrets(apart(settings, home=home, mqtt_port=free_port(), neo4j_password=password(settings)))


def password(settings: Settings) -> str:
    return (settings.home / "secrets" / "neo4j").read_text()


@pytest.fixture(scope="module")
def running(own: Settings) -> Iterator[Child]:
    child = start_broker(own)
    yield child
    child.stop()


@pytest.fixture
def tended(own: Settings, running: Child, registry: Registry) -> Iterator[Supervisor]:
    """What looks after the broker, without the loop."""
    supervisor = Supervisor(own, (BROKER,), Console(quiet=True), tend=Keeper(own), held={"broker": Held(BROKER, running)})
    yield supervisor
    registry.store.run("MATCH (k:_Key) DETACH DELETE k")


TRIED = ("plant/t01/a", "plant/t02/a", "plant/t01/command", "plant/t02/command", "shared/x/t01", "shared/y/t01", "a")


def login(settings: Settings, user: str, secret: str, identifier: str = "") -> AbstractAsyncContextManager[Connection]:
    hello = ConnectPacket(identifier or f"test-{user}", username=user, password=secret.encode(), clean_start=True)
    return connected("127.0.0.1", settings.mqtt_port, hello, None, lambda: None)


async def may(client: Connection, topic: str) -> tuple[bool, bool]:
    """Whether it may publish, and subscribe."""
    said = [True, True]
    for index, work in enumerate((publish(client, topic, b"{}"), client.subscribe(topic, max_qos=QoS.AT_LEAST_ONCE))):
        try:
            await work
        except Refused:
            said[index] = False
    return said[0], said[1]


@asynccontextmanager
async def heard(settings: Settings, topic: str) -> AsyncIterator[list[str]]:
    """The topics of what the server's own account receives."""
    got: list[str] = []
    async with login(settings, settings.mqtt_user, settings.mqtt_password, "test-server") as client:
        await client.subscribe(topic, max_qos=QoS.AT_LEAST_ONCE)

        async def read() -> None:
            async for packet in client.messages():
                got.append(packet.topic)

        reading = asyncio.create_task(read())
        yield got
        await asyncio.sleep(0.5)
        reading.cancel()


async def test_a_device_has_its_topics_and_no_others(own: Settings, tended: Supervisor, registry: Registry) -> None:
    store = registry.store
    made = keys.create(store, Grant("t01", "ingest", publish=("plant/t01/#", "shared/+/t01"), subscribe=("plant/t01/command",)))
    other = keys.create(store, Grant("all", "ingest", publish=("plant/#", "shared/x/+"), subscribe=("plant/+/command",)))
    await asyncio.to_thread(Keeper(own), tended)
    await asyncio.sleep(3)
    rights = {}
    for key in (made, other):
        _, user, secret = key.split("_", 2)
        for topic in (
            "plant/t01/a",
            "plant/t02/a",
            "plant/t01/command",
            "plant/t02/command",
            "shared/x/t01",
            "shared/y/t01",
            "a",
        ):
            async with login(own, user, secret) as client:
                rights[(user == made.split("_")[1], topic)] = await may(client, topic)
    assert rights == {
        (True, "plant/t01/a"): (True, False),
        (True, "plant/t02/a"): (False, False),
        (True, "plant/t01/command"): (True, True),
        (True, "plant/t02/command"): (False, False),
        (True, "shared/x/t01"): (True, False),
        (True, "shared/y/t01"): (True, False),
        (True, "a"): (False, False),
        (False, "plant/t01/a"): (True, False),
        (False, "plant/t02/a"): (True, False),
        (False, "plant/t01/command"): (True, True),
        (False, "plant/t02/command"): (True, True),
        (False, "shared/x/t01"): (True, False),
        (False, "shared/y/t01"): (False, False),
        (False, "a"): (False, False),
    }
    _, user, secret = made.split("_", 2)
    async with login(own, user, secret) as client:
        for pattern in ("#", "plant/#", "plant/+/command", "$SYS/#", "$share/g/plant/#", "activemq/management"):
            with pytest.raises(Refused):
                await client.subscribe(pattern, max_qos=QoS.AT_LEAST_ONCE)


async def test_F29_a_revoked_device_is_sent_away(own: Settings, tended: Supervisor, registry: Registry) -> None:
    """Without a restart: another key of the same lets it in, its connection ends with the old one."""
    keeper = Keeper(own)
    first = keys.create(registry.store, Grant("t01", "ingest", publish=("plant/t01/#",), subscribe=("plant/t01/command",)))
    _, user, secret = first.split("_", 2)
    await asyncio.to_thread(keeper, tended)
    await asyncio.sleep(3)
    async with login(own, user, secret) as device:
        await device.subscribe("plant/t01/command", max_qos=QoS.AT_LEAST_ONCE)
        second = keys.rotate(registry.store, user, timedelta(hours=1), None)
        keys.revoke(registry.store, user)
        started = time.monotonic()
        await asyncio.to_thread(keeper, tended)
        with suppress(ConnectionLost):
            async with asyncio.timeout(PACE * 10):
                async for _ in device.messages():
                    pass
        assert time.monotonic() - started < 10 - 3  # three seconds at most pass before the next look
    with pytest.raises(Refused):
        async with login(own, user, secret):
            pass
    _, user, secret = second.split("_", 2)
    async with heard(own, "plant/#") as got, login(own, user, secret) as device:
        await publish(device, "plant/t01/x", b"{}")
    assert got == ["plant/t01/x"]


async def test_the_fleet_has_a_login_of_its_own(own: Settings, running: Child) -> None:
    async with login(own, FLEET, fleet_password(own)) as client:
        assert await may(client, "fleet/wf01/t01/telemetry") == (True, False)
        assert await may(client, "fleet/wf01/t01/command") == (True, True)
        assert await may(client, "plant/t01/x") == (False, False)


def test_the_broker_starts_with_the_devices_it_knew(own: Settings, tended: Supervisor, registry: Registry) -> None:
    """Also while the graph cannot be asked; nothing of a secret is written down."""
    key = keys.create(registry.store, Grant("t01", "ingest", publish=("plant/t01/#",)))
    Keeper(own)(tended)
    file = own.home / "broker" / "security" / "users.properties"
    assert (key.split("_")[1] in file.read_text(), key.split("_")[2] in file.read_text()) == (True, False)
    assert [one.user for one in broker._known_devices(own.home / "broker")] == [key.split("_")[1]]
    assert oct(file.stat().st_mode & 0o777) == "0o600"


@pytest.mark.skipif(not installed("mosquitto"), reason="mosquitto is not installed")
async def test_mosquitto_takes_what_is_written_for_it(settings: Settings, registry: Registry, tmp_path: Path) -> None:
    key = keys.create(registry.store, Grant("t01", "ingest", publish=("plant/t01/#",), subscribe=("plant/t01/command",)))
    done = twingraph(settings, "keys", "mosquitto", str(tmp_path / "files"))
    assert (done.returncode, done.stdout[:9]) == (0, "1 devices")
    port = free_port()
    conf = f"listener {port} 127.0.0.1\nallow_anonymous false\nuser root\n"
    conf += f"password_file {tmp_path}/files/users\nacl_file {tmp_path}/files/acl\n"
    (tmp_path / "mosquitto.conf").write_text(conf)
    process = subprocess.Popen(["mosquitto", "-c", str(tmp_path / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    try:
        assert eventually(lambda: port_is_open("127.0.0.1", port))
        _, user, secret = key.split("_", 2)
        there = apart(settings, mqtt_port=port)
        async with login(there, user, secret) as client:
            assert await may(client, "plant/t01/x") == (True, True)  # mosquitto lets subscribe, and sends nothing
            assert await may(client, "plant/t02/x") == (False, True)
        with pytest.raises(Refused):
            async with login(there, user, "wrong"):
                pass
    finally:
        process.terminate()
        process.wait(10)
        registry.store.run("MATCH (k:_Key) DETACH DELETE k")
