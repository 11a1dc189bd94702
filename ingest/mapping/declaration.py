"""The mapping file: which address means which twin and which signal. Declarative; one file a source.

source: fleet-mqtt            name of the source, in metrics and positions
protocol: mqtt                a row of SOURCES
bound: ["wf*"]                dtIds this source may write and command; all, where it is absent
options: {}                   what the protocol needs: host, topics, url, …
rules:
  - match: fleet/{farm}/{turbine}/telemetry     {…} matches one part of an address
    twin: "{farm}-{turbine}"                    the dtId, from the parts
    kind: telemetry                             telemetry, event or answer
    payload: json                               or csv, msgpack, cloudevents, avro; gzip, zlib and zstd bodies are unpacked
    registry: http://host:8081                  avro: where its schemas are
    fields: body.values                         path to the object with the fields, where it is not the whole message
    readings: {name: n, value: v}               where each record is one reading: the fields with its name and its value
    columns: [ts, power]                        csv: what the columns are, where the first line does not say it
    time: ts                                    field with the event time
    quality: q                                  field with the quality of the others: Good, Uncertain, Bad, or 192, 64, 0
    signals:                                    renames; without it fields bear the signals' names
      Ws_avg: windSpeed
      wind.dir: windDirection                   a path into nested objects
      P_W: {to: power, unit: watt}              its unit here: converted to the model's
      T_raw: {to: nacelleTemperature, scale: 0.1, offset: -40}
      mode: {to: operatingState, values: {1: running, 2: idle}}
    fixed: {operatingState: running}            signals that every message says the same of
    unknown: deadletter                         or ignore: what to do with fields that are no signal
    create: Turbine                             model of twins made when they are missing
    under: {twin: "{farm}", by: contains}       and the relationship that leads to them
commands:
  - twin: "{farm}-{turbine}"                    which twins
    to: fleet/{farm}/{turbine}/command          where their commands go
    reply: fleet/{farm}/{turbine}/response      where answers come from
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.dtdl import Catalog, Telemetry
from app.errors import MappingError, NotFound, nearest
from ingest.mapping.units import conversion

PART = re.compile(r"\{(\w+)\}")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(Strict):
    """The signal that a field becomes: `value * scale + offset`, then from `unit` to the model's; or what `values` says."""

    to: str
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    values: dict[str | int | float | bool, Any] = Field(default_factory=dict)

    @property
    def plain(self) -> bool:
        return not self.unit and not self.values and (self.scale, self.offset) == (1.0, 0.0)

    def scaled(self, unit: str) -> tuple[float, float]:
        """Factor and offset from the field to a signal in `unit`. Raises: ValueError when the units do not fit."""
        factor, offset = conversion(self.unit, unit) if self.unit else (1.0, 0.0)
        return self.scale * factor, self.offset * factor + offset


class Readings(Strict):
    name: str
    value: str


class Under(Strict):
    twin: str
    by: str


class Rule(Strict):
    match: str
    twin: str
    kind: Literal["telemetry", "event", "answer"] = "telemetry"
    payload: Literal["json", "csv", "msgpack", "cloudevents", "avro"] = "json"
    registry: str = ""
    fields: str = ""
    readings: Readings | None = None
    columns: tuple[str, ...] = ()
    time: str = "ts"
    quality: str = ""
    signals: dict[str, Target] = Field(default_factory=dict)
    fixed: dict[str, Any] = Field(default_factory=dict)
    unknown: Literal["deadletter", "ignore"] = "deadletter"
    create: str | None = None
    under: Under | None = None
    signal: str | None = None  # OPC UA: the part of the address that names the signal

    @field_validator("signals", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {field: {"to": target} if isinstance(target, str) else target for field, target in value.items()}

    @cached_property
    def is_flat(self) -> bool:
        """An object is a record as it stands."""
        return self.readings is None and not self.fields and not self.nested and not self.fixed

    @cached_property
    def nested(self) -> bool:
        return any("." in field for field in (*self.signals, self.quality))

    @model_validator(mode="after")
    def _has_registry(self) -> "Rule":
        if self.payload == "avro" and not self.registry:
            raise ValueError("payload: avro needs registry")
        return self

    def signal_of(self, field: str) -> str:
        target = self.signals.get(field)
        return field if target is None else target.to


class CommandRule(Strict):
    twin: str
    to: str
    reply: str = ""


class SourceMapping(Strict):
    source: str
    protocol: str
    options: dict[str, Any] = Field(default_factory=dict)
    rules: tuple[Rule, ...]
    commands: tuple[CommandRule, ...] = ()
    bound: tuple[str, ...] = ("*",)

    @cached_property
    def takes_events(self) -> bool:
        """The headers of messages may be CloudEvents' attributes."""
        return any(rule.payload == "cloudevents" for rule in self.rules)

    def may_touch(self, dt_id: str) -> bool:
        """A source writes and commands only the twins it is bound to."""
        return any(fnmatchcase(dt_id, glob) for glob in self.bound)


def read_mapping(path: Path) -> SourceMapping:
    """Raises: MappingError naming file and place."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        mapping = SourceMapping.model_validate(document)
    except UnicodeDecodeError as error:
        raise MappingError("not UTF-8", where=str(path)) from error
    except OSError as error:
        raise MappingError(f"cannot read the mapping: {error.strerror}", where=str(path)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise MappingError(f"not YAML: {getattr(error, 'problem', error)}", where=place) from error
    except ValidationError as error:
        first = error.errors()[0]
        step = ".".join(str(part) for part in first["loc"])
        raise MappingError(
            f"{step}: {first['msg']}", where=str(path), hint="see the head of ingest/mapping/declaration.py"
        ) from error
    for rule in mapping.rules:
        _check_parts(path, rule.match, rule.twin)
        if rule.under:
            _check_parts(path, rule.match, rule.under.twin)
    for command in mapping.commands:
        _check_parts(path, command.twin, command.to)
        _check_parts(path, command.twin, command.reply)
    return mapping


def check_against(mapping: SourceMapping, catalog: Catalog, where: str = "") -> None:
    """Raises: MappingError when a rule names a model, signal or relationship that no model has, or a unit that does not fit."""
    everything = {name: signal for dtmi in catalog.interfaces for name, signal in catalog.telemetry(dtmi).items()}
    for index, rule in enumerate(mapping.rules):
        place = f"{where or mapping.source}: rules[{index}]"
        signals = everything
        if rule.create:
            try:
                signals = catalog.telemetry(catalog.interface(rule.create).dtmi)
            except NotFound as error:
                hint = _near(rule.create, catalog.by_label)
                raise MappingError(f"create names no loaded model: {rule.create!r}", where=place, hint=hint) from error
        if rule.under and not any(rule.under.by in catalog.relationships(dtmi) for dtmi in catalog.interfaces):
            raise MappingError(f"under.by: no model has a relationship {rule.under.by!r}", where=place)
        for field, target in rule.signals.items():
            _check_signal(target.to, signals, f"signals.{field}", place)
            _check_unit(target, signals[target.to], f"signals.{field}", place)
        for signal in rule.fixed:
            _check_signal(signal, signals, f"fixed.{signal}", place)


def _check_signal(signal: str, signals: Mapping[str, Telemetry], key: str, place: str) -> None:
    if signal not in signals:
        raise MappingError(f"{key}: no telemetry {signal!r}", where=place, hint=_near(signal, signals))


def _check_unit(target: Target, signal: Telemetry, key: str, place: str) -> None:
    if target.unit:
        try:
            conversion(target.unit, signal.unit)
        except ValueError as error:
            raise MappingError(f"{key}: {error}", where=place, hint="a unit as pint or DTDL names it") from error


def pattern(template: str) -> re.Pattern[str]:
    """A template as a regular expression; a part never holds `/` nor a character that ends a part in this template."""
    pieces = PART.split(template)
    ends = {text[0] for text in pieces[2::2] if text} | {"/"}
    part = f"[^{re.escape(''.join(sorted(ends)))}]+"
    fragments = [re.escape(text) if index % 2 == 0 else f"(?P<{text}>{part})" for index, text in enumerate(pieces)]
    return re.compile("".join(fragments))


def fill(template: str, parts: Mapping[str, str]) -> str:
    return PART.sub(lambda part: parts[part[1]], template)


def _check_parts(path: Path, source: str, target: str) -> None:
    try:
        pattern(source)
    except re.error as error:
        raise MappingError(
            f"{source!r}: {error}", where=str(path), hint="each part of an address has a name of its own"
        ) from error
    missing = set(PART.findall(target)) - set(PART.findall(source))
    if missing:
        raise MappingError(f"{target!r} uses {{{missing.pop()}}}, which {source!r} does not give", where=str(path))


def _near(name: str, names: Any) -> str:
    return nearest(name, names, "load the model first: twingraph models load")
