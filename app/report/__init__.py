"""Reports in Cypher: `cypher/report/*.cypher`, each as it also stands in Neo4j Browser.

In: a report's name. Out: its columns and rows.
"""

from typing import Any

from app.graph.records import plain
from app.graph.statements import statement
from app.graph.store import Store


def run_report(store: Store, name: str) -> tuple[list[str], list[list[Any]]]:
    """(columns, rows) of `cypher/report/<name>.cypher`."""
    columns, rows = store.table(statement(f"report/{name}"))
    return columns, [[plain(value) for value in row] for row in rows]
