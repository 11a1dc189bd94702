"""What a source says of a value, in one word: Good, Uncertain…, Bad… A bad value is not stored; that it is bad is."""

from typing import Any

GOOD, UNCERTAIN, BAD = "Good", "Uncertain", "Bad"
LONGEST = 60
ALIKE = {"ok": GOOD, "true": GOOD, "valid": GOOD, "false": BAD, "invalid": BAD}


def quality(said: Any) -> str:
    """From a word, a truth, or a number as OPC counts: from 192 good, from 64 uncertain; nothing said is good."""
    if said is None:
        return GOOD
    if isinstance(said, bool):
        return GOOD if said else BAD
    if isinstance(said, int | float):
        return GOOD if said >= 192 else UNCERTAIN if said >= 64 else BAD
    word = str(said)[:LONGEST].strip() if isinstance(said, str) else BAD
    if word.isdecimal():
        return quality(int(word))
    if word.lower() in ALIKE:
        return ALIKE[word.lower()]
    for known in (GOOD, UNCERTAIN, BAD):
        if word.lower().startswith(known.lower()):
            return known if known == GOOD else known + word[len(known) :]
    return word or BAD


def is_bad(said: str) -> bool:
    return said.startswith(BAD)
