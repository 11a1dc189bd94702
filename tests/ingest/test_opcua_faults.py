"""OPC UA where things go wrong: bad nodes, full queues, silence, gaps, certificates, logins. Real asyncua servers."""

import asyncio
import itertools
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from asyncua import Server, ua
from asyncua.crypto.permission_rules import SimpleRoleRuleset, User, UserRole
from asyncua.server.user_managers import UserManager
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from prometheus_client import REGISTRY

from app.errors import MappingError, StackError
from app.settings import Settings
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.opcua.source import OpcUaSource
from ingest.source import DeviceState, Message
from ingest.sources import make_source
from tests.conftest import free_port
from tests.ingest.base import recent
from tests.ingest.test_opcua import NAMESPACE, Plant
from tests.pace import PACE
from tests.rigs.nodeopcua import fetch, start_plant

pytestmark = pytest.mark.slow

RULES = (Rule(match="{line}.{unit}.{signal}", twin="{line}-{unit}"),)


def mapped(plant: Plant, name: str = "opc", **options: Any) -> SourceMapping:
    given = {"url": plant.url, "publishing_ms": 50, **options}
    return SourceMapping(source=name, protocol="opcua", options=given, rules=RULES)


class Reader:
    """What a source hands over."""

    def __init__(self, mapping: SourceMapping) -> None:
        self.taken: list[Message] = []
        self.source = OpcUaSource(mapping, Settings())

    async def take(self, message: Message) -> None:
        self.taken.append(message)

    def values(self, address: str = "") -> list[Any]:
        """Numbers that came, of one address or of all."""
        said = [one.payload for one in self.taken if isinstance(one.payload, dict) and one.address.startswith(address)]
        return [value for values in said for value in values.values() if value == value]

    async def until(self, check: Callable[[], bool], seconds: float = 15) -> None:
        async with asyncio.timeout(PACE * seconds):
            while not check():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(plant: Plant) -> AsyncIterator[Plant]:
    await plant.start()
    try:
        yield plant
    finally:
        await plant.server.stop()


@asynccontextmanager
async def reading(mapping: SourceMapping) -> AsyncIterator[Reader]:
    reader = Reader(mapping)
    task = asyncio.create_task(reader.source.run(reader.take))
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_F18_one_bad_node() -> None:
    """A node that is not there, one whose namespace is not: the others flow; what comes to be there flows, too."""
    plant = Plant()
    nodes = [f"nsu={NAMESPACE};s=c.01.power", f"nsu={NAMESPACE};s=c.09.power", "nsu=urn:missing;s=x.y.z"]
    mapping = mapped(plant, "bad-nodes", nodes=[{"id": one} for one in nodes], retry_seconds=0.3)
    async with serving(plant), reading(mapping) as reader:
        await asyncio.sleep(1)
        await plant.write("c.01.power", 5.0, recent())
        await reader.until(lambda: reader.values("c.01") == [5.0])
        assert (
            REGISTRY.get_sample_value("twingraph_ingest_rejected_total", {"source": "bad-nodes", "code": "BAD_NODE"}) or 0
        ) >= 2
        index = plant.index
        await plant.server.nodes.objects.add_variable(ua.NodeId("c.09.power", index), f"{index}:late", 9.0)
        await reader.until(lambda: reader.values("c.09") == [9.0])


@pytest.fixture(scope="module")
def independent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server on node-opcua, whose variables count up a hundred times a second."""
    folder, port = tmp_path_factory.mktemp("node-opcua"), free_port()
    reason = fetch(folder)
    if reason:
        pytest.skip(reason)
    process = start_plant(folder, port)
    yield f"opc.tcp://127.0.0.1:{port}/plant"
    process.terminate()
    process.wait()


async def test_a_server_that_is_not_asyncuas(independent: str) -> None:
    options = {"url": independent, "namespace": "urn:test:node", "publishing_ms": 100, "sampling_ms": 10}
    async with reading(SourceMapping(source="node", protocol="opcua", options=options, rules=RULES)) as reader:
        await reader.until(lambda: len(reader.values("c.01.s1")) > 50)
        await reader.until(lambda: len(reader.values("c.01.s0")) == 1)
    counted = reader.values("c.01.s1")
    assert counted == sorted(set(counted))
    assert len({one.address for one in reader.taken}) == 10


async def test_F19_server_queue_overflow(independent: str) -> None:
    """A queue of two while a hundred changes come between two publishings: counted, and told once a node."""
    nodes = [{"id": f"nsu=urn:test:node;s=c.01.{name}", "queue": 2, "sampling": 10} for name in ("s0", "s1")]
    options = {"url": independent, "nodes": nodes, "publishing_ms": 1000}
    with structlog.testing.capture_logs() as logs:
        async with reading(SourceMapping(source="overflow", protocol="opcua", options=options, rules=RULES)) as reader:
            await reader.until(lambda: len(reader.values("c.01.s1")) > 5)
    dropped = REGISTRY.get_sample_value("twingraph_ingest_dropped_total", {"source": "overflow"})
    assert dropped is not None
    assert dropped >= 2
    assert [one["node"] for one in logs if one["event"] == "the server's queue overflows"] == ["c.01.s1"]


class Line:
    """A TCP connection that can be cut: `drop` cuts it, `cut` keeps it so."""

    def __init__(self, target: int) -> None:
        self.target, self.port, self.cut = target, free_port(), False
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Line":
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.drop()

    def drop(self, reset: bool = False) -> None:
        """`reset`: with RST, as the kernel does for a process that was killed with data unread."""
        for writer in self._writers:
            if reset:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer), return_exceptions=True)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


async def test_F17_a_connection_cut_for_a_moment_loses_nothing(independent: str) -> None:
    """The session is taken up again, and what the server has kept is published again: no number is missing."""
    port = int(independent.split(":")[2].split("/")[0])
    async with Line(port) as line:
        nodes = [{"id": "nsu=urn:test:node;s=c.01.s1", "queue": 1000, "sampling": 10}]
        options = {"url": f"opc.tcp://127.0.0.1:{line.port}/plant", "nodes": nodes, "publishing_ms": 100}
        async with reading(SourceMapping(source="cut", protocol="opcua", options=options, rules=RULES)) as reader:
            await reader.until(lambda: len(reader.values("c.01.s1")) > 100)
            line.cut = True
            line.drop()
            await asyncio.sleep(2)
            line.cut = False
            at = len(reader.values("c.01.s1"))
            await reader.until(lambda: len(reader.values("c.01.s1")) > at + 300)
            assert reader.source.reconnects == 1
        gone = [not one.payload.online for one in reader.taken if isinstance(one.payload, DeviceState)]
        assert gone == [False, True, False]
    counted = [int(value) for value in reader.values("c.01.s1")]
    missing = [(a, b) for a, b in itertools.pairwise(counted) if b - a > 20]  # sampled every fifty milliseconds
    assert not missing


async def test_conditions_become_alarms(independent: str) -> None:
    """Active, no longer active, active again, each with what the server says of it."""
    rules = (*RULES, Rule(match="{unit}", twin="{unit}", kind="event"))
    options = {"url": independent, "events": True, "publishing_ms": 100}
    async with reading(SourceMapping(source="alarms", protocol="opcua", options=options, rules=rules)) as reader:
        await reader.until(lambda: len([one for one in reader.taken if one.address == "tank.level"]) > 3)
    said = [one for one in reader.taken if one.address == "tank.level"]
    records = [one.payload for one in said]
    assert all(isinstance(one, dict) and one["kind"] == "alarm" and one["code"] == "LevelAlarm" for one in records)
    active = [one["active"] for one in records if isinstance(one, dict)]
    assert all(a != b for a, b in itertools.pairwise(active))
    times = [one.time or 0 for one in said]
    assert times == sorted(times)


async def test_F17_the_subscription_is_gone_while_the_connection_stands() -> None:
    """The server forgets the subscription and says nothing: noticed by silence, monitored anew."""
    plant = Plant()
    async with serving(plant), reading(mapped(plant, namespace=NAMESPACE, silence_seconds=2)) as reader:
        await reader.until(lambda: len(reader.taken) >= plant.variables)
        service = plant.server.iserver.subscription_service
        await service.delete_subscriptions(list(service.subscriptions))
        await plant.write("c.01.power", 7.0, recent())
        await reader.until(lambda: reader.values("c.01.power") == [7.0])
        assert reader.source.reconnects == 1
        gone = [not one.payload.online for one in reader.taken if isinstance(one.payload, DeviceState)]
        assert gone == [False] * plant.variables + [True] * plant.variables + [False] * plant.variables


async def test_many_servers_share_a_source() -> None:
    """One that is not there does not hold up the others."""
    plants = [Plant(), Plant()]
    urls = [*(plant.url for plant in plants), f"opc.tcp://127.0.0.1:{free_port()}/nobody"]
    async with serving(plants[0]), serving(plants[1]):
        reader = Reader(mapped(plants[0], namespace=NAMESPACE))
        source = make_source(mapped(plants[0], namespace=NAMESPACE, url=urls), Settings())
        task = asyncio.create_task(source.run(reader.take))
        await reader.until(lambda: len(reader.taken) >= 2 * plants[0].variables)
        for value, plant in enumerate(plants):
            await plant.write(f"c.0{value + 1}.power", float(value), recent())
        await reader.until(lambda: reader.values("c.01.power") == [0.0] and reader.values("c.02.power") == [1.0])
        assert source.reconnects >= 1  # while it runs: of the one that is not there
        source.stopping = True
        task.cancel()
        async with asyncio.timeout(PACE * 10):
            await asyncio.gather(task, return_exceptions=True)


async def test_a_gap_is_filled_from_the_servers_history() -> None:
    plant = Plant()
    async with serving(plant):
        names = ["c.01.power", "c.02.power", "c.03.power"]
        for name in names:
            await plant.server.historize_node_data_change(plant.server.get_node(ua.NodeId(name, plant.index)))
        options: dict[str, Any] = {"namespace": NAMESPACE, "history": True, "silence_seconds": 3}
        async with reading(mapped(plant, **options)) as reader:
            start = round(datetime.now(UTC).timestamp() * 1000)
            await reader.until(lambda: len(reader.taken) >= plant.variables)
            for name in names:
                await plant.write(name, 1.0, start)
            await reader.until(lambda: all(reader.values(name) == [1.0] for name in names))
            await plant.server.bserver.stop()  # the connection is gone; the plant goes on measuring
            for number in range(2, 6):
                for name in names:
                    await plant.write(name, float(number), start + number)
            await plant.server.bserver.start()
            await reader.until(lambda: all(set(reader.values(name)) >= {1.0, 2.0, 3.0, 4.0, 5.0} for name in names), 30)


async def test_deadband_and_publishednodes(tmp_path: Path) -> None:
    """OPC Publisher's file: nodes of this endpoint, their deadband and names; what is passed over is told."""
    plant = Plant()
    opc = [
        {"Id": f"nsu={NAMESPACE};s=c.01.power", "DataSetFieldId": "c.01.p", "DeadbandValue": 5, "OpcSamplingInterval": 20},
        {"ExpandedNodeId": f"nsu={NAMESPACE};s=c.02.power", "HeartbeatInterval": 60, "OpcSamplingInterval": 20},
    ]
    other = {"EndpointUrl": "opc.tcp://elsewhere:4840", "OpcNodes": [{"Id": "i=1"}]}
    file = tmp_path / "publishednodes.json"
    file.write_text(json.dumps([{"EndpointUrl": plant.url, "UseSecurity": False, "OpcNodes": opc}, other]))
    with structlog.testing.capture_logs() as logs:
        mapping = mapped(plant, publishednodes=str(file))
        async with serving(plant):
            await plant.write("c.01.power", 0.0, recent(-1))  # no distance from NaN is beyond a deadband
            async with reading(mapping) as reader:
                await reader.until(lambda: len(reader.taken) >= 2)
                for number, value in enumerate((10.0, 12.0, 14.0, 20.0)):
                    for unit in ("01", "02"):
                        await plant.write(f"c.{unit}.power", value, recent(number))
                    await asyncio.sleep(0.15)
                await reader.until(lambda: reader.values("c.02.power") == [10.0, 12.0, 14.0, 20.0])
                await reader.until(lambda: reader.values("c.01.p") == [0.0, 10.0, 20.0])
    assert {one["key"] for one in logs if "ignored" in one["event"]} == {"UseSecurity", "HeartbeatInterval"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "need namespace, nodes, publishednodes or events"),
        ({"nodes": [{"address": "a"}]}, "options.nodes.0 needs id"),
        ({"nodes": [{"id": "i=1", "rate": 1}]}, "options.nodes.0: no option 'rate'"),
        ({"namespace": "x", "security": "Basic256"}, "deprecated"),
        ({"namespace": "x", "security": "Strong"}, "no security policy 'Strong'"),
        ({"namespace": "x", "security": "Basic256Sha256", "mode": "Loud"}, "no security mode"),
        ({"namespace": "x", "security": "Basic256Sha256", "certificate": "c"}, "security needs key, trust"),
        ({"namespace": "x", "user_certificate": "c"}, "user_certificate and user_key go together"),
        ({"publishednodes": "/nowhere.json"}, "cannot read the published nodes"),
    ],
)
def test_a_mistake_is_explained(options: dict[str, Any], said: str) -> None:
    with pytest.raises(MappingError, match=said):
        OpcUaSource(mapped(Plant(), **options), Settings())


# Certificates and logins ----------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str, days: float = 100) -> tuple[Path, Path]:
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    uri = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:test:{name}"), x509.DNSName("127.0.0.1")])
    now = datetime.now(UTC).timestamp()
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(now - 400 * 86_400, UTC))
        .not_valid_after(datetime.fromtimestamp(now + days * 86_400, UTC))
        .add_extension(uri, critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    return files


class Guarded(UserManager):  # type: ignore[misc]
    def get_user(self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None) -> Any:
        known = username == "plant" and password == "secret"
        return User(role=UserRole.Admin) if known or (username is None and certificate in self.users) else None

    def __init__(self) -> None:
        self.users: list[bytes] = []


class SecurePlant(Plant):
    """Encrypted alone, one user."""

    def __init__(self, certificate: tuple[Path, Path]) -> None:
        self.certificate = certificate
        super().__init__()

    def made(self) -> Server:
        return Server(user_manager=Guarded())

    async def guard(self) -> None:
        await self.server.set_application_uri("urn:test:server")
        await self.server.load_certificate(str(self.certificate[0]))
        await self.server.load_private_key(str(self.certificate[1]), format="PEM")
        policies = [ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt]
        self.server.set_security_policy(policies, permission_ruleset=SimpleRoleRuleset())


async def refused(mapping: SourceMapping) -> str:
    async with asyncio.timeout(PACE * 30):
        with pytest.raises(StackError) as raised:
            await Reader(mapping).source.run(lambda message: None)  # type: ignore[arg-type, return-value]
    return str(raised.value)


async def test_F20_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encrypted, by a server that is trusted; one that is not, an expired certificate, a wrong login: told, never accepted."""
    monkeypatch.setenv("PLANT_PASSWORD", "secret")
    monkeypatch.setenv("WRONG_PASSWORD", "guess")
    server = certificate(tmp_path / "trusted", "server")
    (tmp_path / "trusted" / "server.key").rename(tmp_path / "server.key")
    ours, key = certificate(tmp_path, "client")
    certificate(tmp_path / "others", "other")
    (tmp_path / "others" / "other.key").unlink()
    plant = SecurePlant((server[0], tmp_path / "server.key"))
    login = {"user": "plant", "password_variable": "PLANT_PASSWORD"}
    secure = {"security": "Basic256Sha256", "certificate": str(ours), "key": str(key), "trust": str(tmp_path / "trusted")}
    options = {"namespace": NAMESPACE, **login, **secure}
    async with serving(plant):
        async with reading(mapped(plant, **options)) as reader:
            await reader.until(lambda: len(reader.taken) >= plant.variables)
            await plant.write("c.01.power", 3.0, recent())
            await reader.until(lambda: reader.values("c.01.power") == [3.0])
        assert "untrusted" in (await refused(mapped(plant, **options | {"trust": str(tmp_path / "others")}))).lower()
        old, old_key = certificate(tmp_path, "old", days=-1)
        assert "has expired on" in await refused(mapped(plant, **options | {"certificate": str(old), "key": str(old_key)}))
        assert "refuses" in await refused(mapped(plant, **options | {"password_variable": "WRONG_PASSWORD"}))


async def test_a_user_may_be_a_certificate(tmp_path: Path) -> None:
    server = certificate(tmp_path / "trusted", "server")
    (tmp_path / "trusted" / "server.key").rename(tmp_path / "server.key")
    ours, key = certificate(tmp_path, "client")
    user, user_key = certificate(tmp_path, "operator")
    plant = SecurePlant((server[0], tmp_path / "server.key"))
    secure = {"security": "Basic256Sha256", "certificate": str(ours), "key": str(key), "trust": str(tmp_path / "trusted")}
    options = {"namespace": NAMESPACE, "user_certificate": str(user), "user_key": str(user_key), **secure}
    async with serving(plant):
        assert "refuses" in await refused(mapped(plant, **options))
        known = x509.load_pem_x509_certificate(user.read_bytes()).public_bytes(serialization.Encoding.DER)
        plant.server.iserver.user_manager.users.append(known)
        async with reading(mapped(plant, **options)) as reader:
            await reader.until(lambda: len(reader.taken) >= plant.variables)
