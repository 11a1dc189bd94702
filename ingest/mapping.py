"""The mapping file: which address means which twin and which signal. Declarative; one file a source.

source: fleet-mqtt            name of the source, in metrics and positions
protocol: mqtt                a row of SOURCES
bound: ["wf*"]                dtIds this source may write and command; all, where it is absent
options: {}                   what the protocol needs: host, topics, url, …
rules:
  - match: fleet/{farm}/{turbine}/telemetry     {…} matches one part of an address
    twin: "{farm}-{turbine}"                    the dtId, from the parts
    kind: telemetry                             telemetry, event or answer
    time: ts                                    field with the time of measure
    signals: {Ws_avg: windSpeed}                renames; empty: fields bear the signals' names
    unknown: deadletter                         or ignore: what to do with fields that are no signal
    create: Turbine                             model of twins made when they are missing
commands:
  - twin: "{farm}-{turbine}"                    which twins
    to: fleet/{farm}/{turbine}/command          where their commands go
    reply: fleet/{farm}/{turbine}/response      where answers come from
"""

import difflib
import re
from collections.abc import Mapping as Map
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.dtdl import Catalog
from app.errors import MappingError, NotFound

PART = re.compile(r"\{(\w+)\}")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(Strict):
    match: str
    twin: str
    kind: Literal["telemetry", "event", "answer"] = "telemetry"
    time: str = "ts"
    signals: dict[str, str] = Field(default_factory=dict)
    unknown: Literal["deadletter", "ignore"] = "deadletter"
    create: str | None = None
    signal: str | None = None  # OPC UA: the part of the address that names the signal


class CommandRule(Strict):
    twin: str
    to: str
    reply: str = ""


class Mapping(Strict):
    source: str
    protocol: str
    options: dict[str, Any] = Field(default_factory=dict)
    rules: tuple[Rule, ...]
    commands: tuple[CommandRule, ...] = ()
    bound: tuple[str, ...] = ("*",)

    def may_touch(self, dt_id: str) -> bool:
        """A source writes and commands only the twins it is bound to."""
        return any(fnmatchcase(dt_id, glob) for glob in self.bound)


def read_mapping(path: Path) -> Mapping:
    """Raises: MappingError naming file and place."""
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        mapping = Mapping.model_validate(given)
    except OSError as error:
        raise MappingError(f"cannot read the mapping: {error.strerror}", where=str(path)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise MappingError(f"not YAML: {getattr(error, 'problem', error)}", where=place) from error
    except ValidationError as error:
        first = error.errors()[0]
        step = ".".join(str(part) for part in first["loc"])
        raise MappingError(f"{step}: {first['msg']}", where=str(path), hint="see the head of ingest/mapping.py") from error
    for rule in mapping.rules:
        _check_parts(path, rule.match, rule.twin)
    for command in mapping.commands:
        _check_parts(path, command.twin, command.to)
        _check_parts(path, command.twin, command.reply)
    return mapping


def check_against(mapping: Mapping, catalog: Catalog, where: str = "") -> None:
    """Raises: MappingError when a rule names a model or a signal that no model has."""
    everything = {name for dtmi in catalog.interfaces for name in catalog.telemetry(dtmi)}
    for index, rule in enumerate(mapping.rules):
        place = f"{where or mapping.source}: rules[{index}]"
        known = everything
        if rule.create:
            try:
                known = set(catalog.telemetry(catalog.interface(rule.create).dtmi))
            except NotFound as error:
                hint = _near(rule.create, catalog.by_label)
                raise MappingError(f"create names no loaded model: {rule.create!r}", where=place, hint=hint) from error
        for field, signal in rule.signals.items():
            if signal not in known:
                hint = _near(signal, known)
                raise MappingError(f"signals.{field}: no telemetry {signal!r}", where=place, hint=hint)


def pattern(template: str) -> re.Pattern[str]:
    """A template as a regular expression; a part never holds `/` nor a character that ends a part in this template."""
    pieces = PART.split(template)
    ends = {text[0] for text in pieces[2::2] if text} | {"/"}
    part = f"[^{re.escape(''.join(sorted(ends)))}]+"
    made = [re.escape(text) if index % 2 == 0 else f"(?P<{text}>{part})" for index, text in enumerate(pieces)]
    return re.compile("".join(made))


def fill(template: str, parts: Map[str, str]) -> str:
    return PART.sub(lambda part: parts[part[1]], template)


def _check_parts(path: Path, source: str, target: str) -> None:
    missing = set(PART.findall(target)) - set(PART.findall(source))
    if missing:
        raise MappingError(f"{target!r} uses {{{missing.pop()}}}, which {source!r} does not give", where=str(path))


def _near(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {close[0]!r}?" if close else "load the model first: twingraph models load"
