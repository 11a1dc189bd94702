"""Models → GraphQL names. The rules are in the room's map."""

from app.dtdl import Catalog

SYSTEM_FIELDS = ("dtId", "model", "etag", "properties", "signals", "history")


def field_name(name: str) -> str:
    return f"{name}_" if name in SYSTEM_FIELDS else name


def lower_first(label: str) -> str:
    """Turbine → turbine, ACLineSegment → acLineSegment."""
    length = next((i for i, c in enumerate(label) if not c.isupper()), len(label))
    length = length if length in (0, 1, len(label)) else length - 1
    return label[: max(length, 1)].lower() + label[max(length, 1) :]


def plural(name: str) -> str:
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("s", "x", "z", "ch", "sh")) else "s")


def root_names(catalog: Catalog) -> dict[str, tuple[str, str]]:
    """DTMI → (name for one, name for many); where these clash, many is `<one>List`."""
    taken: set[str] = {"twin", "twins", "command", "models", "sources", "version"}
    names: dict[str, tuple[str, str]] = {}
    ones = {dtmi: lower_first(label) for dtmi, label in sorted(catalog.labels.items(), key=lambda row: row[1])}
    for dtmi, one in ones.items():
        one = one if one not in taken else f"{one}_"
        taken.add(one)
        names[dtmi] = (one, "")
    for dtmi, (one, _) in names.items():
        many = plural(one)
        many = many if many not in taken else f"{one}List"
        taken.add(many)
        names[dtmi] = (one, many)
    return names


def type_name(catalog: Catalog, label: str, suffix: str) -> str:
    """`<Label><Suffix>`, with `_` between where a model has that very label."""
    joined = f"{label}{suffix}"
    return joined if joined not in catalog.by_label else f"{label}_{suffix}"
