"""`twingraph keys …`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.errors import SettingError
from app.settings import Settings

keys_app = typer.Typer(help="API keys: who may call the server, and which twins they see.", no_args_is_help=True)
out = Console(emoji=False)


@keys_app.command("create")
def create(
    name: str,
    role: Annotated[str, typer.Option(help="reader, operator, engineer or administrator")] = "reader",
    root: Annotated[list[str] | None, typer.Option(help="dtId of a twin; the key sees it and what lies below")] = None,
    via: Annotated[list[str] | None, typer.Option(help="relationship that leads below; the setting scope_via")] = None,
    days: Annotated[float | None, typer.Option(help="how long it is valid; for ever", min=0.001, max=36500)] = None,
) -> None:
    """Makes a key and shows it, this once."""
    from app.identity import keys
    from app.main import open_store

    if via and not root:
        raise SettingError("--via says what lies below a --root: give one", hint="a key without --root sees everything")
    settings = Settings.read()
    over = via or [part for part in settings.scope_via.split(",") if part]
    expires = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    with open_store(settings) as store:
        made = keys.create(store, name, role, root or (), over if root else (), expires)
    out.print(made, markup=False, highlight=False, soft_wrap=True)


@keys_app.command("list")
def listed() -> None:
    """Every key, without its text."""
    from app.identity import keys
    from app.main import open_store

    table = Table("id", "name", "role", "sees", "created", "ends")
    with open_store(Settings.read()) as store:
        for key in keys.listed(store):
            sees = "all" if key.roots is None else f"{', '.join(key.roots)} over {', '.join(key.via)}"
            ends = f"revoked {key.revoked_at}" if key.revoked_at else key.expires_at or "never"
            table.add_row(key.id, escape(key.name), key.role, escape(sees), key.created_at, ends)
    out.print(table)


@keys_app.command("revoke")
def revoke(identifier: Annotated[str, typer.Argument(metavar="ID", help="see keys list")]) -> None:
    """Ends a key; servers notice within five seconds."""
    from app.identity import keys
    from app.main import open_store

    with open_store(Settings.read()) as store:
        keys.revoke(store, identifier)
    out.print(f"{identifier} is revoked", markup=False, highlight=False)
