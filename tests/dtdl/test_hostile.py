"""Whatever comes in, a problem comes out: never another exception, never without end."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dtdl.analysis import analyse
from app.dtdl.syntax import Document, Problem, parse
from tests.conftest import ROOT, SHARED

MODELS = [json.loads(path.read_text()) for path in sorted((ROOT / "dtdl_models").rglob("*.json"))]
OURS = tuple(MODELS)
ONTOLOGIES = sorted((SHARED / "dtdl" / "ontologies").glob("*/**/*.json"))[::25]  # where they are on this machine
MODELS += [json.loads(path.read_text(encoding="utf-8-sig")) for path in ONTOLOGIES]
WORDS = ["Interface", "Property", "Telemetry", "Component", "Object", "Array", "Map", "Enum", "Velocity", "double", "", "a:b"]
WORDS += ["dtmi:dtdl:context;3", "dtmi:dtdl:context;4#limitless", "dtmi:a:b;1", "dtmi:a", "#", "@id", "@type", "@context"]
KEYS = [
    "@id",
    "@type",
    "@context",
    "contents",
    "extends",
    "schema",
    "schemas",
    "fields",
    "name",
    "unit",
    "request",
    "elementSchema",
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


def compiled(text: str) -> None:
    document = parse("hostile.json", text)
    if isinstance(document, Document):
        for problem in analyse([document]).problems:
            str(problem)
    else:
        assert isinstance(document, Problem)


@given(values)
@settings(max_examples=400, deadline=None)
def test_any_json(value: Any) -> None:
    compiled(json.dumps(value))


@given(st.sampled_from(range(len(MODELS))), st.data())
@settings(max_examples=300, deadline=None)
def test_mutated_models(index: int, data: st.DataObject) -> None:
    model = copy.deepcopy(MODELS[index])
    node, steps = model, data.draw(st.integers(1, 6))
    for _ in range(steps):
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and data.draw(st.booleans()):
            node = node[key]
        else:
            node[key] = data.draw(values)
            break
    compiled(json.dumps(model))


def nested(depth: int) -> str:
    schema: Any = "double"
    for _ in range(depth):
        schema = {"@type": "Array", "elementSchema": schema}
    content = {"@type": "Property", "name": "deep", "schema": schema}
    return json.dumps({"@context": "dtmi:dtdl:context;4", "@id": "dtmi:a:b;1", "@type": "Interface", "contents": [content]})


HOSTILE = {
    "deep": nested(300),
    "deeper": "[" * 100_000,
    "many digits": '{"@context": ' + "9" * 10_000 + "}",
    "infinite": '{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:a:b;1", "@type": "Interface", "comment": 1e400}',
    "doubled": '{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:a:b;1", "@id": "dtmi:a:c;1", "@type": "Interface"}',
    "megabyte": json.dumps({"@context": "dtmi:dtdl:context;3", "@id": "dtmi:a:b;1", "@type": "Interface", "x": "y" * 2**20}),
    "mistakes": json.dumps(
        {
            "@context": "dtmi:dtdl:context;3",
            "@id": "dtmi:a:b;1",
            "@type": "Interface",
            "contents": [{"@type": f"Telemetri{i}", "nam": i, "schema": f"dubble{i}"} for i in range(20_000)],
        }
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(60)
def test_hostile_texts(name: str) -> None:
    document = parse("hostile.json", HOSTILE[name])
    problems = analyse([document]).problems if isinstance(document, Document) else (document,)
    assert problems
    assert all(str(problem) for problem in problems[:100])


def circles() -> list[dict[str, Any]]:
    """Twenty interfaces that all extend each other, and a schema that holds itself."""
    names = [f"dtmi:circle:I{i};1" for i in range(20)]
    return [
        {"@context": "dtmi:dtdl:context;4", "@id": name, "@type": "Interface", "extends": [n for n in names if n != name]}
        for name in names
    ]


@pytest.mark.timeout(60)
def test_circles_end() -> None:
    rules = {problem.rule for problem in analyse([Document("circles", "", circles())]).problems}
    assert rules & {"recursiveStructureNarrow", "excessiveDepthNarrow"}


@pytest.mark.timeout(60)
def test_diamonds_are_walked_once() -> None:
    """Nine levels of twelve, each extending all of the next: five billion paths, a hundred interfaces."""
    models = [
        {
            "@context": "dtmi:dtdl:context;4",
            "@id": f"dtmi:diamond:L{level}:N{number};1",
            "@type": "Interface",
            "extends": [f"dtmi:diamond:L{level + 1}:N{i};1" for i in range(12)] if level < 8 else [],
        }
        for level in range(9)
        for number in range(12)
    ]
    found = analyse([Document("diamonds", "", models)])
    assert not found.problems
    assert len(found.graph.ancestors(found.roots[0])) == 96


def test_growth_is_linear(tmp_path: Path) -> None:
    """Not a matter of time: the work counted in elements grows with the interfaces."""
    counts = []
    for copies in (1, 2, 4):
        documents = [
            Document(f"{i}", "", json.loads(json.dumps(m).replace("dtmi:", f"dtmi:c{i}:"))) for i in range(copies) for m in OURS
        ]
        for document in documents:
            document.json["@context"] = json.loads(
                json.dumps(document.json["@context"]).replace(f"dtmi:c{document.file}:", "dtmi:")
            )
        found = analyse(documents)
        assert not found.problems
        counts.append(len(found.elements))
    assert counts[1] == 2 * counts[0]
    assert counts[2] == 4 * counts[0]
