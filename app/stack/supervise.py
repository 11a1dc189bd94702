"""Children in order, each healthy before the next. The death of an essential one ends the stack; another is started again,
later and later; one that is asked for is restarted. What the stack needs meanwhile is looked after in a thread."""

import json
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

import psutil
from prometheus_client import multiprocess
from rich.console import Console

from app import disk
from app.errors import StackError
from app.settings import Settings, variable
from app.stack.child import Child, ending, require_free_ports
from app.stack.endpoints import endpoints, remove_endpoints, running, write_endpoints
from app.stack.parts import Part

CHILDREN = "children.json"
LOOK_SECONDS, TEND_SECONDS = 0.25, 3.0
CALM_SECONDS, LONGEST_PAUSE = 60.0, 30.0


@dataclass(slots=True)
class Held:
    """A part and its child; `starting`: while another child is started in its place."""

    part: Part
    child: Child
    since: float = field(default_factory=time.monotonic)
    again: float | None = None  # when it is to be started again
    starting: bool = False
    failures: int = 0

    def pause(self) -> float:
        self.failures = 0 if time.monotonic() - self.since > CALM_SECONDS else self.failures + 1
        return min(2.0**self.failures, LONGEST_PAUSE) * random.uniform(0.5, 1.0)


@dataclass(slots=True)
class Supervisor:
    """`tend` is called every few seconds once all has started."""

    settings: Settings
    parts: tuple[Part, ...]
    console: Console
    between: dict[str, Callable[[], None]] = field(default_factory=dict)
    tend: "Callable[[Supervisor], None] | None" = None
    held: dict[str, Held] = field(default_factory=dict)
    stopping: Event = field(default_factory=Event)
    _wanted: "SimpleQueue[Held]" = field(default_factory=SimpleQueue)
    _others: frozenset[int] = field(default_factory=lambda: frozenset(one.pid for one in psutil.Process().children()))

    def up(self) -> None:
        """Starts all, in order. Raises: StackError with the reason; what was started is stopped again."""
        home = self.settings.home
        first = not (home / "neo4j" / "data").exists()
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.chmod(0o700)
        _require_idle(home)
        _end_leftovers(home)
        _require_room(home, first)
        for part in self.parts:
            ports = {variable(name): getattr(self.settings, name) for name in part.ports}
            require_free_ports(getattr(self.settings, part.host), ports)
        try:
            for part in self.parts:
                self._refuse_stop()
                started = time.monotonic()
                with self.console.status(f"starting {part.name} …"):
                    self.held[part.name] = Held(part, part.start(self.settings))
                self._note()
                self.console.print(f"[green]✔[/] {part.name} [dim]{time.monotonic() - started:.1f} s[/]")
                if part.name in self.between:
                    self.between[part.name]()
        except BaseException:
            self.down()
            raise
        opened = frozenset(name for part in self.parts for name in part.endpoints)
        write_endpoints(home, endpoints(self.settings, opened))
        # One thread for as long as the process lives: the kernel ends a child when the thread that has started it ends.
        Thread(target=self._start_again, name="starter", daemon=True).start()
        if self.tend is not None:
            Thread(target=self._tend_forever, args=(self.tend,), name="tend", daemon=True).start()

    def watch(self) -> int:
        """Until Ctrl-C, SIGTERM (0) or the death of an essential child (1, after a clear message)."""
        while not self.stopping.is_set():
            for held_part in self.held.values():
                if not held_part.starting and not self._looked_after(held_part):
                    return 1
            self.stopping.wait(LOOK_SECONDS)
        return 0

    def restart(self, name: str, why: str) -> None:
        """Stops a part's child and starts another, as often as it takes."""
        held_part = self.held[name]
        if not held_part.starting:
            self.tell(f"{name} is restarted: {why}")
            held_part.starting = True
            self._wanted.put(held_part)

    def tell(self, what: str, style: str = "red") -> None:
        self.console.print(f"[{style}]✘[/] {time.strftime('%H:%M:%S')} ", what, markup=True, highlight=False, soft_wrap=True)

    def down(self) -> None:
        """Stops all, the last started first."""
        self.stopping.set()
        remove_endpoints(self.settings.home)
        for held_part in reversed(self.held.values()):
            with self.console.status(f"stopping {held_part.part.name} …"):
                held_part.child.stop()
        self.held.clear()
        for left in psutil.Process().children():  # one that was just being started
            if left.pid not in self._others:
                left.terminate()
                left.wait(30)
        (self.settings.home / CHILDREN).unlink(missing_ok=True)

    def stop_on_signals(self) -> None:
        def ask(*_: object) -> None:
            self.stopping.set()

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGINT, ask)

    def _looked_after(self, held_part: Held) -> bool:
        """Whether the stack can go on."""
        code = held_part.child.exited()
        if code is None:
            return True
        if held_part.again is None:
            self._tell_end(held_part, code)
            if held_part.part.essential:
                return False
            pause = held_part.pause()
            held_part.again = time.monotonic() + pause
            self.tell(f"{held_part.part.name} is started again in {pause:.0f} s", "yellow")
        elif time.monotonic() >= held_part.again:
            held_part.starting = True
            self._wanted.put(held_part)
        return True

    def _tell_end(self, held_part: Held, code: int) -> None:
        child = held_part.child
        self.console.print(f"[red]✘ {child.name} {ending(code)}[/]; its log: {child.log}", soft_wrap=True)
        self.console.print(child.tail(), style="dim", markup=False, highlight=False)

    def _start_again(self) -> None:
        """For as long as the stack runs: what was put into the queue, one after the other."""
        while not self.stopping.is_set():
            held_part = self._wanted.get()
            try:
                held_part.child.stop()
                multiprocess.mark_process_dead(held_part.child.process.pid, str(self.settings.home / "metrics"))  # type: ignore[no-untyped-call]
                held_part.child = held_part.part.start(self.settings)
                held_part.since, held_part.again = time.monotonic(), None
                self._note()
                self.tell(f"{held_part.part.name} runs again", "green")
            except Exception as error:  # noqa: BLE001 whatever it is, it is told and tried again
                if self.stopping.is_set():
                    return
                held_part.again = time.monotonic() + held_part.pause()
                self.tell(f"{held_part.part.name} cannot be started: {error if isinstance(error, StackError) else repr(error)}")
            held_part.starting = False

    def _tend_forever(self, tend: "Callable[[Supervisor], None]") -> None:
        while not self.stopping.wait(TEND_SECONDS):
            try:
                tend(self)
            except Exception as error:  # noqa: BLE001 whatever it is, it is told, and the rest goes on
                self.tell(f"looking after the stack failed: {error!r}")

    def _refuse_stop(self) -> None:
        if self.stopping.is_set():
            raise StackError("stopped while starting")

    def _note(self) -> None:
        (self.settings.home / CHILDREN).write_text(json.dumps(list(_noted(self.held))))


def _noted(held_parts: dict[str, Held]) -> Iterator[tuple[int, float]]:
    for held_part in list(held_parts.values()):
        try:
            yield held_part.child.process.pid, psutil.Process(held_part.child.process.pid).create_time()
        except psutil.Error:
            continue


def _require_idle(home: Path) -> None:
    try:
        pid, _ = running(home)
    except StackError:
        return
    raise StackError(f"a stack already runs here (process {pid})", where=str(home), hint="twingraph stack stop")


def _end_leftovers(home: Path) -> None:
    """Ends what a killed parent may have left where the kernel does not do it."""
    path = home / CHILDREN
    if path.exists():
        for pid, started in json.loads(path.read_text()):
            try:
                process = psutil.Process(pid)
                if abs(process.create_time() - started) < 1:
                    process.terminate()
                    process.wait(30)
            except psutil.Error:
                continue
        path.unlink()
    shutil.rmtree(home / "metrics", ignore_errors=True)


def _require_room(home: Path, first: bool) -> None:
    """A first start writes much; a later one must be possible on a disk that was just made room on."""
    room, needed = disk.room(home), disk.FIRST_START if first else disk.AGAIN
    if room.free < needed:
        raise StackError(f"{room}, {needed / 1024**2:,.0f} MB are needed", where=str(home), hint="set TWINGRAPH_HOME")
