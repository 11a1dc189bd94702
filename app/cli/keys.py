"""`twingraph keys …`."""

import hashlib
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from app.errors import SettingError
from app.settings import Settings

keys_app = typer.Typer(help="API keys: who may call the server, and which twins they see.", no_args_is_help=True)
out, err = Console(emoji=False), Console(stderr=True, emoji=False)
DAYS = 365.0
Days = Annotated[float, typer.Option(help="how long it is valid; 0: for ever", min=0, max=36500)]
Identifier = Annotated[str, typer.Argument(metavar="ID", help="see keys list")]


@keys_app.command("create")
def create(
    name: str,
    role: Annotated[str, typer.Option(help="reader, operator, engineer, administrator; ingest: a device's")] = "reader",
    root: Annotated[list[str] | None, typer.Option(help="dtId of a twin; the key sees it and what lies below")] = None,
    via: Annotated[list[str] | None, typer.Option(help="relationship that leads below; the setting scope_via")] = None,
    source: Annotated[list[str] | None, typer.Option(help="of a device: HTTP source it may push to; any")] = None,
    twin: Annotated[
        list[str] | None, typer.Option(help="dtId, or wf01-*: a device pushes it, with --root it may be created")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="label: twins of other models are not there for the key")] = None,
    hide: Annotated[list[str] | None, typer.Option(help="Turbine.maintenanceNote, *.feeds: is not there for the key")] = None,
    write: Annotated[list[str] | None, typer.Option(help="Turbine.maintenanceNote, Turbine.*: all that it changes")] = None,
    command: Annotated[list[str] | None, typer.Option(help="Turbine.stop: all the commands that it sends")] = None,
    publish: Annotated[list[str] | None, typer.Option(help="of a device: MQTT topic it publishes: fleet/wf01/#")] = None,
    subscribe: Annotated[list[str] | None, typer.Option(help="of a device: MQTT topic it subscribes to")] = None,
    certificate: Annotated[Path | None, typer.Option(help="of a device: its client certificate (PEM)")] = None,
    days: Days = DAYS,
) -> None:
    """Makes a key and shows it, this once."""
    from app.identity import keys
    from app.main import open_store
    from app.twins.registry import Registry

    if via and not root:
        raise SettingError("--via says what lies below a --root: give one", hint="a key without --root sees everything")
    settings = Settings.read()
    over = via or [part for part in settings.scope_via.split(",") if part]
    grant = keys.Grant(
        name,
        role,
        roots=tuple(root or ()),
        via=tuple(over) if root else (),
        sources=tuple(source or ()),
        twins=tuple(twin or ()),
        publish=tuple(publish or ()),
        subscribe=tuple(subscribe or ()),
        certificate=_digest(certificate) if certificate is not None else None,
        models=tuple(model or ()),
        hidden=tuple(hide or ()),
        writes=tuple(write or ()),
        commands=tuple(command or ()),
    )
    with open_store(settings) as store:
        keys.require_known(grant, Registry(store).catalog)
        key_text = keys.create(store, grant, _until(days))
    _show(key_text, grant.publish or grant.subscribe)


def _show(key_text: str, mqtt: object) -> None:
    out.print(key_text, markup=False, highlight=False, soft_wrap=True)
    if mqtt:
        _, identifier, secret = key_text.split("_", 2)
        err.print(f"MQTT: user {identifier}, password {secret}", markup=False, highlight=False, soft_wrap=True)


def _digest(certificate: Path) -> str:
    """Raises: SettingError."""
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
    except (OSError, ValueError) as error:
        raise SettingError(
            f"no certificate: {error}", where=str(certificate), hint="a file with one certificate, PEM"
        ) from error


def _until(days: float) -> datetime | None:
    return datetime.now(UTC) + timedelta(days=days) if days else None


@keys_app.command("list")
def listed() -> None:
    """Every key, without its text."""
    from app.identity import keys
    from app.identity.policy import DEVICE
    from app.main import open_store

    table = Table(Column("id", no_wrap=True), "name", "role", "sees", "created", "last used", "ends")
    with open_store(Settings.read()) as store:
        for key in keys.listed(store):
            sees = "all" if key.roots is None else f"{', '.join(key.roots)} over {', '.join(key.via)}"
            narrowed = {"models": key.models, "without": key.hidden, "changes": key.writes, "sends": key.commands}
            sees = "; ".join([sees, *(f"{word} {', '.join(names)}" for word, names in narrowed.items() if names)])
            if key.role == DEVICE:
                pushes = (f"{word} {', '.join(names)}" for word, names in _bindings(key) if names)
                sees = "; ".join(pushes)
            ends = f"revoked {key.revoked_at}" if key.revoked_at else key.expires_at or "never"
            used = key.used_at or "never"
            table.add_row(key.id, escape(key.name), key.role, escape(sees), key.created_at, used, ends)
    out.print(table)


def _bindings(key: "object") -> tuple[tuple[str, tuple[str, ...]], ...]:
    names = ("sources", "twins", "publish", "subscribe")
    bindings = [(name, getattr(key, name)) for name in names]
    return (*bindings, ("below", getattr(key, "roots", None) or ()))


@keys_app.command("rotate")
def rotate(
    identifier: Identifier,
    grace: Annotated[float, typer.Option(help="hours for which the old one still holds", min=0, max=8760)] = 24.0,
    days: Days = DAYS,
) -> None:
    """Makes another key for the same, and shows it; the old one ends after the grace."""
    from app.identity import keys
    from app.main import open_store

    with open_store(Settings.read()) as store:
        key_text = keys.rotate(store, identifier, timedelta(hours=grace), timedelta(days=days) if days else None)
        stored_key = next(key for key in keys.listed(store) if key_text.startswith(f"{keys.PREFIX}{key.id}_"))
    _show(key_text, stored_key.mqtt)


@keys_app.command("mosquitto")
def mosquitto(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="where users and acl are written")],
    server: Annotated[str, typer.Option(help="user of the server itself, who may do all; its password is not written")] = "",
) -> None:
    """Writes the logins and rights of devices for a mosquitto: its password_file and acl_file."""
    from app.identity import keys
    from app.main import open_store

    with open_store(Settings.read()) as store:
        devices = keys.live_devices(store)
    users, rules = keys.mosquitto_files(devices)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("users", users), ("acl", (f"user {server}\ntopic readwrite #\n\n" if server else "") + rules)):
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(text)
    out.print(f"{len(devices)} devices; mosquitto reads both files again at SIGHUP")


@keys_app.command("revoke")
def revoke(identifier: Identifier) -> None:
    """Ends a key; servers and the embedded broker notice within ten seconds."""
    from app.identity import keys
    from app.main import open_store

    with open_store(Settings.read()) as store:
        keys.revoke(store, identifier)
    out.print(f"{identifier} is revoked", markup=False, highlight=False)
