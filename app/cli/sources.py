"""`twingraph sources …`."""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from app.errors import MappingError
from app.settings import Settings

sources_app = typer.Typer(help="What the sources of all ingest processes do.", no_args_is_help=True)
out, err = Console(emoji=False), Console(stderr=True, emoji=False)
Source = Annotated[str, typer.Argument(metavar="SOURCE", help="see sources list")]


@sources_app.command("list")
def listing() -> None:
    """State, rates and errors of each source."""
    from app.main import open_store
    from app.sources.state import source_states

    table = Table(
        Column("source", no_wrap=True),
        "protocol",
        "state",
        "messages",
        "messages/s",
        "values/s",
        "rejected",
        "waiting",
        "commit ms",
        "error",
    )
    with open_store(Settings.read()) as store:
        for source in source_states(store):
            rates = (f"{source.message_rate:,.1f}", f"{source.value_rate:,.1f}", f"{source.rejected:,}", f"{source.waiting:,}")
            head = (escape(source.source), source.protocol, source.state, f"{source.messages:,}")
            table.add_row(*head, *rates, f"{source.commit_ms:.1f}", escape(source.error or ""))
    out.print(table)


@sources_app.command("stop")
def stop(source: Source) -> None:
    """Stops a source in every ingest process, until it is started again."""
    _wish(source, stopped=True)


@sources_app.command("start")
def start(source: Source) -> None:
    """Starts a source that was stopped."""
    _wish(source, stopped=False)


@sources_app.command("reload")
def reload(source: Source) -> None:
    """Connects a source anew; a changed mapping file is followed without."""
    _wish(source, reload=True)


def _wish(source: str, stopped: bool | None = None, reload: bool = False) -> None:
    from app.main import open_store
    from app.sources.state import set_desired_state

    with open_store(Settings.read()) as store:
        set_desired_state(store, source, stopped, reload)


@sources_app.command("options")
def options(protocol: Annotated[str, typer.Argument(help="of this protocol alone")] = "") -> None:
    """What a mapping's options may say, by protocol."""
    from ingest.sources import SOURCES, options_of

    for name in [protocol] if protocol else SOURCES:
        table = Table("option", "type", "default", "meaning", title=name)
        try:
            rows = list(options_of(name).rows())
        except MappingError as error:
            if protocol:
                raise
            err.print(str(error), markup=False, soft_wrap=True)  # its package is not installed
            continue
        for row in rows:
            table.add_row(*map(escape, row))
        out.print(table)
