"""Who may push over HTTP, and readings of which twins.

With a database that are the keys of role `ingest`, each bound to sources, twins (globs of dtIds) or what lies below a twin, and
administrators; a client certificate that the source has verified stands for the key it was made with. A gateway, without a
database, knows one token."""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Sequence
from fnmatch import fnmatchcase

from app.errors import Forbidden, Unauthenticated
from app.identity import Gate, Identity, allow
from app.identity.gate import THREADS, admitted
from app.identity.logins import Logins
from app.identity.policy import DEVICE
from ingest.mapping.declaration import SourceMapping, fill, pattern

HINT = "twingraph keys create --role ingest"


class Admission:
    def __init__(self, mapping: SourceMapping, token: str, gate: Gate | None) -> None:
        """`token`: the one of a gateway, which has no gate."""
        self._mapping, self._token, self._gate = mapping, token, gate
        self._rules = [(pattern(rule.match), rule) for rule in mapping.rules]
        self._logins = Logins()

    async def who(self, header: str, address: str, certificate: str | None) -> Identity:
        """`certificate`: the client's, verified, as PEM. Raises: Unauthenticated, Forbidden, Busy, Unavailable, StoreError."""
        if self._gate is None:
            return self._of_gateway(header, address)
        if certificate is not None and not header:
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
            identity = await asyncio.get_running_loop().run_in_executor(THREADS, self._gate.certified, digest)
        else:
            identity = await admitted(self._gate, header, address)
        allow(identity, "push")
        source = self._mapping.source
        if identity.sources is not None and not any(fnmatchcase(source, glob) for glob in identity.sources):
            raise Forbidden(f"{identity.name} may not push to the source {source}", hint=HINT)
        return identity

    async def require(self, identity: Identity, addresses: Sequence[str]) -> None:
        """That `identity` may push what has these addresses. Raises: Forbidden, StoreError."""
        if identity.twins is None and identity.roots is None:
            return
        meant = {self._meant(identity, address) for address in dict.fromkeys(addresses)}
        for dt_id, _ in meant:
            if identity.twins is not None and not any(fnmatchcase(dt_id, glob) for glob in identity.twins):
                raise Forbidden(f"{identity.name} may not push readings of {dt_id!r}", hint=HINT)
        if identity.roots is not None and self._gate is not None:
            await asyncio.get_running_loop().run_in_executor(THREADS, self._require_below, self._gate, identity, meant)

    def _require_below(self, gate: Gate, identity: Identity, meant: set[tuple[str, str]]) -> None:
        """A twin that is not there yet lies where its rule would put it."""
        seen = gate.seen(identity, sorted({twin_id for pair in meant for twin_id in pair if twin_id}))
        for dt_id, under in meant:
            if dt_id not in seen and (under not in seen or gate.is_there(dt_id)):
                raise Forbidden(f"{identity.name} may not push readings of {dt_id!r}", hint=HINT)

    def _meant(self, identity: Identity, address: str) -> tuple[str, str]:
        """The dtId of an address, and that of the twin which it is made under. Raises: Forbidden."""
        for regex, rule in self._rules:
            match = regex.fullmatch(address)
            if match is not None:
                parts = match.groupdict()
                under = fill(rule.under.twin, parts) if rule.create and rule.under else ""
                return fill(rule.twin, parts), under
        raise Forbidden(f"{identity.name} may push to addresses of the source's rules alone, not {address[:200]!r}", hint=HINT)

    def _of_gateway(self, header: str, address: str) -> Identity:
        self._logins.require_few(address)
        token = header.removeprefix("Bearer ")
        if not self._token or not hmac.compare_digest(token.encode(), self._token.encode()):
            error = Unauthenticated("a valid token is needed", hint="the gateway's TWINGRAPH_PUSH_TOKEN")
            self._logins.failed(address, error.code)
            raise error
        return Identity("uplink", DEVICE)
