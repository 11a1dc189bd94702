"""API keys. The text is shown once; the graph keeps a hash of it: 256 random bits need no slow one."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.errors import NotFound, SettingError
from app.graph.records import plain
from app.graph.statements import statement
from app.graph.store import Store
from app.graph.typed import all_typed
from app.identity.policy import ROLES, Identity

PREFIX = "tg_"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    id: str
    name: str
    role: str
    roots: tuple[str, ...] | None
    via: tuple[str, ...]
    created_at: str
    expires_at: str | None
    revoked_at: str | None


def create(
    store: Store,
    name: str,
    role: str,
    roots: Sequence[str] = (),
    via: Sequence[str] = (),
    expires: datetime | None = None,
) -> str:
    """The key's text. Raises: SettingError for an unknown role or relationship name; NotFound for a missing root."""
    if role not in ROLES:
        raise SettingError(f"no role {role!r}", hint=f"roles are {', '.join(ROLES)}")
    if not 1 <= len(name) <= 100:
        raise SettingError("a key needs a name of 1 to 100 characters")
    for one in via:
        if not NAME.fullmatch(one):
            raise SettingError(f"{one!r} is not the name of a relationship", hint="such as contains")
    found = {dt_id for dt_id, _ in store.read(statement("twin/models"), {"dtIds": list(roots)})}
    for root in roots:
        if root not in found:
            raise NotFound(f"no twin {root!r}", hint="--root takes the dtId of a twin")
    identifier, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    properties = {"id": identifier, "name": name, "role": role, "hash": _hash(secret), "via": list(via), "expiresAt": expires}
    store.run(statement("identity/create"), properties=properties | {"roots": list(roots) if roots else None})
    return f"{PREFIX}{identifier}_{secret}"


def listed(store: Store) -> list[KeyRecord]:
    rows = store.read(statement("identity/list"))
    return [_record(key) for key in all_typed(Key, (node | _moments(node) for (node,) in rows))]


def revoke(store: Store, identifier: str) -> None:
    """Raises: NotFound."""
    if not store.run(statement("identity/revoke"), id=identifier):
        raise NotFound(f"no key {identifier!r}", hint="twingraph keys list")


def find(store: Store, text: str) -> Identity | None:
    """The identity of a key that is valid now."""
    identifier, _, secret = text.removeprefix(PREFIX).partition("_")
    rows = store.read(statement("identity/find"), {"id": identifier})
    key = next(all_typed(Key, (node | _moments(node) for (node,) in rows)), None)
    if key is None or key.role not in ROLES or not secrets.compare_digest(key.hash.encode(), _hash(secret).encode()):
        return None
    expires = datetime.fromisoformat(key.expiresAt) if key.expiresAt is not None else None
    return Identity(key.name, key.role, key.roots, tuple(sorted(key.via)), expires, key.id)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as the graph has it."""

    id: str
    name: str
    role: str
    hash: str
    via: tuple[str, ...]
    roots: tuple[str, ...] | None = None
    createdAt: str | None = None
    expiresAt: str | None = None
    revokedAt: str | None = None


def _moments(node: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(node.get(name)) for name in ("createdAt", "expiresAt", "revokedAt")}


def _record(key: Key) -> KeyRecord:
    moments = (key.createdAt or "", key.expiresAt, key.revokedAt)
    return KeyRecord(key.id, key.name, key.role, key.roots, key.via, *moments)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
