"""Documents → a checked graph of elements: read, ask for what is missing, check across."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from app.dtdl.check import Graph, check, references, unresolved
from app.dtdl.context import Options
from app.dtdl.elements import HINTS, Element, Reader
from app.dtdl.standard import standard
from app.dtdl.syntax import Document, Problem, show
from app.errors import nearest

Resolver = Callable[[set[str]], Sequence[Document]]
LOAD_IT = "load its file as well, or name a folder that has it with --repository"


@dataclass(frozen=True)
class Analysis:
    """`missing` are identifiers that nothing defines; with problems or missing ones the graph is not whole."""

    graph: Graph
    roots: tuple[Element, ...]
    problems: tuple[Problem, ...] = ()
    missing: frozenset[str] = frozenset()
    elements: tuple[Element, ...] = field(default=(), repr=False)

    def unresolved(self) -> Iterator[Problem]:
        """A problem for each place that refers to something missing."""
        dangling = (row for row in references(self.elements) if row[2].id in self.missing)
        for number, (element, name, reference) in enumerate(dangling):
            hint = nearest(reference.id, self.graph.elements if number < HINTS else (), LOAD_IT, 0.8)
            place = element.document.place(reference.path) if element.document else ""
            what = f"{name!r} refers to {reference.id}, which is not among the models"
            yield Problem("unresolved", what, place, show(reference.path), hint)


def analyse(documents: Iterable[Document], options: Options | None = None, resolver: Resolver | None = None) -> Analysis:
    """Raises nothing: what is wrong with the documents is in `problems` and `missing`."""
    options = options or Options()
    reader = Reader(options, standard())
    for document in documents:
        reader.read(document)
    graph = Graph(reader.elements, standard(), options.tolerant, reader.inner)
    missing, problems = unresolved(reader.found, graph)
    requested: set[str] = set()
    while resolver is not None and not reader.problems and missing - requested:
        requested |= missing
        reader.resolving = True
        for document in resolver(missing):
            reader.read(document)
        missing, problems = unresolved(reader.found, graph)
    problems = [*reader.problems, *problems]
    elements = tuple(reader.found)
    if not problems and not missing:
        problems = check(elements, graph)
    return Analysis(graph, tuple(reader.roots), tuple(problems), frozenset(missing), elements)
