"""JSON Web Tokens of an OpenID Connect provider: signature by its published keys, issuer, audience, time, role, roots.

The keys are read again every five minutes. While the provider is away those of before are kept, for `oidc_keys_seconds`; only a
token signed with a key that is not among them makes anybody wait for it, and one at a time. With `oidc_client` the provider's
introspection endpoint (RFC 7662) is asked of each token, too, so that a role that was taken away counts within seconds."""

import asyncio
import hashlib
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import Any

import httpx
import orjson
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.util import urlsafe_b64decode

from app.errors import IdentityUnavailable, Unauthenticated
from app.identity.policy import ROLES, Identity
from app.settings import Settings

log = structlog.get_logger()
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]  # signatures only: no shared secret, no none
REFRESH_SECONDS = 300.0
RETRY_SECONDS = 10.0
TIMEOUT = 5.0
MOST_BYTES = 1024**2
KEPT = 1000
DAMAGED = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)  # what a token of anybody can raise
UNREADABLE = (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, *DAMAGED)
Claims = Mapping[str, Any]


class Provider:
    """One issuer. `identity` may be called by many threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._issuer = settings.oidc_issuer.rstrip("/")
        self._keys: KeySet | None = None
        self._endpoints: Mapping[str, Any] = {}
        self._read_at = self._tried_at = float("-inf")
        self._reading = Lock()
        self._introspections: dict[bytes, tuple[Claims, float]] = {}

    def identity(self, token: str) -> Identity:
        """Raises: Unauthenticated saying what is wrong with the token, never what is in it; IdentityUnavailable."""
        claims = self._decoded(token)
        self._check(claims)
        if self._settings.oidc_client:
            claims = {**claims, **self._introspected(token)}
        return self._identity(claims)

    def _identity(self, claims: Claims) -> Identity:
        roots = self._roots(claims)
        via = tuple(sorted(part for part in self._settings.scope_via.split(",") if part))
        names = (claims.get(name) for name in ("preferred_username", "email", "sub"))
        name = next((name for name in names if isinstance(name, str) and name), "")
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        return Identity(name[:200], self._role(claims), roots, via if roots is not None else (), expires)

    # Claims -----------------------------------------------------------------------------------------------------------

    def _decoded(self, token: str) -> Claims:
        keys = self._keys_for(_key_id(token))
        try:
            claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
        except DAMAGED:
            claims = self._decoded_anew(token)
        if not isinstance(claims, dict):
            raise Unauthenticated("the token holds no claims", hint=self._issuer)
        return claims

    def _decoded_anew(self, token: str) -> Any:
        """A provider may have given its new key the name of the old one."""
        try:
            if self._may_read() and self._read_once() and self._keys is not None:
                return jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
        except DAMAGED as error:
            raise Unauthenticated("the token is not signed by the provider", hint=self._issuer) from error
        raise Unauthenticated("the token is not signed by the provider", hint=self._issuer)

    def _check(self, claims: Claims) -> None:
        rules = {"iss": self._settings.oidc_issuer, "aud": self._settings.oidc_audience}
        registry = jwt.JWTClaimsRegistry(
            leeway=30,
            exp={"essential": True},
            sub={"essential": True},
            **{name: {"essential": True, "value": value} for name, value in rules.items()},  # type: ignore[arg-type]
        )
        hint = "exp, iss, aud and sub are checked"
        try:
            registry.validate(dict(claims))
        except JoseError as error:
            raise Unauthenticated(f"the token is not valid here: {error.error}", hint=hint) from error
        except (ValueError, TypeError, OverflowError) as error:
            raise Unauthenticated("the token is not valid here: a claim is of another type", hint=hint) from error
        if not isinstance(claims["sub"], str) or not _is_moment(claims["exp"]):
            raise Unauthenticated("the token is not valid here: a claim is of another type", hint=hint)

    def _roots(self, claims: Claims) -> tuple[str, ...] | None:
        """None without the claim: sees all. A claim that is there but is no text and no list of texts lets nobody in."""
        name = self._settings.oidc_roots_claim
        if name not in claims:
            return None
        claim = claims[name]
        roots = [claim] if isinstance(claim, str) else claim
        if not isinstance(roots, list) or not all(isinstance(root, str) for root in roots):
            raise Unauthenticated(f"the claim {name} is no list of texts", hint="dtIds, or leave the claim out")
        return tuple(roots)

    def _role(self, claims: Claims) -> str:
        """The highest role among those of the claim, which may be nested: `realm_access.roles`."""
        claim: Any = claims
        for step in self._settings.oidc_role_claim.split("."):
            claim = claim.get(step) if isinstance(claim, dict) else None
        claimed = [role for role in (claim if isinstance(claim, list) else [claim]) if isinstance(role, str)]
        roles = [role for role in ROLES if role in claimed or f"twingraph-{role}" in claimed]
        if not roles:
            raise Unauthenticated("the token has no role", hint=f"{self._settings.oidc_role_claim}: {', '.join(ROLES)}")
        return roles[-1]

    # The provider -----------------------------------------------------------------------------------------------------

    def _keys_for(self, key_id: str | None) -> KeySet:
        """Raises: IdentityUnavailable; Unauthenticated for a key that the provider has not published."""
        key_set = self._trusted()
        if key_set is not None and (key_id is None or key_id in _ids(key_set)):
            if time.monotonic() - self._read_at > REFRESH_SECONDS and self._may_read():
                Thread(target=self._read_once, name="oidc", daemon=True).start()  # nobody waits for what is only renewed
            return key_set
        if self._may_read() and self._read_once():
            key_set = self._trusted()
        if key_set is None or self._reading.locked():
            raise IdentityUnavailable("the identity provider does not answer", where=self._issuer, hint="try again later")
        if key_id is not None and key_id not in _ids(key_set):
            raise Unauthenticated("the token is not signed by the provider", hint=self._issuer)
        return key_set

    def _trusted(self) -> KeySet | None:
        return self._keys if time.monotonic() - self._read_at <= self._settings.oidc_keys_seconds else None

    def _may_read(self) -> bool:
        return time.monotonic() - self._tried_at > RETRY_SECONDS

    def _read_once(self) -> bool:
        """Reads the provider's keys, unless another thread does: who comes meanwhile does not wait. Whether they were read."""
        if not self._reading.acquire(blocking=False):
            return False
        self._tried_at = time.monotonic()
        try:
            endpoints = _fetched("GET", f"{self._issuer}/.well-known/openid-configuration")
            keys = KeySet.import_key_set(_fetched("GET", str(endpoints["jwks_uri"])))  # type: ignore[arg-type]
        except UNREADABLE as error:
            age = None if self._keys is None else round(time.monotonic() - self._read_at)
            log.warning("identity provider unavailable", issuer=self._issuer, error=repr(error)[:200], keys_age=age)
            return False
        finally:
            self._reading.release()
        self._keys, self._endpoints, self._read_at = keys, endpoints, time.monotonic()
        return True

    def _introspected(self, token: str) -> Claims:
        """What the provider says of the token now; while it is away, what it said last.

        Raises: Unauthenticated when the token is no longer active; IdentityUnavailable."""
        digest = hashlib.sha256(token.encode()).digest()
        try:
            login = (self._settings.oidc_client, self._settings.oidc_client_secret)
            answer = _fetched("POST", str(self._endpoints["introspection_endpoint"]), data={"token": token}, auth=login)
        except UNREADABLE as error:
            claims, at = self._introspections.get(digest, ({}, float("-inf")))
            if time.monotonic() - at > self._settings.oidc_keys_seconds:
                what = "the identity provider cannot be asked about the token"
                raise IdentityUnavailable(what, where=self._issuer, hint="its introspection endpoint") from error
            return claims
        if answer.get("active") is not True:
            self._introspections.pop(digest, None)
            raise Unauthenticated("the token is no longer active", hint="log in again")
        names = (self._settings.oidc_role_claim.split(".")[0], self._settings.oidc_roots_claim)
        claims = {name: answer[name] for name in names if name in answer}
        self._introspections[digest] = claims, time.monotonic()
        while len(self._introspections) > KEPT:
            self._introspections.pop(next(iter(self._introspections)), None)
        return claims


def _fetched(method: str, url: str, **more: Any) -> Mapping[str, Any]:
    """A JSON object of at most MOST_BYTES, within TIMEOUT in all. Raises: what UNREADABLE names."""

    async def fetch() -> bytes:
        async with (
            asyncio.timeout(TIMEOUT),
            httpx.AsyncClient(follow_redirects=True) as http,
            http.stream(method, url, **more) as answer,
        ):
            answer.raise_for_status()
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise ValueError("the answer is too long")
            return bytes(body)

    document = orjson.loads(asyncio.run(fetch()))
    if not isinstance(document, dict):
        raise ValueError("no JSON object")
    return document


def _key_id(token: str) -> str | None:
    """Of the token's head. Raises: Unauthenticated for what is no token."""
    try:
        head = orjson.loads(urlsafe_b64decode(token.split(".")[0].encode()))
    except DAMAGED as error:
        raise Unauthenticated("a valid token is needed", hint="Authorization: Bearer <token>") from error
    key_id = head.get("kid") if isinstance(head, dict) else None
    return key_id if isinstance(key_id, str) else None


def _ids(keys: KeySet) -> set[str | None]:
    return {key.kid for key in keys.keys}


def _is_moment(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value < 2**37
