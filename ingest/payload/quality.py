"""What a source says of a value, in one word: Good, Uncertain…, Bad… A bad value is not stored; that it is bad is."""

from typing import Any

GOOD, UNCERTAIN, BAD = "Good", "Uncertain", "Bad"
LONGEST = 60
ALIKE = {"ok": GOOD, "true": GOOD, "valid": GOOD, "false": BAD, "invalid": BAD}


def quality(value: Any) -> str:
    """From a word, a truth, or a number as OPC counts: from 192 good, from 64 uncertain; nothing said is good."""
    if value is None:
        return GOOD
    if isinstance(value, bool):
        return GOOD if value else BAD
    if isinstance(value, int | float):
        return GOOD if value >= 192 else UNCERTAIN if value >= 64 else BAD
    word = str(value)[:LONGEST].strip() if isinstance(value, str) else BAD
    if word.isdecimal():
        return quality(int(word))
    if word.lower() in ALIKE:
        return ALIKE[word.lower()]
    for grade in (GOOD, UNCERTAIN, BAD):
        if word.lower().startswith(grade.lower()):
            return grade if grade == GOOD else grade + word[len(grade) :]
    return word or BAD


def is_bad(word: str) -> bool:
    return word.startswith(BAD)
