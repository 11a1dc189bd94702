"""Dead letters through their source's mapping once more: what fits now is written, and the letter goes in the same transaction.

What still does not fit becomes a new letter in the place of the old one. A time that the message does not give is that of its
first receipt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.errors import StoreError, StoreUnavailable
from app.graph.store import Store
from app.sources.deadletters import DeadLetter
from app.twins.write import append
from ingest.pipeline.assemble import Assembler
from ingest.source import Message

TOGETHER = 500


@dataclass(frozen=True, slots=True)
class RedeliveryResult:
    """`letters` tried, `points` written, `refused` once more, `left` because their mapping or the rest of them is not here."""

    letters: int = 0
    points: int = 0
    refused: int = 0
    left: int = 0

    def __add__(self, other: "RedeliveryResult") -> "RedeliveryResult":
        return RedeliveryResult(
            self.letters + other.letters, self.points + other.points, self.refused + other.refused, self.left + other.left
        )


def redeliver(store: Store, assemblers: Mapping[str, Assembler], letters: Sequence[DeadLetter]) -> Iterator[RedeliveryResult]:
    """After every few hundred letters, what has become of them. Raises: StoreError; Conflict for letters changed meanwhile."""
    ready = [letter for letter in letters if letter.whole and letter.source in assemblers]
    yield RedeliveryResult(left=len(letters) - len(ready))
    for source in dict.fromkeys(letter.source for letter in ready):
        own = [letter for letter in ready if letter.source == source]
        for start in range(0, len(own), TOGETHER):
            yield _written(store, assemblers[source], own[start : start + TOGETHER])


def _written(store: Store, assembler: Assembler, letters: Sequence[DeadLetter]) -> RedeliveryResult:
    messages = [Message(letter.topic, letter.payload, letter.time, received=letter.at) for letter in letters]
    assembled = assembler.assemble(messages)
    try:
        outcome = append(store, replace(assembled.batch, taken=[(letter.id, letter.payload) for letter in letters]))
    except StoreUnavailable:
        raise
    except StoreError:  # the database refuses one of them for good: halved until it is alone, and left where it is
        middle = len(letters) // 2
        if not middle:
            return RedeliveryResult(left=1)
        return _written(store, assembler, letters[:middle]) + _written(store, assembler, letters[middle:])
    return RedeliveryResult(len(letters), outcome.points, len(assembled.batch.deadletters))
