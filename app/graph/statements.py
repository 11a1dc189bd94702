"""The standing statements: `cypher/<room>/<name>.cypher`, read once."""

from functools import cache

from app.settings import ROOT


@cache
def statement(name: str) -> str:
    return (ROOT / "cypher" / f"{name}.cypher").read_text(encoding="utf-8")
