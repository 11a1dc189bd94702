"""The words fail when they lag."""

import re

from graphql import parse, validate

from app.dtdl import compile_models, read_documents
from app.graph.store import Store
from app.graphql.answer.persisted import Persisted
from app.graphql.answer.schema import TwinSchema
from app.settings import Settings
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(kind: str) -> list[str]:
    return [block for page in PAGES for block in re.findall(rf"```{kind}\n(.*?)```", page.read_text(), re.DOTALL)]


def test_graphql_of_the_pages_is_valid() -> None:
    schema = TwinSchema(compile_models(read_documents([ROOT / "dtdl_models"])[0]), Settings(), Persisted("", False))
    found = [validate(schema._schema, parse(block)) for block in blocks("graphql")]
    assert len(found) == 5
    assert not any(found)


def test_cypher_of_the_pages_and_the_favourites_is_valid(store: Store) -> None:
    favourites = (ROOT / "cypher" / "favourites.cypher").read_text()
    statements = [*blocks("cypher"), *(part for part in favourites.split(";\n") if part.strip())]
    for statement in statements:
        store.read(f"EXPLAIN {statement}")
    assert len(statements) > 4


def test_the_favourites_are_the_standing_reports() -> None:
    favourites = (ROOT / "cypher" / "favourites.cypher").read_text()
    asked = ("window", "by-the-hour", "side-by-side", "monthly-energy")
    paths = [
        *(ROOT / "cypher" / "report").glob("*.cypher"),
        *(ROOT / "cypher" / "history" / f"{name}.cypher" for name in asked),
    ]
    reports = [path.read_text().strip() for path in paths]
    assert [report for report in reports if report not in favourites] == []


def test_every_statement_says_what_it_is_and_names_its_parameters() -> None:
    for path in (ROOT / "cypher").glob("*/*.cypher"):
        head, _, rest = path.read_text().partition("\n")
        comment = "\n".join(line for line in path.read_text().splitlines() if line.startswith("//"))
        assert head.startswith("// "), path
        assert [name for name in re.findall(r"\$\w+", rest) if name not in comment] == [], path


def test_no_address_of_a_registry_is_recorded() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    lists = "".join(path.read_text() for path in (ROOT / "app" / "stack" / "jars").glob("*.txt"))
    assert "://" not in lock + lists
    assert lock.count("--hash=sha256:") > 300
