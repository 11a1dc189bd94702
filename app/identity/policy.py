"""The table of what each role may do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from app.errors import Forbidden, Unauthenticated

ROLES = ("reader", "operator", "engineer", "administrator")  # each may do what those before it may
DEVICE = "ingest"  # pushes readings, and nothing else
ACTIONS: Mapping[str, str] = {
    "read": "reader",
    "command": "operator",
    "write": "engineer",  # twins, properties, relationships
    "model": "engineer",  # models, migrations, bulk import; of a scope: never
    "metrics": "reader",
    "report": "reader",
    "cypher": "engineer",  # of their own, reading
    "sources": "engineer",  # start, stop, reload
    "keys": "administrator",
    "push": "administrator",  # and devices
}
WHOLE = (
    "model",
    "metrics",
    "report",
    "cypher",
    "sources",
    "keys",
)  # not for who sees a part of it


@dataclass(frozen=True, slots=True)
class Identity:
    """`roots` None: sees every twin; else those below these twins over the relationships `via`."""

    name: str
    role: str
    roots: tuple[str, ...] | None = None
    via: tuple[str, ...] = ()
    expires: datetime | None = None
    key: str = ""
    sources: tuple[str, ...] | None = None  # of a device: where it may push, and of which twins (globs); None: any
    twins: tuple[str, ...] | None = None  # also: what a key of a part of the graph may create

    @property
    def client(self) -> str:
        """Whose requests are counted together."""
        return f"{self.name} {self.key}".strip()

    @property
    def access(self) -> tuple[str, ...] | None:
        """The part that decides a plan; the roots are bound to it."""
        return None if self.roots is None else self.via

    def alive(self) -> None:
        """Raises: Unauthenticated when its time is over."""
        if self.expires is not None and self.expires <= datetime.now(UTC):
            raise Unauthenticated("the credentials have expired", hint="ask for new ones")


LOCAL = Identity("local", "administrator")


def require_named(identity: Identity, dt_ids: Iterable[str]) -> None:
    """That `identity` may create twins of these names, whether or not there are such. Raises: Forbidden."""
    if identity.roots is None:
        return
    for dt_id in dt_ids:
        if identity.twins is not None:
            fits = any(fnmatchcase(dt_id, one) for one in identity.twins)
        else:
            fits = any(dt_id.startswith(root) and not dt_id[len(root) : len(root) + 1].isalnum() for root in identity.roots)
        if not fits:
            hint = "a dtId begins with that of a root and a mark: wf01-t43 below wf01; or twingraph keys create --twin"
            raise Forbidden(f"{identity.name} may not create twins of this name", where=dt_id[:200], hint=hint)


def can(identity: Identity, action: str) -> bool:
    try:
        allow(identity, action)
    except Forbidden:
        return False
    return True


def allow(identity: Identity, action: str) -> None:
    """Raises: Forbidden naming the role that is needed."""
    least = ACTIONS[action]
    if identity.role == DEVICE:
        if action == "push":
            return
        raise Forbidden(f"{identity.name} is a device; this needs {least}", hint="another key: twingraph keys create")
    if ROLES.index(identity.role) < ROLES.index(least):
        raise Forbidden(f"{identity.name} is {identity.role}; this needs {least}", hint="another key: twingraph keys create")
    if action in WHOLE and identity.roots is not None:
        raise Forbidden(f"{identity.name} sees a part of the graph; this touches the whole", hint="use a key without --root")
