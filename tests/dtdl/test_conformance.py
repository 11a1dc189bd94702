"""The reference's cases: what we accept and refuse, by which rule, and which JSON values are instances."""

import json

import pytest

from app.dtdl.metamodel import DTMI
from tests.conftest import SHARED, needs_shared
from tests.dtdl.conformance import run


@needs_shared
def test_conformance() -> None:
    figures = run(SHARED / "dtdl" / "conformance" / "test-cases")
    assert figures["verdicts"] >= 0.999
    assert figures["files"] >= 0.99
    assert figures["identifiers"] >= 0.97
    assert figures["instances"] == 1.0
    assert figures["crashes"] == 0


DTMIS = sorted((SHARED / "dtdl" / "conformance" / "test-cases" / "dtmis").glob("*.json"))


@pytest.mark.parametrize("path", DTMIS, ids=lambda path: path.stem)
def test_dtmi(path: object) -> None:
    case = json.loads(path.read_text(encoding="utf-8-sig"))  # type: ignore[attr-defined]
    assert bool(DTMI.match(case["idText"])) == case["valid"]
