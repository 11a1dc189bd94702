"""Pairs of texts: a model, and the plan it becomes or the problems it has. `UPDATE=1` writes the second anew."""

import os
from pathlib import Path

import pytest

from app.dtdl import compile_models, lower, read_documents
from app.errors import ModelError
from app.graph.ddl import render
from app.graph.store import Store

CASES = Path(__file__).parent / "cases"
VALID = sorted(path for path in CASES.glob("*.json") if not path.with_suffix(".problems").exists())
BROKEN = sorted(CASES.glob("*.problems"))


def expect(path: Path, text: str) -> None:
    if os.environ.get("UPDATE"):
        path.write_text(text)
    assert path.exists(), (
        f"no {path.name}: UPDATE=1 writes it; for a model that is meant to be wrong create its .problems first"
    )
    assert text == path.read_text()


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_model_becomes_plan(path: Path) -> None:
    documents, problems = read_documents([path])
    assert problems == []
    try:
        plan = lower(compile_models(documents))
    except ModelError as error:
        pytest.fail(f"{error}\nwhere it is meant to be wrong, create {path.stem}.problems, empty, and run with UPDATE=1")
    expect(path.with_suffix(".plan"), f"{plan}\n")


def test_enterprise_adds_existence_and_types() -> None:
    catalog = compile_models(read_documents([CASES / "pump.json"])[0])
    plain, rich = lower(catalog), lower(catalog, enterprise=True)
    added = [str(d.kind) for d in rich.definitions if d not in plain.definitions]
    assert set(added) == {"exists", "typed"}
    assert any(render(d).endswith(":: INTEGER | FLOAT") for d in rich.definitions)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_model_has_problems(path: Path) -> None:
    documents, problems = read_documents([path.with_suffix(".json")])
    if documents:
        with pytest.raises(ModelError) as raised:
            compile_models(documents)
        problems = list(raised.value.problems)
    said = "".join(f"{problem}\n" for problem in problems).replace(f"{CASES}/", "")
    expect(path, said)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_plan_is_cypher(path: Path, store: Store) -> None:
    plan = lower(compile_models(read_documents([path])[0]), enterprise=True)
    for definition in plan.definitions:
        store.read(f"EXPLAIN {render(definition)}")
