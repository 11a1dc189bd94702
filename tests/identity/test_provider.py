"""F34: a provider that is away, slow, or answers garbage; tokens of anybody; claims of any type; roles that are taken away."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from app.errors import IdentityUnavailable, Unauthenticated
from app.identity.tokens import Provider
from app.settings import Settings
from tests.identity.test_tokens import Issuer, issuer

__all__ = ["issuer"]


@pytest.fixture
def known(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """A provider whose keys were read, and are to be read again at once."""
    made = Provider(Settings(oidc_issuer=issuer.url))
    made.identity(issuer.token())
    monkeypatch.setattr("app.identity.tokens.REFRESH_SECONDS", 0.0)
    monkeypatch.setattr("app.identity.tokens.RETRY_SECONDS", 0.1)
    return made


@pytest.mark.parametrize("away", ["closed", "slow", "garbage", "drip", "endless"])
def test_F34_valid_tokens_go_on_while_the_provider_is_away(
    away: str, issuer: Issuer, known: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer, "away", away)
    for _ in range(5):
        started = time.monotonic()
        assert known.identity(issuer.token()).role == "operator"
        assert time.monotonic() - started < 0.5
        time.sleep(0.15)


def test_F34_after_the_stated_time_they_do_not(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(Settings(oidc_issuer=issuer.url, oidc_keys_seconds=0.2))
    provider.identity(issuer.token())
    monkeypatch.setattr(issuer, "away", "garbage")
    time.sleep(0.3)
    with pytest.raises(IdentityUnavailable, match="does not answer"):
        provider.identity(issuer.token())


def test_F34_garbage_blocks_nobody(issuer: Issuer, known: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens with keys that nobody knows make the provider be asked, one thread at a time; valid ones do not wait."""
    monkeypatch.setattr(issuer, "away", "slow")
    stranger = RSAKey.generate_key(2048, {"kid": "stranger"})
    forged = issuer.token_by(stranger, "stranger")

    def refused(_: int) -> str:
        with pytest.raises((Unauthenticated, IdentityUnavailable)) as error:
            known.identity(forged)
        return type(error.value).__name__

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(refused, number) for number in range(40)]
        time.sleep(0.2)
        for _ in range(10):
            started = time.monotonic()
            assert known.identity(issuer.token()).name == "u1"
            assert time.monotonic() - started < 0.5
        assert {one.result(30) for one in waiting} <= {"Unauthenticated", "IdentityUnavailable"}


def test_F34_keys_that_return_are_read(issuer: Issuer, known: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(issuer, "away", "garbage")
        known.identity(issuer.token())
        time.sleep(0.2)
    monkeypatch.setattr(issuer, "key", RSAKey.generate_key(2048, {"kid": "two"}))
    time.sleep(0.2)
    assert known.identity(issuer.token_by(issuer.key, "two")).role == "operator"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["exp", "nbf", "iat", "iss", "aud", "sub", "roles", "twingraph_roots", "preferred_username", "email"])


@given(st.dictionaries(NAMES, JSON, min_size=1, max_size=4))
@hypothesis_settings(max_examples=300, deadline=None)
def test_claims_of_any_type_let_in_or_refuse(claims: dict[str, Any]) -> None:
    """Never another error; and what is no list of texts never shows all."""
    token = SHARED_ISSUER.signed(claims)
    try:
        found = SHARED_PROVIDER.identity(token)
    except Unauthenticated:
        return
    given_roots = claims.get("twingraph_roots", "absent")
    if "twingraph_roots" in claims:
        assert found.roots == ((given_roots,) if isinstance(given_roots, str) else tuple(given_roots))
    else:
        assert found.roots is None


SHARED_ISSUER = Issuer()
SHARED_PROVIDER = Provider(Settings(oidc_issuer=SHARED_ISSUER.url))


@pytest.mark.parametrize(
    ("roots", "expected"), [("wf01", ("wf01",)), (["a", "b"], ("a", "b")), ([], ()), (None, ""), (1, ""), ([1], ""), ({}, "")]
)
def test_roots_are_typed_and_closed(roots: Any, expected: Any) -> None:
    token = SHARED_ISSUER.signed({"twingraph_roots": roots})
    if expected == "":
        with pytest.raises(Unauthenticated, match="no list of texts"):
            SHARED_PROVIDER.identity(token)
    else:
        assert SHARED_PROVIDER.identity(token).roots == expected


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.hex() + ".x.y"))
@hypothesis_settings(max_examples=200, deadline=None)
def test_tokens_of_anybody_are_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        SHARED_PROVIDER.identity(text)


def test_F29_a_role_that_was_taken_away_counts_at_the_next_look(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With introspection: what the provider says now, not what the token says."""
    provider = Provider(Settings(oidc_issuer=issuer.url, oidc_client="twingraph", oidc_client_secret="s"))
    token = issuer.token(roles=["engineer"])
    issuer.says = {"active": True}
    assert provider.identity(token).role == "engineer"
    issuer.says = {"active": True, "roles": ["reader"], "twingraph_roots": ["wf01"]}
    found = provider.identity(token)
    assert (found.role, found.roots) == ("reader", ("wf01",))
    monkeypatch.setattr(issuer, "away", "garbage")
    assert provider.identity(token).role == "reader"
    monkeypatch.setattr(issuer, "away", "")
    issuer.says = {"active": False}
    with pytest.raises(Unauthenticated, match="no longer active"):
        provider.identity(token)
