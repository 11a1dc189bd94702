"""What one server process holds, joined by `app.main` and handed to its endpoints."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.commands.outlet import Outlet
from app.events.feed import Feed
from app.graph.store import Store
from app.http.workers import Workers
from app.identity import Clients, Gate
from app.settings import Settings
from app.twins.registry import Registry


@dataclass(slots=True)
class Server:
    settings: Settings
    store: Store
    registry: Registry
    feed: Feed
    gate: Gate
    clients: Clients
    workers: Workers
    parsers: Workers  # of documents
    outlets: Sequence[Outlet] = field(default_factory=list)
