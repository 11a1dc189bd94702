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
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, weight: int) -> None:
        with self._lock:
            self._drop(key)
            self._keep(key, value, weight)

    def grow(self, key: K, by: int) -> None:
        """The entry, if it is still kept, weighs so much more."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._drop(key)
                self._keep(key, found[0], found[1] + by)

    def _drop(self, key: K) -> None:
        found = self._entries.pop(key, None)
        self._weight -= found[1] if found is not None else 0

    def _keep(self, key: K, value: V, weight: int) -> None:
        if weight > self._most // 2:
            return
        self._entries[key] = value, weight
        self._weight += weight
        while self._weight > self._most:
            self._weight -= self._entries.popitem(last=False)[1][1]
