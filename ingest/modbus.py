"""Modbus TCP and RTU: a register map, read in groups; commands write registers.

options:
  host: 10.0.0.5
  registers:                        each may have its own device, unit and every
    - {name: power, at: 100, type: float32, words: little}
    - {name: running, at: 7, kind: coil}
    - {name: alarm, at: 300, type: uint16, bit: 3}

Registers side by side are read at once. One that the device refuses is read on its own from then on, shown in the logs and
counted, while the others flow. Scale, unit and names of states are the rules' (`signals`)."""

import asyncio
import struct
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

import structlog
from pydantic import Field, ValidationError, model_validator
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from app import metrics
from app.commands.outlet import Answer, CommandStatus, Delivery
from app.errors import CommandError, MappingError
from app.settings import Settings
from ingest.backoff import stop_if_asked
from ingest.mapping.declaration import SourceMapping, Strict, fill
from ingest.mapping.match import Commanded
from ingest.options import Options
from ingest.source import Message, Reconnecting, Take

log = structlog.get_logger()
EVERY, TIMEOUT = 1.0, 3.0
MOST_REGISTERS, MOST_BITS, WIDEST_GAP = 120, 1900, 8
FORMATS = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
BITS = ("coil", "discrete")
LOST = (ModbusException, OSError, asyncio.TimeoutError)


class Register(Strict):
    """`at`: counted from 0; `length`: bytes of a string; `bit`: of an unsigned register, the lowest is 0."""

    name: str
    at: int = Field(ge=0, le=65535)
    kind: Literal["holding", "input", "coil", "discrete"] = "holding"
    type: Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string"] = "uint16"
    words: Literal["big", "little"] = "big"
    bytes: Literal["big", "little"] = "big"
    bit: int | None = None
    length: int = 2
    unit: int = 1
    device: str
    every: float

    @property
    def size(self) -> int:
        if self.kind in BITS:
            return 1
        return (self.length + 1) // 2 if self.type == "string" else struct.calcsize(FORMATS[self.type]) // 2

    def value(self, words: Sequence[Any]) -> Any:
        """Of its words, or of its bit."""
        if self.kind in BITS:
            return bool(words[0])
        raw = _raw(words, self)
        if self.type == "string":
            return raw[: self.length].split(b"\0")[0].decode("utf-8", "replace").rstrip()
        (value,) = struct.unpack(f">{FORMATS[self.type]}", raw)
        return value if self.bit is None else bool(value >> self.bit & 1)

    def given(self, value: Any) -> list[int]:
        """The words that say `value`. Raises: ValueError when it does not fit."""
        try:
            if self.type == "string":
                raw = str(value).encode().ljust(self.size * 2, b"\0")
                if len(raw) > self.size * 2:
                    raise ValueError(f"{value!r:.40} is longer than {self.length} bytes")
            else:
                raw = struct.pack(f">{FORMATS[self.type]}", value)
        except struct.error as error:
            raise ValueError(f"{value!r:.40} is no {self.type}") from error
        words = [int.from_bytes(raw[i : i + 2], self.bytes) for i in range(0, len(raw), 2)]
        return words if self.words == "big" else words[::-1]


class ModbusOptions(Options):
    host: str = Field("", description="of a TCP device or gateway")
    port: int = Field(502, ge=1, le=65535, description="its port")
    framer: Literal["socket", "rtu"] = Field("socket", description="rtu: a gateway passes serial frames through")
    serial: str = Field("", description="serial line instead of host: /dev/ttyUSB0")
    baudrate: int = Field(19200, gt=0, description="of the serial line")
    parity: Literal["N", "E", "O"] = Field("N", description="of the serial line")
    stopbits: Literal[1, 2] = Field(1, description="of the serial line")
    bytesize: Literal[7, 8] = Field(8, description="of the serial line")
    timeout: float = Field(TIMEOUT, gt=0, description="of one request [s]")
    every: float = Field(EVERY, gt=0, description="time between two reads [s]")
    device: str | None = Field(None, description="address that the rules match: wf1/t1")
    unit: int = Field(1, ge=0, le=255, description="number of the device on the bus")
    registers: tuple[dict[str, Any], ...] = Field((), description="each with name and at, and a device, unit, every of its own")

    @model_validator(mode="after")
    def _has_a_line(self) -> "ModbusOptions":
        if not self.host and not self.serial:
            raise ValueError("need host or serial")
        return self

    def map(self, where: str) -> list[Register]:
        """Raises: MappingError naming the register."""
        common = {"device": self.device, "every": self.every, "unit": self.unit}
        registers = []
        for index, entry in enumerate(self.registers):
            try:
                registers.append(Register.model_validate({**common, **entry}))
            except ValidationError as error:
                what = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
                raise MappingError(f"registers[{index}].{what}", where=where, hint="see ingest/modbus.py") from error
        if not registers:
            raise MappingError("options need registers", where=where, hint="see the head of ingest/modbus.py")
        return registers


def _raw(words: Sequence[int], register: Register) -> bytes:
    ordered = words if register.words == "big" else words[::-1]
    return b"".join(int(word).to_bytes(2, register.bytes) for word in ordered)


class ModbusSource(Reconnecting):
    LOST = LOST

    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        self.name, self._options = mapping.source, ModbusOptions.of(mapping)
        self._registers = self._options.map(mapping.source)
        self._single: set[Register] = set()  # refused once inside a block
        self._refused: set[Register] = set()

    @property
    def where(self) -> str:
        return _where(self._options)

    async def session(self, take: Take) -> None:
        client = _client(self._options, self.name)
        try:
            if not await client.connect():
                raise ConnectionError("no connection")
            self.connected()
            await self._poll(client, take)
        except LOST:
            stop_if_asked()
            raise
        finally:
            client.close()

    async def _poll(self, client: Any, take: Take) -> None:
        """Each group at its own pace; one that takes too long skips what it has missed."""
        periods = sorted({register.every for register in self._registers})
        due = dict.fromkeys(periods, time.monotonic())
        while True:
            every = min(periods, key=lambda one: due[one])
            await asyncio.sleep(max(0.0, due[every] - time.monotonic()))
            await self._read_all(client, [one for one in self._registers if one.every == every], take)
            due[every] = max(due[every] + every, time.monotonic())

    async def _read_all(self, client: Any, registers: list[Register], take: Take) -> None:
        started = time.time()
        readings: dict[str, dict[str, Any]] = {}
        for block in blocks(registers, self._single):
            for register, words in await self._read(client, block):
                readings.setdefault(register.device, {})[register.name] = register.value(words)
        at = round((started + time.time()) * 500)
        for device, values in readings.items():
            await take(Message(device, values, at))

    async def _read(self, client: Any, block: Sequence[Register]) -> list[tuple[Register, list[Any]]]:
        first, last = block[0], max(block, key=lambda register: register.at + register.size)
        count = last.at + last.size - first.at
        answer = await _reader(client, first.kind)(first.at, count=count, device_id=first.unit)
        stop_if_asked()
        words = [] if answer.isError() else answer.bits if first.kind in BITS else answer.registers
        if len(words) >= count:
            self._refused.difference_update(block)
            return [(register, words[register.at - first.at : register.at - first.at + register.size]) for register in block]
        if len(block) > 1:
            self._single.update(block)
            return [part for register in block for part in await self._read(client, [register])]
        metrics.REJECTED.labels(self.name, "REGISTER_REFUSED").inc()
        if first not in self._refused:
            self._refused.add(first)
            log.warning(
                "register refused", source=self.name, register=first.name, at=first.at, unit=first.unit, said=str(answer)
            )
        return []


def blocks(registers: Sequence[Register], single: set[Register]) -> Iterator[list[Register]]:
    """What is read at once: registers of one unit and kind that lie close together."""
    ordered = sorted(registers, key=lambda register: (register.unit, register.kind, register.at))
    for (_, kind), group in groupby(ordered, key=lambda register: (register.unit, register.kind)):
        most = MOST_BITS if kind in BITS else MOST_REGISTERS
        block: list[Register] = []
        for register in group:
            alone = register in single
            end = max((member.at + member.size for member in block), default=0)
            if block and (alone or register.at - end > WIDEST_GAP or register.at + register.size - block[0].at > most):
                yield block
                block = []
            if alone:
                yield [register]
            else:
                block.append(register)
        if block:
            yield block


class ModbusOutlet(Commanded):
    """A command writes the holding register or coil of its name; `to` is the device."""

    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        super().__init__(mapping)
        self._options = ModbusOptions.of(mapping)
        self._registers = self._options.map(mapping.source)

    async def send(self, delivery: Delivery) -> Answer | None:
        rule, parts = self._rule(delivery.dt_id)
        device = fill(rule.to, parts)
        registers = [
            candidate for candidate in self._registers if (candidate.device, candidate.name) == (device, delivery.command)
        ]
        if not registers or registers[0].kind not in ("holding", "coil") or registers[0].bit is not None:
            return Answer(CommandStatus.REFUSED, reason=f"{device} has no register {delivery.command!r} that can be written")
        register = registers[0]
        client = _client(self._options, delivery.id[:8])
        try:
            async with asyncio.timeout(delivery.timeout):
                if not await client.connect():
                    raise CommandError("not delivered: no connection", where=_where(self._options))
                if register.kind == "coil":
                    answer = await client.write_coil(register.at, bool(delivery.request), device_id=register.unit)
                else:
                    answer = await client.write_registers(
                        register.at, register.given(delivery.request), device_id=register.unit
                    )
        except ValueError as error:
            return Answer(CommandStatus.REFUSED, reason=str(error))
        except LOST as error:
            raise CommandError(f"not delivered: {error}", where=_where(self._options)) from error
        finally:
            client.close()
        return Answer(CommandStatus.REFUSED, reason=str(answer)) if answer.isError() else Answer(CommandStatus.SUCCEEDED)


def _client(options: ModbusOptions, name: str) -> Any:
    common: dict[str, Any] = {"name": name, "timeout": options.timeout, "retries": 1, "reconnect_delay": 0}
    if options.serial:
        line = options.model_dump(include={"baudrate", "parity", "stopbits", "bytesize"})
        return AsyncModbusSerialClient(options.serial, **line, **common)
    framer = FramerType.RTU if options.framer == "rtu" else FramerType.SOCKET
    return AsyncModbusTcpClient(options.host, port=options.port, framer=framer, **common)


def _reader(client: Any, kind: str) -> Any:
    names = {"holding": "holding_registers", "input": "input_registers", "coil": "coils", "discrete": "discrete_inputs"}
    return getattr(client, f"read_{names[kind]}")


def _where(options: ModbusOptions) -> str:
    return options.serial or f"{options.host}:{options.port}"
