"""A browsable reference of a model set: Markdown with Mermaid class diagrams, one page an interface and an index."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from app.dtdl.catalog import Catalog
from app.dtdl.lower import schema_text
from app.dtdl.model import AnyContent, Command, Component, Primitive, Property, Relationship, Telemetry, Texts


def pages(catalog: Catalog) -> dict[str, str]:
    """File name → Markdown."""
    files = {f"{catalog.labels[dtmi]}.md": "\n".join(_page(catalog, dtmi)) + "\n" for dtmi in catalog.interfaces}
    return files | {"index.md": "\n".join(_index(catalog)) + "\n"}


def write(catalog: Catalog, folder: Path) -> int:
    """Writes the pages; how many. Raises: OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(catalog).items():
        (folder / name).write_text(text)
    return len(catalog.interfaces) + 1


def _index(catalog: Catalog) -> Iterator[str]:
    yield "# Models\n"
    yield "| label | DTMI | extends | what |"
    yield "|---|---|---|---|"
    for label, dtmi in sorted(catalog.by_label.items()):
        bases = ", ".join(_link(catalog, base) for base in catalog.interfaces[dtmi].extends)
        yield f"| [{label}]({label}.md) | `{dtmi}` | {bases} | {_line(_words(catalog.interfaces[dtmi].description))} |"


def _page(catalog: Catalog, dtmi: str) -> Iterator[str]:
    interface, label = catalog.interfaces[dtmi], catalog.labels[dtmi]
    yield f"# {_line(_words(interface.display_name)) or label}\n"
    yield f"`{dtmi}` · DTDL v{interface.version} · label `:{label}` · [all models](index.md)\n"
    for tag, text in interface.description.items():
        yield f"{_line(text)}{'' if tag == 'en' else f' *({tag})*'}\n"
    yield from _diagram(catalog, dtmi)
    for kind, columns in TABLES.items():
        rows = [content for content in catalog.contents[dtmi].values() if type(content).__name__ == kind]
        if rows:
            yield f"\n## {kind}\n"
            yield f"| name | {' | '.join(columns)} | from | what |"
            yield "|---" * (len(columns) + 3) + "|"
            for content in rows:
                cells = " | ".join(_cell(text) for text in _cells(catalog, content))
                origin = "" if content.declared_by == dtmi else _link(catalog, content.declared_by)
                yield f"| `{content.name}` | {cells} | {origin} | {_line(_words(content.description))} |"
    below = [name for name in catalog.descendants[dtmi] if dtmi in catalog.interfaces[name].extends]
    if below:
        yield f"\nExtended by {', '.join(_link(catalog, name) for name in below)}."


TABLES: Mapping[str, tuple[str, ...]] = {
    "Property": ("schema", "unit", "writable"),
    "Telemetry": ("schema", "unit"),
    "Command": ("request", "response"),
    "Relationship": ("target", "at most", "properties"),
    "Component": ("interface",),
}


def _cells(catalog: Catalog, content: AnyContent) -> tuple[str, ...]:
    match content:
        case Property():
            return schema_text(content.schema), content.unit, "yes" if content.writable else ""
        case Telemetry():
            return schema_text(content.schema), content.unit
        case Command():
            request, response = content.request, content.response
            return (
                f"{request.name}: {schema_text(request.schema)}" if request else "",
                f"{response.name}: {schema_text(response.schema)}" if response else "",
            )
        case Relationship():
            properties = ", ".join(f"{p.name}: {schema_text(p.schema)}" for p in content.properties)
            return _link(catalog, content.target), str(content.max_multiplicity or ""), properties
        case Component():
            return (_link(catalog, content.interface),)


def _diagram(catalog: Catalog, dtmi: str) -> Iterator[str]:
    label = catalog.labels[dtmi]
    yield "```mermaid\nclassDiagram"
    for base in catalog.interfaces[dtmi].extends:
        yield f"  {catalog.labels[base]} <|-- {label}"
    for content in catalog.interfaces[dtmi].contents:
        match content:
            case Property() | Telemetry():
                schema = schema_text(content.schema) if isinstance(content.schema, Primitive) else type(content.schema).__name__
                yield f"  {label} : {schema} {content.name}"
            case Command():
                yield f"  {label} : {content.name}()"
            case Relationship(target=target):
                yield f"  {label} --> {catalog.labels.get(target, 'Twin')} : {content.name}"
            case Component(interface=inner):
                yield f"  {label} *-- {catalog.labels[inner]} : {content.name}"
    yield "```"


def _link(catalog: Catalog, dtmi: str) -> str:
    label = catalog.labels.get(dtmi)
    return f"[{label}]({label}.md)" if label else (f"`{dtmi}`" if dtmi else "anything")


def _words(texts: Texts) -> str:
    return texts.get("en") or next(iter(texts.values()), "")


def _line(text: str) -> str:
    """A model's own words on one line, where they can be neither Markdown nor HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
