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
        "read_only": {"const": True},
        "tmpfs": TEXTS,
        "cap_drop": {"const": ["ALL"]},
        "security_opt": {"const": ["no-new-privileges:true"]},
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


def test_the_image_has_no_root_and_no_development_packages() -> None:
    recipe = COMPOSE["services"]["server"]["build"]["dockerfile_inline"]
    assert re.search(r"^USER (?!root|0)\w+$", recipe, re.MULTILINE)
    assert re.findall(r"[\w.]+\.lock", recipe) == ["requirements.runtime.lock"] * 2
    delivered = packages("requirements.runtime.lock")
    assert {"pytest", "hypothesis", "mypy", "ruff", "moto", "playwright"} & {name for name, _ in delivered} == set()
    assert delivered <= packages("requirements.lock")


def packages(lock: str) -> set[tuple[str, str]]:
    """(name, version): some have one for each Python."""
    return set(re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_only_what_the_image_needs_is_sent_to_its_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert kept == {
        "app",
        "cypher",
        "dtdl_models",
        "ingest",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "requirements.runtime.lock",
    }
    assert all((ROOT / name).exists() for name in kept)
