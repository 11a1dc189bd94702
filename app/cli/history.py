"""`twingraph history …`."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from app.errors import SettingError
from app.settings import Settings

history_app = typer.Typer(help="The history of telemetry, as Parquet and back.", no_args_is_help=True)
out = Console(emoji=False)
Folder = Annotated[Path, typer.Argument(help="a folder")]


@history_app.command("export")
def exporting(
    folder: Folder,
    model: Annotated[list[str] | None, typer.Option(help="label or DTMI; every model")] = None,
    start: Annotated[str | None, typer.Option("--from", help="an instant, such as 2026-01-31 or 2026-01-31T12:00:00Z")] = None,
    end: Annotated[str | None, typer.Option("--to", help="an instant; it is not part of it")] = None,
) -> None:
    """Writes a folder a model, a folder a UTC day, a row a twin and instant, a column a signal."""
    from app.main import open_store
    from app.twins.archive import Archived, export
    from app.twins.registry import Registry

    window = _instant(start, "--from"), _instant(end, "--to")
    if window[0] is not None and window[1] is not None and window[0] >= window[1]:
        raise SettingError("--from must lie before --to", where=f"{start} to {end}")
    with open_store(Settings.read()) as store, Progress(console=Console(stderr=True), transient=True) as progress:
        catalog = Registry(store).catalog
        done = Archived()
        for name in model or sorted(catalog.by_label):
            task = progress.add_task(name, total=None)
            exported = export(store, catalog, folder, name, *window, partial(_tell, progress, task))
            done.rows, done.values, done.files = (
                done.rows + exported.rows,
                done.values + exported.values,
                done.files + exported.files,
            )
    out.print(f"{done.rows} rows, {done.values} values in {done.files} files below {folder}")


@history_app.command("import")
def importing(folder: Folder) -> None:
    """Brings back what export has written; a second time it changes nothing."""
    from app.main import open_store
    from app.twins.archive import import_history
    from app.twins.registry import Registry

    with open_store(Settings.read()) as store, Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("files", total=None)
        done = import_history(store, Registry(store).catalog, folder, partial(_tell, progress, task))
    out.print(f"{done.values} values from {done.files} files, {done.duplicates} were there already")


@history_app.command("forget")
def forgetting(
    file: Annotated[Path | None, typer.Argument(help="how long what is kept; the setting TWINGRAPH_RETENTION")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only tell the limits")] = False,
) -> None:
    """Takes away points, and roll-ups, that are older than they are kept. An ingest process does it every hour."""
    from app.history.retention import Limit, forget, limits, read_retention
    from app.main import open_store
    from app.twins.registry import Registry

    settings = Settings.read()
    if file is None and not settings.retention:
        raise SettingError("no retention is configured", hint="a file, or TWINGRAPH_RETENTION")
    retention = read_retention(file or Path(settings.retention))
    with open_store(settings) as store:
        catalog = Registry(store).catalog
        if dry_run:
            for limit in limits(retention, catalog, round(datetime.now(UTC).timestamp() * 1000)):
                name = f"{catalog.labels[limit.model]}.{limit.signal}"
                out.print(f"{name}: points from {_said(limit.points)}, roll-ups from {_said(limit.rollups)}")
            return

        def tell(limit: Limit, taken: int) -> None:
            out.print(f"{catalog.labels[limit.model]}.{limit.signal}: {taken} segments")

        out.print(f"{forget(store, catalog, retention, tell)} in all")


def _said(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def _tell(progress: Progress, task: TaskID, done: int, total: int) -> None:
    progress.update(task, completed=done, total=total)


def _instant(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingError(f"{text!r} is no time", where=option, hint="2026-01-31 or 2026-01-31T12:00:00Z") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
