"""TLS and CORS on the running server."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

from app.settings import Settings
from app.stack.child import Child
from app.twins.registry import Registry
from tests.conftest import free_port, program

ORIGIN = "https://plant.example"


@pytest.fixture(scope="module")
def secure(plant: Registry, settings: Settings, broker: Child, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The server with a certificate of its own, and one origin that may ask it."""
    certificate, key = made_certificate(tmp_path_factory.mktemp("tls"))
    changed = replace(
        settings,
        server_port=free_port(),
        tls_certificate=str(certificate),
        tls_key=str(key),
        cors_origins=f"{ORIGIN}, https://other.example",
    )

    def healthy() -> bool:
        try:
            return httpx.get(f"{url(changed)}/health/ready", verify=trust(changed)).status_code == 200
        except httpx.TransportError:
            return False

    with program(changed, "serve-tls", "serve", healthy=healthy):
        yield changed


def made_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "server.pem").write_bytes(made.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.key").write_bytes(private)
    return folder / "server.pem", folder / "server.key"


def url(settings: Settings, scheme: str = "https") -> str:
    return f"{scheme}://127.0.0.1:{settings.server_port}"


def trust(settings: Settings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.tls_certificate)


def test_queries_are_answered_over_tls_alone(secure: Settings, secured: Settings) -> None:
    headers = {"Authorization": f"Bearer {secured.token}"}
    query = {"query": '{ turbine(dtId: "t1") { name } }'}
    answer = httpx.post(f"{url(secure)}/graphql", json=query, headers=headers, verify=trust(secure))
    assert answer.json() == {"data": {"turbine": {"name": "Turbine 1"}}}
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{url(secure, 'http')}/graphql", json=query, headers=headers)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.post(f"{url(secure)}/graphql", json=query, headers=headers)


async def test_subscriptions_go_over_tls(secure: Settings, secured: Settings) -> None:
    address, payload = f"{url(secure, 'wss')}/graphql", {"Authorization": f"Bearer {secured.token}"}
    transport = WebsocketsTransport(url=address, init_payload=payload, ssl=trust(secure))
    async with Client(transport=transport) as session:
        async for event in session.subscribe(gql('subscription { twinChanged(dtId: "t1") { dtId } }')):
            assert event == {"twinChanged": {"dtId": "t1"}}
            break


@pytest.mark.parametrize(
    ("origin", "allowed"), [(ORIGIN, True), ("https://other.example", True), ("https://evil.example", False)]
)
def test_pages_of_listed_origins_may_ask(origin: str, allowed: bool, secure: Settings, secured: Settings) -> None:
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    with httpx.Client(base_url=url(secure), verify=trust(secure)) as client:
        before = client.options("/graphql", headers=asks)
        assert (before.status_code == 200) is allowed
        headers = {"Origin": origin, "Authorization": f"Bearer {secured.token}"}
        for _ in range(2):  # the second time it takes the direct way
            answer = client.post("/graphql", json={"query": "{ windFarms { name } }"}, headers=headers)
            assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
