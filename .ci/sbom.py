"""The parts of what is delivered, as a CycloneDX 1.6 bill of materials on standard output: the wheels of
requirements.runtime.lock and the jars of app/stack/jars, each with its package URL and SHA-256."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from app.stack.jars import listed  # noqa: E402

WHEEL = re.compile(r"^([\w.-]+)==([^\s;\\]+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
JARS = ("neo4j", "artemis", "explorer")


def wheels(lock: Path = ROOT / "requirements.runtime.lock") -> Iterator[Component]:
    for name, version, rest in WHEEL.findall(lock.read_text()):
        url = PackageURL("pypi", None, name.lower(), version)
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=one) for one in re.findall(r"sha256:([0-9a-f]{64})", rest)]
        yield Component(name=name, version=version, type=ComponentType.LIBRARY, purl=url, bom_ref=str(url), hashes=hashes)


def jars() -> Iterator[Component]:
    for jar in {one for name in JARS for one in listed(name)}:
        more = {"classifier": jar.classifier} if jar.classifier else {}
        url = PackageURL("maven", jar.group, jar.artifact, jar.version, more)
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=jar.sha256)]
        named = {"group": jar.group, "name": jar.artifact, "version": jar.version, "bom_ref": str(url)}
        yield Component(**named, type=ComponentType.LIBRARY, purl=url, hashes=hashes)


def bom() -> Bom:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    made = Bom(components=[*wheels(), *jars()])
    made.metadata.component = Component(
        name="twingraph", version=version[1], type=ComponentType.APPLICATION, bom_ref="twingraph"
    )
    made.metadata.tools.components.add(this_component())
    made.register_dependency(made.metadata.component, made.components)
    return made


if __name__ == "__main__":
    sys.stdout.write(JsonV1Dot6(bom()).output_as_string(indent=2) + "\n")
