"""Every interface of one moment: labels, ancestors, effective contents. Immutable; a new model makes a new catalog."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from app.dtdl.analysis import Resolver, analyse
from app.dtdl.context import Options
from app.dtdl.model import AnyContent, Command, Component, Interface, Property, Relationship, Telemetry
from app.dtdl.resolve import interfaces as resolved
from app.dtdl.syntax import Document, parse
from app.errors import ModelError, NotFound

RESERVED_LABELS = {"Twin", "Component", "Query", "Mutation", "Subscription"}


@dataclass(frozen=True)
class Catalog:
    """`labels` maps each DTMI to its label; `generation` grows with every change; `decommissioned` take no new twins."""

    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    generation: int = 0
    decommissioned: frozenset[str] = frozenset()

    @cached_property
    def by_label(self) -> dict[str, str]:
        return {label: dtmi for dtmi, label in self.labels.items()}

    @cached_property
    def ancestors(self) -> dict[str, tuple[str, ...]]:
        return {dtmi: tuple(ancestors(dtmi, self.interfaces)) for dtmi in self.interfaces}

    @cached_property
    def contents(self) -> dict[str, dict[str, AnyContent]]:
        """Effective contents by name: own ones first, then the nearest ancestor's."""
        return {
            dtmi: {c.name: c for name in reversed((dtmi, *self.ancestors[dtmi])) for c in self.interfaces[name].contents}
            for dtmi in self.interfaces
        }

    @cached_property
    def descendants(self) -> dict[str, tuple[str, ...]]:
        by_ancestor: dict[str, list[str]] = {dtmi: [] for dtmi in self.interfaces}
        for dtmi, above in self.ancestors.items():
            for name in above:
                by_ancestor[name].append(dtmi)
        return {dtmi: tuple(sorted(below)) for dtmi, below in by_ancestor.items()}

    def interface(self, name: str) -> Interface:
        """By DTMI or by label. Raises: NotFound."""
        dtmi = name if name in self.interfaces else self.by_label.get(name, "")
        if not dtmi:
            raise NotFound(f"no model {name!r} is loaded", hint="twingraph models list shows those that are")
        return self.interfaces[dtmi]

    @cached_property
    def part_labels(self) -> frozenset[str]:
        """Labels that components bear."""
        parts = {c.interface for contents in self.contents.values() for c in contents.values() if isinstance(c, Component)}
        return frozenset(label for dtmi in parts if dtmi in self.labels for label in self.node_labels(dtmi))

    def node_labels(self, dtmi: str) -> tuple[str, ...]:
        return (self.labels[dtmi], *(self.labels[name] for name in self.ancestors[dtmi]))

    def properties(self, dtmi: str) -> dict[str, Property]:
        return {n: c for n, c in self.contents[dtmi].items() if isinstance(c, Property)}

    def telemetry(self, dtmi: str) -> dict[str, Telemetry]:
        return {n: c for n, c in self.contents[dtmi].items() if isinstance(c, Telemetry)}

    def relationships(self, dtmi: str) -> dict[str, Relationship]:
        return {n: c for n, c in self.contents[dtmi].items() if isinstance(c, Relationship)}

    def commands(self, dtmi: str) -> dict[str, Command]:
        return {n: c for n, c in self.contents[dtmi].items() if isinstance(c, Command)}

    def components(self, dtmi: str) -> dict[str, Component]:
        return {n: c for n, c in self.contents[dtmi].items() if isinstance(c, Component)}

    def is_a(self, dtmi: str, base: str) -> bool:
        return dtmi == base or base in self.ancestors[dtmi]


def compile_models(
    documents: Iterable[Document],
    base: Catalog | None = None,
    options: Options | None = None,
    resolver: Resolver | None = None,
) -> Catalog:
    """Adds the interfaces of `documents` to those of `base`; labels already given stay.

    Raises: ModelError with every problem; nothing is taken over then."""
    base = base or Catalog()
    new_documents = list(documents)
    analysis = analyse([*new_documents, *_documents(base, new_documents)], options, resolver)
    problems = [*analysis.problems, *analysis.unresolved()]
    if problems:
        raise ModelError(f"{len(problems)} problem{'s' * (len(problems) > 1)} in the models", problems=tuple(problems))
    interfaces = {**base.interfaces, **{interface.dtmi: interface for interface in resolved(analysis)}}
    return Catalog(interfaces, give_labels(interfaces, base.labels), base.generation + 1, base.decommissioned)


def _documents(base: Catalog, given: Iterable[Document]) -> list[Document]:
    """The sources of interfaces that `given` does not define anew."""
    anew = {name for document in given for name in _defined(document.json)}
    documents = []
    for dtmi, interface in base.interfaces.items():
        parsed = parse(interface.place.rsplit(":", 2)[0] or dtmi, interface.source) if dtmi not in anew else None
        if isinstance(parsed, Document):
            documents.append(parsed)
    return documents


def _defined(json_value: Any) -> Iterator[str]:
    if isinstance(json_value, dict):
        if isinstance(json_value.get("@id"), str):
            yield json_value["@id"]
        for value in json_value.values():
            yield from _defined(value)
    elif isinstance(json_value, list):
        for item in json_value:
            yield from _defined(item)


def ancestors(dtmi: str, interfaces: Mapping[str, Interface]) -> list[str]:
    """Every interface above `dtmi`, nearest first, each once."""
    seen: dict[str, None] = {}
    level = [dtmi]
    while level:
        above = (base for name in level if name in interfaces for base in interfaces[name].extends if base not in seen)
        level = list(dict.fromkeys(above))
        seen.update(dict.fromkeys(level))
    return [name for name in seen if name != dtmi]


def give_labels(interfaces: Mapping[str, Interface], existing: Mapping[str, str]) -> dict[str, str]:
    """Label = last segment of the DTMI's path; a clash takes more of the path. A further version of an interface has the
    first one's label and its version. Given labels stay."""
    labels = {dtmi: label for dtmi, label in existing.items() if dtmi in interfaces}
    taken = {label.lower() for label in labels.values()} | {name.lower() for name in RESERVED_LABELS}
    first = {_stem(dtmi): dtmi for dtmi in sorted(labels, key=lambda dtmi: len(labels[dtmi]), reverse=True)}
    waiting = []
    for dtmi in sorted(dtmi for dtmi in interfaces if dtmi not in labels):
        if first.setdefault(_stem(dtmi), dtmi) == dtmi:
            waiting.append(dtmi)
    length = 1
    while waiting:
        candidates = {dtmi: _label(dtmi, length) for dtmi in waiting}
        often = Counter(label.lower() for label in candidates.values())
        for dtmi, label in candidates.items():
            if (often[label.lower()] == 1 and label.lower() not in taken) or length > dtmi.count(":") + 1:
                labels[dtmi] = label
                taken.add(label.lower())
        waiting = [dtmi for dtmi in waiting if dtmi not in labels]
        length += 1
    for dtmi in sorted(interfaces):
        if dtmi not in labels:
            label = f"{labels[first[_stem(dtmi)]]}_v{dtmi.partition(';')[2].replace('.', '_') or 0}"
            while label.lower() in taken:
                label += "_"
            labels[dtmi] = label
            taken.add(label.lower())
    return labels


def _stem(dtmi: str) -> str:
    return dtmi.partition(";")[0]


def _label(dtmi: str, length: int) -> str:
    path, _, version = dtmi.removeprefix("dtmi:").partition(";")
    segments = path.split(":")
    parts = segments[-length:] if length <= len(segments) else [*segments, f"v{version.replace('.', '_')}"]
    joined = "_".join(part.strip("_") for part in parts)
    return re.sub(r"\W", "_", joined)[:1].upper() + re.sub(r"\W", "_", joined)[1:]
