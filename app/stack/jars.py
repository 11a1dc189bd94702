"""Jars by Maven coordinate and checksum.

A list is a text file, one `group:artifact:version[:classifier] sha256:…` a line, made by `mvn dependency:list`;
nothing is resolved at run time."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import requests
from jgo.maven import MavenContext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.errors import StackError
from app.settings import ROOT

LISTS = ROOT / "app" / "stack" / "jars"
TRIES = 3


@dataclass(frozen=True, slots=True)
class Jar:
    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str

    @classmethod
    def parse(cls, line: str) -> "Jar":
        coordinate, _, checksum = line.strip().partition(" sha256:")
        group, artifact, version, *classifier = coordinate.split(":")
        return cls(group, artifact, version, "".join(classifier), checksum)

    @property
    def file(self) -> str:
        return f"{self.artifact}-{self.version}{'-' + self.classifier if self.classifier else ''}.jar"


def listed(name: str, lists: Path = LISTS) -> list[Jar]:
    return [Jar.parse(line) for line in (lists / f"{name}.txt").read_text().splitlines() if line.strip()]


def classpath(name: str, folder: Path, lists: Path = LISTS) -> str:
    """The listed jars in the folder, and nothing else that may lie there."""
    return os.pathsep.join(str(folder / jar.file) for jar in listed(name, lists))


def fetch(name: str, cache: Path, console: Console | None = None, lists: Path = LISTS) -> Path:
    """Folder holding every jar of the list `name` in folder `lists`, checksums verified; what is missing is downloaded.

    Raises: StackError when a jar cannot be fetched or its checksum differs."""
    folder = cache / name
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(16) as pool:
        jars = listed(name, lists)
        sound = list(pool.map(lambda jar: _sound(folder / jar.file, jar), jars))
        missing = [jar for jar, good in zip(jars, sound, strict=True) if not good]
        if missing:
            maven = MavenContext(repo_cache=cache / "maven", timeout=60)
            columns = (TextColumn(f"[bold]{name}[/] jars"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            with Progress(*columns, console=console or Console(stderr=True)) as progress:
                task = progress.add_task("", total=len(jars), completed=len(jars) - len(missing))
                for done in as_completed([pool.submit(_fetch, maven, jar, folder) for jar in missing]):
                    done.result()
                    progress.advance(task)
    return folder


def fetched(name: str, cache: Path) -> dict[str, Path]:
    """Artifact → its jar, of the list `name`. Raises: as `fetch`."""
    folder = fetch(name, cache)
    return {jar.artifact: folder / jar.file for jar in listed(name)}


def _fetch(maven: MavenContext, jar: Jar, folder: Path) -> None:
    target = folder / jar.file
    for attempt in range(1, TRIES + 1):
        component = maven.project(jar.group, jar.artifact).at_version(jar.version)
        try:
            path = Path(component.artifact(classifier=jar.classifier).resolve())
            part = target.with_suffix(".part")
            part.write_bytes(path.read_bytes())
            path.unlink()
        except (RuntimeError, OSError, requests.RequestException) as error:
            if attempt == TRIES:
                raise StackError(
                    f"cannot fetch {jar.group}:{jar.artifact}:{jar.version}: {error}",
                    hint="needs access to Maven Central once; later starts use the cache",
                ) from error
            continue
        if not _sound(part, jar):
            part.unlink()
            if attempt == TRIES:
                raise StackError(f"{jar.file} has another checksum than listed", where=str(folder))
            continue
        part.rename(target)
        return


def _sound(path: Path, jar: Jar) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == jar.sha256
