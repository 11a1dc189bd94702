"""The pages of docs/reference that are made from the code: settings, options of sources, metrics, commands.

`python .ci/reference.py` writes them; `tests/docs/test_site.py` fails when one lags."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from prometheus_client.registry import REGISTRY

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from app import metrics  # noqa: E402, F401 - registers them
from app.cli.main import app as command  # noqa: E402
from app.settings import HELP, Settings, variable  # noqa: E402
from ingest.sources import SOURCES, options_of  # noqa: E402

Rows = Iterator[tuple[str, ...]]


def table(head: tuple[str, ...], rows: Rows) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def settings() -> str:
    def rows() -> Rows:
        for name, text in HELP.items():
            default: Any = Settings.__dataclass_fields__[name].default
            shown = {"home": '".twingraph"', "cache": '"~/.cache/twingraph"', "models": "the models of the package"}
            value = shown.get(name) or (str(default).lower() if isinstance(default, bool) else repr(default).replace("'", '"'))
            yield f"`{variable(name)}`", f"`{value}`", text

    head = "Each is an environment variable; empty passwords are those of the state folder, which its owner alone reads."
    return f"# Settings\n\n{head}\n\n{table(('variable', 'default', 'meaning'), rows())}"


def sources() -> str:
    head = (
        "What `options:` of a mapping file may say, by `protocol:`. `twingraph sources options` prints the same;\n"
        "`twingraph ingest FILE --check` tells what is wrong in a file without starting it."
    )
    parts = [f"# Options of sources\n\n{head}\n"]
    for name in SOURCES:
        rows = ((f"`{option}`", kind, default, text) for option, kind, default, text in options_of(name).rows())
        parts.append(f"## {name}\n\n{table(('option', 'type', 'default', 'meaning'), rows)}")
    return "\n".join(parts)


def measures() -> str:
    def rows() -> Rows:
        own = {one.name: one for one in REGISTRY.collect()}
        for name, one in sorted(own.items()):
            if name.startswith("twingraph"):
                yield f"`{name}{'_total' if one.type == 'counter' else ''}`", one.type, one.documentation

    head = "Of all processes of a stack, at `/metrics`, in the text format of Prometheus."
    return f"# Metrics\n\n{head}\n\n{table(('metric', 'type', 'meaning'), rows())}"


def commands() -> str:
    parts = ["# Commands\n\nErrors go to standard error; the exit code is 1, or 2 for a mistake in the usage.\n"]
    parts += _commands(typer.main.get_command(command), "twingraph")
    return "\n".join(parts)


def _commands(found: Any, name: str) -> Iterator[str]:
    if getattr(found, "hidden", False):
        return
    inner = getattr(found, "commands", None)
    if inner is not None:
        for key, one in inner.items():
            yield from _commands(one, f"{name} {key}")
        return
    help_text = re.sub(r"\s*\n\s*", " ", (found.help or "").strip())
    usage = [part for part in (_usage(one) for one in found.params) if part]
    yield f"## {name}\n\n{help_text}\n\n```text\n{' '.join([name, *usage])}\n```\n"
    described = [(f"`{_usage(one)}`", one.help) for one in found.params if getattr(one, "help", None) and _usage(one)]
    if described:
        yield table(("argument", "meaning"), iter(described))


def _usage(one: Any) -> str:
    if one.param_type_name == "argument":
        name = one.metavar or one.name.upper()
        name += "…" if one.nargs != 1 and not name.endswith("…") else ""
        return name if one.required else f"[{name}]"
    if one.name == "help" or getattr(one, "hidden", False):
        return ""
    longest = max(one.opts, key=len)
    return longest if one.is_flag else f"{longest} {one.name.upper()}"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "sources.md": sources,
    "metrics.md": measures,
    "commands.md": commands,
}


if __name__ == "__main__":
    for page, made in PAGES.items():
        (ROOT / "docs" / "reference" / page).write_text(made())
