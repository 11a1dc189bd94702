"""SOURCES: protocol → how its source and its outlet are made. A new protocol is a module and a row."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.commands.outlet import Outlet
from app.errors import MappingError
from app.settings import ROOT, Settings
from ingest import http
from ingest.mapping import Mapping, read_mapping
from ingest.mqtt import MqttOutlet, MqttSource
from ingest.opcua import OpcUaOutlet, OpcUaSource
from ingest.pipeline import Source

MAPPINGS = ROOT / "ingest" / "mappings" / "live"


@dataclass(frozen=True, slots=True)
class Kind:
    source: Callable[[Mapping, Settings], Source]
    outlet: Callable[[Mapping, Settings], Outlet]


def _opcua_url(settings: Settings) -> str:
    return f"opc.tcp://{settings.host}:{settings.opcua_port}/fleet"


SOURCES: dict[str, Kind] = {
    "mqtt": Kind(MqttSource, MqttOutlet),
    "http": Kind(http.HttpSource, http.outlet),
    "opcua": Kind(
        lambda mapping, settings: OpcUaSource(mapping, str(mapping.options.get("url") or _opcua_url(settings))),
        lambda mapping, settings: OpcUaOutlet(mapping, str(mapping.options.get("url") or _opcua_url(settings))),
    ),
}


def read_mappings(paths: list[Path]) -> list[Mapping]:
    """Every mapping of files and folders. Raises: MappingError, also for an unknown protocol or a name used twice."""
    files = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    mappings = [read_mapping(file) for file in files]
    names: dict[str, Path] = {}
    for mapping, file in zip(mappings, files, strict=True):
        if mapping.protocol not in SOURCES:
            known = ", ".join(SOURCES)
            raise MappingError(f"unknown protocol {mapping.protocol!r}", where=str(file), hint=f"one of {known}")
        if mapping.source in names:
            raise MappingError(f"source {mapping.source!r} is also in {names[mapping.source]}", where=str(file))
        names[mapping.source] = file
    return mappings


def outlets(mappings: list[Mapping], settings: Settings) -> list[Outlet]:
    return [SOURCES[mapping.protocol].outlet(mapping, settings) for mapping in mappings if mapping.commands]
