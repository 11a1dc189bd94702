"""The header of a request → who asks; and whether they may see a twin."""

import hmac
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

from app.errors import NotFound, Unauthenticated
from app.graph.cypher import print_root
from app.graph.records import one_record
from app.graph.select import ACCESS, Root, Scope, Value, param
from app.graph.store import Store
from app.identity import keys
from app.identity.policy import LOCAL, Identity
from app.identity.tokens import Provider
from app.settings import Settings

KEPT_SECONDS = 5.0
KEPT = 10_000
LOOK_SECONDS = 10.0


class Gate:
    """What a key stands for is remembered for five seconds: so long a revoked one still opens."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._token = store, settings.token
        self._provider = Provider(settings) if settings.oidc_issuer else None
        self._known: OrderedDict[str, tuple[float, Identity]] = OrderedDict()
        self._lock = Lock()

    def identify(self, header: str) -> Identity:
        """`Bearer <token>`, or Basic with the token as password for browsers that open a page.

        Raises: Unauthenticated; StoreError when a key cannot be looked up."""
        known = self.remembered(header)
        if known is None:
            text = _credentials(header)
            known = self._looked_up(text)
            self._keep(text, (time.monotonic() + KEPT_SECONDS, known))
        known.alive()
        return known

    def remembered(self, header: str) -> Identity | None:
        """Who asks, where that needs no look at the graph or the provider. Raises: Unauthenticated without credentials."""
        text = _credentials(header)
        if self._token and hmac.compare_digest(text.encode(), self._token.encode()):
            return LOCAL
        with self._lock:
            until, known = self._known.get(text, (0.0, None))
        return known if until > time.monotonic() else None

    def _looked_up(self, text: str) -> Identity:
        if text.startswith(keys.PREFIX):
            found = keys.find(self._store, text)
            if found is not None:
                return found
        elif self._provider is not None and text.count(".") == 2:
            return self._provider.identity(text)
        raise Unauthenticated("a valid token is needed", hint="Authorization: Bearer <token>")

    def _keep(self, text: str, known: tuple[float, Identity]) -> None:
        with self._lock:
            self._known[text] = known
            if len(self._known) > KEPT:
                self._known.popitem(last=False)

    def sees(self, identity: Identity, dt_ids: Iterable[str]) -> None:
        """Raises: NotFound for a twin outside the identity's scope, in the words for one that does not exist."""
        if identity.roots is None:
            return
        for dt_id in dict.fromkeys(dt_ids):
            asked = print_root(Root("Twin", Scope((Value("dtId"),)), dt_id=param(dt_id), access=identity.via))
            variables = {ACCESS: list(identity.roots)}
            parameters = {f"p{index}": given.value(variables) for index, given in enumerate(asked.params)}
            if not one_record(self._store, asked.text, parameters, LOOK_SECONDS)[0]:
                raise NotFound(f"no twin {dt_id!r}", hint="twins(model:) lists those that are")


def _credentials(header: str) -> str:
    scheme, _, given = header.strip().partition(" ")
    if scheme.lower() == "basic":
        try:
            given = b64decode(given, validate=True).decode().partition(":")[2]
        except ValueError:
            given = ""
    if scheme.lower() not in ("bearer", "basic") or not given.strip():
        raise Unauthenticated("a valid token is needed", hint="Authorization: Bearer <token>")
    return given.strip()
