"""Tokens of a provider that publishes its keys over HTTP, as an OpenID Connect provider does."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from app.errors import IdentityUnavailable, Unauthenticated
from app.graph.select.tree import Access
from app.identity.tokens import Provider
from app.settings import Settings


class Issuer:
    """Serves its configuration and its keys; `key` signs; `says`: its answer about a token; `away`: how it does not answer."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.says: dict[str, Any] = {"active": True}
        self.away = ""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if issuer.away:
                    issuer.fail(self)
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(issuer.published(self.path)).encode())

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def fail(self, handler: BaseHTTPRequestHandler) -> None:
        """closed: at once; slow: in the end; garbage; drip: a byte a second; endless."""
        with suppress(OSError):
            if self.away == "slow":
                time.sleep(20)
            elif self.away == "garbage":
                handler.send_response(200)
                handler.end_headers()
                handler.wfile.write(b"<html>no keys here</html>")
            elif self.away in ("drip", "endless"):
                handler.send_response(200)
                handler.end_headers()
                for _ in range(60):
                    handler.wfile.write(b" " * (1 if self.away == "drip" else 1024**2))
                    time.sleep(1 if self.away == "drip" else 0)
            handler.connection.close()

    def published(self, path: str) -> Any:
        if path.endswith("openid-configuration"):
            urls = {"jwks_uri": f"{self.url}/keys", "introspection_endpoint": f"{self.url}/introspect"}
            return {"issuer": self.url, **urls}
        if path.endswith("introspect"):
            return self.says
        return KeySet([self.key]).as_dict(private=False)

    def token(self, **changes: Any) -> str:
        given = {name: value for name, value in (self.claims() | changes).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "one"}, given, self.key)

    def signed(self, changes: dict[str, Any]) -> str:
        """As `token`; what is None stays."""
        return jwt.encode({"alg": "RS256", "kid": "one"}, self.claims() | changes, self.key)

    def token_by(self, key: RSAKey, key_id: str) -> str:
        return jwt.encode({"alg": "RS256", "kid": key_id}, self.claims(), key)

    def claims(self) -> dict[str, Any]:
        return {"iss": self.url, "aud": "twingraph", "sub": "u1", "exp": round(time.time()) + 60, "roles": ["operator"]}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.server.shutdown()


@pytest.fixture
def provider(issuer: Issuer) -> Provider:
    return Provider(Settings(oidc_issuer=issuer.url))


def test_a_users_role_and_part_of_the_graph_are_read(issuer: Issuer, provider: Provider) -> None:
    whole = provider.identity(issuer.token(preferred_username="ada", roles=["reader", "twingraph-engineer", "other"]))
    assert (whole.name, whole.role, whole.roots, whole.access) == ("ada", "engineer", None, None)
    part = provider.identity(issuer.token(twingraph_roots=["wf01"]))
    assert (part.role, part.roots, part.access) == ("operator", ("wf01",), Access(("contains", "hasComponent")))


def test_a_role_may_lie_deeper(issuer: Issuer) -> None:
    provider = Provider(Settings(oidc_issuer=issuer.url, oidc_role_claim="realm_access.roles"))
    assert provider.identity(issuer.token(realm_access={"roles": ["reader"]})).role == "reader"


REFUSED: list[Callable[[Issuer], str]] = [
    lambda issuer: issuer.token(exp=round(time.time()) - 60),
    lambda issuer: issuer.token(exp=None),
    lambda issuer: issuer.token(aud="another"),
    lambda issuer: issuer.token(iss="https://evil.example"),
    lambda issuer: issuer.token(sub=None),
    lambda issuer: issuer.token(roles=["guest"]),
    lambda issuer: issuer.token(roles=None),
    lambda issuer: issuer.token()[:-8] + "AAAAAAAA",
    lambda issuer: jwt.encode({"alg": "RS256", "kid": "one"}, {"sub": "u1"}, RSAKey.generate_key(2048)),
    lambda issuer: jwt.encode({"alg": "HS256"}, {"sub": "u1"}, OctKey.import_key(issuer.url + "a secret of many letters")),
    lambda issuer: "e30.e30.",
    lambda issuer: "a.b.c",
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_not_valid_is_refused(number: int, issuer: Issuer, provider: Provider) -> None:
    with pytest.raises(Unauthenticated):
        provider.identity(REFUSED[number](issuer))


def test_a_provider_that_is_away_lets_nobody_in(issuer: Issuer) -> None:
    with pytest.raises(IdentityUnavailable, match="does not answer"):
        Provider(Settings(oidc_issuer="http://127.0.0.1:9")).identity(issuer.token())


def test_new_keys_are_looked_up(issuer: Issuer, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.identity.tokens.RETRY_SECONDS", 0.0)
    provider.identity(issuer.token())
    before, issuer.key = issuer.key, RSAKey.generate_key(2048, {"kid": "one"})
    assert provider.identity(issuer.token()).role == "operator"
    issuer.key = before
