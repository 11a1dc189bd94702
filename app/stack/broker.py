"""The embedded MQTT broker: Apache Artemis, journal on disk; the server's account, and one of each device."""

import json
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from app import disk
from app.identity.keys import masked
from app.settings import Settings
from app.stack import accounts, jars, stomp
from app.stack.accounts import Account
from app.stack.child import Child, port_is_open, start, wait_until
from app.stack.neo4j import JAVA
from app.stack.secrets import secret

BROKER = """\
<configuration xmlns="urn:activemq" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <core xmlns="urn:activemq:core">
    <name>twingraph</name>
    <persistence-enabled>true</persistence-enabled>
    <journal-type>NIO</journal-type>
    <paging-directory>{data}/paging</paging-directory>
    <bindings-directory>{data}/bindings</bindings-directory>
    <journal-directory>{data}/journal</journal-directory>
    <large-messages-directory>{data}/large</large-messages-directory>
    <journal-datasync>true</journal-datasync>
    <journal-pool-files>10</journal-pool-files>
    <min-disk-free>{free}</min-disk-free>
    <configuration-file-refresh-period>1000</configuration-file-refresh-period>
    <security-invalidation-interval>2000</security-invalidation-interval>
    <acceptors>
      <acceptor name="mqtt">tcp://{host}:{port}?protocols=MQTT;{options}</acceptor>
      <acceptor name="steering">tcp://127.0.0.1:{steering}?protocols=STOMP;securityDomain=activemq</acceptor>
    </acceptors>
    <security-settings>
{security}    </security-settings>
    <address-settings>
      <address-setting match="#">
        <max-size-bytes>256M</max-size-bytes>
        <page-size-bytes>4M</page-size-bytes>
        <address-full-policy>PAGE</address-full-policy>
        <dead-letter-address>DLQ</dead-letter-address>
        <expiry-address>ExpiryQueue</expiry-address>
        <max-delivery-attempts>-1</max-delivery-attempts>
        <auto-create-queues>true</auto-create-queues>
        <auto-create-addresses>true</auto-create-addresses>
      </address-setting>
    </address-settings>
  </core>
</configuration>
"""
LOGIN = """\
activemq {
  org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule required
    reload=true
    org.apache.activemq.jaas.properties.user="users.properties"
    org.apache.activemq.jaas.properties.role="roles.properties";
};
"""
FLEET, FLEET_PUBLISHES, FLEET_SUBSCRIBES = "fleet", ("fleet/#",), ("fleet/+/+/command",)
FOLLOW_SECONDS = 2.0  # in which the broker has read its files again
LOGGING = """\
.level=WARNING
handlers=java.util.logging.ConsoleHandler
java.util.logging.ConsoleHandler.level=WARNING
java.util.logging.ConsoleHandler.formatter=java.util.logging.SimpleFormatter
java.util.logging.SimpleFormatter.format=%1$tFT%1$tT.%1$tLZ %4$s %5$s%6$s%n
"""
OPTIONS = "securityDomain=activemq;tcpNoDelay=true;allowLinkStealing=true;maximumPacketSize=16777216"
OPTIONS += ";defaultMqttSessionExpiryInterval=86400"


def start_broker(settings: Settings, folder: Path | None = None) -> Child:
    lib = folder or jars.fetch("artemis", settings.cache)
    home = _home(settings)
    for path in (home / "etc", home / "security"):  # the broker takes every *.properties beside broker.xml for its own
        path.mkdir(parents=True, exist_ok=True)
    (home / "security" / "login.config").write_text(LOGIN)
    (home / "security" / "logging.config").write_text(LOGGING)
    (home / "steering").write_text(str(_free_port()))
    devices = _known_devices(home)
    _write(settings, _server(settings), devices)
    command = [
        JAVA,
        "-Xms64m",
        "-Xmx384m",
        f"-Djava.security.auth.login.config={home / 'security' / 'login.config'}",
        f"-Djava.util.logging.config.file={home / 'security' / 'logging.config'}",
        "-Duser.timezone=UTC",
        "--enable-native-access=ALL-UNNAMED",
        "-cp",
        os.pathsep.join([str(home / "etc"), jars.classpath("artemis", lib)]),
        "org.apache.activemq.artemis.core.server.embedded.Main",
        str(home),
    ]
    child = start("broker", command, settings.home)
    wait_until(child, lambda: port_is_open(settings.host, settings.mqtt_port), 60)
    return child


def admit(settings: Settings, devices: Sequence[Account]) -> bool:
    """Lets these devices in, and no others; a running broker follows within seconds, and connections of those who are no longer
    let in, or to other topics, are closed. Whether anything has changed. Raises: StackError, OSError."""
    home = _home(settings)
    current = {account.user: account for account in _known_devices(home)}
    desired = {account.user: account for account in devices}
    if current == desired:
        return False
    server = _server(settings)
    _write(settings, server, list(desired.values()))
    gone = [user for user, account in current.items() if desired.get(user) != account]
    if gone:
        time.sleep(FOLLOW_SECONDS)
        password = settings.mqtt_password or secret(settings.home, "mqtt")
        stomp.close_connections(int((home / "steering").read_text()), server.user, password, gone)
    _replace(home / "devices.json", json.dumps([asdict(account) for account in desired.values()]))
    return True


def _home(settings: Settings) -> Path:
    return settings.home / "broker"


def _server(settings: Settings) -> Account:
    return Account(settings.mqtt_user, masked(settings.mqtt_password or secret(settings.home, "mqtt")))


def _write(settings: Settings, server: Account, devices: Sequence[Account]) -> None:
    home = _home(settings)
    fleet = Account(FLEET, masked(fleet_password(settings)), FLEET_PUBLISHES, FLEET_SUBSCRIBES)
    clients = [fleet, *devices]
    text = BROKER.format(
        data=home / "data",
        free=disk.SHORT // 2,
        host=settings.host,
        port=settings.mqtt_port,
        options=OPTIONS,
        steering=(home / "steering").read_text(),
        security=accounts.settings(clients),
    )
    _replace(home / "security" / "users.properties", accounts.users(server, clients))
    _replace(home / "security" / "roles.properties", accounts.roles(server, clients))
    _replace(home / "etc" / "broker.xml", text)


def fleet_password(settings: Settings) -> str:
    return secret(settings.home, "mqtt-fleet")


def _known_devices(home: Path) -> list[Account]:
    """Those that were let in last, so that they are again while the graph cannot be asked."""
    path = home / "devices.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    return [Account(row["user"], row["password"], tuple(row["publish"]), tuple(row["subscribe"])) for row in rows]


def _replace(path: Path, text: str) -> None:
    """Whole, and readable by its owner alone."""
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    part.replace(path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
