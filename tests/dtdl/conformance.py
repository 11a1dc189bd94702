"""The compiler against cases in the reference's format: `python -m tests.dtdl.conformance DIR [--fail-list FILE]`.

Judged by `../shared/dtdl/dtdl_conformance.py`; what a case says beyond valid, errors and unresolved is judged here:
whether JSON values are instances of the schemas."""

import argparse
import importlib.util
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

from app.dtdl.analysis import Analysis, analyse
from app.dtdl.context import Options
from app.dtdl.payload import compiled, read
from app.dtdl.resolve import Schemas
from app.dtdl.syntax import Document, Problem, parse

PREFIX = "dtmi:dtdl:parsingError:"


def harness() -> ModuleType:
    path = Path(__file__).parents[3] / "shared" / "dtdl" / "dtdl_conformance.py"
    spec = importlib.util.spec_from_file_location("dtdl_conformance", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dtdl_conformance"] = module
    spec.loader.exec_module(module)
    return module


def analysis_of(case: Any) -> tuple[Analysis, list[Problem]]:
    options = Options(
        undefined=case.allow,
        greatest=case.max_version or 4,
        limits=tuple(case.acceptable_limits),
        tolerant="TolerateSolecismsInParse" in case.quirks,
    )
    documents, problems = _parsed(case.texts)
    rounds = list(case.resolution or [])

    def resolver(missing: set[str]) -> list[Document]:
        for index, answer in enumerate(rounds):
            if set(answer["request"]) == missing:
                del rounds[index]
                found, wrong = _parsed(answer["response"] or [])
                problems.extend(wrong)
                return found
        return []

    return analyse(documents, options, resolver if case.resolution is not None else None), problems


def _parsed(texts: list[str]) -> tuple[list[Document], list[Problem]]:
    read = [parse(f"#{index}", text) for index, text in enumerate(texts)]
    return [d for d in read if isinstance(d, Document)], [p for p in read if isinstance(p, Problem)]


def verdict(case: Any) -> dict[str, Any]:
    found, problems = analysis_of(case)
    errors = sorted({PREFIX + problem.rule for problem in (*problems, *found.problems)})
    return {"valid": not errors and not found.missing, "errors": errors, "unresolved": sorted(found.missing)}


def instances(case: Any) -> list[tuple[dict[str, Any], bool]]:
    """Each instance check of a case, and whether it came out right."""
    if not case.instances:
        return []
    found, _ = analysis_of(case)
    return [(given, _instance(found, given)) for given in case.instances]


def _instance(found: Analysis, given: dict[str, Any]) -> bool:
    element = found.graph.elements.get(given["subject"]) or found.graph.standard.get(given["subject"])
    if element is None:
        return False
    try:
        check = compiled(Schemas(found.graph).made(element))
        wrong = check(read(given["submit"]))
    except TypeError:
        return bool(given.get("throws"))
    except ValueError:
        wrong = "not JSON"
    return not given.get("throws") and given.get("conforms", False) == (not wrong)


def run(root: Path, fail_list: Path | None = None) -> dict[str, float]:
    """Prints a row per DTDL version and the sum. Returns the sum's figures."""
    module = harness()
    started, rows, fails = time.perf_counter(), defaultdict[Any, Counter[str]](Counter), []
    files: dict[str, bool] = {}
    for case in module.iter_cases(str(root)):
        row, file = rows[case.version], f"{case.suite}/{case.file}"
        files.setdefault(file, True)
        row["cases"] += 1
        row["valid" if case.valid else "invalid"] += 1
        try:
            answer = verdict(case)
            checked = instances(case)
        except Exception as error:  # noqa: BLE001 - a crash is what is counted here
            row["crash"] += 1
            files[file] = False
            fails.append(f"{case.id}\tcrash\t{error!r}")
            continue
        _judge(case, answer, checked, row, files, fails)
    total = sum(rows.values(), Counter[str]())
    for version, row in [*sorted(rows.items(), key=lambda item: str(item[0])), ("all", total)]:
        print(f"v{version}: {_figures(row)}")
    figures = {
        "verdicts": total["right"] / max(1, total["cases"]),
        "files": sum(files.values()) / max(1, len(files)),
        "identifiers": total["id right"] / max(1, total["id cases"]),
        "instances": total["instance right"] / max(1, total["instances"]),
        "unresolved": total["unresolved right"] / max(1, total["unresolved cases"]),
        "crashes": total["crash"],
    }
    print(f"whole files {sum(files.values())}/{len(files)}, {time.perf_counter() - started:.1f} s")
    if fail_list is not None:
        fail_list.write_text("\n".join(fails) + "\n")
    return figures


def _judge(
    case: Any,
    answer: dict[str, Any],
    checked: list[tuple[dict[str, Any], bool]],
    row: Counter[str],
    files: dict[str, bool],
    fails: list[str],
) -> None:
    wanted = {error["ValidationID"] for error in case.expected_errors}
    row["instances"] += len(checked)
    row["instance right"] += sum(right for _, right in checked)
    fails += [f"{case.id}\tinstance\t{given}" for given, right in checked if not right]
    if answer["valid"] != case.valid:
        files[f"{case.suite}/{case.file}"] = False
        how = "accepts invalid" if answer["valid"] else "rejects valid"
        wish = sorted(w.removeprefix(PREFIX) for w in wanted) or case.expected_unresolved
        got = [e.removeprefix(PREFIX) for e in answer["errors"]]
        fails.append(f"{case.id}\t{how}\t{got}{answer['unresolved']}\twant {wish}")
        return
    row["right"] += 1
    row["valid right" if case.valid else "invalid right"] += 1
    if wanted:
        found = set(answer["errors"])
        row["id cases"] += 1
        row["id right"] += bool(found) and found <= wanted
        if not found or not found <= wanted:
            fails.append(
                f"{case.id}\twrong id\t{sorted(g.removeprefix(PREFIX) for g in found)}{answer['unresolved']}"
                f"\twant {sorted(w.removeprefix(PREFIX) for w in wanted)}"
            )
    if case.expected_unresolved:
        row["unresolved cases"] += 1
        right = set(answer["unresolved"]) == set(case.expected_unresolved)
        row["unresolved right"] += right
        if not right:
            fails.append(f"{case.id}\tunresolved\t{answer['unresolved']}\twant {case.expected_unresolved}")


def _figures(row: Counter[str]) -> str:
    balanced = (row["valid right"] / max(1, row["valid"]) + row["invalid right"] / max(1, row["invalid"])) / 2
    return (
        f"right {row['right']}/{row['cases']}, balanced {balanced:.4f}, identifiers {row['id right']}/{row['id cases']}, "
        f"unresolved {row['unresolved right']}/{row['unresolved cases']}, "
        f"instances {row['instance right']}/{row['instances']}, crashes {row['crash']}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder with specification/, generated/, doc-examples/, solecisms/")
    parser.add_argument("--fail-list", type=Path, help="write what went wrong to this file")
    given = parser.parse_args()
    run(given.root, given.fail_list)


if __name__ == "__main__":
    main()
