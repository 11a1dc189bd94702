"""`twingraph opcua …`."""

import asyncio
import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from app.errors import MappingError, SettingError, StackError

opcua_app = typer.Typer(help="What an OPC UA server has.", no_args_is_help=True)
out = Console(emoji=False)


@opcua_app.command("browse")
def browse(
    url: Annotated[str, typer.Argument(metavar="URL", help="opc.tcp://host:4840")],
    directory: Annotated[Path, typer.Option("--out", help="where models/ and plant.yaml go")] = Path("plant"),
    namespace: Annotated[str, typer.Option(help="a namespace's URI; all but the standard's")] = "",
    prefix: Annotated[str, typer.Option(help="the models' DTMIs begin with dtmi:<prefix>:")] = "com:example:plant",
    force: Annotated[bool, typer.Option("--force", help="over what is there")] = False,
    access: Annotated[Path | None, typer.Option(help="YAML with a mapping's options for login and security")] = None,
) -> None:
    """Proposes DTDL models and a mapping from what a server has; then: models load, ingest."""
    options = {"url": url} | (_options(access) if access else {})
    file = directory / "plant.yaml"
    if file.exists() and not force:
        raise SettingError(f"{file} is there already", hint="--force, or another --out")
    if not re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*(:[A-Za-z](_?[A-Za-z0-9])*)*", prefix):
        raise SettingError(f"{prefix!r} cannot begin a DTMI", where="--prefix", hint="com:example:plant")
    proposal = asyncio.run(_surveyed(options, namespace, prefix))
    models = directory / "models"
    models.mkdir(parents=True, exist_ok=True)
    for model in proposal.models:
        (models / f"{model['displayName']}.json").write_text(json.dumps(model, indent=2) + "\n", "utf-8")
    file.write_text(yaml.safe_dump(proposal.mapping, sort_keys=False, allow_unicode=True), "utf-8")
    out.print(f"{proposal.twins} twins of {len(proposal.models)} models: {escape(str(models))}, {escape(str(file))}")
    if proposal.passed_over:
        out.print(
            f"{len(proposal.passed_over)} variables have no type of DTDL's: {escape(', '.join(proposal.passed_over[:5]))}"
        )
    out.print(f"twingraph models load {escape(str(models))} && twingraph ingest {escape(str(file))}", soft_wrap=True)


async def _surveyed(options: dict[str, Any], namespace: str, prefix: str) -> Any:
    from asyncua import ua

    from ingest.opcua.options import OpcUaOptions
    from ingest.opcua.session import session, session_checked
    from ingest.opcua.survey import survey

    url = str(options["url"])
    opcua_options = OpcUaOptions.read(options, url)
    session_checked(opcua_options, url)
    try:
        async with await session(url, opcua_options) as client:
            return await survey(client, namespace, prefix, options)
    except (TimeoutError, OSError, ua.UaError) as error:
        raise StackError(f"cannot browse: {error!r}", where=url, hint="--access gives a login and security") from error


def _options(path: Path) -> dict[str, Any]:
    try:
        options = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise MappingError(f"cannot read the options: {error}", where=str(path)) from error
    if not isinstance(options, dict):
        raise MappingError("options must be an object", where=str(path), hint="user: …, password_variable: …")
    return options
