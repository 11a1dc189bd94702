"""`twingraph models …`: check, load, list, compare, move twins, document, begin, delete."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from app.errors import MOST_SHOWN, TwingraphError
from app.settings import Settings

if TYPE_CHECKING:
    from app.dtdl import Catalog

models_app = typer.Typer(help="DTDL models.", no_args_is_help=True)
out, err = Console(emoji=False), Console(stderr=True, emoji=False)
Paths = Annotated[list[Path], typer.Argument(help="files and folders")]
Repository = Annotated[
    list[Path] | None,
    typer.Option(
        "--repository", help="folder with interfaces the input refers to, as dtmi/com/example/thermostat-1.json or any"
    ),
]
Undefined = Annotated[
    bool | None,
    typer.Option("--allow-undefined/--no-allow-undefined", help="terms nobody defines (default: DTDL v2 yes, later no)"),
]
Among = Annotated[list[Path] | None, typer.Option("--in", help="files and folders (default: the models in the graph)")]


@models_app.command("check")
def check(
    paths: Paths,
    as_json: Annotated[bool, typer.Option("--json", help="problems as JSON")] = False,
    allow_undefined: Undefined = None,
    repository: Repository = None,
) -> None:
    """Compiles DTDL and prints every problem; exit code 1 when there are some. Recommendations are warnings."""
    from app.dtdl import compile_models, unstorable
    from app.dtdl.advice import advise
    from app.dtdl.context import Options
    from app.dtdl.repository import in_folders
    from app.dtdl.syntax import read_documents
    from app.errors import ModelError

    missing = [path for path in paths if not path.exists()]
    if missing:
        raise ModelError("no such file or folder", where=", ".join(map(str, missing)))
    documents, problems = read_documents(paths)
    if not documents and not problems:
        raise ModelError("no models found", where=", ".join(map(str, paths)), hint="files must end in .json")
    warnings: list[object] = []
    count = 0
    try:
        resolver = in_folders(repository) if repository else None
        catalog = compile_models(documents, None, Options(undefined=allow_undefined), resolver)
        count = len(catalog.interfaces)
        problems += unstorable(catalog.interfaces.values())
        warnings += advise(catalog, catalog.interfaces.values())
    except ModelError as error:
        problems += error.problems
    if as_json:
        rows = [asdict(p) | {"severity": "error"} for p in problems] + [asdict(w) | {"severity": "warning"} for w in warnings]  # type: ignore[call-overload]
        print(json.dumps(rows))  # noqa: T201
    else:
        _print(problems, "red", "error")
        _print(warnings, "yellow", "warning")
        verdict = f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "no problem"
        (err if problems else out).print(f"{_counted(count, 'interface')}, {verdict}, {_counted(len(warnings), 'warning')}")
    sys.exit(1 if problems else 0)


def _print(problems: Sequence[object], colour: str, word: str) -> None:
    for problem in problems[:MOST_SHOWN]:
        line = Text(f"{getattr(problem, 'place', '')}: ", "bold") + Text(f"{word}: ", f"{colour} bold")
        line += Text(f"{getattr(problem, 'what', problem)} [{getattr(problem, 'rule', '')}]", "")
        err.print(line, soft_wrap=True, highlight=False)
        for label, text in (("at", getattr(problem, "path", "")), ("hint", getattr(problem, "hint", ""))):
            if text:
                err.print(Text(f"    {label}: {text}", "dim"), soft_wrap=True, highlight=False)
    if len(problems) > MOST_SHOWN:
        err.print(f"… and {len(problems) - MOST_SHOWN} more; --json has them all")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


@models_app.command("load")
def load(
    paths: Paths,
    plan: Annotated[bool, typer.Option("--plan", help="print what Neo4j would hold; change nothing")] = False,
    enterprise: Annotated[bool, typer.Option("--enterprise", help="with --plan: as Neo4j Enterprise would have it")] = False,
    allow_undefined: Undefined = None,
    repository: Repository = None,
) -> None:
    """Compiles DTDL and applies it to Neo4j: labels, constraints, indexes, the ontology."""
    from app.dtdl import compile_models, lower
    from app.dtdl.context import Options
    from app.dtdl.repository import in_folders
    from app.main import open_registry, open_store
    from app.twins.registry import read_models

    documents = read_models(paths)
    options, resolver = Options(undefined=allow_undefined), in_folders(repository) if repository else None
    if plan:
        catalog = compile_models(documents, _loaded(), options, resolver)
        out.print(str(lower(catalog, enterprise)), markup=False, highlight=False)
        return
    settings = Settings.read()
    with open_store(settings) as store:
        registry = open_registry(store, settings)
        before = set(registry.catalog.interfaces)
        with err.status("applying …"):
            registry.load(documents, options, resolver)
        interfaces = registry.catalog.interfaces
        out.print(f"{len(interfaces.keys() - before)} new models loaded, {len(interfaces)} in the graph")


def _loaded() -> "Catalog | None":
    """The models of the graph where one can be reached."""
    from app.main import open_store
    from app.twins.registry import Registry

    try:
        with open_store(Settings.read()) as store:
            return Registry(store).catalog
    except TwingraphError as error:
        err.print(f"planned for an empty graph: {error.what}", markup=False, highlight=False)
        return None


@models_app.command("list")
def list_models() -> None:
    """The models in the graph."""
    from app.main import open_registry, open_store

    settings = Settings.read()
    with open_store(settings) as store:
        registry = open_registry(store, settings)
        catalog = registry.catalog
        for dtmi, reason in sorted(registry.left_out.items()):
            err.print(f"{dtmi} cannot be served: {reason}", markup=False, highlight=False, soft_wrap=True)
        if not out.is_terminal:
            for dtmi, label in sorted(catalog.labels.items(), key=lambda row: row[1]):
                print(label, dtmi, "decommissioned" if dtmi in catalog.decommissioned else "", sep="\t")  # noqa: T201
            return
        table = Table("label", "DTMI", "extends", "")
        for dtmi, label in sorted(catalog.labels.items(), key=lambda row: row[1]):
            away = "decommissioned" if dtmi in catalog.decommissioned else ""
            table.add_row(label, dtmi, ", ".join(catalog.interfaces[dtmi].extends), away)
        out.print(table)


@models_app.command("diff")
def diff_models(before: str, after: str, among: Among = None) -> None:
    """What changed from one interface to another (DTMI or label), and what of it breaks; exit code 1 when something does."""
    from app.dtdl import compile_models
    from app.dtdl.diff import diff
    from app.main import open_store
    from app.twins.registry import Registry, read_models

    if among:
        changes = diff(compile_models(read_models(among)), before, after)
    else:
        with open_store(Settings.read()) as store:
            changes = diff(Registry(store).catalog, before, after)
    for change in changes:
        out.print(str(change), markup=False, highlight=False, soft_wrap=True, style="red" if change.breaking else "")
    out.print(f"{_counted(len(changes), 'change')}, {sum(change.breaking for change in changes)} of them breaking")
    sys.exit(1 if any(change.breaking for change in changes) else 0)


@models_app.command("migrate")
def migrate_twins(
    before: str,
    after: str,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would happen; change nothing")] = False,
    other_units: Annotated[bool, typer.Option("--other-units", help="values are in the new version's units already")] = False,
) -> None:
    """Moves twins from one version of an interface to another (DTMI or label); exit code 1 when some could not move."""
    from app.main import open_store
    from app.twins.migrate import migrate
    from app.twins.registry import Registry

    with open_store(Settings.read()) as store:
        registry = Registry(store)
        columns = (TextColumn("[progress.description]{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=err, transient=True) as progress:
            task = progress.add_task("twins", total=None)
            done = migrate(store, registry.catalog, before, after, dry_run, other_units, lambda n: progress.advance(task, n))
        if not dry_run:
            registry.changed()
    for change in done.changes:
        out.print(str(change), markup=False, highlight=False, soft_wrap=True)
    out.print(f"{_counted(done.moved, 'twin')} {'would move' if dry_run else 'moved'}")
    for name, count in done.kept.items():
        out.print(f"{name} has no place in the new version; it stays on {_counted(count, 'twin')}, unseen", markup=False)
    for dt_id, why in done.refused.items():
        err.print(f"{dt_id} stays: {why}", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1 if done.refused else 0)


@models_app.command("delete")
def delete(model: str) -> None:
    """Takes a model out of the graph; refused while twins or other models need it."""
    from app.main import open_store
    from app.twins.registry import Registry

    with open_store(Settings.read()) as store:
        Registry(store).delete(model)
    out.print(f"{model} deleted")


@models_app.command("decommission")
def decommission(model: str, undo: Annotated[bool, typer.Option("--undo", help="takes new twins again")] = False) -> None:
    """A decommissioned model keeps its twins and takes no new ones."""
    from app.main import open_store
    from app.twins.registry import Registry

    with open_store(Settings.read()) as store:
        Registry(store).decommission(model, not undo)
    out.print(f"{model} {'is in use again' if undo else 'takes no new twins'}")


@models_app.command("docs")
def docs(
    folder: Annotated[Path, typer.Argument(help="where the pages go")],
    among: Among = None,
) -> None:
    """Writes a browsable reference of a model set: Markdown with Mermaid class diagrams."""
    from app.dtdl import compile_models
    from app.dtdl.reference import write
    from app.main import open_store
    from app.twins.registry import Registry, read_models

    if among:
        count = write(compile_models(read_models(among)), folder)
    else:
        with open_store(Settings.read()) as store:
            count = write(Registry(store).catalog, folder)
    out.print(f"{_counted(count, 'page')} in {folder}, begin with {folder / 'index.md'}")


@models_app.command("new")
def new(
    dtmi: Annotated[str, typer.Argument(help="such as dtmi:com:example:Pump;1")],
    extends: Annotated[str, typer.Option(help="an interface it extends")] = "dtmi:twingraph:core:Asset;1",
    file: Annotated[Path | None, typer.Option(help="where it goes (default: the name in the DTMI)")] = None,
) -> None:
    """Writes a starter interface to fill in."""
    from app.dtdl.metamodel import IDENTIFIER
    from app.errors import ModelError

    if not IDENTIFIER[3].fullmatch(dtmi) or ";" not in dtmi:
        raise ModelError(f"{dtmi!r} is not a DTMI with a version", hint="such as dtmi:com:example:Pump;1")
    name = dtmi.partition(";")[0].rpartition(":")[2]
    path = file or Path(f"{name}.json")
    if path.exists():
        raise ModelError("the file is there already", where=str(path), hint="choose another with --file")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(starter(dtmi, name, extends), indent=2) + "\n")
    out.print(f"{path} written; twingraph models check {path} --repository dtdl_models")


def starter(dtmi: str, name: str, extends: str) -> dict[str, object]:
    contents: list[dict[str, object]] = [
        {"@type": "Property", "name": "location", "schema": "string", "writable": True},
        {"@type": ["Telemetry", "Temperature"], "name": "temperature", "schema": "double", "unit": "degreeCelsius"},
        {
            "@type": "Command",
            "name": "setPoint",
            "request": {"name": "value", "schema": "double"},
            "response": {"name": "accepted", "schema": "boolean"},
        },
        {"@type": "Relationship", "name": "feeds"},
    ]
    return {
        "@context": ["dtmi:dtdl:context;3", "dtmi:dtdl:extension:quantitativeTypes;1"],
        "@id": dtmi,
        "@type": "Interface",
        "displayName": name,
        **({"extends": extends} if extends else {}),
        "contents": contents,
    }
