"""The demo's MQTT broker: Apache ActiveMQ Artemis, embedded main, journal on disk, one user."""

import hashlib
import os
import secrets
from pathlib import Path

from app.settings import Settings
from app.stack import jars
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
    <max-disk-usage>95</max-disk-usage>
    <acceptors>
      <acceptor name="mqtt">tcp://{host}:{port}?protocols=MQTT;securityDomain=activemq;tcpNoDelay=true;allowLinkStealing=true;defaultMqttSessionExpiryInterval=86400</acceptor>
    </acceptors>
    <security-settings>
      <security-setting match="#">
        <permission type="createAddress" roles="twingraph"/>
        <permission type="deleteAddress" roles="twingraph"/>
        <permission type="createDurableQueue" roles="twingraph"/>
        <permission type="deleteDurableQueue" roles="twingraph"/>
        <permission type="createNonDurableQueue" roles="twingraph"/>
        <permission type="deleteNonDurableQueue" roles="twingraph"/>
        <permission type="send" roles="twingraph"/>
        <permission type="consume" roles="twingraph"/>
        <permission type="browse" roles="twingraph"/>
      </security-setting>
    </security-settings>
    <address-settings>
      <address-setting match="#">
        <max-size-bytes>256M</max-size-bytes>
        <page-size-bytes>4M</page-size-bytes>
        <address-full-policy>PAGE</address-full-policy>
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
    org.apache.activemq.jaas.properties.user="users.properties"
    org.apache.activemq.jaas.properties.role="roles.properties";
};
"""
ITERATIONS = 1024


def start_broker(settings: Settings, folder: Path | None = None) -> Child:
    lib = folder or jars.fetch("artemis", settings.cache)
    home = settings.home / "broker"
    etc, security = home / "etc", home / "security"  # the broker takes every *.properties beside broker.xml for its own
    for path in (etc, security):
        path.mkdir(parents=True, exist_ok=True)
    (etc / "broker.xml").write_text(
        BROKER.format(data=home / "data", host=settings.host, port=settings.mqtt_port), encoding="utf-8"
    )
    (security / "login.config").write_text(LOGIN)
    password = settings.mqtt_password or secret(settings.home, "mqtt")
    users = security / "users.properties"
    with os.fdopen(os.open(users, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(f"{settings.mqtt_user} = {_masked(password)}\n")
    (security / "roles.properties").write_text(f"twingraph = {settings.mqtt_user}\n")
    command = [
        JAVA,
        "-Xms64m",
        "-Xmx384m",
        f"-Djava.security.auth.login.config={security / 'login.config'}",
        "-cp",
        f"{etc}:{lib}/*",
        "org.apache.activemq.artemis.core.server.embedded.Main",
        str(home),
    ]
    child = start("broker", command, settings.home)
    wait_until(child, lambda: port_is_open(settings.host, settings.mqtt_port), 60)
    return child


def _masked(password: str) -> str:
    """Artemis' one-way form `ENC(iterations:salt:hash)`, PBKDF2 with SHA-1."""
    salt = secrets.token_bytes(32)
    derived = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, ITERATIONS, 64)
    return f"ENC({ITERATIONS}:{salt.hex().upper()}:{derived.hex().upper()})"
