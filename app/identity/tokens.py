"""JSON Web Tokens of an OpenID Connect provider: signature by its published keys, issuer, audience, time, role, roots."""

import time
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from app.errors import Unauthenticated
from app.identity.policy import ROLES, Identity
from app.settings import Settings

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]  # signatures only: no shared secret, no none
REFRESH_SECONDS = 300.0
RETRY_SECONDS = 10.0


class Provider:
    """One issuer; its keys are read again after five minutes, and for a token that none of them has signed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: KeySet | None = None
        self._read_at = float("-inf")
        self._lock = Lock()

    def identity(self, token: str) -> Identity:
        """Raises: Unauthenticated saying what is wrong with the token, never what is in it."""
        try:
            decoded = jwt.decode(token, self._keyset(), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            decoded = self._decoded_anew(token)
        claims = decoded.claims
        self._checked(claims)
        role = self._role(claims)
        roots = claims.get(self._settings.oidc_roots_claim)
        named = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        via = tuple(sorted(part for part in self._settings.scope_via.split(",") if part))
        return Identity(
            named, role, None if roots is None else tuple(map(str, roots)), via if roots is not None else (), expires
        )

    def _decoded_anew(self, token: str) -> Any:
        try:
            return jwt.decode(token, self._keyset(RETRY_SECONDS), algorithms=ALGORITHMS)
        except (JoseError, ValueError) as error:
            raise Unauthenticated("the token is not signed by the provider", hint=self._settings.oidc_issuer) from error

    def _checked(self, claims: dict[str, Any]) -> None:
        rules = {"iss": self._settings.oidc_issuer, "aud": self._settings.oidc_audience}
        registry = jwt.JWTClaimsRegistry(
            leeway=30,
            exp={"essential": True},
            sub={"essential": True},
            **{name: {"essential": True, "value": value} for name, value in rules.items()},  # type: ignore[arg-type]
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise Unauthenticated(
                f"the token is not valid here: {error.error}", hint="exp, iss, aud and sub are checked"
            ) from error

    def _role(self, claims: dict[str, Any]) -> str:
        """The highest role among those of the claim, which may be nested: `realm_access.roles`."""
        found: Any = claims
        for step in self._settings.oidc_role_claim.split("."):
            found = found.get(step) if isinstance(found, dict) else None
        given = found if isinstance(found, list) else [found]
        held = [role for role in ROLES if role in given or f"twingraph-{role}" in given]
        if not held:
            raise Unauthenticated("the token has no role", hint=f"{self._settings.oidc_role_claim}: {', '.join(ROLES)}")
        return held[-1]

    def _keyset(self, most: float = REFRESH_SECONDS) -> KeySet:
        with self._lock:
            if self._keys is None or time.monotonic() - self._read_at > most:
                self._keys = KeySet.import_key_set(self._published())
                self._read_at = time.monotonic()
            return self._keys

    def _published(self) -> Any:
        issuer = self._settings.oidc_issuer.rstrip("/")
        try:
            found = httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=5, follow_redirects=True).raise_for_status()
            return httpx.get(found.json()["jwks_uri"], timeout=5, follow_redirects=True).raise_for_status().json()
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise Unauthenticated("the identity provider does not answer", hint=f"see {issuer}") from error
