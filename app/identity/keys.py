"""API keys. The text is shown once; the graph keeps a hash of it: 256 random bits need no slow one.

A key of role `ingest` is a device's: it may push readings, to the sources and of the twins that it is bound to, and log in to
the embedded MQTT broker for its topics."""

import hashlib
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from app.dtdl import Catalog
from app.errors import NotFound, SettingError, StoreError
from app.graph.records import plain
from app.graph.statements import statement
from app.graph.store import Store
from app.graph.typed import all_typed
from app.identity.policy import DEVICE, ROLES, Identity, Rights

log = structlog.get_logger()
PREFIX = "tg_"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
MEMBER = re.compile(rf"(?:\*|{NAME.pattern})\.(?:\*|{NAME.pattern})")
LONGEST_NAME = 100
USE_SECONDS = 60.0  # between two notes of one key's use
MQTT_ITERATIONS = 1024


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key is for. `roots` and `via`: as of an Identity; `sources`, `twins` (globs of dtIds): what a device may push,
    empty: any; `publish`, `subscribe`: its MQTT topics, with MQTT's wildcards; `certificate`: the SHA-256 of a client
    certificate that stands for the key, as hexadecimal digits."""

    name: str
    role: str
    roots: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    certificate: str | None = None
    models: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the graph has it, without its text. `roots` None: all; `mqtt`, `mosquitto`: the secret, one-way, as the embedded
    broker and mosquitto check it."""

    id: str
    name: str
    role: str
    hash: str
    via: tuple[str, ...]
    roots: tuple[str, ...] | None = None
    sources: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    certificate: str | None = None
    models: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    mqtt: str | None = None
    mosquitto: str | None = None
    created_at: str | None = None
    expires_at: str | None = None
    revoked_at: str | None = None
    used_at: str | None = None


MOMENTS = {"created_at": "createdAt", "expires_at": "expiresAt", "revoked_at": "revokedAt", "used_at": "usedAt"}


def create(store: Store, grant: Grant, expires: datetime | None = None) -> str:
    """The key's text. Raises: SettingError for a grant that does not fit together; NotFound for a missing root."""
    _check(grant)
    existing = {dt_id for dt_id, _ in store.read(statement("twin/models"), {"dtIds": list(grant.roots)})}
    for root in grant.roots:
        if root not in existing:
            raise NotFound(f"no twin {root!r}", hint="--root takes the dtId of a twin")
    identifier, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    grant_fields = {field.name: _list(getattr(grant, field.name)) for field in fields(grant)}
    key_fields = {"id": identifier, "hash": _hash(secret), "expiresAt": expires, "roots": list(grant.roots) or None}
    if grant.publish or grant.subscribe:
        key_fields |= {"mqtt": masked(secret), "mosquitto": _for_mosquitto(secret)}
    store.run(statement("identity/create"), properties=grant_fields | key_fields)
    return f"{PREFIX}{identifier}_{secret}"


def _check(grant: Grant) -> None:
    """Raises: SettingError."""
    if grant.role not in (*ROLES, DEVICE):
        raise SettingError(f"no role {grant.role!r}", hint=f"roles are {', '.join((*ROLES, DEVICE))}")
    if not 1 <= len(grant.name) <= LONGEST_NAME:
        raise SettingError(f"a key needs a name of 1 to {LONGEST_NAME} characters")
    for name in grant.via:
        if not NAME.fullmatch(name):
            raise SettingError(f"{name!r} is not the name of a relationship", hint="such as contains")
    device = (grant.sources, grant.publish, grant.subscribe)
    if grant.role != DEVICE and (any(device) or grant.certificate):
        raise SettingError(f"sources, topics and certificates are for keys of role {DEVICE}", hint=f"--role {DEVICE}")
    if grant.role != DEVICE and grant.twins and not (grant.roots or grant.models):
        raise SettingError("twins that a key may create go with its roots or models", hint="--root, --model")
    if grant.role == DEVICE and not any((*device, grant.twins, grant.roots)):
        raise SettingError("a device's key is bound to sources, twins, a subtree or topics", hint="--twin, --root, --publish")
    for topic in (*grant.publish, *grant.subscribe):
        _check_topic(topic)
    narrowed = (*grant.models, *grant.hidden, *grant.writes, *grant.commands)
    if narrowed and grant.role in (DEVICE, ROLES[-1]):
        raise SettingError(f"models, properties and commands do not narrow the role {grant.role}", hint="reader to engineer")
    for model in grant.models:
        if not NAME.fullmatch(model):
            raise SettingError(f"{model!r} is not the label of a model", hint="such as Turbine")
    for name in (*grant.hidden, *grant.writes, *grant.commands):
        if not MEMBER.fullmatch(name) or (name in grant.hidden and name.endswith(".*")):
            raise SettingError(f"{name!r} is not what a model has", hint="Turbine.maintenanceNote, *.feeds; Turbine.* to write")


def require_known(grant: Grant, catalog: Catalog) -> None:
    """That what it names is there: a right on nothing would narrow nothing. Raises: SettingError."""
    for model in grant.models:
        if model not in catalog.by_label:
            raise SettingError(f"no model {model!r}", hint="a label, as twingraph models list shows them")
    for member in (*grant.hidden, *grant.writes, *grant.commands):
        label, _, name = member.partition(".")
        if label != "*" and label not in catalog.by_label:
            raise SettingError(f"no model {label!r}", where=member, hint="a label, as twingraph models list shows them")
        dtmis = [catalog.by_label[label]] if label != "*" else list(catalog.interfaces)
        sent = member in grant.commands
        if name != "*" and not any(name in catalog.contents[m] and (name in catalog.commands(m)) is sent for m in dtmis):
            hint = "a command" if sent else "a property, signal, component or relationship"
            raise SettingError(f"no model has {name!r}", where=member, hint=hint)


def _check_topic(topic: str) -> None:
    steps = topic.split("/")
    plain_steps = all(step == "+" or not set(step) & set("+# .,;\n\r=") for step in steps[:-1])
    last = steps[-1] in ("+", "#") or not set(steps[-1]) & set("+# .,;\n\r=")
    if not topic or not plain_steps or not last or topic in ("#", "+"):
        hint = "such as fleet/wf01/t01/# ; + and # stand for whole levels, and not for everything"
        raise SettingError(f"{topic!r} is no topic for a device", hint=hint)


def listed(store: Store) -> list[Key]:
    """Every key, the newest last."""
    return list(all_typed(Key, (_row(node) for (node,) in store.read(statement("identity/list")))))


def live_devices(store: Store) -> list[Key]:
    """The keys that may log in to the broker now."""
    now = datetime.now(UTC)
    return [key for key in listed(store) if key.mqtt and key.revoked_at is None and _expires(key, now)]


def revoke(store: Store, identifier: str) -> None:
    """Raises: NotFound."""
    if not store.run(statement("identity/revoke"), id=identifier):
        raise NotFound(f"no key {identifier!r}", hint="twingraph keys list")


def rotate(store: Store, identifier: str, grace: timedelta, lasts: timedelta | None) -> str:
    """Another key for the same, which lasts so long; the old one holds for `grace`. Raises: NotFound."""
    old = next((key for key in listed(store) if key.id == identifier and key.revoked_at is None), None)
    if old is None:
        raise NotFound(f"no key {identifier!r}", hint="twingraph keys list")
    grant_fields = {field.name: getattr(old, field.name) for field in fields(Grant)}
    grant = Grant(**grant_fields | {"roots": old.roots or (), "certificate": None})  # a new key, and a certificate of its own
    new_key = create(store, grant, None if lasts is None else datetime.now(UTC) + lasts)
    store.run(statement("identity/shorten"), id=identifier, until=datetime.now(UTC) + grace)
    return new_key


def find(store: Store, text: str) -> Identity | None:
    """The identity of a key that is valid now; of its roots those twins that were there when it was made."""
    identifier, _, secret = text.removeprefix(PREFIX).partition("_")
    for key, roots in _found(store, id=identifier):
        if secrets.compare_digest(key.hash.encode(), _hash(secret).encode()):
            return _identity(key, roots)
    return None


def find_certified(store: Store, certificate: str) -> Identity | None:
    """As `find`, by the SHA-256 of a client certificate that was verified."""
    return next((_identity(key, roots) for key, roots in _found(store, certificate=certificate)), None)


def _found(store: Store, **by: str) -> Iterator[tuple[Key, tuple[str, ...]]]:
    """The keys that are good, and the roots of each that are still the twins of then."""
    for node, roots in store.read(statement("identity/find"), {"id": None, "certificate": None} | by):
        for key in all_typed(Key, [_row(node)]):
            if key.role in (*ROLES, DEVICE) and (key.roots is None or roots):
                yield key, tuple(roots)


def _identity(key: Key, known_roots: tuple[str, ...]) -> Identity:
    roots = None if key.roots is None else known_roots
    expires = datetime.fromisoformat(key.expires_at) if key.expires_at is not None else None
    bound = (key.sources or None, key.twins or None, Rights.of(key.models, key.hidden, key.writes, key.commands))
    return Identity(key.name, key.role, roots, tuple(sorted(key.via)), expires, key.id, *bound)


class Uses:
    """When keys were last used, noted in the graph once a minute at most."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: dict[str, float] = {}

    def note(self, identifier: str) -> None:
        now = time.monotonic()
        if now - self._noted.get(identifier, float("-inf")) < USE_SECONDS:
            return
        self._noted[identifier] = now
        while len(self._noted) > 10_000:
            self._noted.pop(next(iter(self._noted)), None)
        try:
            self._store.run(statement("identity/used"), id=identifier)
        except StoreError as error:  # whoever asks is let in all the same
            log.warning("last use of a key could not be recorded", key=identifier, error=str(error))


def masked(secret: str) -> str:
    """The embedded broker's one-way form `ENC(iterations:salt:hash)`, PBKDF2 with SHA-1."""
    salt = secrets.token_bytes(32)
    derived = hashlib.pbkdf2_hmac("sha1", secret.encode(), salt, MQTT_ITERATIONS, 64)
    return f"ENC({MQTT_ITERATIONS}:{salt.hex().upper()}:{derived.hex().upper()})"


def _for_mosquitto(secret: str) -> str:
    """As `mosquitto_passwd` writes it: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(12)
    derived = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, MQTT_ITERATIONS)
    return f"$7${MQTT_ITERATIONS}${b64encode(salt).decode()}${b64encode(derived).decode()}"


def mosquitto_files(devices: Iterable[Key]) -> tuple[str, str]:
    """The password file and the access control list of these devices."""
    users, rules = "", ""
    for device in devices:
        users += f"{device.id}:{device.mosquitto}\n"
        rules += f"user {device.id}\n"
        rules += "".join(f"topic write {topic}\n" for topic in device.publish)
        rules += "".join(f"topic read {topic}\n" for topic in device.subscribe) + "\n"
    return users, rules


def _row(node: dict[str, Any]) -> dict[str, Any]:
    return node | {name: plain(node.get(key)) for name, key in MOMENTS.items()}


def _list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _expires(key: Key, now: datetime) -> bool:
    """Whether it is still good."""
    return key.expires_at is None or datetime.fromisoformat(key.expires_at) > now


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
