"""Stored models → those that can be used together, and the reason for each that is left out. A graph may hold what an earlier
version let in, what was changed by hand, or half of a load that was interrupted."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.dtdl import Catalog, Document
from app.errors import ModelError

Compile = Callable[[Mapping[str, Document]], Catalog]


def sound(documents: Mapping[str, Document], compiled: Compile) -> tuple[Catalog, dict[str, str]]:
    """All of `documents` (by DTMI) that `compiled` takes together; it may raise anything."""
    catalog, reason = _tried(documents, compiled)
    if catalog is not None:
        return catalog, {}
    if len(documents) == 1:
        return compiled({}), dict.fromkeys(documents, reason)
    left_out: dict[str, str] = {}
    accepted = _grown({}, _bases_first(documents), compiled, left_out)
    return compiled(accepted), left_out


def _grown(
    kept: dict[str, Document], more: dict[str, Document], compiled: Compile, left_out: dict[str, str]
) -> dict[str, Document]:
    """`kept` and whatever of `more` goes with it; what does not is halved down to the single model."""
    together = kept | more
    catalog, reason = _tried(together, compiled)
    if catalog is not None:
        return together
    if len(more) == 1:
        left_out |= dict.fromkeys(more, reason)
        return kept
    rows = list(more.items())
    middle = len(rows) // 2
    kept = _grown(kept, dict(rows[:middle]), compiled, left_out)
    return _grown(kept, dict(rows[middle:]), compiled, left_out)


def _tried(documents: Mapping[str, Document], compiled: Compile) -> tuple[Catalog | None, str]:
    try:
        return compiled(documents), ""
    except ModelError as error:
        return None, str(error.problems[0]) if error.problems else str(error)
    except Exception as error:  # noqa: BLE001 - whatever a stored model does, the others are served
        return None, repr(error)[:300]


def _bases_first(documents: Mapping[str, Document]) -> dict[str, Document]:
    """So that a model never fails only because what it needs comes later; circles in any order."""
    needs = {dtmi: set(_named(document.json)) & documents.keys() - {dtmi} for dtmi, document in documents.items()}
    ordered: dict[str, Document] = {}
    while len(ordered) < len(documents):
        waiting = [dtmi for dtmi in documents if dtmi not in ordered]
        ready = [dtmi for dtmi in waiting if needs[dtmi] <= ordered.keys()] or waiting
        ordered |= {dtmi: documents[dtmi] for dtmi in ready}
    return ordered


def _named(element: Any) -> Iterator[str]:
    """Identifiers that a model refers to and cannot be without: not where relationships point."""
    if isinstance(element, str):
        yield element
    elif isinstance(element, list):
        for item in element:
            yield from _named(item)
    elif isinstance(element, dict):
        for key, value in element.items():
            if key != "target":
                yield from _named(value)
