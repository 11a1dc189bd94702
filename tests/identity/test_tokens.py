"""Tokens of a provider that publishes its keys over HTTP, as an OpenID Connect provider does."""

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from app.errors import Unauthenticated
from app.identity.tokens import Provider
from app.settings import Settings


class Issuer:
    """Serves its configuration and its keys; `key` signs."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(issuer.published(self.path)).encode())

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def published(self, path: str) -> Any:
        if path.endswith("openid-configuration"):
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return KeySet([self.key]).as_dict(private=False)

    def token(self, **changes: Any) -> str:
        claims = {"iss": self.url, "aud": "twingraph", "sub": "u1", "exp": round(time.time()) + 60, "roles": ["operator"]}
        given = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "one"}, given, self.key)


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
    assert (part.role, part.roots, part.access) == ("operator", ("wf01",), ("contains", "hasComponent"))


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
    with pytest.raises(Unauthenticated, match="does not answer"):
        Provider(Settings(oidc_issuer="http://127.0.0.1:9")).identity(issuer.token())


def test_new_keys_are_looked_up(issuer: Issuer, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.identity.tokens.RETRY_SECONDS", 0.0)
    provider.identity(issuer.token())
    before, issuer.key = issuer.key, RSAKey.generate_key(2048, {"kid": "one"})
    assert provider.identity(issuer.token()).role == "operator"
    issuer.key = before
