"""`twingraph deadletters …`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table

from app.errors import MappingError
from app.settings import Settings

deadletters_app = typer.Typer(help="Messages that were rejected: why, and once more.", no_args_is_help=True)
out = Console(emoji=False)
Source = Annotated[str | None, typer.Option(help="of this source alone")]
Code = Annotated[str | None, typer.Option(help="rejected for this reason alone, such as SCHEMA_VIOLATION")]
Identifier = Annotated[str, typer.Argument(metavar="ID", help="see deadletters list")]


@deadletters_app.command("list")
def listing(source: Source = None, code: Code = None, most: Annotated[int, typer.Option(min=1, max=10_000)] = 50) -> None:
    """The newest ones, with the reason."""
    from app.main import open_store
    from app.sources.deadletters import listed

    table = Table(Column("id", no_wrap=True), "at", "source", "address", "code", "reason", "bytes")
    with open_store(Settings.read()) as store:
        for letter in listed(store, source=source, code=code, most=most):
            at = datetime.fromtimestamp(letter.at / 1000, UTC).isoformat(timespec="seconds")
            table.add_row(
                letter.id,
                at,
                escape(letter.source),
                escape(letter.topic),
                letter.code,
                escape(letter.reason),
                f"{letter.size:,}",
            )
    out.print(table)


@deadletters_app.command("show")
def show(identifier: Identifier) -> None:
    """The payload as it came, byte for byte, to standard output; the reason to standard error."""
    from app.main import open_store
    from app.sources.deadletters import shown

    with open_store(Settings.read()) as store:
        letter = shown(store, identifier)
    cut = "" if letter.whole else f" (the first {len(letter.payload):,} of {letter.size:,} bytes)"
    Console(stderr=True, emoji=False).print(f"{letter.source} {letter.topic}: {letter.reason}{cut}", markup=False)
    sys.stdout.buffer.write(letter.payload)


@deadletters_app.command("fix")
def mend(
    identifier: Identifier, payload: Annotated[Path, typer.Argument(help="file with the payload it should have had")]
) -> None:
    """Gives a message another payload; replay then writes it."""
    from app.main import open_store
    from app.sources.deadletters import fix

    with open_store(Settings.read()) as store:
        fix(store, identifier, payload.read_bytes())


@deadletters_app.command("replay")
def replay(
    identifiers: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="these alone")] = None,
    mapping: Annotated[list[Path] | None, typer.Option(help="mapping files or folders of the sources; the demo's")] = None,
    source: Source = None,
    code: Code = None,
) -> None:
    """Sends messages through their source's mapping once more, after the mapping, the model or the payload was mended."""
    from app.main import assemblers, open_store
    from app.sources.deadletters import listed, shown
    from ingest.pipeline.redelivery import RedeliveryResult, redeliver
    from ingest.sources import MAPPINGS, read_mappings

    settings = Settings.read()
    mappings = read_mappings(mapping or [MAPPINGS])
    if source is not None and source not in {source_mapping.source for source_mapping in mappings}:
        raise MappingError(f"no mapping of source {source!r}", hint="name its file with --mapping")
    with open_store(settings) as store, Progress(console=Console(stderr=True), transient=True) as progress:
        for identifier in identifiers or ():
            shown(store, identifier)
        letters = listed(store, identifiers or None, source, code, 10_000)
        task = progress.add_task("replay", total=len(letters))
        done = RedeliveryResult()
        for step in redeliver(store, assemblers(settings, mappings, store), letters):
            done += step
            progress.advance(task, step.letters + step.left)
    out.print(f"{done.letters} messages: {done.points} points written, {done.refused} refused again, {done.left} left")
