"""The feed of a process: who wants to know of a new catalog is told, in the order of asking."""

from collections.abc import Callable

from app.dtdl import Catalog

Listener = Callable[[Catalog], None]


class Changes:
    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def on_catalog(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def catalog(self, catalog: Catalog) -> None:
        for listener in self._listeners:
            listener(catalog)
