"""`twingraph twin …`: create, show, export and import twins, as JSON in the form of Azure Digital Twins."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from app.errors import TwinError
from app.settings import Settings

twins_app = typer.Typer(help="Twins in the graph.", no_args_is_help=True)
out, err = Console(emoji=False), Console(stderr=True, emoji=False)


@twins_app.command("create")
def create(
    dt_id: Annotated[str | None, typer.Argument(help="its dtId; may be left out when the file says $dtId")] = None,
    model: Annotated[
        str | None, typer.Option(help="label or DTMI; may be left out when the file says $metadata.$model")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="JSON with its properties and components; - for standard input")] = None,
) -> None:
    """Creates one twin with its components."""
    from app.main import open_store
    from app.twins.edit import create as create_twins
    from app.twins.exchange import new_twin, twin
    from app.twins.registry import Registry

    document = _object(_text(file), str(file)) if file else {}
    if dt_id and document.get("$dtId", dt_id) != dt_id:
        raise TwinError(f"the file is about {document['$dtId']!r}, not {dt_id!r}", where=str(file))
    metadata = document.get("$metadata") if isinstance(document.get("$metadata"), dict) else {}
    document["$metadata"] = {**(metadata or {}), **({"$model": model} if model else {})}
    draft = new_twin(document | ({"$dtId": dt_id} if dt_id else {}))
    with open_store(Settings.read()) as store:
        catalog = Registry(store).catalog
        create_twins(store, catalog, [draft])
        print(json.dumps(twin(store, catalog, draft.dt_id), indent=2))  # noqa: T201


@twins_app.command("show")
def show(dt_id: str) -> None:
    """Prints one twin."""
    from app.main import open_store
    from app.twins.exchange import twin
    from app.twins.registry import Registry

    with open_store(Settings.read()) as store:
        print(json.dumps(twin(store, Registry(store).catalog, dt_id), indent=2))  # noqa: T201


@twins_app.command("export")
def export_all(file: Annotated[Path | None, typer.Argument(help="JSON lines (default: standard output)")] = None) -> None:
    """Writes every twin and relationship, one JSON object a line."""
    from app.main import open_store
    from app.twins.exchange import export
    from app.twins.registry import Registry

    with open_store(Settings.read()) as store:
        documents = export(store, Registry(store).catalog)
        if file is None:
            for document in documents:
                print(json.dumps(document))  # noqa: T201
            return
        with file.open("w") as target:
            count = sum(1 for document in documents if target.write(json.dumps(document) + "\n"))
    out.print(f"{count} twins and relationships in {file}")


Documents = Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines, or a list; - for standard input")]


@twins_app.command("bring", hidden=True)
def bring_all(file: Documents) -> None:
    """The former name of `twin import`."""
    err.print("twin bring is now twin import; the former name goes with the next version")
    import_all(file)


@twins_app.command("import")
def import_all(file: Documents) -> None:
    """Creates the twins and relationships of a file that are missing in the graph."""
    from app.main import open_store
    from app.twins.exchange import import_documents
    from app.twins.registry import Registry

    with open_store(Settings.read()) as store:
        done = import_documents(store, Registry(store).catalog, _documents(_text(file), str(file)))
    out.print(f"{done.twins} new twins and {done.relationships} new relationships imported")
    if done.models:
        out.print(f"{done.models} models passed over; models load takes them")
    if done.other_models:
        err.print(f"there with another model, left as they are: {', '.join(done.other_models[:20])}", markup=False)
        sys.exit(1)


def _text(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TwinError(f"cannot read: {error}", where=str(file)) from error


def _documents(text: str, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """One JSON document, a list, Azure's `digitalTwinsGraph`, or JSON lines; each with its place."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield f"{where}:{number}", _object(line, f"{where}:{number}")
        return
    if isinstance(whole, dict) and isinstance(whole.get("digitalTwinsGraph"), dict):
        graph = whole["digitalTwinsGraph"]
        whole = [*graph.get("digitalTwins", []), *graph.get("relationships", [])]
    listed = whole if isinstance(whole, list) else [whole]
    for number, item in enumerate(listed):
        yield f"{where}[{number}]", _checked(item, f"{where}[{number}]")


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        return _checked(json.loads(text), where)
    except RecursionError as error:
        raise TwinError("nested too deeply", where=where) from error
    except ValueError as error:
        raise TwinError(f"not JSON: {error}", where=where) from error


def _checked(document: Any, where: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise TwinError("must be a JSON object", where=where)
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise TwinError("a string holds half of a surrogate pair", where=where) from error
    return document
