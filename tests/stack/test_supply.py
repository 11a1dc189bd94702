"""What is delivered: its bill of materials, and advisories read from a file."""

import json
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from app.stack.jars import listed
from tests.conftest import ROOT
from tests.pace import PACE
from tests.stack.test_compose import packages


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PACE * 120, check=False)


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
    git = {"type": "GIT", "repo": "https://git.example/pandas", "events": [ZERO, {"fixed": "f09c261ca10a31fe"}]}
    records[4]["affected"][0]["ranges"].insert(0, git)
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
    assert found[2].endswith("no fix is named")
    assert summary.startswith("7 advisories")


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    for arguments in ((), (str(tmp_path / "none.json"),), (str(tmp_path / "x.json"),)):
        done = run("scan.py", *arguments)
        assert done.returncode == 2
        assert done.stderr
        assert "Traceback" not in done.stderr


def test_the_wheel_installs_and_agrees_with_the_lock(tmp_path: Path) -> None:
    """Every extra can be had with the versions that are tested; in an environment of its own the command starts."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, timeout=PACE * 120)
    (wheel,) = tmp_path.glob("*.whl")
    pinned = re.findall(r"^[\w.-]+==[^\\\n]+", (ROOT / "requirements.runtime.lock").read_text(), re.MULTILINE)
    (tmp_path / "pinned").write_text("\n".join(pinned))
    exact = ["--only-binary", ":all:", "--constraint", str(tmp_path / "pinned")]
    plan = [*pip, "install", "--dry-run", "--ignore-installed", "--report", str(tmp_path / "plan"), *exact, f"{wheel}[all]"]
    done = subprocess.run(plan, capture_output=True, text=True, timeout=PACE * 300, check=False)
    assert done.returncode == 0, done.stderr
    parts = [one["metadata"] for one in json.loads((tmp_path / "plan").read_text())["install"]]
    tested = {(canonicalize_name(name), version) for name, version in packages("requirements.runtime.lock")}
    assert {(canonicalize_name(one["name"]), one["version"]) for one in parts if one["name"] != "twingraph"} <= tested
    venv.create(tmp_path / "apart", with_pip=True)
    python = str(tmp_path / "apart" / "bin" / "python")
    install = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *exact, f"{wheel}[mqtt,sparkplug]"]
    subprocess.run(install, check=True, timeout=PACE * 300)
    for command in (
        ["-m", "pip", "check"],
        ["-m", "app.cli", "--help"],
        ["-c", "import ingest.mqtt, ingest.sparkplug.source"],
    ):
        done = subprocess.run([python, *command], capture_output=True, text=True, cwd=tmp_path, timeout=PACE * 60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_installed_agrees() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, timeout=PACE * 60, check=False
    )
    assert done.returncode == 0, done.stdout
