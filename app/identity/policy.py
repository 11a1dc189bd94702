"""The table of what each role may do."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from app.errors import Forbidden, Unauthenticated
from app.graph.select.tree import Access

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
class Rights:
    """Within a role and a part of the graph, by model and name.

    `models`: twins with one of these labels are there, None: all. `hidden`: as in Access. `writes`, `commands`: (label or *,
    property, relationship, command or *) that may be changed or sent, None: all; to create or delete a twin is (label, *)."""

    models: tuple[str, ...] | None = None
    hidden: tuple[tuple[str, tuple[str, ...]], ...] = ()
    writes: tuple[tuple[str, str], ...] | None = None
    commands: tuple[tuple[str, str], ...] | None = None

    @classmethod
    def of(cls, models: Sequence[str], hidden: Sequence[str], writes: Sequence[str], commands: Sequence[str]) -> "Rights":
        """Of texts: `Turbine`, `Turbine.maintenanceNote`, `*.feeds`, `Turbine.*`."""
        on: dict[str, set[str]] = {}
        for text in hidden:
            label, _, name = text.partition(".")
            on.setdefault(name, set()).add(label)
        hidden_pairs = tuple((name, () if "*" in labels else tuple(sorted(labels))) for name, labels in sorted(on.items()))
        return cls(tuple(sorted(models)) or None, hidden_pairs, _pairs(writes), _pairs(commands))


def _pairs(texts: Sequence[str]) -> tuple[tuple[str, str], ...] | None:
    return tuple((text.partition(".")[0], text.partition(".")[2]) for text in sorted(texts)) or None


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
    rights: Rights = Rights()

    @property
    def client(self) -> str:
        """Whose requests are counted together."""
        return f"{self.name} {self.key}".strip()

    @property
    def access(self) -> Access | None:
        """The part that decides a plan, None for all; the roots are bound to it."""
        if self.roots is None and self.rights.models is None and not self.rights.hidden:
            return None
        return Access(None if self.roots is None else self.via, self.rights.models, self.rights.hidden)

    @property
    def is_whole(self) -> bool:
        """Whether its role alone says what it may."""
        return self.roots is None and self.rights == Rights()

    def alive(self) -> None:
        """Raises: Unauthenticated when its time is over."""
        if self.expires is not None and self.expires <= datetime.now(UTC):
            raise Unauthenticated("the credentials have expired", hint="ask for new ones")


LOCAL = Identity("local", "administrator")


def require_named(identity: Identity, dt_ids: Iterable[str]) -> None:
    """That `identity` may create twins of these names, whether or not there are such. Raises: Forbidden."""
    if identity.access is None or (identity.roots is None and identity.rights.models is None):
        return
    for dt_id in dt_ids:
        if identity.twins is not None:
            fits = any(fnmatchcase(dt_id, pattern) for pattern in identity.twins)
        else:
            fits = any(
                dt_id.startswith(root) and not dt_id[len(root) : len(root) + 1].isalnum() for root in identity.roots or ()
            )
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
    if action in WHOLE and not identity.is_whole:
        hint = "use a key without --root, --model, --hide, --write, --command"
        raise Forbidden(f"{identity.name} is restricted to a part of the graph; this operation needs all of it", hint=hint)


def require_change(identity: Identity, labels: Collection[str], names: Iterable[str]) -> None:
    """That `identity` may change these of a twin with these labels; `*`: make or delete it. Raises: Forbidden."""
    for name in names:
        hidden = any(
            hidden_name == name and (not on or any(label in labels for label in on))
            for hidden_name, on in identity.rights.hidden
        )
        if hidden or not _fits(identity.rights.writes, labels, name):
            what = "create or delete such twins" if name == "*" else f"change {name!r} of such twins"
            raise Forbidden(f"{identity.name} may not {what}", hint="another key: twingraph keys create --write")


def require_made(identity: Identity, labels: Collection[str], names: Iterable[str]) -> None:
    """That `identity` may make a twin with these labels, with these names. Raises: Forbidden."""
    if identity.rights.models is not None and not set(identity.rights.models) & set(labels):
        raise Forbidden(
            f"{identity.name} may not create twins of this model", hint="another key: twingraph keys create --model"
        )
    require_change(identity, labels, ["*", *names])


def require_command(identity: Identity, labels: Collection[str], name: str) -> None:
    """Raises: Forbidden."""
    if not _fits(identity.rights.commands, labels, name):
        hint = "another key: twingraph keys create --command"
        raise Forbidden(f"{identity.name} may not send {name!r} to such twins", hint=hint)


def _fits(allowed: tuple[tuple[str, str], ...] | None, labels: Collection[str], name: str) -> bool:
    return allowed is None or any((on == "*" or on in labels) and allowed_name in ("*", name) for on, allowed_name in allowed)
