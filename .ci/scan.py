"""Which parts of the bill of materials a file of advisories is about. Works without a network: the file is what osv.dev exports
of an ecosystem (`all.zip`, of PyPI or Maven), or a folder or a single record of OSV JSON. Exit code 1 when one is found.

What does not concern us, with the reason, is in .ci/advisories.txt: an id a line."""

import json
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sbom import bom
from univers.versions import InvalidVersion, MavenVersion, PypiVersion

KINDS: dict[str, Any] = {"PyPI": PypiVersion, "Maven": MavenVersion}
Parts = dict[tuple[str, str], set[str]]
NONE = Path(__file__).with_name("advisories.txt")


def parts() -> Parts:
    """(ecosystem, name) → versions."""
    found: Parts = defaultdict(set)
    for one in bom().components:
        ecosystem, name = ("Maven", f"{one.group}:{one.name}") if one.group else ("PyPI", one.name.lower().replace("_", "-"))
        found[ecosystem, name].add(str(one.version))
    return found


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Raises: OSError, zipfile.BadZipFile, json.JSONDecodeError."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".json"):
                    yield json.loads(archive.read(name))
    elif path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield json.loads(file.read_bytes())
    else:
        yield json.loads(path.read_bytes())


def hits(advisories: Iterable[dict[str, Any]], held: Parts) -> Iterator[tuple[str, str, str, str]]:
    """(id, package, version, first fixed version or '')."""
    for record in advisories:
        if record.get("withdrawn"):
            continue
        for affected in record.get("affected", ()):
            package = affected.get("package", {})
            ecosystem = package.get("ecosystem", "").partition(":")[0]
            name = package.get("name", "").lower().replace("_", "-") if ecosystem == "PyPI" else package.get("name", "")
            for version in sorted(held.get((ecosystem, name), ())):
                concerned, fixed = _concerns(affected, KINDS[ecosystem], version)
                if concerned:
                    yield record["id"], name, version, fixed


def _concerns(affected: dict[str, Any], kind: Any, version: str) -> tuple[bool, str]:
    ranges = [one for one in affected.get("ranges", ()) if one.get("type") == "ECOSYSTEM"]
    if version in affected.get("versions", ()):
        return True, next((event["fixed"] for one in ranges for event in one["events"] if "fixed" in event), "")
    for one in ranges:
        concerned = False
        for event in one["events"]:
            ((what, bound),) = event.items()
            if what == "introduced":
                concerned = concerned or bound == "0" or _at_least(kind, version, bound)
            elif what == "fixed" and concerned:
                if not _at_least(kind, version, bound):
                    return True, bound
                concerned = False
            elif what == "last_affected" and concerned:
                if _at_least(kind, bound, version):
                    return True, ""
                concerned = False
        if concerned:
            return True, ""
    return False, ""


def _at_least(kind: Any, version: str, bound: str) -> bool:
    try:
        return bool(kind(version) >= kind(bound))
    except InvalidVersion:
        return True  # rather told once too often


def unconcerned() -> dict[str, str]:
    lines = (line.split(maxsplit=1) for line in NONE.read_text().splitlines() if line.strip() and not line.startswith("#"))
    return dict(lines)  # type: ignore[arg-type]


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")


def main(paths: list[str]) -> int:
    if not paths:
        sys.stderr.write("usage: make scan ADVISORIES='PyPI/all.zip Maven/all.zip', as exported by osv.dev\n")
        return 2
    held, known, found, read = parts(), unconcerned(), 0, 0
    for path in paths:
        try:
            advisories = list(records(Path(path)))
        except (OSError, zipfile.BadZipFile, json.JSONDecodeError) as error:
            sys.stderr.write(f"{path}: cannot be read: {error}\n")
            return 2
        read += len(advisories)
        for identifier, name, version, fixed in sorted(set(hits(advisories, held))):
            if identifier in known:
                tell(f"{identifier}  {name} {version}  does not concern us: {known[identifier]}")
            else:
                found += 1
                tell(f"{identifier}  {name} {version}  " + (f"fixed in {fixed}" if fixed else "no fix is named"))
    tell(f"{read:,} advisories, {sum(map(len, held.values()))} parts, {found} concern us")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
