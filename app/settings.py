"""One table of settings: each row is read from `TWINGRAPH_<NAME>` in the environment, else its default."""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from app.errors import SettingError

ROOT = Path(__file__).resolve().parent.parent
HELP: dict[str, str] = {
    "home": "state folder: database, broker journal, secrets (0600), models of the predictor",
    "cache": "downloaded jars, shared by all state folders",
    "host": "address the server, the broker and the OPC UA server listen on",
    "server_port": "GraphQL, REST, metrics and the explorer",
    "neo4j_uri": "an existing Neo4j; empty: the embedded one",
    "neo4j_user": "database user",
    "neo4j_password": "database password; empty: the one generated in the state folder",
    "neo4j_database": "database name",
    "neo4j_host": "address that Bolt and Browser of the embedded Neo4j listen on; its one login passes all roles and scopes",
    "bolt_port": "Bolt of the embedded Neo4j",
    "browser_port": "HTTP and Browser of the embedded Neo4j",
    "neo4j_heap": "heap of the embedded Neo4j (Java size)",
    "neo4j_pagecache": "page cache of the embedded Neo4j (Java size)",
    "mqtt_host": "MQTT broker",
    "mqtt_port": "MQTT port",
    "mqtt_user": "MQTT user",
    "mqtt_password": "MQTT password; empty: the one generated in the state folder",
    "worker": "name of this process among several ingest processes that share a source; empty: the host's",
    "opcua_port": "OPC UA server of the simulated farm",
    "token": "bearer token of the server; empty: the one generated in the state folder",
    "push_token": "token that the HTTP sources of a gateway ask for; empty: the one generated in its state folder",
    "oidc_issuer": "OpenID Connect provider whose tokens are let in; empty: none",
    "oidc_audience": "audience its tokens must be for",
    "oidc_keys_seconds": "how long a provider's keys are trusted while it does not answer [s]",
    "oidc_client": "client id for the provider's introspection endpoint (RFC 7662); empty: tokens hold until they expire",
    "oidc_client_secret": "its secret",
    "oidc_role_claim": "claim with the role, a path: realm_access.roles",
    "oidc_roots_claim": "claim with the dtIds of the twins a user's part of the graph lies below; absent: all",
    "scope_via": "relationships a part of the graph is followed over, with commas",
    "cors_origins": "origins whose pages may call the API, with commas; * for all",
    "tls_certificate": "certificate file of the server (PEM); empty: no TLS",
    "tls_key": "its private key",
    "client_rate": "requests a second one client may make on average; twice as many at once",
    "client_concurrency": "requests of one client at the same time",
    "body_bytes": "longest body of a request of who may change twins; others send up to 1 MiB [bytes]",
    "query_cost": "values one GraphQL operation may read by estimate",
    "retention": "file that says how long history is kept; empty: for ever",
    "operations": "folder of persisted GraphQL operations",
    "operations_only": "refuse operations that are not persisted",
    "models": "folder of DTDL models loaded at start",
    "flush_seconds": "least time between two commits of a source [s]; a lone reading is written at once",
    "batch_messages": "messages that close a batch at once",
    "max_skew_seconds": "how far in the future an event time may lie [s]",
    "query_depth": "deepest GraphQL selection",
    "query_tokens": "longest GraphQL document [tokens]",
    "query_aliases": "most aliases in one GraphQL document",
    "query_timeout": "time limit of one read in the database [s]",
    "page_limit": "most twins one list answers; also the default of `first`",
    "stale_seconds": "age after which telemetry is called stale [s]",
    "command_timeout": "default time a command waits for its device [s]",
    "score_seconds": "time between two scorings of the whole fleet [s]",
    "fleet_seconds": "time between two reports of a simulated turbine; a component reports every sixth time [s]",
    "log_level": "DEBUG, INFO, WARNING or ERROR",
}


@dataclass(frozen=True, slots=True)
class Settings:
    home: Path = Path(".twingraph")
    cache: Path = Path("~/.cache/twingraph")
    host: str = "127.0.0.1"
    server_port: int = 8000
    neo4j_uri: str = ""
    neo4j_user: str = "neo4j"
    neo4j_password: str = ""
    neo4j_database: str = "neo4j"
    neo4j_host: str = "127.0.0.1"
    bolt_port: int = 7687
    browser_port: int = 7474
    neo4j_heap: str = "1g"
    neo4j_pagecache: str = "512m"
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 1883
    mqtt_user: str = "twingraph"
    mqtt_password: str = ""
    worker: str = ""
    opcua_port: int = 4840
    token: str = ""
    push_token: str = ""
    oidc_issuer: str = ""
    oidc_audience: str = "twingraph"
    oidc_keys_seconds: float = 86_400.0
    oidc_client: str = ""
    oidc_client_secret: str = ""
    oidc_role_claim: str = "roles"
    oidc_roots_claim: str = "twingraph_roots"
    scope_via: str = "contains,hasComponent"
    cors_origins: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    client_rate: float = 500.0
    client_concurrency: int = 128
    body_bytes: int = 16 * 1024**2
    query_cost: int = 2_000_000
    retention: str = ""
    operations: str = ""
    operations_only: bool = False
    models: Path = ROOT / "dtdl_models"
    flush_seconds: float = 0.1
    batch_messages: int = 10_000
    max_skew_seconds: float = 600.0
    query_depth: int = 15
    query_tokens: int = 4000
    query_aliases: int = 100
    query_timeout: float = 20.0
    page_limit: int = 1000
    stale_seconds: float = 300.0
    command_timeout: float = 10.0
    score_seconds: float = 60.0
    fleet_seconds: float = 10.0
    log_level: str = "INFO"

    @classmethod
    def read(cls, **overrides: Any) -> Self:
        """Settings from the environment; `overrides` that are not None win.

        Raises: SettingError naming the variable whose text does not fit."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            text = os.environ.get(variable(field.name))
            if overrides.get(field.name) is not None:
                values[field.name] = overrides[field.name]
            elif text is not None:
                values[field.name] = _convert(field.name, field.default, text)
        settings = cls(**values)
        paths = {name: Path(getattr(settings, name)).expanduser().resolve() for name in ("home", "cache", "models")}
        return cls(**{**values, **paths})

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for a child process."""
        return {variable(f.name): str(getattr(self, f.name)) for f in fields(self)}


SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False, "": False}


def variable(name: str) -> str:
    return f"TWINGRAPH_{name.upper()}"


def _convert(name: str, default: object, text: str) -> object:
    kind = type(default) if not isinstance(default, Path) else Path
    try:
        return SWITCH[text.lower()] if isinstance(default, bool) else kind(text)  # type: ignore[call-arg]
    except (ValueError, KeyError) as error:
        raise SettingError(
            f"{variable(name)}={text!r} is not a valid {kind.__name__}",
            hint=f"{HELP[name]}; the default is {default}",
        ) from error
