"""Who may log in to the embedded broker, and what each may publish and subscribe to, as its files say it.

Of the settings whose pattern fits an address the broker takes the most specific alone, so each pattern of a device bears the
roles of every account that may do the same by a wider one; where two patterns overlap, what they share is a pattern too."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from xml.sax.saxutils import quoteattr

MOST_PATTERNS = 20_000
EVERYTHING = "#"
QUEUES = ("createDurableQueue", "deleteDurableQueue", "createNonDurableQueue", "deleteNonDurableQueue")
SEND = ("send", "createAddress")
CONSUME = ("consume", "createAddress", *QUEUES)
ALL = ("send", "consume", "browse", "manage", "createAddress", "deleteAddress", *QUEUES)
Levels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """`password`: in the broker's one-way form; topics with MQTT's wildcards."""

    user: str
    password: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()

    @property
    def role(self) -> str:
        return f"device-{self.user}"


def users(server: Account, devices: Iterable[Account]) -> str:
    return "".join(f"{account.user} = {account.password}\n" for account in (server, *devices))


def roles(server: Account, devices: Iterable[Account]) -> str:
    return f"server = {server.user}\n" + "".join(f"{account.role} = {account.user}\n" for account in devices)


def settings(devices: Sequence[Account]) -> str:
    """The broker's <security-settings>."""
    sends = {account.role: [_levels(topic) for topic in account.publish] for account in devices}
    consumes = {account.role: [_levels(topic) for topic in account.subscribe] for account in devices}
    patterns = _closed({levels for role_patterns in (*sends.values(), *consumes.values()) for levels in role_patterns})
    parts = [_setting(EVERYTHING, [(ALL, ["server"])])]
    for pattern in sorted(patterns):
        granted = [(ALL, ["server"]), (SEND, _granted(sends, pattern)), (CONSUME, _granted(consumes, pattern))]
        parts.append(_setting(_address(pattern), granted))
    return "".join(parts)


def _granted(by_role: dict[str, list[Levels]], pattern: Levels) -> list[str]:
    return [role for role, patterns in by_role.items() if any(_covers(levels, pattern) for levels in patterns)]


def _setting(match: str, granted: Sequence[tuple[tuple[str, ...], list[str]]]) -> str:
    allowed: dict[str, dict[str, None]] = {}
    for kinds, role_names in granted:
        for kind in kinds:
            allowed.setdefault(kind, {}).update(dict.fromkeys(role_names))
    rows = "".join(
        f"<permission type={quoteattr(kind)} roles={quoteattr(','.join(role_names))}/>" for kind, role_names in allowed.items()
    )
    return f"<security-setting match={quoteattr(match)}>{rows}</security-setting>\n"


def _levels(topic: str) -> Levels:
    return tuple(topic.split("/"))


def _address(pattern: Levels) -> str:
    return ".".join("*" if level == "+" else level for level in pattern)


def _covers(wide: Levels, narrow: Levels) -> bool:
    return _shared(wide, narrow) == narrow


def _shared(pattern: Levels, other: Levels) -> Levels | None:
    """The pattern of all topics that both fit; None: there are none."""
    common: list[str] = []
    for index in range(max(len(pattern), len(other)) + 1):
        a, b = (levels[index] if index < len(levels) else None for levels in (pattern, other))
        if a == "#":
            return (*common, *other[index:])
        if b == "#":
            return (*common, *pattern[index:])
        if a is None and b is None:
            return tuple(common)
        if a is None or b is None or ("+" not in (a, b) and a != b):
            return None
        common.append(b if a == "+" else a)
    return tuple(common)


def _closed(patterns: set[Levels]) -> set[Levels]:
    """With what any two share; not beyond a number, where some topics that two devices share are the narrower one's alone."""
    closed = set(patterns)
    fresh = {pattern for pattern in closed if "+" in pattern or "#" in pattern}
    while fresh:
        overlaps = {_shared(pattern, other) for pattern in fresh for other in closed} - closed - {None}
        overlaps |= {_shared(*pair) for pair in combinations(fresh, 2)} - closed - {None}
        if len(closed) + len(overlaps) > MOST_PATTERNS:
            return closed
        fresh = {pattern for pattern in overlaps if pattern is not None}
        closed |= fresh
    return closed
