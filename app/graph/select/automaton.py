"""`matches`: a pattern → the table of an automaton that the database walks, one step a character.

Java's own `=~` goes back and forth over a text as often as the pattern makes it, for hours where somebody means it to, and no
time limit reaches it there. A table takes one step a character whatever the pattern is; a pattern that needs a large one is
refused. The automaton is Glushkov's, made deterministic: a state is the set of places in the pattern where a text may stand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from app.errors import QueryError
from app.graph.select.pattern import HALVES, LAST, Chain, Choice, Letter, Node, Range, Repeat, Set, holds, parse, without

PLACES, STATES, CLASSES = 500, 500, 200
SINGLE, RANGES = 5000, 100  # characters and ranges of characters that are looked up
WIDE = 64  # a wider range is looked up as a range, not character by character
BEFORE_HALVES, AFTER_HALVES, AFTER_LAST = chr(HALVES[0] - 1), chr(HALVES[1] + 1), chr(LAST) * 2


@lru_cache(256)
def automaton(pattern: str) -> dict[str, Any]:
    """What `printer` binds: `next[state][class]`, `accept[state]`; the class of a character is `classes[character]`,
    else that of the first of `ranges` (both ends outside), else 0. Raises: QueryError."""
    places = _Places()
    whole = places.add(parse(pattern))
    marks = _marks(places.sets)
    halves = _classes(marks, places.sets)
    masks = [mask for mask, _ in halves]
    following, accept = _determined(places, whole, masks)
    classes, ranges = _looked_up(halves)
    classes[""] = len(masks)  # an empty text is split into one empty character
    rows = [[*row, index] for index, row in enumerate(following)]
    return {"next": rows, "accept": accept, "classes": classes, "ranges": ranges}


@dataclass(frozen=True, slots=True)
class _Ends:
    """Of a part of the pattern: whether it fits an empty text, and its first and last places, as bits."""

    empty: bool
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class _Places:
    """Every place of the pattern where a character is matched: of which set, and which places (bits) may follow."""

    sets: list[Set] = field(default_factory=list)
    follow: list[int] = field(default_factory=list)

    def add(self, node: Node) -> _Ends:
        match node:
            case Letter(of) if holds(of, HALVES[0]):
                alternative, half, other = (
                    self._place(part) for part in (without((*without(of), HALVES)), (HALVES,), (HALVES,))
                )
                pair = self._then(half, other)
                return _Ends(False, alternative.first | pair.first, alternative.last | pair.last)
            case Letter(of):
                return self._place(of)
            case Chain(parts):
                ends = _Ends(True)
                for part in parts:
                    ends = self._then(ends, self.add(part))
                return ends
            case Choice(parts):
                alternatives = [self.add(part) for part in parts]
                first, last = 0, 0
                for alternative in alternatives:
                    first, last = first | alternative.first, last | alternative.last
                return _Ends(any(alternative.empty for alternative in alternatives), first, last)
            case Repeat(part, least, most):
                return self._repeat(part, least, most)

    def _place(self, of: Set) -> _Ends:
        if len(self.sets) >= PLACES:
            raise _too_complex(f"with all repetitions written out it has more than {PLACES} characters")
        self.sets.append(of)
        self.follow.append(0)
        bit = 1 << len(self.sets) - 1
        return _Ends(False, bit, bit)

    def _repeat(self, part: Node, least: int, most: int | None) -> _Ends:
        ends = _Ends(True)
        for _ in range(least if most is not None else max(least - 1, 0)):
            ends = self._then(ends, self.add(part))
        if most is None:
            again = self.add(part)
            self._link(again.last, again.first)
            return self._then(ends, _Ends(again.empty or not least, again.first, again.last))
        more = _Ends(True)
        for _ in range(most - least):
            chain = self._then(self.add(part), more)
            more = _Ends(True, chain.first, chain.last)
        return self._then(ends, more)

    def _then(self, before: _Ends, other: _Ends) -> _Ends:
        self._link(before.last, other.first)
        first = before.first | other.first if before.empty else before.first
        last = other.last | before.last if other.empty else other.last
        return _Ends(before.empty and other.empty, first, last)

    def _link(self, last: int, first: int) -> None:
        for place in _bits(last):
            self.follow[place] |= first


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _marks(sets: Sequence[Set]) -> list[int]:
    """Where one of the sets begins, or the character after which it ends."""
    ends = {edge for of in set(sets) for low, high in of for edge in (low, high + 1)}
    return sorted({0, HALVES[0], HALVES[1] + 1, *(edge for edge in ends if edge <= LAST)})


def _classes(marks: Sequence[int], sets: Sequence[Set]) -> list[tuple[int, list[Range]]]:
    """Characters that no place tells apart, as the places that take them and their ranges; the most frequent first."""
    placed: dict[Set, int] = {}
    for place, of in enumerate(sets):
        placed[of] = placed.get(of, 0) | 1 << place
    ranges_by_mask: dict[int, list[Range]] = {}
    for low, after in zip(marks, [*marks[1:], LAST + 1], strict=True):
        mask = 0
        for of, places in placed.items():
            mask |= places if holds(of, low) else 0
        ranges_by_mask.setdefault(mask, []).append((low, after - 1))
    if len(ranges_by_mask) > CLASSES:
        raise _too_complex(f"it tells more than {CLASSES} kinds of characters apart")
    return sorted(ranges_by_mask.items(), key=lambda item: -sum(high - low for low, high in item[1]))


def _determined(places: _Places, whole: _Ends, masks: Sequence[int]) -> tuple[list[list[int]], list[bool]]:
    """Rows of next states, and which states accept."""
    start = 1 << len(places.sets)  # a state of its own: before the first character
    states, following, accept = {start: 0}, list[list[int]](), list[bool]()
    waiting = [start]
    for state in waiting:
        reach = whole.first if state == start else 0
        for place in _bits(state & ~start):
            reach |= places.follow[place]
        row = []
        for mask in masks:
            then = reach & mask
            if then not in states:
                states[then] = len(states)
                waiting.append(then)
                if len(states) > STATES:
                    raise _too_complex(f"it needs more than {STATES} states")
            row.append(states[then])
        following.append(row)
        accept.append(whole.empty if state == start else bool(state & whole.last))
    return following, accept


def _looked_up(classes: Sequence[tuple[int, list[Range]]]) -> tuple[dict[str, int], list[list[Any]]]:
    """ASCII and small ranges character by character, the others by their ends; class 0 is what is not found."""
    single, ranges = dict[str, int](), list[list[Any]]()
    for index, (_, class_ranges) in enumerate(classes):
        for low, high in class_ranges:
            if (low, high) == HALVES:
                ranges.insert(0, [BEFORE_HALVES, AFTER_HALVES, index])
                continue
            narrow = high - low < WIDE
            single |= {chr(code): index for code in range(low, (high if index and narrow else min(high, 127)) + 1)}
            if index and not narrow:
                ranges.append([*_outside(low, high), index])
    if len(single) > SINGLE or len(ranges) > RANGES:
        raise _too_complex("it names too many characters")
    return single, ranges


def _outside(low: int, high: int) -> tuple[str, str]:
    """The texts just before and just after a range; where that would be one of HALVES, which no text can hold, the one before
    or after those: they are found first."""
    before = "" if low == 0 else BEFORE_HALVES if low == HALVES[1] + 1 else chr(low - 1)
    after = AFTER_LAST if high == LAST else AFTER_HALVES if high == HALVES[0] - 1 else chr(high + 1)
    return before, after


def _too_complex(why: str) -> QueryError:
    return QueryError(f"matches: the pattern is too complex: {why}", hint="a shorter one, or several conditions")
