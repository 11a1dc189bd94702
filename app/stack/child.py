"""One child process: started, watched, stopped in order; it never outlives its parent."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import StackError

PR_SET_PDEATHSIG = 1
LONGEST_LOG, KEPT_LOGS = 32 * 1024**2, 3


@dataclass(slots=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    grace: float

    def exited(self) -> int | None:
        return self.process.poll()

    def tail(self, lines: int = 8) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(self.grace)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start(
    name: str, command: Sequence[str], home: Path, environment: Mapping[str, str] | None = None, grace: float = 20.0
) -> Child:
    log = home / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    turn_over(log)
    with log.open("ab") as output:  # appending: what is emptied while it is written begins at its start again
        process = subprocess.Popen(
            list(command),
            cwd=home,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which stops its children in order
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - it calls prctl alone
        )
    return Child(name, process, log, grace)


def turn_over(log: Path) -> None:
    """`x.log` → `x.log.1` → `x.log.2`, of a child that is to be started. Raises: OSError."""
    _shift(log)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))


def rotate(logs: Path) -> None:
    """Logs that have grown long, while they are written: copied, then emptied. Raises: OSError."""
    for log in logs.glob("*.log"):
        if log.stat().st_size > LONGEST_LOG:
            copy = log.with_suffix(".log.part")
            shutil.copyfile(log, copy)
            os.truncate(log, 0)
            _shift(log)
            copy.replace(log.with_suffix(".log.1"))


def _shift(log: Path) -> None:
    for number in range(KEPT_LOGS - 1, 0, -1):
        old = log.with_suffix(f".log.{number}")
        if old.exists():
            old.replace(log.with_suffix(f".log.{number + 1}"))


def wait_until(child: Child, healthy: Callable[[], bool], seconds: float) -> None:
    """Returns when `healthy()`; raises StackError when the child dies first or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not healthy():
        if child.exited() is not None:
            raise StackError(f"{child.name} {ending(child.exited())} while starting\n{child.tail()}", where=str(child.log))
        if time.monotonic() > deadline:
            raise StackError(f"{child.name} is not ready after {seconds:.0f} s\n{child.tail()}", where=str(child.log))
        time.sleep(0.1)


def ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def port_is_open(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


def require_free_ports(host: str, ports: Mapping[str, int]) -> None:
    """Raises StackError naming the first port that something else listens on, and the setting that moves it."""
    for setting, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise StackError(
                    f"port {port} is in use or not allowed: {error.strerror}",
                    where=f"{host}:{port}",
                    hint=f"stop what listens there or set {setting}",
                ) from error


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
