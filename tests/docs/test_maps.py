"""The maps at the heads of packages fail when they lag: modules, the tree of errors, what imports what."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import errors
from tests.conftest import ROOT

# From the bottom up; a package imports what lies below it, and what is beside it in NEIGHBOURS.
RANKS = (
    ("errors", "settings", "metrics", "logs", "clock", "disk"),
    ("dtdl",),
    ("graph",),
    ("history",),
    ("twins",),
    ("events", "sources", "jobs", "identity", "commands", "report", "predict", "simulate"),
    ("stack", "http"),
    ("server",),
    ("graphql", "rest", "ingest"),
    ("main", "keeper"),
    ("demo", "cli"),
)
NEIGHBOURS = {
    ("settings", "errors"),
    ("clock", "metrics"),
    ("disk", "metrics"),
    ("commands", "events"),
    ("keeper", "main"),
    ("cli", "demo"),
    ("simulate", "predict"),
}
WITHIN = {"graphql": (("schema",), ("compile",), ("resolve",), ("answer",), ("router",))}
SOURCES = [*(ROOT / "app").rglob("*.py"), *(ROOT / "ingest").rglob("*.py")]


def imports() -> Iterator[tuple[str, str]]:
    """(module, what it imports), dotted."""
    for file in SOURCES:
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from ((name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield name, node.module
                if node.module in ("app", "ingest"):
                    yield from ((name, f"{node.module}.{alias.name}") for alias in node.names)


IMPORTS = sorted(set(imports()))


def room(module: str) -> str:
    """The package below `app`, or `ingest`; empty for other libraries."""
    first, *rest = module.split(".")
    return "ingest" if first == "ingest" else rest[0] if first == "app" and rest else ""


@pytest.mark.parametrize("package", sorted(file.parent for file in SOURCES if file.name == "__init__.py"), ids=str)
def test_every_module_is_in_the_map_of_its_package(package: Path) -> None:
    words = ast.get_docstring(ast.parse((package / "__init__.py").read_text()), clean=False) or ""
    there = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    there = {name for name in there if not name.startswith("__")}
    rows = [re.match(r" {4}((?:\.\./)?[a-z_0-9/.]+(?:, [a-z_0-9]+)*)(?:  | \(|$)", line) for line in words.splitlines()]
    named = {name for row in rows if row for name in re.split(r", ", row[1])}
    named = {name.removesuffix("/").removesuffix(".py") for name in named if not name.startswith("../")}
    assert named == there


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"([│├└─ ]*)([A-Z]\w+)(?:  |$)", line):
            drawn.append((len(found[1]) // 4, found[2]))
    above: dict[int, str] = {}
    for depth, name in drawn:
        above[depth] = name
        bases = {base.__name__ for base in getattr(errors, name).__bases__}
        assert depth == 0 or above[depth - 1] in bases, name
    known = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, Exception)}
    assert {name for _, name in drawn} == known


def test_nothing_points_up() -> None:
    rank = {name: place for place, names in enumerate(RANKS) for name in names}
    assert {room(module) for module, _ in IMPORTS} - {""} == rank.keys()
    found = {(room(a), room(b)) for a, b in IMPORTS if room(a) and room(b)}
    wrong = {(a, b) for a, b in found if a != b and rank[a] <= rank[b] and (a, b) not in NEIGHBOURS}
    assert {(a, b) for a, b in IMPORTS if (room(a), room(b)) in wrong} == set()


def test_nothing_points_up_inside_graphql() -> None:
    rank = {name: place for place, names in enumerate(WITHIN["graphql"]) for name in names}
    pairs = [(a.split(".")[2], b.split(".")[2], a, b) for a, b in IMPORTS if a.count(".") > 1 and b.startswith("app.graphql.")]
    assert [(a, b) for one, two, a, b in pairs if a.startswith("app.graphql.") and rank[one] < rank[two]] == []


def test_only_the_graph_imports_the_driver() -> None:
    assert {room(module) for module, name in IMPORTS if name.split(".")[0] == "neo4j"} == {"graph"}


def test_the_compiler_is_pure() -> None:
    """Below dtdl lies nothing but the errors, and no library that opens a connection."""
    below = {name.split(".")[0] if not room(name) else room(name) for module, name in IMPORTS if room(module) == "dtdl"}
    assert below & {name for names in RANKS for name in names} == {"dtdl", "errors"}
    assert not below & {"neo4j", "httpx", "requests", "socket", "urllib", "asyncio"}


PAGES = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_of_the_code_is_there(page: Path) -> None:
    """Files, folders, and modules with what is in them; a package's name is followed by those of its modules."""
    for path in re.findall(r"`((?:app|ingest|cypher|tests|bench|dtdl_models|docs|\.ci)/[\w./-]*)`", page.read_text()):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`((?:app|ingest)(?:\.\w+)+)`", page.read_text()):
        *modules, last = name.split(".")
        module = ROOT.joinpath(*modules)
        there = (module / last).exists() or (module / f"{last}.py").exists()
        source = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
        assert there or (source.exists() and re.search(rf"\b{last}\b", source.read_text())), name
