"""Identifiers in Cypher. Values are parameters, always; a name from a model is quoted here and nowhere else."""

import re

ALLOWED = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def quote(name: str) -> str:
    """`name` in backticks. Raises: ValueError for anything that no DTDL name, label or system key can be."""
    if not ALLOWED.fullmatch(name):
        raise ValueError(f"{name!r} cannot be an identifier in Cypher")
    return f"`{name}`"
