"""Models → GraphQL names. The rules are in the package's map."""

from collections.abc import Iterable

from app.dtdl import Catalog

SYSTEM_FIELDS = (
    "dtId", "model", "etag", "lastMeasured", "lastReceived", "properties", "signals", "history", "series", "descendants",
    "ancestors"
)  # fmt: skip
LITERALS = ("true", "false", "null")


def field_name(name: str) -> str:
    return f"{name}_" if name in SYSTEM_FIELDS else name


def enum_name(name: str) -> str:
    return f"{name}_" if name in LITERALS else name


def lower_first(label: str) -> str:
    """Turbine → turbine, ACLineSegment → acLineSegment."""
    length = next((i for i, c in enumerate(label) if not c.isupper()), len(label))
    length = length if length in (0, 1, len(label)) else length - 1
    return label[: max(length, 1)].lower() + label[max(length, 1) :]


def upper_first(name: str) -> str:
    return name[:1].upper() + name[1:]


def plural(name: str) -> str:
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("s", "x", "z", "ch", "sh")) else "s")


class Taken:
    """The names of one schema; a name that is taken gets `_` at its end."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = set(names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def claim(self, *wanted: str) -> str:
        """The first of `wanted` that is free, else the last one with `_` at its end."""
        name = next((candidate for candidate in wanted if candidate not in self._names), wanted[-1])
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name


def root_names(catalog: Catalog, reserved: Iterable[str]) -> dict[str, tuple[str, str]]:
    """DTMI → (name for one, name for many); where these clash, many is `<one>List`. `reserved`: names that do not grow."""
    taken = Taken(reserved)
    labelled = sorted(catalog.labels.items(), key=lambda row: row[1])
    ones = {dtmi: (lower_first(label), taken.claim(lower_first(label))) for dtmi, label in labelled}
    return {dtmi: (singular, taken.claim(plural(name), f"{name}List")) for dtmi, (name, singular) in ones.items()}
