"""The models of the graph: compiled, applied, published; every process follows the generation kept in Neo4j."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from app.dtdl import Catalog, Document, GraphPlan, Interface, Problem, compile_models, lower, read_documents
from app.dtdl.analysis import Resolver
from app.dtdl.context import Options
from app.errors import Conflict, ModelError
from app.graph import ddl
from app.graph.statements import statement
from app.graph.store import Store
from app.twins.changes import Changes


class Registry:
    def __init__(self, store: Store, changes: Changes | None = None) -> None:
        self.store, self.changes = store, changes or Changes()
        self.catalog = Catalog()
        self.refresh()

    def load(
        self, documents: Iterable[Document], options: Options | None = None, resolver: Resolver | None = None
    ) -> GraphPlan:
        """Adds models to those of the graph; what is not new changes nothing.

        Raises: ModelError with every problem; the graph is as before then."""
        self.refresh()
        catalog = compile_models(documents, self.catalog, options, resolver)
        before = self.catalog.interfaces
        _refuse_other_contents(before, catalog)
        changed = [dtmi for dtmi in catalog.interfaces if dtmi not in before]
        plan = lower(catalog, ddl.is_enterprise(self.store))
        if changed:
            ddl.apply(self.store, GraphPlan(plan.definitions, tuple(r for r in plan.interfaces if r["dtmi"] in changed)))
            ((generation,),) = self.store.run(statement("model/publish"))
            self._take(replace(catalog, generation=generation))
        return plan

    def refresh(self) -> bool:
        """Takes over what another process has loaded; True when there was something new."""
        ((generation,),) = self.store.read(statement("model/generation"))
        if generation == self.catalog.generation:
            return False
        ((generation, models),) = self.store.read(statement("model/sources"))
        documents = [Document(place.rsplit(":", 2)[0] or dtmi, text, json.loads(text)) for dtmi, _, text, place, _ in models]
        labelled = Catalog(labels={dtmi: label for dtmi, label, *_ in models})
        catalog = compile_models(documents, labelled, Options(undefined=True, tolerant=True))
        gone = frozenset(dtmi for dtmi, *_, away in models if away)
        self._take(Catalog(catalog.interfaces, catalog.labels, generation, gone))
        return True

    def delete(self, model: str) -> None:
        """Raises: NotFound; Conflict while twins are of the model or other models need it."""
        self.refresh()
        dtmi = self.catalog.interface(model).dtmi
        ((twins, models),) = self.store.read(statement("model/dependents"), {"dtmi": dtmi})
        if twins or models:
            held = [f"{twins} twins"] * bool(twins) + [f"the models {', '.join(sorted(models))}"] * bool(models)
            hint = "models migrate moves twins to another version" if twins else "delete or change those models first"
            raise Conflict(f"{dtmi} is needed by {' and '.join(held)}", hint=hint)
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
        self.store.run(statement("model/publish"))
        self.refresh()

    def _take(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.changes.catalog(catalog)


def _refuse_other_contents(before: Mapping[str, Interface], catalog: Catalog) -> None:
    """A loaded interface never changes under its twins; a new version stands beside it."""
    problems = [
        Problem("versionNew", f"{dtmi} is loaded with other contents", found.place, dtmi, "give it a higher version")
        for dtmi, found in catalog.interfaces.items()
        if dtmi in before and before[dtmi].source != found.source
    ]
    if problems:
        raise ModelError("loaded models cannot be redefined", problems=tuple(problems))


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
