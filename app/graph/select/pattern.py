r"""The syntax of `matches`: RE2's, without what makes large tables. As in RE2, what needs memory of what was matched
(backreferences, lookaround) is no part of it; nor are word boundaries and Unicode's classes (`\b`, `\p`)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

from app.errors import QueryError

LONGEST, DEEPEST = 1000, 30  # characters of a pattern, groups in each other
LAST = 0xFFFF
HALVES = (0xD800, 0xDFFF)  # what a character beyond U+FFFF is split into: two of them
FLAGS = ("i", "s", "is", "si")

Range = tuple[int, int]
Set = tuple[Range, ...]  # sorted, apart from each other

DIGIT, WORD, SPACE = ((48, 57),), ((48, 57), (65, 90), (95, 95), (97, 122)), ((9, 10), (12, 13), (32, 32))
ESCAPED_SETS: Mapping[str, Set] = {"d": DIGIT, "w": WORD, "s": SPACE}
ESCAPED = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
POSIX: Mapping[str, Set] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A character of a set. One that holds HALVES takes every character beyond U+FFFF, else none."""

    of: Set


@dataclass(frozen=True, slots=True)
class Chain:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`most` None: without end."""

    part: "Node"
    least: int
    most: int | None


Node = Letter | Chain | Choice | Repeat


def parse(pattern: str) -> Node:
    """Raises: QueryError that says where."""
    return _Parser(pattern).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise QueryError(f"matches: a pattern has at most {LONGEST} characters, not {len(text)}")
        self._text, self._at, self._depth = text, 0, 0
        self._folded = self._all = False

    def parse(self) -> Node:
        self._flags()
        self._skip("^", "\\A")
        node = self._choice()
        if self._at < len(self._text):
            self._fail("a parenthesis that nothing opens")
        return node

    def _flags(self) -> None:
        for flags in FLAGS:
            if self._skip(f"(?{flags})"):
                self._folded, self._all = "i" in flags, "s" in flags
                return

    def _choice(self) -> Node:
        parts = [self._sequence()]
        while self._skip("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            if self._rest() in ("$", "\\z"):
                self._at = len(self._text)
                break
            parts.append(self._repeated(self._atom()))
        return Chain(tuple(parts))

    def _repeated(self, part: Node) -> Node:
        bounds = self._quantifier()
        if bounds is None:
            return part
        self._skip("?")  # lazy: the same texts match
        if (self._at < len(self._text) and self._text[self._at] in "*+?") or self._quantifier() is not None:
            self._fail("a repetition of a repetition", "put the first in parentheses: (?:…)")
        return Repeat(part, *bounds)

    def _quantifier(self) -> tuple[int, int | None] | None:
        for sign, limits in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._skip(sign):
                return limits
        end = self._text.find("}", self._at)
        if not self._rest().startswith("{") or end < 0:
            return None
        least, comma, most = self._text[self._at + 1 : end].partition(",")
        if not _is_count(least) or not (most == "" or _is_count(most)):
            return None  # a brace of its own, as in RE2
        bounds = int(least), int(least) if not comma else int(most) if most else None
        if bounds[1] is not None and bounds[1] < bounds[0]:
            self._fail("a repetition whose most is less than its least")
        self._at = end + 1
        return bounds

    def _atom(self) -> Node:
        sign = self._text[self._at]
        if sign == "(":
            return self._group()
        if sign == "[":
            return Letter(self._bracket())
        if self._skip("\\Q"):
            return self._quoted()
        if sign == "\\":
            escaped = self._escaped()
            return Letter(self._character(escaped) if isinstance(escaped, int) else escaped)
        if sign in "*+?":
            self._fail("a repetition of nothing", f"\\{sign} for the character")
        if sign in "^$":
            self._fail("a pattern always fits the whole text; ^ stands at its beginning alone, $ at its end")
        self._at += 1
        if sign == ".":
            return Letter(((0, LAST),) if self._all else without(((10, 10),)))
        return Letter(self._character(ord(sign)))

    def _group(self) -> Node:
        self._open()
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(f"more than {DEEPEST} groups in each other")
        node = self._choice()
        if not self._skip(")"):
            self._fail("a parenthesis that nothing closes")
        self._depth -= 1
        return node

    def _open(self) -> None:
        if self._skip("(?:"):
            return
        for opening in ("(?P<", "(?<"):
            end = self._text.find(">", self._at)
            if self._rest().startswith(opening) and self._text[self._at + len(opening) : end].isidentifier():
                self._at = end + 1
                return
        if self._rest().startswith("(?"):
            self._fail("lookaround, flags inside a pattern and the like", "RE2's syntax; (?i) and (?s) stand at the beginning")
        self._skip("(")

    def _quoted(self) -> Node:
        end = self._text.find("\\E", self._at)
        quoted = self._text[self._at : end if end >= 0 else len(self._text)]
        self._at = end + 2 if end >= 0 else len(self._text)
        return Chain(tuple(Letter(self._character(ord(character))) for character in quoted))

    def _escaped(self) -> Set | int:
        """The set, or the character, that a backslash and what follows stand for."""
        self._at += 1
        sign = self._text[self._at : self._at + 1]
        self._at += 1
        if sign and sign in "dDwWsS":
            folded = self._fold(ESCAPED_SETS[sign.lower()])
            return folded if sign.islower() else without(folded)
        if sign in ESCAPED:
            return ESCAPED[sign]
        if sign == "x":
            return self._number()
        if not sign or sign.isalnum() or ord(sign) > 127:
            self._at -= 2
            self._fail(f"\\{sign} is not supported", "see RE2's syntax; without backreferences, \\b, \\p")
        return ord(sign)

    def _number(self) -> int:
        braced = self._skip("{")
        end = self._text.find("}", self._at) if braced else self._at + 2
        digits = self._text[self._at : max(end, self._at)]
        if not digits or len(digits) > 8 or set(digits.lower()) - set("0123456789abcdef"):
            self._fail("\\x needs two hexadecimal digits, or some in braces")
        self._at = end + 1 if braced else end
        return int(digits, 16)

    def _bracket(self) -> Set:
        start = self._at
        self._at += 1
        negated, ranges = self._skip("^"), list[Range]()
        first = True
        while first or not self._skip("]"):
            if self._at >= len(self._text):
                self._at = start
                self._fail("a bracket that nothing closes")
            ranges += self._item()
            first = False
        return without(joined(ranges)) if negated else joined(ranges)

    def _item(self) -> Set:
        for name, of in POSIX.items():
            if self._skip(f"[:{name}:]"):
                return self._fold(of)
            if self._skip(f"[:^{name}:]"):
                return without(self._fold(of))
        low = self._end_of_range()
        if not self._rest().startswith("-") or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return self._character(low) if isinstance(low, int) else low
        self._at += 1
        high = self._end_of_range()
        if not isinstance(low, int) or not isinstance(high, int) or low > high:
            self._fail("a range that does not go upwards")
        return self._fold(_apart((low, min(high, LAST))))

    def _end_of_range(self) -> Set | int:
        if self._rest().startswith("\\"):
            return self._escaped()
        self._at += 1
        return ord(self._text[self._at - 1])

    def _character(self, code: int) -> Set:
        if code > LAST or HALVES[0] <= code <= HALVES[1]:
            self._fail("a character beyond U+FFFF", ". stands for one; contains finds it")
        return self._fold(((code, code),))

    def _fold(self, of: Set) -> Set:
        if not self._folded:
            return of
        return joined([*of, *((other, other) for range_ in of for other in _others(range_))])

    def _rest(self) -> str:
        return self._text[self._at : self._at + 8] if self._at + 8 < len(self._text) else self._text[self._at :]

    def _skip(self, *texts: str) -> bool:
        for text in texts:
            if self._text.startswith(text, self._at):
                self._at += len(text)
                return True
        return False

    def _fail(self, what: str, hint: str = "") -> NoReturn:
        raise QueryError(f"matches: {what}, at character {min(self._at, len(self._text)) + 1} of the pattern", hint=hint)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 4


# Sets of characters --------------------------------------------------------------------------------------------------


def joined(ranges: Sequence[Range]) -> Set:
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def without(ranges: Set) -> Set:
    """All other characters."""
    gaps, low = [], 0
    for start, end in ranges:
        if low < start:
            gaps.append((low, start - 1))
        low = end + 1
    return (*gaps, *(((low, LAST),) if low <= LAST else ()))


def _apart(range_: Range) -> Set:
    """Its characters but HALVES."""
    low, high = range_
    parts = ((low, min(high, HALVES[0] - 1)), (max(low, HALVES[1] + 1), high))
    return tuple((start, end) for start, end in parts if start <= end)


def holds(of: Set, code: int) -> bool:
    return any(low <= code <= high for low, high in of)


def _others(range_: Range) -> Iterator[int]:
    """What differs from one of its characters in case alone."""
    low, high = range_
    case_variants = _cased()
    for code in (
        range(low, high + 1) if high - low < len(case_variants) else (code for code in case_variants if low <= code <= high)
    ):
        yield from case_variants.get(code, ())


@cache
def _cased() -> dict[int, tuple[int, ...]]:
    """Characters that differ in case alone."""
    same: dict[str, set[int]] = {}
    for code in range(LAST + 1):
        same.setdefault(chr(code).casefold(), set()).add(code)
    return {code: tuple(codes - {code}) for codes in same.values() if len(codes) > 1 for code in codes}
