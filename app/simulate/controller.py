"""The OPC UA server of one farm: an object a turbine, variables for its signals and its components', methods to command."""

from datetime import UTC, datetime
from typing import Any

from asyncua import Node, Server, ua

from app.simulate.fleet import Fleet, Observation
from app.simulate.layout import KINDS
from app.simulate.messages import component_values, turbine_values
from app.simulate.publish import carry_out

NAMESPACE = "urn:twingraph:fleet"
COMMANDS = (("setPowerLimit", ua.VariantType.Double), ("stop", ua.VariantType.String), ("start", None))


class Controller:
    """`farm` is the index of the farm it serves."""

    def __init__(self, fleet: Fleet, farm: int, url: str) -> None:
        self.fleet, self.farm, self.url = fleet, farm, url
        self._server = Server()
        self._nodes: dict[str, Node] = {}
        self._index = 0

    async def start(self, seen: Observation) -> None:
        await self._server.init()
        self._server.set_endpoint(self.url)
        self._server.set_server_name("Twingraph fleet")
        self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self._index = await self._server.register_namespace(NAMESPACE)
        for index in self._turbines():
            name = self._name(index)
            turbine = await self._server.nodes.objects.add_object(ua.NodeId(name, self._index), f"{self._index}:{name}")
            await self._variables(turbine, name, turbine_values(seen, index))
            for k, kind in enumerate(KINDS):
                inner = f"{name}.{kind.suffix}"
                part = await turbine.add_object(ua.NodeId(inner, self._index), f"{self._index}:{kind.suffix}")
                await self._variables(part, inner, component_values(seen, index, k))
            await self._methods(turbine, name, index)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    async def show(self, seen: Observation, components: bool) -> None:
        stamp = datetime.fromtimestamp(seen.at, UTC)
        for index in self._turbines():
            name = self._name(index)
            await self._write(name, turbine_values(seen, index), stamp)
            if components:
                for k, kind in enumerate(KINDS):
                    await self._write(f"{name}.{kind.suffix}", component_values(seen, index, k), stamp)

    def _turbines(self) -> range:
        size = self.fleet.layout.turbines
        return range(self.farm * size, (self.farm + 1) * size)

    def _name(self, index: int) -> str:
        return f"{self.fleet.layout.farm(self.farm)}.{self.fleet.layout.turbine(index)}"

    async def _variables(self, parent: Node, prefix: str, values: dict[str, Any]) -> None:
        for signal, value in values.items():
            identifier = ua.NodeId(f"{prefix}.{signal}", self._index)
            self._nodes[f"{prefix}.{signal}"] = await parent.add_variable(identifier, f"{self._index}:{signal}", value)

    async def _write(self, prefix: str, values: dict[str, Any], stamp: datetime) -> None:
        for signal, value in values.items():
            node = self._nodes.get(f"{prefix}.{signal}")
            if node is not None:
                data = ua.DataValue(ua.Variant(value), SourceTimestamp=stamp, ServerTimestamp=stamp)
                await self._server.write_attribute_value(node.nodeid, data)

    async def _methods(self, turbine: Node, name: str, index: int) -> None:
        outputs = [
            _argument("accepted", ua.VariantType.Boolean),
            _argument("state", ua.VariantType.String),
            _argument("powerLimit", ua.VariantType.Double),
        ]
        for command, kind in COMMANDS:
            inputs = [] if kind is None else [_argument("request", kind)]
            identifier = ua.NodeId(f"{name}.{command}()", self._index)
            called = self._method(index, command)
            await turbine.add_method(identifier, f"{self._index}:{command}", called, inputs, outputs)

    def _method(self, index: int, command: str) -> Any:
        def call(parent: ua.NodeId, *arguments: ua.Variant) -> list[ua.Variant]:
            request = arguments[0].Value if arguments else None
            answer = carry_out(self.fleet, index, command, request)
            return [
                ua.Variant(answer["accepted"], ua.VariantType.Boolean),
                ua.Variant(answer["state"], ua.VariantType.String),
                ua.Variant(answer["powerLimit"], ua.VariantType.Double),
            ]

        return call


def _argument(name: str, kind: ua.VariantType) -> ua.Argument:
    return ua.Argument(Name=name, DataType=ua.NodeId(kind.value), ValueRank=-1)
