"""The reference's cases: what we accept and refuse, by which rule, and which JSON values are instances."""

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
