"""Commands over OPC UA: methods called, variables written.

`to` is the twin's object: a string identifier of options.namespace, or one with its own (`nsu=urn:plant;s=pump1`). What bears
the command's name below it is called, with the request as its argument, or, where there are several, with the request's fields;
or it is written, where it is a variable."""

import asyncio
import re
import struct
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from asyncua import Client, Node, ua

from app.commands.outlet import Answer, CommandStatus, Delivery
from app.errors import CommandError, MappingError, TwinError
from app.settings import Settings
from ingest.mapping.declaration import SourceMapping, fill
from ingest.mapping.match import Commanded
from ingest.opcua.nodes import node
from ingest.opcua.options import OpcUaOptions
from ingest.opcua.session import session
from ingest.opcua.source import LOST, plain, url_of

WHOLE = {ua.VariantType[name] for name in ("SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64")}


FROM_TEXT: dict[ua.VariantType, Callable[[Any], Any]] = {
    ua.VariantType.DateTime: datetime.fromisoformat,
    ua.VariantType.Guid: uuid.UUID,
    ua.VariantType.LocalizedText: ua.LocalizedText,
    ua.VariantType.NodeId: ua.NodeId.from_string,
}
UNFIT = (AttributeError, TypeError, ValueError, OverflowError, struct.error)


class OpcUaOutlet(Commanded):
    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        super().__init__(mapping)
        self._options = OpcUaOptions.of(mapping)
        if not isinstance(self._options.url, str):
            raise MappingError("commands need one url", where=mapping.source, hint="a mapping of its own for each server")
        self._url = url_of(self._options, settings)
        self._namespace = self._options.namespace

    async def send(self, delivery: Delivery) -> Answer | None:
        rule, parts = self._rule(delivery.dt_id)
        try:
            async with asyncio.timeout(delivery.timeout), await session(self._url, self._options) as client:
                target = await self._target(client, fill(rule.to, parts))
                child = await target.get_child(f"{target.nodeid.NamespaceIndex}:{delivery.command}")
                if await child.read_node_class() == ua.NodeClass.Variable:
                    return await _written(child, delivery.request)
                return await _called(target, child, delivery.request)
        except (ua.UaStatusCodeError, TwinError) as error:
            return Answer(CommandStatus.REFUSED, reason=str(error))
        except UNFIT as error:
            return Answer(CommandStatus.REFUSED, reason=f"the request does not fit: {error}")
        except LOST as error:
            raise CommandError(f"not delivered: {error!r}", where=self._url) from error

    async def _target(self, client: Client, text: str) -> Node:
        if text.startswith(("nsu=", "ns=", "i=", "s=", "g=", "b=")):
            return await node(client, text)
        return client.get_node(ua.NodeId(text, await client.get_namespace_index(self._namespace)))


async def _called(target: Node, method: Node, request: Any) -> Answer:
    inputs, answered = await arguments(method, "InputArguments"), await arguments(method, "OutputArguments")
    if len(inputs) > 1:
        names = [dtdl_name(argument.Name) for argument in inputs]
        if not isinstance(request, dict) or request.keys() != set(names):
            raise TwinError(f"the request must have the fields {', '.join(names)}")
        request_values = [request[name] for name in names]
    else:
        request_values = [] if request is None else [request]
    outputs = await target.call_method(
        method, *[_typed(argument.DataType, value) for argument, value in zip(inputs, request_values, strict=False)]
    )
    values = outputs if isinstance(outputs, list) else [outputs]
    response = {dtdl_name(argument.Name): plain(value) for argument, value in zip(answered, values, strict=False)}
    return Answer(CommandStatus.REFUSED if response.get("accepted") is False else CommandStatus.SUCCEEDED, response)


async def _written(variable: Node, request: Any) -> Answer:
    kind = await variable.read_data_type_as_variant_type()
    await variable.write_value(ua.DataValue(_typed(ua.NodeId(kind.value), request)))
    return Answer(CommandStatus.SUCCEEDED, {"written": request})


async def arguments(method: Node, name: str) -> list[ua.Argument]:
    try:
        return list(await (await method.get_child(f"0:{name}")).read_value() or ())
    except ua.uaerrors.BadNoMatch:
        return []


def _typed(kind: ua.NodeId, value: Any) -> ua.Variant:
    """JSON knows one kind of number, OPC UA ten. Raises: TwinError."""
    try:
        built_in = ua.VariantType(kind.Identifier) if kind.NamespaceIndex == 0 else None
    except ValueError:
        built_in = None
    if built_in is None or isinstance(value, list | dict):
        return ua.Variant(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if built_in in WHOLE | {ua.VariantType.Float, ua.VariantType.Double} and not number:
        raise TwinError(f"{value!r:.60} is no number")
    if built_in in WHOLE and value != int(value):
        raise TwinError(f"{value!r:.60} is no whole number")
    if built_in is ua.VariantType.Boolean and not isinstance(value, bool):
        raise TwinError(f"{value!r:.60} is neither true nor false")
    if built_in in FROM_TEXT:
        return ua.Variant(FROM_TEXT[built_in](value), built_in)
    return ua.Variant(int(value) if built_in in WHOLE else value, built_in)


def dtdl_name(browse_name: str) -> str:
    """A name as DTDL has them: letters, digits and single underscores inside, a letter first."""
    name = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]+", "_", browse_name)).strip("_")[:63].rstrip("_")
    return name if name[:1].isalpha() else f"n{name}"
