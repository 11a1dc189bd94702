"""Where interfaces that are not in the input may be found: a model repository's folder, or any folder of models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.dtdl.analysis import Resolver
from app.dtdl.metamodel import IDENTIFIER
from app.dtdl.syntax import Document, read_documents


def path_of(dtmi: str) -> Path:
    """`dtmi:com:example:Thermostat;1` → `dtmi/com/example/thermostat-1.json`, as device model repositories lay it out.

    Raises: ValueError for what is not a DTMI."""
    if not IDENTIFIER[4].fullmatch(dtmi):
        raise ValueError(f"{dtmi!r} is not a DTMI")
    return Path(dtmi.lower().replace(":", "/").replace(";", "-") + ".json")


def in_folders(folders: Sequence[Path]) -> Resolver:
    """Asks the repository layout first, then every file below the folders; those are read once, when first needed."""
    everything: dict[str, Document] = {}

    def resolve(missing: set[str]) -> list[Document]:
        laid_out = [folder / path_of(dtmi) for dtmi in sorted(missing) for folder in folders]
        documents, _ = read_documents([path for path in laid_out if path.is_file()])
        rest = missing.difference(name for document in documents for name in _ids(document))
        if rest and not everything:
            for document in read_documents(folders)[0]:
                everything.update(dict.fromkeys(_ids(document), document))
        resolved = {id(everything[name]): everything[name] for name in sorted(rest) if name in everything}
        return [*documents, *resolved.values()]

    return resolve


def _ids(document: Document) -> list[str]:
    listed: list[Any] = document.json if isinstance(document.json, list) else [document.json]
    return [str(root["@id"]) for root in listed if isinstance(root, dict) and "@id" in root]
