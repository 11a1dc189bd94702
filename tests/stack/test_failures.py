"""What can be wrong on a machine, and what is said: what, where, the way out; exit code 1; no stack trace."""

import socket
from pathlib import Path

import pandas as pd
import pytest

from app.errors import StackError
from app.settings import Settings
from app.stack import jars
from app.stack.child import Child
from app.twins.registry import Registry
from tests.conftest import ROOT, apart, free_port, twingraph


def refusal(done: object) -> str:
    assert getattr(done, "returncode", 0) == 1, done
    text = str(getattr(done, "stderr", ""))
    assert "Traceback" not in text
    return " ".join(text.split())


def test_a_busy_port_is_named(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        free = {"bolt_port": free_port(), "browser_port": free_port()}
        said = refusal(twingraph(apart(settings, home=tmp_path, mqtt_port=port, **free), "stack", "start"))
    assert f"port {port} is in use" in said
    assert "TWINGRAPH_MQTT_PORT" in said


def test_a_wrong_password_is_told(settings: Settings, neo4j: Child) -> None:
    said = refusal(twingraph(apart(settings, neo4j_password="wrong"), "models", "list"))
    assert "Neo4j refuses the login" in said
    assert "TWINGRAPH_NEO4J_PASSWORD" in said


def test_a_database_that_is_away_is_told(settings: Settings) -> None:
    said = refusal(twingraph(apart(settings, bolt_port=free_port(), neo4j_password="x"), "models", "list"))
    assert "Neo4j is unreachable" in said


def test_a_setting_that_does_not_fit_is_named(settings: Settings) -> None:
    said = refusal(twingraph(settings, "endpoints", TWINGRAPH_SERVER_PORT="many"))
    assert "TWINGRAPH_SERVER_PORT='many' is not a valid int" in said


def test_a_model_that_does_not_compile_is_shown_and_changes_nothing(registry: Registry, settings: Settings) -> None:
    before = dict(registry.catalog.labels)
    path = ROOT / "tests" / "dtdl" / "cases" / "misspelt.json"
    for command in ("check", "load"):
        said = refusal(twingraph(settings, "models", command, str(path)))
        assert "did you mean 'double'?" in said
        assert "misspelt.json:6" in said
    registry.refresh()
    assert dict(registry.catalog.labels) == before


def test_missing_models_are_told(settings: Settings) -> None:
    assert "no such file" in refusal(twingraph(settings, "models", "check", "nowhere"))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{match: 'a/{x}', twin: '{x}', signals: {p: pwer}}", "no telemetry 'pwer'"),
        ("{match: 'a/{x}', twin: '{x}', create: Turbin}", "no loaded model: 'Turbin'"),
    ],
)
def test_a_mapping_that_names_nothing_is_refused(
    rule: str, said: str, registry: Registry, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(f"source: s\nprotocol: mqtt\nrules: [{rule}]\n")
    assert said in refusal(twingraph(settings, "ingest", "--check", str(path)))


def test_a_table_without_the_mapped_column_is_refused(registry: Registry, settings: Settings, tmp_path: Path) -> None:
    table = pd.DataFrame({"Wind_turbine_name": ["R1"], "Date_time": pd.to_datetime(["2020-01-01"]), "Ba_avg": [1.0]})
    path = tmp_path / "short.parquet"
    table.to_parquet(path)
    said = refusal(twingraph(settings, "replay", str(path)))
    assert "no column 'P_avg'" in said
    assert "Ba_avg" in said
    assert "cannot read the table" in refusal(twingraph(settings, "replay", str(tmp_path / "none.parquet")))


def test_a_jar_with_another_checksum_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "one.txt").write_text(f"org.webjars.npm:react:18.3.1 sha256:{'0' * 64}\n")
    with pytest.raises(StackError, match="another checksum"):
        jars.fetch("one", tmp_path / "cache", lists=tmp_path / "lists")
    assert list((tmp_path / "cache" / "one").iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "",
        "demo",
        "serve",
        "ingest",
        "gateway",
        "sources",
        "fleet",
        "endpoints",
        "replay",
        "report",
        "bench",
        "stack",
        "stack start",
        "models",
        "models check",
        "models load",
        "models list",
        "predict",
        "predict train",
        "predict score",
        "deadletters replay",
        "history export",
        "history import",
    ],
)
def test_every_command_has_help(command: str, settings: Settings) -> None:
    done = twingraph(settings, *command.split(), "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_the_settings_table_is_whole() -> None:
    from dataclasses import fields

    from app.settings import HELP

    assert HELP.keys() == {field.name for field in fields(Settings)}
