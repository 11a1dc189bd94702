"""The standing statements: none looks through everything there ever was to find one thing."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.graph.store import Store
from app.twins.registry import Registry
from tests.conftest import ROOT

STATEMENTS = sorted((ROOT / "cypher").glob("*/*.cypher"))
GROWING = ("_Event", "_Command", "_Segment", "_Version", "_Link", "Component")  # with every message, change or command


def operators(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield plan["operatorType"].partition("@")[0], plan["args"].get("Details", "")
    for child in plan.get("children", ()):
        yield from operators(child)


def explained(store: Store, text: str) -> dict[str, Any]:
    names = re.findall(r"\$(\w+)", re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
    with store._session("WRITE") as session:
        return dict(session.run(f"EXPLAIN {text}", dict.fromkeys(names)).consume().plan or {})  # type: ignore[arg-type]


@pytest.mark.parametrize("path", STATEMENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_grows_for_ever_is_found_by_an_index(path: Any, registry: Registry) -> None:
    plan = list(operators(explained(registry.store, path.read_text())))
    labels = {details.rpartition(":")[2] for name, details in plan if name == "NodeByLabelScan"}
    assert labels.isdisjoint(GROWING)
    assert "AllNodesScan" not in {name for name, _ in plan}
