"""Building the GraphQL schema of so many interfaces beside @neo4j/graphql with as many types: six properties and two
relationships each. No stack. `bench schema [counts…]`; each figure is taken in a process of its own."""

import json
import subprocess
import sys
import time

import psutil

from app.dtdl import Document, compile_models
from bench.graphql import installed
from bench.stack import ROOT, show

PROPERTIES = {"name": "string", "speed": "double", "count": "integer", "on": "boolean", "since": "dateTime"}


def documents(count: int) -> list[Document]:
    return [_document(number, count) for number in range(count)]


def _document(number: int, count: int) -> Document:
    contents: list[dict[str, str]] = [
        {"@type": "Property", "name": name, "schema": schema} for name, schema in PROPERTIES.items()
    ]
    for name, step in (("feeds", 1), ("partOf", 7)):
        target = f"dtmi:bench:Kind{(number + step) % count};1"
        contents.append({"@type": "Relationship", "name": name, "target": target})
    made = {"@context": "dtmi:dtdl:context;3", "@id": f"dtmi:bench:Kind{number};1", "@type": "Interface", "contents": contents}
    return Document(f"{number}.json", json.dumps(made), made)


def ours(count: int) -> dict[str, float]:
    from app.graphql.answer.persisted import Persisted
    from app.graphql.answer.schema import TwinSchema
    from app.settings import Settings

    catalog = compile_models(documents(count))
    settings, process = Settings.read(), psutil.Process()
    TwinSchema(compile_models([]), settings, Persisted("", False))
    before, started = process.memory_info().rss, time.process_time()
    schema = TwinSchema(catalog, settings, Persisted("", False))
    seconds = time.process_time() - started
    megabytes = (process.memory_info().rss - before) / 1024**2
    return {"types": len(schema._schema.type_map), "seconds": seconds, "megabytes": megabytes}


def peer(count: int) -> dict[str, float]:
    command = ["node", "--max-old-space-size=8000", "schema.mjs", str(count)]
    done = subprocess.run(command, cwd=installed(), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def main() -> None:
    if sys.argv[1:2] == ["ours"]:
        print(json.dumps(ours(int(sys.argv[2]))))
        return
    rows = []
    for count in map(int, sys.argv[1:] or ("100", "300")):
        command = [sys.executable, "-m", "bench.schema", "ours", str(count)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        for name, found in (("ours", json.loads(done.stdout)), ("peer", peer(count))):
            shown = f"{found['types']} types, {found['seconds']:.2f} s CPU, {found['megabytes']:.0f} MB"
            rows.append((f"{count} interfaces, {name}", shown))
    show("schema", rows, {})


if __name__ == "__main__":
    main()
