"""SOURCES: protocol → its module, its source and its outlet. A new protocol is a module and a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from app.commands.outlet import Outlet
from app.errors import MappingError, nearest
from app.settings import ROOT, Settings
from ingest.mapping.declaration import SourceMapping, read_mapping
from ingest.options import Options
from ingest.source import Source

MAPPINGS = ROOT / "ingest" / "mappings" / "live"


@dataclass(frozen=True, slots=True)
class Kind:
    """Module and class; source and outlet are made of (mapping, settings). `extra`: of the package, that holds its client."""

    source: str
    options: str
    outlet: str = ""
    extra: str = ""


SOURCES: Mapping[str, Kind] = {
    "mqtt": Kind("mqtt.MqttSource", "mqtt.MqttOptions", "mqtt.MqttOutlet", "mqtt"),
    "opcua": Kind("opcua.source.opcua_source", "opcua.options.OpcUaOptions", "opcua.methods.OpcUaOutlet", "opcua"),
    "sparkplug": Kind(
        "sparkplug.source.SparkplugSource", "sparkplug.source.SparkplugOptions", "sparkplug.source.SparkplugOutlet", "sparkplug"
    ),
    "modbus": Kind("modbus.ModbusSource", "modbus.ModbusOptions", "modbus.ModbusOutlet", "modbus"),
    "kafka": Kind("kafka.KafkaSource", "kafka.KafkaOptions", extra="kafka"),
    "kinesis": Kind("kinesis.KinesisSource", "kinesis.KinesisOptions", extra="kinesis"),
    "http": Kind("http.HttpSource", "http.HttpOptions"),
}


def make_source(mapping: SourceMapping, settings: Settings) -> Source:
    """Raises: MappingError for options that do not do, or a package that is not installed."""
    source: Source = _named(mapping.protocol, SOURCES[mapping.protocol].source, mapping.source)(mapping, settings)
    return source


def options_of(protocol: str) -> type[Options]:
    """Raises: MappingError for an unknown protocol, or a package that is not installed."""
    if protocol not in SOURCES:
        raise MappingError(f"unknown protocol {protocol!r}", hint=nearest(protocol, SOURCES, f"one of {', '.join(SOURCES)}"))
    options_class: type[Options] = _named(protocol, SOURCES[protocol].options, protocol)
    return options_class


def outlets(mappings: list[SourceMapping], settings: Settings) -> list[Outlet]:
    """Of those with commands. Raises: MappingError for a protocol that takes none."""
    return [_outlet(mapping)(mapping, settings) for mapping in mappings if mapping.commands]


def _outlet(mapping: SourceMapping) -> Any:
    name = SOURCES[mapping.protocol].outlet
    if not name:
        hint = f"commands go over {', '.join(protocol for protocol, kind in SOURCES.items() if kind.outlet)}"
        raise MappingError(f"commands cannot be sent over {mapping.protocol}", where=mapping.source, hint=hint)
    return _named(mapping.protocol, name, mapping.source)


def _named(protocol: str, path: str, where: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(f"ingest.{module}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "ingest":
            raise
        hint = f"pip install 'twingraph[{SOURCES[protocol].extra}]'"
        raise MappingError(f"{protocol} needs {error.name}", where=where, hint=hint) from error


def read_mappings(paths: list[Path]) -> list[SourceMapping]:
    """Every mapping of files and folders. Raises: MappingError, also for an unknown protocol or a name used twice."""
    files = mapping_files(paths)
    mappings = [read_mapping(file) for file in files]
    names: dict[str, Path] = {}
    for mapping, file in zip(mappings, files, strict=True):
        if mapping.protocol not in SOURCES:
            protocols = ", ".join(SOURCES)
            raise MappingError(f"unknown protocol {mapping.protocol!r}", where=str(file), hint=f"one of {protocols}")
        if mapping.source in names:
            raise MappingError(f"source {mapping.source!r} is also in {names[mapping.source]}", where=str(file))
        names[mapping.source] = file
    return mappings


def mapping_files(paths: list[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
