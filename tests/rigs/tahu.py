"""A Sparkplug B edge node on Eclipse Tahu, the reference implementation: tests/rigs/Edge.java, compiled by the jar of ecj."""

import subprocess
from pathlib import Path

from app.stack import jars
from app.stack.neo4j import JAVA

HERE = Path(__file__).parent
LOGBACK = '<configuration><root level="OFF"/></configuration>'


def start_edge(
    home: Path, cache: Path, host: str, port: int, user: str, password: str, *names: str
) -> "subprocess.Popen[bytes]":
    """`names`: group, node, device, alias mode, period [ms]. Its standard input closed, it ends cleanly."""
    lib = jars.fetch("tahu", cache, lists=HERE)
    classes = home / "classes"
    if not classes.exists():
        home.mkdir(parents=True, exist_ok=True)
        (home / "logback.xml").write_text(LOGBACK)
        path = ":".join(map(str, sorted(lib.glob("*.jar"))))
        (compiler,) = lib.glob("ecj-*.jar")
        command = [JAVA, "-Xmx192m", "-jar", str(compiler), "-21", "-nowarn", "-cp", path, "-d", str(classes)]
        subprocess.run([*command, str(HERE / "Edge.java")], check=True, capture_output=True)
    light = ("-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlogback.configurationFile={home / 'logback.xml'}")
    return subprocess.Popen(
        [JAVA, *light, "-cp", f"{classes}:{lib}/*", "Edge", host, str(port), user, password, *names],
        stdin=subprocess.PIPE,
        stdout=(home / "edge.log").open("ab"),
        stderr=subprocess.STDOUT,
    )
