"""A cache bounded by what its entries weigh, the least used forgotten first."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Weights are bytes by estimate. One entry alone may weigh half of the whole at most: heavier, it is not kept."""

    def __init__(self, most: int) -> None:
        self._most, self._weight = most, 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: K, value: V, weight: int) -> None:
        with self._lock:
            self._drop(key)
            self._keep(key, value, weight)

    def grow(self, key: K, by: int) -> None:
        """The entry, if it is still kept, weighs so much more."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._drop(key)
                self._keep(key, entry[0], entry[1] + by)

    def _drop(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        self._weight -= entry[1] if entry is not None else 0

    def _keep(self, key: K, value: V, weight: int) -> None:
        if weight > self._most // 2:
            return
        self._entries[key] = value, weight
        self._weight += weight
        while self._weight > self._most:
            self._weight -= self._entries.popitem(last=False)[1][1]
