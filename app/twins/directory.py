"""Which twins there are and of which model, in memory, for every message to be matched against."""

import time

from app.graph.statements import statement
from app.graph.store import Store

REFRESH_SECONDS = 2.0
STALE_SECONDS = 60.0  # a twin may be moved to another version of its model


class Directory:
    """`get` answers from memory; an unknown id asks the graph again, at most every two seconds, and a known one each minute."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._models: dict[str, str] = {}
        self._read_at = float("-inf")
        self.refresh()

    def __len__(self) -> int:
        return len(self._models)

    def __iter__(self) -> "iter[str]":  # type: ignore[valid-type]
        return iter(self._models)

    def get(self, dt_id: str) -> str | None:
        model = self._models.get(dt_id)
        if time.monotonic() - self._read_at > (REFRESH_SECONDS if model is None else STALE_SECONDS):
            self.refresh()
            model = self._models.get(dt_id)
        return model

    def assume(self, dt_id: str, model: str) -> None:
        """As if the twin were there, until the next look at the graph."""
        self._models[dt_id] = model

    def refresh(self) -> None:
        ((dt_ids, models),) = self._store.read(statement("twin/directory"))
        self._models = dict(zip(dt_ids, models, strict=True))
        self._read_at = time.monotonic()
