"""What is delivered: its bill of materials, and advisories read from a file."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from app.stack.jars import listed
from tests.conftest import ROOT
from tests.stack.test_compose import packages


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_every_part_is_in_the_bill_of_materials() -> None:
    done = run("sbom.py")
    assert done.returncode == 0, done.stderr
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(done.stdout) is None
    found = {one["purl"].partition("?")[0] for one in json.loads(done.stdout)["components"]}
    wheels = {f"pkg:pypi/{name}@{version}" for name, version in packages("requirements.runtime.lock")}
    jars = {f"pkg:maven/{j.group}/{j.artifact}@{j.version}" for name in ("neo4j", "artemis", "explorer") for j in listed(name)}
    assert found == wheels | jars
    assert all(one["hashes"] for one in json.loads(done.stdout)["components"])


def record(identifier: str, ecosystem: str, name: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    affected = [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges, **more}]
    return {"id": identifier, "affected": affected}


ZERO = {"introduced": "0"}


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_advisories_from_a_file(kind: str, tmp_path: Path) -> None:
    here = dict(packages("requirements.runtime.lock"))["pandas"]
    records = [
        record("A-1", "Maven", "io.netty:netty-codec-mqtt", {"introduced": "4.1.0.Final"}, {"fixed": "4.1.999.Final"}),
        record("A-2", "Maven", "io.netty:netty-codec-mqtt", ZERO, {"fixed": "4.1.2.Final"}),
        record("A-3", "PyPI", "Pandas", ZERO, {"last_affected": "99"}),
        record("A-4", "PyPI", "pandas", ZERO, {"fixed": "1.0"}),
        record("A-5", "PyPI", "pandas", versions=[here]),
        record("A-6", "PyPI", "pytest", ZERO),
        record("A-7", "PyPI", "pandas", ZERO) | {"withdrawn": "2026-01-01T00:00:00Z"},
    ]
    target = tmp_path / "all.zip"
    if kind == "zip":
        with zipfile.ZipFile(target, "w") as archive:
            for one in records:
                archive.writestr(f"{one['id']}.json", json.dumps(one))
    else:
        target = tmp_path / "all"
        target.mkdir()
        for one in records:
            (target / f"{one['id']}.json").write_text(json.dumps(one))
    done = run("scan.py", str(target))
    assert done.returncode == 1, done.stderr
    *found, summary = done.stdout.splitlines()
    assert [line.split()[0] for line in found] == ["A-1", "A-3", "A-5"]
    assert found[0].endswith("fixed in 4.1.999.Final")
    assert summary.startswith("7 advisories")


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    for arguments in ((), (str(tmp_path / "none.json"),), (str(tmp_path / "x.json"),)):
        done = run("scan.py", *arguments)
        assert done.returncode == 2
        assert done.stderr
        assert "Traceback" not in done.stderr
