"""Compiling DTDL: an ontology once, twice and four times over, 3,700 interfaces ten deep; checking values by a compiled schema
beside walking the schema for every value. No stack; `bench/dtdl.py [ontology folder]`."""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from app.dtdl import Array, Enum, Map, Object, Primitive, Schema, compile_models, lower, read_documents
from app.dtdl.payload import compiled
from app.dtdl.standard import standard
from app.dtdl.syntax import Document, parse
from app.settings import ROOT
from bench.stack import show

Row = tuple[str, str]


def seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def copies(documents: list[Document], count: int) -> list[Document]:
    made = []
    for number in range(count):
        for document in documents:
            text = document.text.replace('"dtmi:', f'"dtmi:c{number}:')
            for kept in ("dtdl", "standard", "iotcentral"):
                text = text.replace(f'"dtmi:c{number}:{kept}:', f'"dtmi:{kept}:')
            parsed = parse(f"{number}/{document.file}", text)
            if isinstance(parsed, Document):
                made.append(parsed)
    return made


def compile_all(documents: list[Document]) -> None:
    lower(compile_models(documents))


def growth(folder: Path) -> list[Row]:
    documents, _ = read_documents([folder])
    rows = []
    for count in (1, 2, 4):
        more = copies(documents, count)
        rows.append((f"{len(more)} interfaces, parse excepted", f"{seconds(partial(compile_all, more)):.2f} s CPU"))
    rows.append((f"{len(documents)} with reading", f"{seconds(lambda: compile_all(read_documents([folder])[0])):.2f} s CPU"))
    return rows


def deep(count: int = 3700, depth: int = 10) -> list[Row]:
    documents = []
    for number in range(count):
        model: dict[str, Any] = {"@context": "dtmi:dtdl:context;3", "@id": f"dtmi:deep:I{number};1", "@type": "Interface"}
        if number % depth:
            model["extends"] = f"dtmi:deep:I{number - 1};1"
        model["contents"] = [{"@type": "Property", "name": f"p{number}", "schema": "double"}]
        documents.append(Document(f"{number}.json", json.dumps(model), model))
    return [(f"{count} interfaces, {depth} deep", f"{seconds(lambda: compile_all(documents)):.2f} s CPU")]


def walk(schema: Schema, value: Any) -> bool:
    """What a checker does that asks the schema anew for each value."""
    match schema:
        case Primitive(name="double"):
            return type(value) in (int, float)
        case Primitive(name="integer"):
            return type(value) is int and -(2**31) <= value < 2**31
        case Primitive():
            return isinstance(value, str)
        case Enum():
            return any(entry.value == value for entry in schema.values)
        case Array():
            return isinstance(value, list) and all(walk(schema.element, item) for item in value)
        case Map():
            return isinstance(value, dict) and all(walk(schema.value, item) for item in value.values())
        case Object():
            known = {field.name: field.schema for field in schema.fields}
            return isinstance(value, dict) and all(key in known and walk(known[key], item) for key, item in value.items())


def payloads() -> list[Row]:
    fields = [{"name": f"s{i}", "schema": "double" if i % 2 else "integer"} for i in range(8)]
    state = {"@type": "Enum", "valueSchema": "string", "enumValues": [{"name": n, "enumValue": n} for n in ("on", "off")]}
    schema = {"@type": "Object", "fields": [*fields, {"name": "state", "schema": state}]}
    content = {"@type": "Telemetry", "name": "all", "schema": {"@type": "Array", "elementSchema": schema}}
    model = {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:a:P;1", "@type": "Interface", "contents": [content]}
    document = Document("bench", "", model)
    frozen = compile_models([document]).telemetry("dtmi:a:P;1")["all"].schema
    check = compiled(frozen)
    value = [{**{f"s{i}": i for i in range(8)}, "state": "on"} for _ in range(100)]
    rounds, count = 300, 900
    fast, slow = (
        seconds(lambda: [check(value) for _ in range(rounds)]),
        seconds(lambda: [walk(frozen, value) for _ in range(rounds)]),
    )
    return [
        ("values checked by a compiled schema", f"{rounds * count / fast:,.0f}/s"),
        ("walking the schema for each value", f"{rounds * count / slow:,.0f}/s, compiled is {slow / fast:.1f} times as fast"),
    ]


def main() -> None:
    standard()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "dtdl" / "ontologies" / "realestatecore"
    rows = (growth(folder) if folder.exists() else []) + deep() + payloads()
    show("dtdl", rows, {})


if __name__ == "__main__":
    main()
