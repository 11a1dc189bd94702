"""The header of a request → who asks; and whether they may see a twin."""

import asyncio
import hashlib
import hmac
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

import structlog

from app.errors import IdentityUnavailable, NotFound, StoreError, Unauthenticated, Unavailable
from app.graph.select.printer import seen
from app.graph.store import Store
from app.identity import keys
from app.identity.logins import Logins
from app.identity.policy import LOCAL, Identity
from app.identity.tokens import Provider
from app.settings import Settings

log = structlog.get_logger()
KEPT_SECONDS = 3.0  # a revoked key still opens for so long
GOOD_SECONDS = 3600.0
KEPT = 10_000
LOOK_SECONDS = 10.0
THREADS = ThreadPoolExecutor(16, "identity")  # of their own: clients that hold every worker lock nobody out


@dataclass(slots=True)
class _Known:
    identity: Identity
    until: float  # remembered
    good: float  # when it was last found to be valid


class Gate:
    """What a token stands for is remembered for three seconds; for an hour, that it was good: then nobody's failed logins stand
    in its way."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._token = store, settings.token
        self._provider = Provider(settings) if settings.oidc_issuer else None
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = Lock()
        self._uses = keys.Uses(store)
        self.logins = Logins()

    def identify(self, header: str) -> Identity:
        """`Bearer <token>`, or Basic with the token as password for browsers that open a page.

        Raises: Unauthenticated; StoreError when a key, Unavailable when a provider cannot be asked."""
        identity = self.remembered(header)
        if identity is not None:
            return identity
        text = _credentials(header)
        return self._kept(_digest(text), lambda: self._looked_up(text))

    def certified(self, certificate: str) -> Identity:
        """Whom a client certificate, verified, stands for; by its SHA-256. Raises: Unauthenticated, StoreError."""
        digest = _digest(f"certificate {certificate}")
        identity = self._remembered(digest)
        return identity if identity is not None else self._kept(digest, lambda: self._of_certificate(certificate))

    def _kept(self, digest: bytes, look_up: Callable[[], Identity]) -> Identity:
        try:
            identity = look_up()
            identity.alive()
        except Unauthenticated:
            with self._lock:
                self._known.pop(digest, None)
            raise
        now = time.monotonic()
        with self._lock:
            self._known[digest] = _Known(identity, now + KEPT_SECONDS, now)
            self._known.move_to_end(digest)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return identity

    def require_same(self, header: str, identity: Identity) -> None:
        """As the function of this name, for threads."""
        if self.identify(header) != identity:
            raise _changed()

    def remembered(self, header: str) -> Identity | None:
        """Who asks, where that needs no look at the graph or the provider. Raises: Unauthenticated without credentials, or with
        some that have expired."""
        text = _credentials(header)
        if self._token and hmac.compare_digest(text.encode(), self._token.encode()):
            return LOCAL
        return self._remembered(_digest(text))

    def _remembered(self, digest: bytes) -> Identity | None:
        with self._lock:
            entry = self._known.get(digest)
        if entry is None or entry.until <= time.monotonic():
            return None
        entry.identity.alive()
        return entry.identity

    def is_good(self, header: str) -> bool:
        """Whether these credentials were valid within the last hour."""
        try:
            text = _credentials(header)
        except Unauthenticated:
            return False
        if self._token and hmac.compare_digest(text.encode(), self._token.encode()):
            return True
        with self._lock:
            entry = self._known.get(_digest(text))
        return entry is not None and time.monotonic() - entry.good < GOOD_SECONDS

    def _looked_up(self, text: str) -> Identity:
        if text.startswith(keys.PREFIX):
            identity = keys.find(self._store, text)
            if identity is not None:
                self._uses.note(identity.key)
                return identity
        elif self._provider is not None and text.count(".") == 2:
            return self._provider.identity(text)
        raise Unauthenticated("a valid token is needed", hint="Authorization: Bearer <token>")

    def _of_certificate(self, certificate: str) -> Identity:
        identity = keys.find_certified(self._store, certificate)
        if identity is None:
            raise Unauthenticated("no key is bound to this client certificate", hint="twingraph keys create --certificate")
        self._uses.note(identity.key)
        return identity

    def require_visible(self, identity: Identity, dt_ids: Iterable[str]) -> None:
        """Raises: NotFound for a twin outside the identity's scope, in the words for one that does not exist."""
        unique_ids = list(dict.fromkeys(dt_ids))
        if identity.access is None or not unique_ids:
            return
        visible = self.seen(identity, unique_ids)
        for dt_id in unique_ids:
            if dt_id not in visible:
                raise NotFound(f"no twin {dt_id!r}", hint="twins(model:) lists those that are")

    def seen(self, identity: Identity, dt_ids: Sequence[str]) -> set[str]:
        """Those of these twins that are there and within the identity's scope. Raises: StoreError."""
        text = f"UNWIND $dtIds AS dtId MATCH (t:Twin {{dtId: dtId}}) WHERE {seen('t', identity.access, '$roots')} RETURN t.dtId"
        rows = self._store.read(text, {"dtIds": list(dt_ids), "roots": list(identity.roots or ())}, LOOK_SECONDS)
        return {dt_id for (dt_id,) in rows}

    def labels(self, identity: Identity, dt_ids: Sequence[str]) -> dict[str, list[str]]:
        """Of twins within the identity's scope, by dtId. Raises: NotFound, StoreError."""
        fits = seen("t", identity.access, "$roots")
        text = f"UNWIND $dtIds AS dtId MATCH (t:Twin {{dtId: dtId}}) WHERE {fits} RETURN dtId, labels(t)"
        unique_ids = list(dict.fromkeys(dt_ids))
        labels_by_id = dict(self._store.read(text, {"dtIds": unique_ids, "roots": list(identity.roots or ())}, LOOK_SECONDS))
        for dt_id in unique_ids:
            if dt_id not in labels_by_id:
                raise NotFound(f"no twin {dt_id!r}", hint="twins(model:) lists those that are")
        return labels_by_id

    def is_there(self, dt_id: str) -> bool:
        """Whether there is such a twin, seen or not. Raises: StoreError."""
        return bool(self._store.read("MATCH (t:Twin {dtId: $dtId}) RETURN t.dtId", {"dtId": dt_id}, LOOK_SECONDS))


async def identified(gate: Gate, header: str, seconds: float = LOOK_SECONDS) -> Identity:
    """`seconds`: how long an answer is waited for. Raises: Unauthenticated, StoreError, Unavailable."""
    identity = gate.remembered(header)
    if identity is not None:
        return identity
    looking = asyncio.get_running_loop().run_in_executor(THREADS, gate.identify, header)
    done, _ = await asyncio.wait((looking,), timeout=seconds)
    if not done:
        looking.add_done_callback(lambda late: late.cancelled() or late.exception())
        raise IdentityUnavailable(
            "the credentials cannot be checked now", hint="the database or the identity provider is silent"
        )
    return looking.result()


async def admitted(gate: Gate, header: str, address: str) -> Identity:
    """As `identified`, for a request from anywhere: failed logins are counted, after many refused unseen. Raises: Busy."""
    if not gate.is_good(header):
        gate.logins.require_few(address)
    try:
        return await identified(gate, header)
    except Unauthenticated as error:
        gate.logins.failed(address, error.code)
        raise


async def require_same(gate: Gate, header: str, identity: Identity, seconds: float = LOOK_SECONDS) -> None:
    """Raises: Unauthenticated when these credentials no longer stand for `identity`; as `identified`."""
    if await identified(gate, header, seconds) != identity:
        raise _changed()


async def require_not_revoked(gate: Gate, header: str, identity: Identity) -> None:
    """As `require_same`, for what is open: while who asks cannot be found out, it stays so. Raises: Unauthenticated."""
    try:
        await require_same(gate, header, identity)
    except (StoreError, Unavailable) as error:
        log.warning("credentials cannot be checked", client=identity.client, error=str(error))


def _changed() -> Unauthenticated:
    return Unauthenticated("the permissions of these credentials have changed", hint="connect again, or ask for new ones")


def _digest(text: str) -> bytes:
    """Tokens are not kept, only what they hash to."""
    return hashlib.sha256(text.encode()).digest()


def _credentials(header: str) -> str:
    scheme, _, credentials = header.strip().partition(" ")
    if scheme.lower() == "basic":
        try:
            credentials = b64decode(credentials, validate=True).decode().partition(":")[2]
        except ValueError:
            credentials = ""
    if scheme.lower() not in ("bearer", "basic") or not credentials.strip():
        raise Unauthenticated("a valid token is needed", hint="Authorization: Bearer <token>")
    return credentials.strip()
