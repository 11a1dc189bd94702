"""`docker-compose.yml` for those with an engine: right by the Compose specification's own rules, and by our settings."""

import re
from typing import Any

import jsonschema
import pytest
import yaml

from app.settings import HELP, variable
from tests.conftest import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
# The part of the Compose specification's schema that the file uses, closed against misspelt keys.
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "anyOf": [{"required": ["image"]}, {"required": ["build"]}],
    "properties": {
        "image": {"type": "string", "pattern": r"^[\w./-]+:[\w.-]+$"},
        "build": {"type": "object", "properties": {"context": TEXT, "dockerfile_inline": TEXT}, "additionalProperties": False},
        "command": {"anyOf": [TEXT, TEXTS]},
        "environment": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "volumes": TEXTS,
        "configs": {"type": "array"},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["condition"],
                "properties": {"condition": {"enum": ["service_started", "service_healthy"]}},
            },
        },
        "healthcheck": {
            "type": "object",
            "required": ["test"],
            "additionalProperties": False,
            "properties": {
                "test": TEXTS,
                "interval": TEXT,
                "timeout": TEXT,
                "retries": {"type": "integer"},
                "start_period": TEXT,
            },
        },
    },
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["services"],
    "properties": {
        "name": TEXT,
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object"},
        "configs": {"type": "object"},
    },
}


def test_the_file_is_of_the_schema() -> None:
    jsonschema.validate(COMPOSE, SCHEMA)


def test_the_parts_are_there() -> None:
    assert {"neo4j", "mosquitto", "kafka", "server"} <= COMPOSE["services"].keys()


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_what_a_service_names_exists(name: str) -> None:
    service = COMPOSE["services"][name]
    assert set(service.get("depends_on", {})) <= COMPOSE["services"].keys()
    volumes = {volume.split(":")[0] for volume in service.get("volumes", [])}
    assert volumes <= COMPOSE.get("volumes", {}).keys()
    ours = {key for key in service.get("environment", {}) if key.startswith("TWINGRAPH_")}
    assert ours <= {variable(setting) for setting in HELP}


def test_no_password_is_written_down() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    given = re.findall(r"(?:PASSWORD|TOKEN|AUTH): *(\S+)", text)
    assert given
    assert all("${" in value for value in given)
