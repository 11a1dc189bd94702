"""The models of the graph: compiled, applied, published; every process follows the generation kept in Neo4j."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import RLock

import structlog

from app.dtdl import Catalog, Document, GraphPlan, Interface, Problem, compile_models, lower, read_documents, unstorable
from app.dtdl.analysis import Resolver
from app.dtdl.context import Options
from app.dtdl.syntax import parse
from app.errors import Conflict, ModelError, StoreError
from app.graph import ddl
from app.graph.statements import statement
from app.graph.store import Store
from app.twins.changes import Changes
from app.twins.sound import sound

log = structlog.get_logger()
LAYOUT = 1  # how twins, history and models lie in the graph: docs/graph.md
Servable = Callable[[Catalog], None]


class Registry:
    """`catalog` holds what can be served; `left_out` the other models of the graph, by DTMI, with the reason."""

    def __init__(self, store: Store, changes: Changes | None = None, servable: Servable = lambda catalog: None) -> None:
        """`servable` raises ModelError for a catalog that some part of this process cannot serve.

        Raises: StoreError, also for a graph of a newer layout."""
        self.store, self.changes = store, changes or Changes()
        self._servable, self._lock = servable, RLock()
        self.catalog = Catalog()
        self.left_out: Mapping[str, str] = {}
        self._labels: Mapping[str, str] = {}
        self._read()

    def load(
        self, documents: Iterable[Document], options: Options | None = None, resolver: Resolver | None = None
    ) -> GraphPlan:
        """Adds models to those of the graph; what is not new changes nothing.

        Raises: ModelError with every problem; the graph is as before then."""
        with self._lock:
            return self._load(documents, options, resolver)

    def _load(self, documents: Iterable[Document], options: Options | None, resolver: Resolver | None) -> GraphPlan:
        self.refresh()
        base = replace(self.catalog, labels={**self._labels, **self.catalog.labels})  # of those left out, too
        catalog = compile_models(documents, base, options, resolver)
        before = self.catalog.interfaces
        _refuse_other_contents(before, catalog)
        changed = [dtmi for dtmi in catalog.interfaces if dtmi not in before]
        _refuse_unstorable(catalog.interfaces[dtmi] for dtmi in changed)
        plan = lower(catalog, ddl.is_enterprise(self.store))
        if not changed and ddl.missing(self.store, plan):
            log.warning("constraints or indexes were missing from the graph; created again")
            ddl.apply(self.store, GraphPlan(plan.definitions, ()), LAYOUT)
            self._read()
        if changed:
            self._servable(catalog)
            drawn = GraphPlan(plan.definitions, tuple(row for row in plan.interfaces if row["dtmi"] in changed))
            generation = ddl.apply(self.store, drawn, LAYOUT)
            if generation == self.catalog.generation + 1 and not self.left_out:
                self._take(replace(catalog, generation=generation))
            else:  # another process has loaded, too, or what was left out may be whole now
                self._read()
        return plan

    def refresh(self) -> bool:
        """Takes over what another process has loaded; True when there was something new."""
        with self._lock:
            if self._generation() == self.catalog.generation:
                return False
            self._read()
            return True

    def _generation(self) -> int:
        ((generation, layout),) = self.store.read(statement("model/generation"))
        if (layout or 0) > LAYOUT:
            what = f"the graph has layout {layout}, this version knows up to {LAYOUT}"
            raise StoreError(what, where=self.store.uri, hint="use the version of Twingraph that has written it", code="LAYOUT")
        return int(generation or 0)

    def _read(self) -> None:
        self._generation()
        ((generation, models),) = self.store.read(statement("model/sources"))
        documents, unread = {}, {}
        for dtmi, _, source, place, _ in models:
            parsed = parse(str(place or "").rsplit(":", 2)[0] or dtmi, source) if isinstance(source, str) else None
            if isinstance(parsed, Document) and _defines(parsed, dtmi):
                documents[dtmi] = parsed
            else:
                unread[dtmi] = "its source is missing or is not its own JSON"
        labels = {dtmi: label for dtmi, label, *_ in models if isinstance(label, str) and LABEL.fullmatch(label)}
        catalog, unsound = sound(documents, partial(self._compiled, labels))
        self._labels = labels
        gone = frozenset(dtmi for dtmi, *_, away in models if away)
        self.left_out = unread | unsound
        for dtmi, reason in self.left_out.items():
            log.error("model not served", model=dtmi, reason=reason, hint="load it again, or twingraph models delete")
        self._take(Catalog(catalog.interfaces, catalog.labels, generation, gone))

    def _compiled(self, labels: Mapping[str, str], documents: Mapping[str, Document]) -> Catalog:
        base = Catalog(labels={dtmi: label for dtmi, label in labels.items() if dtmi in documents})
        catalog = compile_models(documents.values(), base, Options(undefined=True, tolerant=True))
        self._servable(catalog)
        return catalog

    def delete(self, model: str) -> None:
        """Raises: NotFound; Conflict while twins are of the model or other models need it."""
        self.refresh()
        dtmi = model if model in self.left_out else self.catalog.interface(model).dtmi
        ((twins, models),) = self.store.read(statement("model/dependents"), {"dtmi": dtmi})
        if twins or models:
            dependents = [f"{twins} twins"] * bool(twins) + [f"the models {', '.join(sorted(models))}"] * bool(models)
            hint = "models migrate moves twins to another version" if twins else "delete or change those models first"
            raise Conflict(f"{dtmi} is needed by {' and '.join(dependents)}", hint=hint)
        self.store.run(statement("model/delete"), dtmi=dtmi)
        self.changed()

    def decommission(self, model: str, away: bool = True) -> None:
        """A decommissioned model keeps its twins and takes no new ones. Raises: NotFound."""
        self.refresh()
        since = datetime.now(UTC) if away else None
        self.store.run(statement("model/decommission"), dtmi=self.catalog.interface(model).dtmi, since=since)
        self.changed()

    def changed(self) -> None:
        """Tells every process that models, or the models of twins, are not what they were."""
        self.store.run(statement("model/publish"), layout=LAYOUT)
        self.refresh()

    def _take(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.changes.catalog(catalog)


LABEL = re.compile("[A-Za-z][A-Za-z0-9_]*")


def _defines(document: Document, dtmi: str) -> bool:
    return isinstance(document.json, dict) and document.json.get("@id") == dtmi


def _refuse_other_contents(before: Mapping[str, Interface], catalog: Catalog) -> None:
    """A loaded interface never changes under its twins; a new version stands beside it."""
    problems = [
        Problem("versionNew", f"{dtmi} is loaded with other contents", interface.place, dtmi, "give it a higher version")
        for dtmi, interface in catalog.interfaces.items()
        if dtmi in before and before[dtmi].source != interface.source
    ]
    if problems:
        raise ModelError("loaded models cannot be redefined", problems=tuple(problems))


def _refuse_unstorable(interfaces: Iterable[Interface]) -> None:
    problems = unstorable(interfaces)
    if problems:
        raise ModelError("the graph cannot hold these models", problems=tuple(problems))


def read_models(paths: Iterable[Path]) -> list[Document]:
    """Documents of files and folders. Raises: ModelError when one is missing or is not JSON."""
    paths = list(paths)
    problems = [Problem("readable", "no such file or folder", str(path), "") for path in paths if not path.exists()]
    documents, unread = read_documents(path for path in paths if path.exists())
    if problems + unread:
        raise ModelError("models cannot be read", problems=tuple(problems + unread))
    if not documents:
        raise ModelError("no models found", where=", ".join(map(str, paths)), hint="files must end in .json")
    return documents
