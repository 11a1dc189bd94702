"""TLS towards mosquitto: client certificates, and every way in which a certificate does not do."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mqtt5 import QoS

from app.errors import StackError
from app.settings import Settings
from app.stack.child import port_is_open
from ingest.certificates import context
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.mqtt import MqttOptions, MqttSource, connect
from ingest.source import Message
from tests.conftest import eventually, free_port, installed
from tests.pace import PACE

pytestmark = pytest.mark.skipif(not installed("mosquitto"), reason="mosquitto is not installed")
PEM = serialization.Encoding.PEM


class Authority:
    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._signed(self.name, self.key.public_key(), 365, True).public_bytes(PEM))

    def issue(self, name: str, days: float = 365) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        made[0].write_bytes(self._signed(subject, key.public_key(), days, False).public_bytes(PEM))
        plain = serialization.NoEncryption()
        made[1].write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
        return str(made[0]), str(made[1])

    def _signed(self, subject: x509.Name, key: Any, days: float, authority: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(self.key, hashes.SHA256())
        )


class Broker:
    """mosquitto that asks for client certificates of `ours`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.ours = folder, free_port(), Authority(folder, "ours")
        self.theirs = Authority(folder, "theirs")
        self.client = self.ours.issue("client")
        self.process: Any = None
        self.serve(self.ours.issue("broker"))

    def serve(self, certificate: tuple[str, str]) -> None:
        self.stop()
        text = f"listener {self.port} 127.0.0.1\nallow_anonymous true\nrequire_certificate true\ncafile {self.ours.file}\n"
        text += f"certfile {certificate[0]}\nkeyfile {certificate[1]}\nuser root\n"
        (self.folder / "mosquitto.conf").write_text(text)
        self.process = subprocess.Popen(["mosquitto", "-c", str(self.folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
        assert eventually(lambda: port_is_open("127.0.0.1", self.port))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def options(self, **more: Any) -> dict[str, Any]:
        certificate, key = self.client
        ca = str(self.ours.file)
        return {"host": "127.0.0.1", "port": self.port, "ca": ca, "certificate": certificate, "key": key, **more}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    made = Broker(tmp_path_factory.mktemp("tls"))
    yield made
    made.stop()


def source(options: dict[str, Any]) -> MqttSource:
    rules = (Rule(match="tls/{unit}", twin="{unit}"),)
    return MqttSource(SourceMapping(source="tls", protocol="mqtt", options=options, rules=rules), Settings())


async def refused(options: dict[str, Any]) -> str:
    async with asyncio.timeout(PACE * 15):
        with pytest.raises(StackError) as raised:
            await source(options).run(lambda message: None)  # type: ignore[arg-type, return-value]
    return str(raised.value)


async def test_messages_come_over_tls_with_a_client_certificate(broker: Broker) -> None:
    taken: list[Message] = []

    async def take(message: Message) -> None:
        taken.append(message)

    task = asyncio.create_task(source(broker.options()).run(take))
    await asyncio.sleep(1)
    async with connect(Settings(), "pub", MqttOptions(**broker.options()), clean_start=True) as publisher:
        await publisher.publish("tls/u1", b"{}", qos=QoS.AT_LEAST_ONCE)
    async with asyncio.timeout(PACE * 5):
        while not taken:
            await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert taken[0].address == "tls/u1"


async def test_F20_certificates(broker: Broker) -> None:
    """Untrusted, expired, missing: a clear error, never accepted; renewed files count without a restart."""
    assert "CERTIFICATE_VERIFY_FAILED" in await refused(broker.options(ca=str(broker.theirs.file)))
    expired = broker.ours.issue("old", days=-1)
    assert "has expired on" in await refused(broker.options(certificate=expired[0], key=expired[1]))
    assert "cannot be read" in await refused(broker.options(certificate="/nowhere.pem"))
    assert "cannot be used" in await refused(broker.options(key=str(broker.theirs.file)))
    try:
        broker.serve(broker.ours.issue("broker", days=-1))
        assert "CERTIFICATE_VERIFY_FAILED" in await refused(broker.options())
        broker.serve(broker.ours.issue("broker"))
        renewed = broker.ours.issue("old")
        options = MqttOptions(**broker.options(certificate=renewed[0], key=renewed[1]))
        async with connect(Settings(), "renewed", options, clean_start=True):
            pass
    finally:
        broker.serve(broker.ours.issue("broker"))


def test_a_certificate_that_expires_within_thirty_days_is_told(broker: Broker, tmp_path: Path) -> None:
    certificate, key = broker.ours.issue("soon", days=20.5)
    shutil.copy(certificate, tmp_path / "soon.pem")
    with structlog.testing.capture_logs() as logs:
        assert context(MqttOptions.model_validate({"certificate": str(tmp_path / "soon.pem"), "key": key})) is not None
    assert [(one["event"], one["days"]) for one in logs] == [("certificate expires soon", 20)]
