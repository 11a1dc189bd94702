"""A server nobody has described: browsed, its proposal loaded and run as it is, on a real asyncua server and a real Neo4j."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from asyncua import Server, ua
from typer.testing import CliRunner

from app.cli.main import app
from app.commands.outlet import Delivery
from app.settings import Settings
from app.twins.directory import Directory
from app.twins.registry import Registry, read_models
from ingest.mapping.declaration import check_against, read_mapping
from ingest.mapping.match import Matcher
from ingest.opcua.methods import OpcUaOutlet, dtdl_name
from ingest.opcua.source import OpcUaSource
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.pipeline import Pipeline
from tests.conftest import free_port
from tests.pace import PACE

pytestmark = pytest.mark.slow

URI = "urn:survey:plant"


class Waterworks:
    """Two pumps of a type, each with a motor; a tank without one; a variable of a type DTDL has no word for."""

    def __init__(self) -> None:
        self.url = f"opc.tcp://127.0.0.1:{free_port()}/works"
        self.server = Server()
        self.called: list[tuple[Any, ...]] = []

    async def start(self) -> None:
        await self.server.init()
        self.server.set_endpoint(self.url)
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await self.server.register_namespace("urn:something:before")
        self.index = index = await self.server.register_namespace(URI)
        pump = await self.server.nodes.base_object_type.add_object_type(index, "PumpType")
        for name, value in (("flow rate", 1.5), ("running", True), ("starts", 7)):
            await (await pump.add_variable(index, name, value)).set_modelling_rule(True)
        await (await pump.add_property(index, "SerialNumber", "?")).set_modelling_rule(True)
        folder = await self.server.nodes.objects.add_folder(index, "Hall 1")
        for number in (1, 2):
            made = await folder.add_object(index, f"Pump {number}", objecttype=pump)
            motor = await made.add_object(index, "Motor")
            await motor.add_variable(index, "temperature", 40.0 + number)
            inputs = [
                ua.Argument(Name=name, DataType=ua.NodeId(kind.value))
                for name, kind in (("rpm", ua.VariantType.Int32), ("slowly", ua.VariantType.Boolean))
            ]
            outputs = [ua.Argument(Name="accepted", DataType=ua.NodeId(ua.VariantType.Boolean.value))]
            await made.add_method(index, "setSpeed", self.set_speed, inputs, outputs)
        tank = await folder.add_object(index, "Tank")
        self.level = await tank.add_variable(index, "level", 3.25)
        await tank.add_variable(index, "picture", ua.Variant(b"x", ua.VariantType.ByteString))
        await self.server.start()

    def set_speed(self, parent: ua.NodeId, *given: ua.Variant) -> list[ua.Variant]:
        self.called.append(tuple((one.Value, one.VariantType.name) for one in given))
        return [ua.Variant(True, ua.VariantType.Boolean)]


@pytest.fixture
async def works() -> AsyncIterator[Waterworks]:
    made = Waterworks()
    await made.start()
    yield made
    await made.server.stop()


async def browse(*arguments: str) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, app, ["opcua", "browse", *arguments])


async def test_a_server_becomes_models_and_a_mapping_that_run(works: Waterworks, tmp_path: Path, registry: Registry) -> None:
    said = await browse(works.url, "--out", str(tmp_path), "--namespace", URI, "--prefix", "com:survey")
    assert said.exit_code == 0, said.output
    assert "5 twins of 3 models" in said.output
    assert "1 variables have no type" in said.output
    models = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "models").iterdir()}
    assert set(models) == {"Pump", "Motor", "Tank"}
    kinds = {one["name"]: (one["@type"], one.get("schema")) for one in models["Pump"]["contents"]}
    assert kinds["flow_rate"] == ("Telemetry", "double")
    assert kinds["running"] == ("Telemetry", "boolean")
    assert kinds["starts"] == ("Telemetry", "long")
    assert kinds["SerialNumber"] == ("Property", "string")
    assert kinds["hasComponent"] == ("Relationship", None)
    assert kinds["setSpeed"][0] == "Command"

    store = registry.store
    registry.load(read_models([tmp_path / "models"]))
    mapping = read_mapping(tmp_path / "plant.yaml")
    check_against(mapping, registry.catalog)
    assembler = Assembler("plant", registry.catalog, Matcher(mapping, Directory(store)), 600)
    running = asyncio.create_task(Pipeline(OpcUaSource(mapping, Settings()), assembler, store, 0.05, 1000).run())
    text = """MATCH (pump {_model: 'dtmi:com:survey:Pump;1'})-[:hasComponent]->(motor {_model: 'dtmi:com:survey:Motor;1'}),
      (tank {_model: 'dtmi:com:survey:Tank;1'})
      RETURN pump.dtId, pump.flow_rate, pump.running, pump.starts, motor.temperature, tank.level ORDER BY pump.dtId"""
    async with asyncio.timeout(PACE * 20):
        while len(found := await asyncio.to_thread(store.read, text)) < 2 or None in found[0] + found[1]:
            await asyncio.sleep(0.1)
    assert found == [
        ["Hall-1-Pump-1", 1.5, True, 7, 41.0, 3.25],
        ["Hall-1-Pump-2", 1.5, True, 7, 42.0, 3.25],
    ]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert store.read("MATCH (d:_DeadLetter {source: 'plant'}) RETURN count(d)") == [[0]]

    outlet = OpcUaOutlet(mapping, Settings())
    assert outlet.serves("Hall-1-Pump-2")
    assert not outlet.serves("Hall-1-Tank")
    delivery = Delivery("1", "Hall-1-Pump-2", "setSpeed", {"slowly": True, "rpm": 900}, 5.0)
    answer = await outlet.send(delivery)
    assert answer is not None
    assert (answer.status, answer.response) == ("SUCCEEDED", {"accepted": True})
    assert works.called == [((900, "Int32"), (True, "Boolean"))]
    refused = await outlet.send(Delivery("2", "Hall-1-Pump-2", "setSpeed", {"rpm": 900}, 5.0))
    assert refused is not None
    assert refused.status == "REFUSED"
    assert "rpm, slowly" in str(refused.reason)


async def test_a_command_may_write_a_variable(works: Waterworks, tmp_path: Path) -> None:
    await works.level.set_writable()
    await browse(works.url, "--out", str(tmp_path), "--namespace", URI)
    given = yaml.safe_load((tmp_path / "plant.yaml").read_text())
    parent = await works.level.get_parent()
    assert parent is not None
    given["commands"] = [{"twin": "tank", "to": f"nsu={URI};{parent.nodeid.to_string().partition(';')[2]}"}]
    (tmp_path / "plant.yaml").write_text(yaml.safe_dump(given))
    outlet = OpcUaOutlet(read_mapping(tmp_path / "plant.yaml"), Settings())
    answers = [await outlet.send(Delivery("1", "tank", "level", value, 5.0)) for value in (4, "high")]
    assert [one.status for one in answers if one] == ["SUCCEEDED", "REFUSED"]
    assert await works.level.read_value() == 4.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--namespace", "urn:none"], "no namespace 'urn:none'"),
        (["--namespace", "urn:something:before"], "no object with variables"),
    ],
)
async def test_what_cannot_be_browsed_is_explained(works: Waterworks, tmp_path: Path, arguments: list[str], said: str) -> None:
    found = await browse(works.url, "--out", str(tmp_path), *arguments)
    assert found.exit_code == 1
    assert said in str(found.exception)


@pytest.mark.parametrize(
    ("said", "name"),
    [("power", "power"), ("flow rate", "flow_rate"), ("7th", "n7th"), ("__a--b__", "a_b"), ("Größe", "Gr_e"), ("...", "n")],
)
def test_names_become_dtdls(said: str, name: str) -> None:
    assert dtdl_name(said) == name
