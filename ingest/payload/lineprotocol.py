"""InfluxDB's line protocol: a line → series key, fields, time. The key, tags and all, is the address that rules match."""

import re
from collections.abc import Iterator
from typing import Any

from app.errors import MessageError

LINE = re.compile(r'((?:\\.|[^\\ ])+) +((?:"(?:\\.|[^"\\])*"|\\.|[^\\" ])+)(?: +(-?\d{1,19}))? *')
FIELD = re.compile(r'((?:\\.|[^\\=,])+)=("(?:\\.|[^"\\])*"|[^",]+)(?:,|$)')
ESCAPED = re.compile(r"\\([,= \"\\])")
WORDS = {"t": True, "T": True, "true": True, "True": True, "TRUE": True}
WORDS |= {"f": False, "F": False, "false": False, "False": False, "FALSE": False}
PER_MILLISECOND = {"ns": 1_000_000, "us": 1000, "u": 1000, "ms": 1}


def lines(body: bytes, precision: str = "ns") -> Iterator[tuple[str, dict[str, Any], int | None]]:
    """`(address, fields, epoch ms)` of each line. Raises: MessageError with the line's number."""
    if precision not in ("s", *PER_MILLISECOND):
        raise MessageError(f"precision {precision!r:.20}: one of s, {', '.join(PER_MILLISECOND)}", code="NOT_LINE_PROTOCOL")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MessageError("not UTF-8", code="NOT_LINE_PROTOCOL") from error
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            match = LINE.fullmatch(stripped)
            fields = _fields(match[2]) if match else None
            if match is None or fields is None:
                raise MessageError(f"line {number} is no line protocol: {stripped:.80}", code="NOT_LINE_PROTOCOL")
            yield ESCAPED.sub(r"\1", match[1]), fields, _milliseconds(match[3], precision)


def _fields(text: str) -> dict[str, Any] | None:
    fields: dict[str, Any] = {}
    place = 0
    while place < len(text):
        match = FIELD.match(text, place)
        if match is None:
            return None
        try:
            fields[ESCAPED.sub(r"\1", match[1])] = _value(match[2])
        except ValueError:
            return None
        place = match.end()
    return fields


def _value(text: str) -> Any:
    if text[0] == '"':
        return ESCAPED.sub(r"\1", text[1:-1])
    if text in WORDS:
        return WORDS[text]
    return int(text[:-1]) if text[-1] in "iu" else float(text)


def _milliseconds(text: str | None, precision: str) -> int | None:
    if text is None:
        return None
    return int(text) * 1000 if precision == "s" else int(text) // PER_MILLISECOND[precision]
