"""The site: pages made from the code are as the code is, and no link is dead."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ingest.sources import SOURCES
from tests.conftest import ROOT
from tests.pace import PACE

PAGES = ("settings.md", "sources.md", "metrics.md", "commands.md")


def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / ".ci" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("page", PAGES)
def test_a_page_made_from_the_code_does_not_lag(page: str) -> None:
    """`make docs` writes them."""
    made = reference().PAGES
    assert set(made) == set(PAGES)
    assert (ROOT / "docs" / "reference" / page).read_text() == made[page](), "make docs writes it"


def test_the_site_is_built_and_no_link_is_dead(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PACE * 120, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "adr" / "index.html").exists()


def test_each_protocol_stands_among_the_sources() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "connect.md").read_text(), re.MULTILINE)
    assert set(rows) == set(SOURCES), "the table of docs/connect.md"


@pytest.mark.parametrize("proto", ["ingest/sparkplug/sparkplug.proto", "ingest/payload/prometheus.proto"])
def test_messages_are_those_of_their_proto(proto: str, tmp_path: Path) -> None:
    """`make proto` writes them."""
    command = [sys.executable, "-m", "grpc_tools.protoc", "--proto_path=.", f"--python_out={tmp_path}", proto]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    name = proto.replace(".proto", "_pb2.py")
    assert (tmp_path / name).read_text() == (ROOT / name).read_text()


def test_each_link_leads_to_a_file_in_the_checkout_too() -> None:
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")]
    for page in [*pages, *(ROOT / "docs").rglob("*.md")]:
        links = re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text())
        assert [link for link in links if not (page.parent / link).exists()] == [], page
