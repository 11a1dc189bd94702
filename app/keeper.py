"""What a running stack is looked after with: the disk, long logs, a database that has stopped, devices of the broker."""

from dataclasses import dataclass, field

from app import disk
from app.errors import StackError, StoreError
from app.graph.store import Store
from app.identity import keys
from app.main import make_store
from app.settings import Settings
from app.stack.accounts import Account
from app.stack.broker import admit
from app.stack.child import rotate
from app.stack.supervise import Supervisor


@dataclass(slots=True)
class Keeper:
    """Each thing is told when it changes, not at each look."""

    settings: Settings
    _store: Store | None = None
    _told: dict[str, str] = field(default_factory=dict)

    def __call__(self, supervisor: Supervisor) -> None:
        self._look_at_disk(supervisor)
        try:
            rotate(self.settings.home / "logs")
            if self._store is None:
                self._store = make_store(self.settings)
            if not self._look_at_database(supervisor, self._store):
                self._let_devices_in(supervisor, self._store)
        except (StoreError, StackError, OSError) as error:
            self._tell(supervisor, "work", str(error))
        else:
            self._tell(supervisor, "work", "")

    def _look_at_disk(self, supervisor: Supervisor) -> None:
        room = disk.room(self.settings.home)
        says = {"LOW": "make room", "SHORT": "make room now: the database stops when there is none"}.get(room.state, "")
        self._tell(supervisor, "disk", f"{room}: {says}" if says else "", room.state)

    def _look_at_database(self, supervisor: Supervisor, store: Store) -> bool:
        """Whether it has stopped; then it is restarted, as soon as it has room to start."""
        if not store.has_stopped():
            self._tell(supervisor, "database", "")
            return False
        room = disk.room(self.settings.home)
        if room.free < disk.AGAIN:
            self._tell(supervisor, "database", f"neo4j has stopped, and is restarted once there is room: {room}", "room")
        else:
            supervisor.restart("neo4j", "it has stopped over a critical error; see its logs/debug.log")
        return True

    def _let_devices_in(self, supervisor: Supervisor, store: Store) -> None:
        if "broker" in supervisor.held:
            devices = [
                Account(device.id, device.mqtt or "", device.publish, device.subscribe) for device in keys.live_devices(store)
            ]
            admit(self.settings, devices)

    def _tell(self, supervisor: Supervisor, about: str, what: str, state: str | None = None) -> None:
        """`state`: what must change for it to be told again; the text itself."""
        now = what if state is None else state
        if what and self._told.get(about) != now:
            supervisor.tell(what)
        self._told[about] = now
