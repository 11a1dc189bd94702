"""Messages that no twin took: listed, mended, taken out again."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from app.errors import NotFound
from app.graph.statements import statement
from app.graph.store import Store
from app.graph.typed import all_typed


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`at`: when it came [epoch ms]; `time`: that of measure, where the protocol carries it; `size`: bytes of the whole
    message, of which `payload` may be the beginning."""

    id: str
    at: int
    source: str
    topic: str
    code: str
    reason: str
    payload: bytes
    size: int
    time: int | None = None

    @property
    def whole(self) -> bool:
        return len(self.payload) == self.size


def listed(
    store: Store, ids: Sequence[str] | None = None, source: str | None = None, code: str | None = None, most: int = 100
) -> list[DeadLetter]:
    """The newest first. Raises: StoreError."""
    parameters = {"ids": None if ids is None else list(ids), "source": source, "code": code, "most": most}
    rows = store.read(statement("deadletter/list"), parameters)
    names = [attribute.name for attribute in fields(DeadLetter)]
    return list(all_typed(DeadLetter, (dict(zip(names, row, strict=True)) for row in rows)))


def shown(store: Store, identifier: str) -> DeadLetter:
    """Raises: NotFound, StoreError."""
    letters = listed(store, [identifier])
    if not letters:
        raise NotFound(f"no dead letter {identifier!r}", hint="twingraph deadletters list")
    return letters[0]


def fix(store: Store, identifier: str, payload: bytes) -> None:
    """Gives it another payload, for the next replay. Raises: NotFound, StoreError."""
    if not store.run(statement("deadletter/fix"), id=identifier, payload=payload, size=len(payload)):
        raise NotFound(f"no dead letter {identifier!r}", hint="twingraph deadletters list")
