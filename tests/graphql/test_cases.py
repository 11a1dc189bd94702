"""Query, the Cypher it becomes, and the answer; each Cypher is also explained by the real Neo4j. `UPDATE=1` writes anew."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from graphql import parse

from tests.graphql.conftest import Ask, schema_of

CASES = sorted((Path(__file__).parent / "cases").glob("*.graphql"))


def variables_of(text: str) -> dict[str, Any]:
    """A first line `# {…}` holds the variables."""
    first = text.splitlines()[0]
    return json.loads(first[1:]) if first.startswith("# {") else {}


def expect(path: Path, text: str) -> None:
    if os.environ.get("UPDATE"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_query_becomes_cypher(path: Path, app: FastAPI) -> None:
    query = path.read_text()
    server = app.state.server
    schema = schema_of(app)
    entry = schema.plans.entry(query, parse(query), None)
    assert entry is not None
    variables = schema.plans.variables(entry, variables_of(query))
    plan = schema.plans.plan(entry, variables)
    statements = [step.statement.text for step in plan.steps if step.statement]
    expect(path.with_suffix(".cypher"), "\n\n".join(statements) + "\n")
    for step in plan.steps:
        if step.statement:
            values = {f"p{i}": p.value(variables.coerced) for i, p in enumerate(step.statement.params)}
            server.store.read(f"EXPLAIN {step.statement.text}", values)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_query_is_answered(path: Path, ask: Ask) -> None:
    query = path.read_text()
    answer = await ask(query, **variables_of(query))
    expect(path.with_suffix(".json"), json.dumps(answer, indent=1, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_executor_gives_the_same_answer(path: Path, ask: Ask) -> None:
    """A static field beside the compiled ones sends the whole operation through the executor."""
    query = path.read_text()
    head, brace, rest = query.partition("{\n")
    mixed = await ask(f"{head}{brace}  models {{ label }}\n{rest}", **variables_of(query))
    alone = await ask(query, **variables_of(query))
    assert mixed["data"].pop("models")
    assert mixed["data"] == alone["data"]
