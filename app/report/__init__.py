"""Cypher for people: the standing reports of `cypher/report`, each as it also stands in Neo4j Browser, and statements of their
own that read.

In: a report's name, or a statement and who asks. Out: columns and rows.

    reading   a statement → its plan → its rows, where the plan does no more than read
"""

from functools import cache
from typing import Any

from app.graph.records import plain
from app.graph.statements import statement
from app.graph.store import Store
from app.settings import ROOT


@cache
def report_names() -> dict[str, str]:
    """Each report with its first line."""
    paths = sorted((ROOT / "cypher" / "report").glob("*.cypher"))
    return {path.stem: path.read_text("utf-8").partition("\n")[0].removeprefix("// ") for path in paths}


def run_report(store: Store, name: str) -> tuple[list[str], list[list[Any]]]:
    """(columns, rows) of `cypher/report/<name>.cypher`."""
    columns, rows = store.table(statement(f"report/{name}"))
    return columns, [[plain(value) for value in row] for row in rows]
