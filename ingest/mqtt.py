"""MQTT 5: readings in with manual acknowledgement, commands out with response topic and correlation data.

A PUBACK is sent after the commit. A broker need not redeliver an unacknowledged message before a reconnect, so a
transient failure is retried by the pipeline while the message waits here; `receive_max` bounds how many can wait."""

import asyncio
import hashlib
import os
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import orjson
import structlog
from mqtt5 import ConnectPacket, PublishPacket, QoS
from pydantic import Field

from app import metrics
from app.commands.outlet import Answer, Delivery
from app.errors import CommandError, StackError
from app.settings import Settings
from ingest.broker import Connection, Refused, connected
from ingest.certificates import context
from ingest.mapping.declaration import PART, SourceMapping, fill
from ingest.mapping.match import Commanded
from ingest.options import BrokerOptions
from ingest.source import Message, Reconnecting, Take

log = structlog.get_logger()
RECEIVE_MAX = 40_000
SESSION_SECONDS = 86_400
KEEP_ALIVE_SECONDS = 30
OFFENDED_SECONDS = 60.0
OF_THE_SETTINGS = BrokerOptions.model_validate({})
BROKER_DROPS = "$SYS/broker/publish/messages/dropped"


class MqttOptions(BrokerOptions):
    client_id: str = Field("", description="client identifier; without it, one that cannot be guessed")
    receive_max: int = Field(RECEIVE_MAX, ge=1, le=65535, description="unacknowledged messages the broker may send")
    share: str = Field("", description="group of several workers that share the subscription")


def connect(
    settings: Settings, identifier: str, options: BrokerOptions | None = None, **properties: Any
) -> AbstractAsyncContextManager[Connection]:
    """To the broker of a mapping's options, or else of the settings; `properties` of the CONNECT packet.

    Raises: StackError for certificates that do not do; as `connected`."""
    broker = options or OF_THE_SETTINGS
    user = broker.user if broker.host else settings.mqtt_user
    password = os.environ.get(broker.password_variable, "") if broker.host else settings.mqtt_password
    hello = ConnectPacket(
        identifier, username=user or None, password=password.encode() or None, keep_alive=KEEP_ALIVE_SECONDS, **properties
    )
    return connected(
        broker.host or settings.mqtt_host,
        broker.port or settings.mqtt_port,
        hello,
        context(broker),
        lambda: metrics.DROPPED.labels(identifier).inc(),
    )


def client_id(name: str, settings: Settings) -> str:
    """Of a source by default: who guesses it takes its session over, so it cannot be guessed."""
    return f"twingraph-{name}-{hashlib.sha256(f'{settings.mqtt_password} {name}'.encode()).hexdigest()[:8]}"


class BrokerSource(Reconnecting):
    """A source whose other side is an MQTT broker."""

    LOST = (OSError, Refused)
    _settings: Settings
    _options: BrokerOptions
    _client: Connection | None = None

    @property
    def where(self) -> str:
        return f"{self._options.host or self._settings.mqtt_host}:{self._options.port or self._settings.mqtt_port}"

    def refusal(self, error: Exception) -> StackError | None:
        if isinstance(error, Refused):
            return StackError(f"the broker refuses: {error}", where=self.where, hint=LOGIN)
        if isinstance(error, ssl.SSLError):
            return StackError(f"no TLS: {error.reason or error}", where=self.where, hint=TLS)
        return None

    async def ended(self, take: Take) -> None:
        self._client = None

    async def acknowledge(self, receipts: Sequence[Any]) -> None:
        """A receipt of an earlier connection is void: the broker delivers that message again."""
        client = self._client
        if client is not None:
            with suppress(OSError):
                await client.acknowledge([receipt[1] for receipt in receipts if receipt is not None and receipt[0] is client])


class MqttSource(BrokerSource):
    """Subscribes to every address of the mapping's rules; keeps its session over reconnects."""

    _options: MqttOptions

    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        self.name = mapping.source
        self._settings, self._options = settings, MqttOptions.of(mapping)
        self._share = self._options.share
        shared = f"$share/{self._share}/" if self._share else ""
        self._topics = [shared + PART.sub("+", rule.match) for rule in mapping.rules]
        self._takes_events, self._dropped = mapping.takes_events, 0
        self._asked_for_drops: float | None = None

    async def session(self, take: Take) -> None:
        connection = connect(
            self._settings,
            str(
                self._options.client_id
                or client_id(self.name, self._settings)
                + (f"-{self._settings.worker or socket.gethostname()}" if self._share else "")
            ),
            self._options,
            session_expiry_interval=SESSION_SECONDS,
            receive_max=self._options.receive_max,
        )
        async with connection as client:
            self._client = client
            for topic in self._topics:
                await client.subscribe(topic, max_qos=QoS.AT_LEAST_ONCE)
            self.connected()
            await self._ask_for_drops(client)
            async for packet in client.messages():
                if packet.topic == BROKER_DROPS:
                    self._broker_drops(packet.payload)
                    continue
                receipt = None if packet.packet_id is None else (client, packet.packet_id)
                attributes = _attributes(packet) if self._takes_events else None
                now = round(time.time() * 1000)
                await take(Message(packet.topic, packet.payload, None, receipt, now, attributes=attributes))

    async def _ask_for_drops(self, client: Connection) -> None:
        """Once only of a broker that ends the connection for it."""
        if self._asked_for_drops is not None and time.monotonic() - self._asked_for_drops < OFFENDED_SECONDS:
            return
        self._asked_for_drops = time.monotonic()
        with suppress(Refused):  # a broker that does not tell, or not us
            await client.subscribe(BROKER_DROPS, max_qos=QoS.AT_MOST_ONCE)

    def _broker_drops(self, payload: bytes) -> None:
        """What mosquitto counts: the loss is the broker's, whose queues were full, but who runs the plant must know."""
        count = int(payload) if payload.isdigit() else 0
        if count > self._dropped:
            log.warning("broker dropped messages", source=self.name, dropped=count, hint="max_queued_messages")
        self._dropped = count
        metrics.DROPPED_BY_BROKER.labels(self.name).set(count)


def _attributes(packet: PublishPacket) -> Mapping[str, str] | None:
    """A CloudEvent's, in its binary mode."""
    attributes = dict(packet.user_properties)
    return attributes if "specversion" in attributes else None


LOGIN = "TWINGRAPH_MQTT_USER and TWINGRAPH_MQTT_PASSWORD"
TLS = "options.ca: who signed the broker's certificate; options.certificate and key: ours"


class MqttOutlet(Commanded):
    """Delivers commands; answers come back as messages on the reply topic and are ingested like any other."""

    def __init__(self, mapping: SourceMapping, settings: Settings) -> None:
        super().__init__(mapping)
        self._settings, self._options = settings, MqttOptions.of(mapping)
        self._lock = asyncio.Lock()

    async def send(self, delivery: Delivery) -> Answer | None:
        rule, parts = self._rule(delivery.dt_id)
        body = {"id": delivery.id, "command": delivery.command, "request": delivery.request}
        try:
            async with (
                self._lock,
                asyncio.timeout(delivery.timeout),
                connect(self._settings, f"twingraph-command-{delivery.id[:8]}", self._options, clean_start=True) as client,
            ):
                await client.publish(
                    fill(rule.to, parts),
                    orjson.dumps(body),
                    qos=QoS.AT_LEAST_ONCE,
                    message_expiry_interval=max(1, round(delivery.timeout)),
                    content_type="application/json",
                    response_topic=fill(rule.reply, parts) or None,
                    correlation_data=delivery.id.encode(),
                )
        except (OSError, Refused) as error:
            raise CommandError(f"not delivered: {error}", where=fill(rule.to, parts)) from error
        return None
