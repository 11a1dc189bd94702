"""JSON texts and where things lie in them."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

JsonPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON text: an interface, or a list of them."""

    file: str
    text: str
    json: Any

    def place(self, path: JsonPath) -> str:
        return f"{self.file}:{place_of(self.text, path)}" if self.text else self.file

    def size(self, path: JsonPath) -> int:
        """Bytes of the JSON text at `path`, as it stands there."""
        start = _node(self.text, path).start
        return len(self.text[start : json.JSONDecoder().raw_decode(self.text, start)[1]].encode())


@dataclass(frozen=True, slots=True)
class Problem:
    rule: str
    what: str
    place: str
    path: str
    hint: str = ""

    def __str__(self) -> str:
        path = f" at {self.path}" if self.path else ""
        return f"{self.place}: {self.what}{path} [{self.rule}]" + (f"; {self.hint}" if self.hint else "")


def read_documents(paths: Iterable[Path]) -> tuple[list[Document], list[Problem]]:
    """Every `*.json` in files and folders; a byte-order mark is skipped."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for file in dict.fromkeys(_files(paths)):
        if file.exists() and not file.is_file():
            problems.append(Problem("readable", "not a regular file", str(file), ""))
            continue
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem("readable", f"cannot read: {error}", str(file), "", "models are JSON in UTF-8"))
            continue
        parsed = parse(str(file), text)
        if isinstance(parsed, Document):
            documents.append(parsed)
        else:
            problems.append(parsed)
    return documents, problems


def parse(file: str, text: str) -> Document | Problem:
    doubled: list[str] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(members)
        if len(mapping) < len(members):
            keys = [key for key, _ in members]
            doubled.append(next(key for key in keys if keys.count(key) > 1))
        return mapping

    try:
        document = Document(file, text, json.loads(text, object_pairs_hook=pairs))
    except json.JSONDecodeError as error:
        return Problem("jsonSyntax", f"not JSON: {error.msg}", f"{file}:{error.lineno}:{error.colno}", "")
    except RecursionError:
        return Problem("jsonDepth", "nested too deeply", file, "")
    except ValueError:
        return Problem("jsonSyntax", "a number has more digits than the limit of 4,300", file, "")
    if doubled:
        place = f"{file}:{_place(text, _index(text)[2])}"
        return Problem("duplicatePropertyName", f"the key {doubled[0]!r} stands twice in one object", place, "", "keep one")
    if "\\u" in text and not _is_unicode(document.json):
        return Problem("jsonSyntax", "a string holds half of a surrogate pair", file, "", "write the character itself")
    return document


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def show(path: JsonPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def place_of(text: str, path: JsonPath) -> str:
    """`line:column` where the value at `path` begins; only asked when there is something to show."""
    return _place(text, _node(text, path).start)


def _place(text: str, start: int) -> str:
    lines = _index(text)[1]
    line = bisect_right(lines, start)
    return f"{line}:{start - lines[line - 1] + 1}"


def _node(text: str, path: JsonPath) -> "_Node":
    node = _index(text)[0]
    for step in path:
        if step not in node.inside:
            break
        node = node.inside[step]
    return node


@dataclass(slots=True)
class _Node:
    start: int
    inside: dict[str | int, "_Node"] = field(default_factory=dict)


TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"\ufeff]+')


@lru_cache(maxsize=8)
def _index(text: str) -> tuple[_Node, list[int], int]:
    """Where every value of a JSON text begins, every line, and the first value of a key given twice; one pass."""
    root = _Node(0)
    doubled = 0
    stack: list[tuple[_Node, bool]] = []  # the object or list we are in, and whether it is an object
    key: str | int = 0
    named = False
    for match in TOKEN.finditer(text):
        word = match[0]
        if word in ("}", "]"):
            _, _ = stack.pop() if stack else (root, False)
        elif word == ",":
            named = False
        elif word == ":":
            named = True
        else:
            inside = stack[-1] if stack else None
            if inside is not None and inside[1] and not named:
                key = json.loads(word)
                continue
            node = root if inside is None else _Node(match.start())
            if inside is None:
                root.start = match.start()
            else:
                doubled = doubled or (match.start() if inside[1] and key in inside[0].inside else 0)
                inside[0].inside[key if inside[1] else len(inside[0].inside)] = node
            if word in ("{", "["):
                stack.append((node, word == "{"))
                named = False
    return root, [0, *(m.end() for m in re.finditer("\n", text))], doubled


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(file for file in path.rglob("*.json") if file.is_file()) if path.is_dir() else [path]
