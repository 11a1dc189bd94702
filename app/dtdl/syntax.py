"""JSON texts and where things lie in them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
        return f"{self.file}:{line_of(self.text, path)}"


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
    for file in _files(paths):
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem("readable", f"cannot read: {error}", str(file), ""))
            continue
        parsed = parse(str(file), text)
        if isinstance(parsed, Document):
            documents.append(parsed)
        else:
            problems.append(parsed)
    return documents, problems


def parse(file: str, text: str) -> Document | Problem:
    try:
        return Document(file, text, json.loads(text))
    except json.JSONDecodeError as error:
        return Problem("jsonSyntax", f"not JSON: {error.msg}", f"{file}:{error.lineno}", f"column {error.colno}")
    except RecursionError:
        return Problem("jsonDepth", "nested too deeply", file, "")


def show(path: JsonPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def line_of(text: str, path: JsonPath) -> int:
    """The line on which the value at `path` begins; only asked when there is a problem to show."""
    decoder = json.JSONDecoder()
    position = _skip(text, 0)
    for step in path:
        for key, start in _members(text, position, decoder):
            if key == step:
                position = start
                break
    return text.count("\n", 0, position) + 1


def _members(text: str, position: int, decoder: json.JSONDecoder) -> Iterator[tuple[str | int, int]]:
    opening, position = text[position], _skip(text, position + 1)
    index = 0
    while position < len(text) and text[position] not in "}]":
        key: str | int = index
        if opening == "{":
            key, position = decoder.raw_decode(text, position)
            position = _skip(text, _skip(text, position) + 1)
        yield key, position
        _, position = decoder.raw_decode(text, position)
        position = _skip(text, position)
        if position < len(text) and text[position] == ",":
            position = _skip(text, position + 1)
        index += 1


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n\ufeff":
        position += 1
    return position


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.json")) if path.is_dir() else [path]
