"""The sources of one process, each on its own: failing, stopped, reloaded, changed; the others go on. Real HTTP sources."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.dtdl.syntax import parse
from app.errors import MappingError
from app.main import ingest
from app.settings import Settings
from app.sources.state import SourceState, set_desired_state, source_states
from app.twins.edit import NewTwin, create
from app.twins.registry import Registry
from tests.conftest import free_port, twingraph
from tests.ingest.base import recent
from tests.pace import PACE

FAN = """{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:com:example:Fan;1", "@type": "Interface",
  "contents": [{"@type": "Telemetry", "name": "rpm", "schema": "double"}]}"""


class Plant:
    """A folder of mappings, run; two sources on ports of their own."""

    def __init__(self, folder: Path, settings: Settings, registry: Registry) -> None:
        self.folder, self.settings, self.store = folder, settings, registry.store
        self.ports = {"one": free_port(), "two": free_port()}
        for name in self.ports:
            self.write(name)

    def write(self, name: str, more: str = "") -> None:
        text = f"source: {name}\nprotocol: http\noptions: {{port: {self.ports[name]}, wait: 3}}\n"
        text += f'rules:\n  - match: "{{unit}}"\n    twin: "{{unit}}"\n{more}'
        (self.folder / f"{name}.yaml").write_text(text)

    async def push(self, name: str, unit: str, **values: Any) -> int | None:
        """The status, or None when nobody listens."""
        headers = {"Authorization": f"Bearer {self.settings.token}"}
        async with httpx.AsyncClient(headers=headers) as http:
            try:
                url = f"http://127.0.0.1:{self.ports[name]}/{unit}"
                return (await http.post(url, json={"ts": recent(), **values})).status_code
            except httpx.TransportError:
                return None

    def state(self, name: str) -> SourceState | None:
        return next((one for one in source_states(self.store) if one.source == name and one.state != "GONE"), None)

    async def until(self, check: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PACE * 20):
            while not await check():
                await asyncio.sleep(0.1)

    async def answers(self, name: str, status: int | None = 202) -> None:
        async def check() -> bool:
            return await self.push(name, "fan", power=1.0) == status

        await self.until(check)

    async def is_in(self, name: str, state: str, error: str = "") -> None:
        async def check() -> bool:
            found = await asyncio.to_thread(self.state, name)
            return found is not None and found.state == state and error in (found.error or "")

        await self.until(check)


@pytest.fixture
async def plant(tmp_path: Path, secured: Settings, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Plant]:
    monkeypatch.setattr("ingest.pipeline.managed.FOLLOW_SECONDS", 0.2)
    registry.store.command("MATCH (n:_Source|_Wish|_DeadLetter|Twin) DETACH DELETE n")
    create(registry.store, registry.catalog, [NewTwin("fan", "Turbine")])
    made = Plant(tmp_path, secured, registry)
    running = asyncio.create_task(ingest(secured, [tmp_path]))
    await made.answers("one")
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await made.push("one", "fan", power=1.0) is None


async def test_states_and_rates_are_in_the_graph(plant: Plant) -> None:
    await plant.push("one", "fan", nonsense=1)

    async def check() -> bool:
        found = await asyncio.to_thread(plant.state, "one")
        return found is not None and found.rejected == 1 and found.values > 0

    await plant.until(check)
    found = plant.state("one")
    assert found is not None
    assert (found.protocol, found.state, found.error) == ("http", "RUNNING", None)
    assert found.messages >= 2
    assert found.commit_ms > 0
    assert found.delay is not None
    assert found.delay > 3000  # measured an hour ago
    listed = await asyncio.to_thread(twingraph, plant.settings, "sources", "list")
    assert "RUNNING" in listed.stdout


async def test_one_that_fails_leaves_the_others_alone_and_comes_back(plant: Plant) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        plant.ports["two"] = taken.getsockname()[1]
        plant.write("two")
        await plant.is_in("two", "FAILED", "cannot listen")
        assert await plant.push("one", "fan", power=2.0) == 202
    await plant.answers("two")
    await plant.is_in("two", "RUNNING")


async def test_a_source_is_stopped_and_started(plant: Plant) -> None:
    await asyncio.to_thread(set_desired_state, plant.store, "two", True)
    await plant.is_in("two", "STOPPED")
    assert await plant.push("two", "fan", power=1.0) is None
    assert await plant.push("one", "fan", power=1.0) == 202
    await asyncio.to_thread(set_desired_state, plant.store, "two", False)
    await plant.answers("two")
    missing = await asyncio.to_thread(twingraph, plant.settings, "sources", "stop", "three")
    assert (missing.returncode, "no source 'three'" in missing.stderr) == (1, True)


async def test_a_reload_connects_anew_and_keeps_count(plant: Plant) -> None:
    before = plant.state("one")
    assert before is not None
    await asyncio.to_thread(set_desired_state, plant.store, "one", None, True)

    async def check() -> bool:
        found = await asyncio.to_thread(plant.state, "one")
        return found is not None and found.since > before.since and found.messages >= before.messages

    await plant.until(check)
    await plant.answers("one")


async def test_a_changed_mapping_is_followed_and_an_unsound_one_told(plant: Plant) -> None:
    plant.write("one", "    signals: {p: power}\n")

    async def renamed() -> bool:
        await plant.push("one", "fan", p=7.0)
        return plant.store.read("MATCH (t:Twin {dtId: 'fan'}) RETURN t.power") == [[7.0]]

    await plant.until(renamed)
    plant.write("one", "    signals: {p: pwer}\n")
    await plant.is_in("one", "RUNNING", "did you mean 'power'")
    assert await plant.push("one", "fan", p=8.0) == 202
    plant.write("one", "    signals: {p: power}\n")

    async def mended() -> bool:
        found = await asyncio.to_thread(plant.state, "one")
        return found is not None and found.error is None

    await plant.until(mended)
    (plant.folder / "two.yaml").unlink()
    await plant.answers("two", None)


async def test_models_loaded_later_are_known(plant: Plant, registry: Registry) -> None:
    registry.load([parse("fan.json", FAN)])  # type: ignore[list-item]
    create(registry.store, registry.catalog, [NewTwin("fan-2", "Fan")])

    async def check() -> bool:
        await plant.push("one", "fan-2", rpm=900.0)
        return plant.store.read("MATCH (t:Twin {dtId: 'fan-2'}) RETURN t.rpm") == [[900.0]]

    await plant.until(check)


async def test_an_unsound_mapping_does_not_start(tmp_path: Path, secured: Settings, registry: Registry) -> None:
    (tmp_path / "m.yaml").write_text("source: s\nprotocol: http\nrules:\n  - {match: '{u}', twin: '{u}', signals: {p: pwer}}\n")
    with pytest.raises(ExceptionGroup) as raised:
        await ingest(secured, [tmp_path])
    assert raised.group_contains(MappingError, match="no telemetry 'pwer'")
