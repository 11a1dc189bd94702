"""Modbus against pymodbus' server: TCP, RTU frames over TCP, RTU over a serial line; every type; registers that are refused."""

import asyncio
import os
import pty
import struct
import threading
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from app.commands.outlet import Delivery
from app.errors import MappingError
from app.settings import Settings
from app.twins.directory import Directory
from app.twins.registry import Registry
from ingest.mapping.declaration import CommandRule, Rule, SourceMapping
from ingest.mapping.match import Matcher
from ingest.modbus import ModbusOutlet, ModbusSource, Register, blocks
from ingest.pipeline.assemble import Assembler
from ingest.pipeline.pipeline import Pipeline
from ingest.source import Message
from tests.conftest import free_port
from tests.ingest.base import SourceContract
from tests.pace import PACE


def words(form: str, value: Any) -> list[int]:
    raw = struct.pack(f">{form}", value)
    return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]


HOLDING, COILS, WRITE = 3, 1, 16


class Plc:
    """Two devices with holes in their maps: addresses that are not there are refused."""

    def __init__(self) -> None:
        self.words = {at: [0] * 4 for at in (0, 10, 20, 60)}
        self.bits = [False] * 8
        self.server: Any = None

    def devices(self) -> list[SimDevice]:
        words = [SimData(at, values=list(values), datatype=DataType.REGISTERS) for at, values in self.words.items()]
        bits = [SimData(at, values=[bit], datatype=DataType.BITS) for at, bit in enumerate(self.bits)]
        return [SimDevice(unit, (bits, bits, words, words)) for unit in (1, 2)]

    def set(self, at: int, values: list[int]) -> None:
        self.words[at][: len(values)] = values

    async def change(self, at: int, values: list[int]) -> None:
        await self.server.async_setValues(1, WRITE, at, values)

    async def value(self, at: int, count: int) -> Any:
        return await self.server.async_getValues(1, HOLDING, at, count)


@asynccontextmanager
async def serving(plc: Plc, port: int, framer: FramerType = FramerType.SOCKET) -> AsyncIterator[None]:
    plc.server = ModbusTcpServer(plc.devices(), address=("127.0.0.1", port), framer=framer)
    await plc.server.serve_forever(background=True)
    try:
        yield
    finally:
        await plc.server.shutdown()


def mapped(options: dict[str, Any], *registers: dict[str, Any], **rule: Any) -> SourceMapping:
    options = {"every": 0.05, "device": "line/01", "timeout": 1, **options, "registers": list(registers)}
    rules = (Rule.model_validate({"match": "line/{unit}", "twin": "c-{unit}"} | rule),)
    commands = (CommandRule(twin="c-{unit}", to="line/{unit}"),)
    return SourceMapping(source="plc", protocol="modbus", options=options, rules=rules, commands=commands)


async def first(mapping: SourceMapping, settings: Settings, count: int = 1) -> list[Message]:
    """The first messages of a source."""
    taken: list[Message] = []

    async def take(message: Message) -> None:
        taken.append(message)

    task = asyncio.create_task(ModbusSource(mapping, settings).run(take))
    async with asyncio.timeout(PACE * 10):
        while len(taken) < count:
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return taken


class TestModbus(SourceContract):
    """A poll has the time of its reading, so the contract's event times are not this protocol's."""

    test_readings_arrive = test_order_of_arrival_does_not_matter = test_duplicates_are_stored_once = None  # type: ignore[assignment]
    test_F2_the_database_comes_back = None  # type: ignore[assignment]

    async def test_readings_flow_while_one_is_refused(self, registry: Registry, twins: list[str], secured: Settings) -> None:
        """F18: the register in a hole of the map, read together with others, stops none of them."""
        registry.store.command("MATCH (s:_Segment|_DeadLetter) DETACH DELETE s")
        plc, port = Plc(), free_port()
        plc.set(0, words("f", 1500.5))
        registers = ({"name": "p", "at": 0, "type": "float32"}, {"name": "hole", "at": 5}, {"name": "windSpeed", "at": 10})
        mapping = mapped({"host": "127.0.0.1", "port": port}, *registers, signals={"p": {"to": "power", "unit": "watt"}})
        source = ModbusSource(mapping, secured)
        assembler = Assembler("plc", registry.catalog, Matcher(mapping, Directory(registry.store)), 600)
        async with serving(plc, port):
            task = asyncio.create_task(Pipeline(source, assembler, registry.store, 0.02, 1000).run())
            found = await self.stored(registry.store, 5)
            await plc.change(0, words("f", 2500.0))
            for _ in range(100):
                await asyncio.sleep(0.05)
                if registry.store.read("MATCH (t:Twin {dtId: 'c-01'}) RETURN t.power") == [[2.5]]:
                    break
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert {row[2] for row in found} == {1.5005}
        assert registry.store.read("MATCH (t:Twin {dtId: 'c-01'}) RETURN t.power, t.windSpeed") == [[2.5, 0.0]]
        assert registry.store.read("MATCH (d:_DeadLetter) RETURN count(d)") == [[0]]

    async def test_the_plc_comes_back(self, secured: Settings) -> None:
        plc, port = Plc(), free_port()
        mapping = mapped({"host": "127.0.0.1", "port": port}, {"name": "power", "at": 0})
        taken: list[Message] = []

        async def take(message: Message) -> None:
            taken.append(message)

        source = ModbusSource(mapping, secured)
        task = asyncio.create_task(source.run(take))
        for _ in range(2):
            async with serving(plc, port):
                before = len(taken)
                async with asyncio.timeout(PACE * 15):
                    while len(taken) < before + 3:
                        await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert source.reconnects >= 1
        assert [one.address for one in taken[:1]] == ["line/01"]


@pytest.mark.parametrize(
    ("register", "given", "value"),
    [
        ({"type": "uint16"}, [65535], 65535),
        ({"type": "int16"}, [65535], -1),
        ({"type": "int32"}, words("i", -70000), -70000),
        ({"type": "uint32", "words": "little"}, words("I", 70000)[::-1], 70000),
        ({"type": "float32"}, words("f", 1.5), 1.5),
        ({"type": "float32", "words": "little", "bytes": "little"}, [0x0000, 0xC03F], 1.5),
        ({"type": "float64"}, words("d", 3.25), 3.25),
        ({"type": "int64"}, words("q", -(2**40)), -(2**40)),
        ({"type": "uint16", "bit": 3}, [0b1000], True),
        ({"type": "uint16", "bit": 2}, [0b1000], False),
        ({"type": "string", "length": 7}, [0x4142, 0x4300, 0, 0], "ABC"),
        ({"kind": "input", "type": "int16"}, [7], 7),
        ({"unit": 2}, [9], 9),
    ],
)
async def test_every_type(register: dict[str, Any], given: list[int], value: Any, secured: Settings) -> None:
    plc, port = Plc(), free_port()
    plc.set(20, given)
    async with serving(plc, port):
        (message, *_) = await first(mapped({"host": "127.0.0.1", "port": port}, {"name": "x", "at": 20, **register}), secured)
    assert message.payload == {"x": value}


@pytest.mark.parametrize("kind", ["coil", "discrete"])
async def test_bits(kind: str, secured: Settings) -> None:
    plc, port = Plc(), free_port()
    plc.bits[:3] = [True, False, True]
    registers = [{"name": f"b{i}", "at": i, "kind": kind} for i in range(3)]
    async with serving(plc, port):
        (message, *_) = await first(mapped({"host": "127.0.0.1", "port": port}, *registers), secured)
    assert message.payload == {"b0": True, "b1": False, "b2": True}


async def test_rtu_frames_over_tcp(secured: Settings) -> None:
    plc, port = Plc(), free_port()
    plc.set(0, [42])
    async with serving(plc, port, FramerType.RTU):
        options = {"host": "127.0.0.1", "port": port, "framer": "rtu"}
        (message, *_) = await first(mapped(options, {"name": "x", "at": 0}), secured)
    assert message.payload == {"x": 42}


@contextmanager
def line() -> Iterator[tuple[str, str]]:
    """Two ends of a serial line."""
    masters, slaves = zip(*(pty.openpty() for _ in range(2)), strict=True)
    for fd in (*masters, *slaves):
        tty.setraw(fd)

    def carry(one: int, other: int) -> None:
        try:
            while data := os.read(one, 1024):
                os.write(other, data)
        except OSError:
            return

    for one, other in (masters, masters[::-1]):
        threading.Thread(target=carry, args=(one, other), daemon=True).start()
    try:
        yield os.ttyname(slaves[0]), os.ttyname(slaves[1])
    finally:
        for fd in (*slaves, *masters):
            os.close(fd)


async def test_rtu_over_a_serial_line(secured: Settings) -> None:
    plc = Plc()
    plc.set(0, [42])
    with line() as (ours, theirs):
        server = ModbusSerialServer(plc.devices(), framer=FramerType.RTU, port=theirs)
        await server.serve_forever(background=True)
        (message, *_) = await first(mapped({"serial": ours, "baudrate": 19200}, {"name": "x", "at": 0}), secured)
        await server.shutdown()
    assert message.payload == {"x": 42}


async def test_groups_are_read_at_their_own_pace(secured: Settings) -> None:
    plc, port = Plc(), free_port()
    registers = ({"name": "fast", "at": 0}, {"name": "slow", "at": 1, "every": 0.5})
    async with serving(plc, port):
        taken = await first(mapped({"host": "127.0.0.1", "port": port}, *registers), secured, 24)
    fast = sum("fast" in one.payload for one in taken)  # type: ignore[operator]
    assert 2 <= len(taken) - fast <= 5


def test_what_lies_close_is_read_at_once() -> None:
    def made(at: int, **more: Any) -> Register:
        return Register.model_validate({"name": f"r{at}", "at": at, "device": "d", "every": 1.0, **more})

    close, far, other, coil = [made(0), made(4)], made(90), made(2, unit=2), made(3, kind="coil")
    found = list(blocks([far, coil, other, *close], set()))
    assert [[one.at for one in block] for block in found] == [[3], [0, 4], [90], [2]]
    assert [len(block) for block in blocks(close, {close[0]})] == [1, 1]
    assert max(sum(one.size for one in block) for block in blocks([made(at) for at in range(500)], set())) == 120


@pytest.mark.parametrize(
    ("command", "request_", "status", "words_"),
    [
        ("limit", 1500.0, "SUCCEEDED", words("f", 1500.0)),
        ("limit", "much", "REFUSED", [0, 0]),
        ("hole", 1, "REFUSED", [0, 0]),
        ("unknown", 1, "REFUSED", [0, 0]),
    ],
)
async def test_a_command_writes_a_register(
    command: str, request_: Any, status: str, words_: list[int], secured: Settings
) -> None:
    plc, port = Plc(), free_port()
    registers = ({"name": "limit", "at": 60, "type": "float32"}, {"name": "hole", "at": 500})
    outlet = ModbusOutlet(mapped({"host": "127.0.0.1", "port": port}, *registers), secured)
    async with serving(plc, port):
        answer = await outlet.send(Delivery("1" * 32, "c-01", command, request_, 5.0))
        written = await plc.value(60, 2)
    assert answer is not None
    assert (answer.status, written) == (status, words_)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "need host or serial"),
        ({"host": "h"}, "need registers"),
        ({"host": "h", "registers": [{"name": "x"}]}, r"registers\[0\].at: Field required"),
        ({"host": "h", "registers": [{"name": "x", "at": 1, "type": "int8"}]}, r"registers\[0\].type"),
        ({"host": "h", "registers": [{"name": "x", "at": 1, "device": None}]}, r"registers\[0\].device"),
    ],
)
def test_a_mistake_is_explained(options: dict[str, Any], said: str, secured: Settings) -> None:
    with pytest.raises(MappingError, match=said):
        ModbusSource(SourceMapping(source="plc", protocol="modbus", options={"device": "d", **options}, rules=()), secured)
