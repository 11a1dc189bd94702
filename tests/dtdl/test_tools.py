"""What `twingraph models` does without a graph: check, diff, docs, new, and interfaces found elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.dtdl import compile_models, read_documents
from app.dtdl.context import defined_by
from app.dtdl.diff import diff
from app.dtdl.payload import compiled
from app.dtdl.reference import pages
from app.dtdl.repository import in_folders, path_of
from app.dtdl.syntax import Document
from tests.conftest import ROOT, SHARED, needs_shared
from tests.pace import PACE


def models(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", "models", *arguments]
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=PACE * 60, check=False)


def interface(name: str, *contents: dict[str, Any], **more: Any) -> Document:
    made = {
        "@context": "dtmi:dtdl:context;3",
        "@id": name,
        "@type": "Interface",
        "displayName": "x",
        "contents": list(contents),
    }
    return Document(name, "", made | more)


def prop(name: str, schema: Any = "double", **more: Any) -> dict[str, Any]:
    return {"@type": "Property", "name": name, "schema": schema, **more}


ENUM = {"@type": "Enum", "valueSchema": "string", "enumValues": [{"name": "a", "enumValue": "A"}]}
MORE = {**ENUM, "enumValues": [*ENUM["enumValues"], {"name": "b", "enumValue": "B"}]}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (prop("p"), prop("p"), ""),
        (prop("p", "integer"), prop("p", "long"), "ok      p: long instead of integer"),
        (prop("p", "long"), prop("p", "integer"), "breaks  p: integer instead of long"),
        (prop("p"), prop("q"), "breaks  p: the property is gone\nok      q: a new property"),
        (prop("p"), {"@type": "Telemetry", "name": "p", "schema": "double"}, "breaks  p: a telemetry instead of a property"),
        (prop("p", writable=True), prop("p"), "breaks  p: no longer writable"),
        (prop("p", ENUM), prop("p", MORE), "ok      p: also takes b"),
        (prop("p", MORE), prop("p", ENUM), "breaks  p: no longer takes b"),
        (prop("p"), prop("p", displayName="P"), "ok      p: other words"),
    ],
)
def test_diff(was: dict[str, Any], now: dict[str, Any], said: str) -> None:
    catalog = compile_models([interface("dtmi:a:P;1", was), interface("dtmi:a:P;2", now)])
    assert "\n".join(map(str, diff(catalog, "dtmi:a:P;1", "dtmi:a:P;2"))) == said


def test_docs() -> None:
    found = pages(compile_models(read_documents([ROOT / "dtdl_models"])[0]))
    turbine = found["Turbine.md"]
    assert "Asset <|-- Turbine" in turbine
    assert "| `power` | double | kilowatt |" in turbine
    assert "[Turbine](Turbine.md)" in found["index.md"]
    linked = {part.partition(")")[0] for text in found.values() for part in text.split("](")[1:]}
    assert linked <= set(found)


def test_a_repository_is_asked_once_with_all_that_is_missing(tmp_path: Path) -> None:
    asked: list[set[str]] = []
    found = in_folders([tmp_path])

    def resolver(missing: set[str]) -> Any:
        asked.append(set(missing))
        return found(missing)

    laid_out = tmp_path / path_of("dtmi:a:Base;1")
    assert laid_out == tmp_path / "dtmi" / "a" / "base-1.json"
    laid_out.parent.mkdir(parents=True)
    laid_out.write_text(json.dumps(interface("dtmi:a:Base;1").json))
    (tmp_path / "somewhere.json").write_text(json.dumps([interface("dtmi:a:Other;1").json]))
    catalog = compile_models(
        [interface("dtmi:a:P;1", extends=["dtmi:a:Base;1", "dtmi:a:Other;1"])],
        resolver=resolver,
    )
    assert set(catalog.interfaces) == {"dtmi:a:P;1", "dtmi:a:Base;1", "dtmi:a:Other;1"}
    assert asked == [{"dtmi:a:Base;1", "dtmi:a:Other;1"}]


def test_new_is_checked_and_documented(tmp_path: Path) -> None:
    assert models("new", "dtmi:com:example:Fan;1", cwd=tmp_path).returncode == 0
    checked = models("check", str(tmp_path / "Fan.json"), "--repository", "dtdl_models")
    assert checked.returncode == 0, checked.stderr
    assert "no problem" in checked.stdout
    again = models("new", "dtmi:com:example:Fan;1", cwd=tmp_path)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    assert "not a DTMI" in models("new", "Fan", cwd=tmp_path).stderr


def test_check_goes_on_after_a_file_that_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text(json.dumps(interface("dtmi:a:P;1", prop("x", "dubble")).json))
    said = models("check", str(tmp_path), "--json")
    rules = {row["rule"] for row in json.loads(said.stdout)}
    assert (said.returncode, rules) == (1, {"jsonSyntax", "badDtmiOrTerm"})
    shown = models("check", str(tmp_path))
    assert "did you mean 'double'?" in shown.stderr
    assert "\x1b[" not in shown.stderr


def test_undefined_extensions_are_let_in_when_asked(tmp_path: Path) -> None:
    model = interface("dtmi:a:P;1", {"@type": ["Property", "Odd"], "name": "p", "schema": "double", "odd": 1})
    model.json["@context"] = ["dtmi:dtdl:context;3", "dtmi:odd:context;1"]
    (tmp_path / "odd.json").write_text(json.dumps(model.json))
    assert "unresolvableContextSpecifier" in models("check", str(tmp_path)).stderr
    assert models("check", str(tmp_path), "--allow-undefined").returncode == 0


def test_a_schema_that_holds_itself_is_checked_all_the_way_down() -> None:
    tree = {
        "@id": "dtmi:a:Tree;1",
        "@type": "Object",
        "fields": [
            {"name": "value", "schema": "integer"},
            {"name": "inner", "schema": {"@type": "Array", "elementSchema": "dtmi:a:Tree;1"}},
        ],
    }
    model = interface("dtmi:a:P;1", prop("p", "dtmi:a:Tree;1"), schemas=[tree])
    model.json["@context"] = "dtmi:dtdl:context;4"
    check = compiled(compile_models([model]).properties("dtmi:a:P;1")["p"].schema)
    assert check({"value": 1, "inner": [{"value": 2, "inner": []}]}) == ""
    assert check({"value": 1, "inner": [{"value": "2"}]}) == ".inner[0].value must be a whole number"


@pytest.mark.parametrize(
    ("term", "version", "context"),
    [
        ("Temperature", 3, "dtmi:dtdl:extension:quantitativeTypes;1"),
        ("degreeCelsius", 4, "dtmi:dtdl:extension:quantitativeTypes;3"),
        ("Historized", 3, "dtmi:dtdl:extension:historization;2"),
        ("Historized", 2, ""),
        ("nobody", 4, ""),
    ],
)
def test_the_context_that_defines_a_term(term: str, version: int, context: str) -> None:
    assert defined_by(term, version) == context


@needs_shared
def test_a_name_that_the_graph_needs_itself_is_refused() -> None:
    """../shared/cases/graph/19: a property `dtId` would take the twin's own place."""
    checked = models("check", str(SHARED / "cases" / "graph" / "19-property-named-dtid" / "model.json"))
    assert checked.returncode == 1
    assert "Property 'dtId' bears the name of a twin's own identifier" in checked.stderr
    assert "hint: give it another name" in checked.stderr
