"""Plans: compiled once for a query's text and the shape of its variables; bound and run for every request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLID,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    get_operation_ast,
    get_variable_values,
    is_leaf_type,
    type_from_ast,
)
from graphql.execution.values import VariableValues

from app import metrics
from app.dtdl import Catalog
from app.errors import QueryError, StoreTimeout
from app.graph.records import one_record
from app.graph.select.automaton import automaton
from app.graph.select.cost import Sizes, cost
from app.graph.select.printer import Statement, print_root
from app.graph.select.tree import ACCESS, Access, One, Root, VariableRef
from app.graph.store import Store
from app.graphql.compile.collect import Collector
from app.graphql.compile.columns import Unsettled
from app.graphql.compile.documents import Documents
from app.graphql.compile.introspection import is_introspection
from app.graphql.compile.select import Selector
from app.graphql.compile.shape import Build, Shaper
from app.graphql.compile.variables import open_variables
from app.graphql.schema.origin import ORIGIN, Origin
from app.identity import Identity
from app.settings import Settings

KEPT = 1000
GIVEN_COST, PATTERN_COST = 20.0, 5000.0  # of a value that is compared; of a pattern, whose table is made
MOST_GIVEN = 5000
STEP_BYTES, TEXT_BYTES = 2000, 16  # of a step, and of each character of its statement with the closures that belong to it
TRIES = 4  # of a read whose history was compacted meanwhile
CHANGED = "\x00changed"  # the variable that holds the dtId of the twin a mutation has changed


@dataclass(frozen=True, slots=True)
class Step:
    """One top-level field: its response key, its statement (none for `__typename`), what makes its JSON."""

    key: str
    statement: Statement | None
    build: Build
    nullable: bool = False
    root: Root | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """`cost`: how many values it reads by estimate; `looked_at`: once Neo4j's own plan was, too."""

    steps: tuple[Step, ...]
    cost: float = 0.0
    looked_at: Event = field(default_factory=Event, compare=False)


def bound(variables: Mapping[str, Any], identity: Identity) -> Mapping[str, Any]:
    """The variables of a request, and the roots of what it may see."""
    return variables if identity.roots is None else {**variables, ACCESS: list(identity.roots)}


def parameters(step: Step, variables: Mapping[str, Any]) -> dict[str, Any]:
    assert step.statement is not None
    return {f"p{index}": param.value(variables) for index, param in enumerate(step.statement.params)}


def run_step(step: Step, store: Store, variables: Mapping[str, Any], timeout: float) -> Any:
    """`timeout` [s]: what is left of the operation's time. Raises: StoreTimeout."""
    if step.statement is None:
        return step.build([], variables)
    if timeout <= 0:
        raise StoreTimeout("the operation took longer than allowed", hint="ask for less: fewer fields or aliases at once")
    for _ in range(TRIES - 1):
        try:
            return _run(step.statement.text, step, store, variables, timeout)
        except Unsettled:
            continue
    return _run(step.statement.text, step, store, variables, timeout)


def _run(text: str, step: Step, store: Store, variables: Mapping[str, Any], timeout: float) -> Any:
    return step.build(one_record(store, text, parameters(step, variables), timeout), variables)


@dataclass(slots=True)
class Entry:
    """What is known of one operation of a document: its plans by the shape of the variables."""

    text: str
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    compiled: bool
    introspects: bool
    types: dict[str, Any] = field(default_factory=dict)
    structural: set[tuple[str | int, ...]] = field(default_factory=set)
    plans: dict[Any, Plan] = field(default_factory=dict)


@dataclass(slots=True)
class FieldEntry:
    """What is known of one field that the executor asks for."""

    types: dict[str, Any]
    structural: set[tuple[str | int, ...]] = field(default_factory=set)
    steps: dict[Any, Step] = field(default_factory=dict)


class Plans:
    """The plans of one schema generation, kept with their documents."""

    def __init__(self, schema: GraphQLSchema, catalog: Catalog, settings: Settings, documents: Documents) -> None:
        self.schema, self.catalog, self.settings, self.documents = schema, catalog, settings, documents
        self.sizes = Sizes()

    def entry(self, query: str, document: DocumentNode, operation_name: str | None) -> Entry | None:
        cached = self.known(query, operation_name)
        if cached is not None:
            return cached
        operation = get_operation_ast(document, operation_name)
        if operation is None:
            return None
        inspected = self._inspect(query, document, operation)
        read = self.documents.known(query)
        if read is not None and read.document is document:
            read.entries[operation_name] = inspected
        return inspected

    def known(self, query: str, operation_name: str | None) -> Entry | None:
        """An operation that has been answered before, so that its document is valid."""
        read = self.documents.known(query)
        return read.entries.get(operation_name) if read is not None else None

    def takes_json(self, entry: Entry) -> bool:
        """Whether no variable is an input object."""
        return all(is_leaf_type(get_named_type(type_)) for type_ in entry.types.values())

    def variables(self, entry: Entry, raw: Mapping[str, Any]) -> VariableValues:
        """Coerced by graphql-core, so errors are the specification's. Raises: GraphQLError."""
        values = get_variable_values(self.schema, entry.operation.variable_definitions or (), dict(raw))
        if isinstance(values, list):
            raise values[0] if len(values) == 1 else GraphQLError("; ".join(error.message for error in values))
        return values

    def plan(self, entry: Entry, values: VariableValues, access: Access | None = None) -> Plan:
        """`access`: the part of the graph that is there for who asks; None for all."""
        opened = open_variables(values.coerced, entry.types)
        key = (access, _shape(opened), _settled(values.coerced, entry.structural))
        cached = entry.plans.get(key)
        metrics.PLANS.labels("hit" if cached else "miss").inc()
        if cached is not None:
            return cached
        selector = self._selector(entry.fragments, VariableValues(values.sources, opened), values.coerced, access)
        shaper = self._shaper(typed=False)
        steps = []
        for name, nodes in selector.collector.fields(self.schema.query_type, [entry.operation.selection_set]):
            steps.append(self._step(selector, shaper, name, nodes))
        reads = sum(cost(step.root, self.sizes) for step in steps if step.root is not None)
        plan = Plan(tuple(steps), reads + sum(_given(step.statement) for step in steps if step.statement is not None))
        self._afford(plan.cost, access)
        entry.structural |= selector.structural
        key = (access, key[1], _settled(values.coerced, entry.structural))
        if len(entry.plans) >= KEPT:
            entry.plans.clear()
        entry.plans[key] = plan
        self.documents.grow(entry.text, sum(map(_weight, steps)))
        return plan

    def check_explain(self, plan: Plan, store: Store, variables: Mapping[str, Any], access: Access | None) -> None:
        """Has Neo4j explain, once, the statements that do not start from one twin: our sizes may be a minute old.

        Raises: QueryError when it expects to touch too many rows; StoreError."""
        if plan.looked_at.is_set():
            return
        for step in plan.steps:
            if step.statement is not None and step.root is not None and not isinstance(step.root.asked, One):
                try:
                    bindings = parameters(step, variables)
                except QueryError:
                    return  # the step itself tells, with its path
                self._afford(_most_rows(store.plan(step.statement.text, bindings)), access, "rows")
        plan.looked_at.set()

    def field_step(
        self, info: Any, field_def: Any, nodes: list[FieldNode], values: Mapping[str, Any], access: Access | None = None
    ) -> Step:
        """One field for the executor: the same tree, with each twin's type beside its fields.

        Known again by its nodes, which are the same for as long as their document is kept."""
        text = info.operation.loc.source.body
        read = self.documents.known(text)
        node_ids = tuple(map(id, (info.operation, *info.field_nodes)))
        entry = read.fields.get(node_ids) if read is not None else None
        if entry is None:
            types = {**variable_types(self.schema, info.operation), CHANGED: GraphQLNonNull(GraphQLID)}
            entry = FieldEntry(types)
            if read is not None and read.document is not None and info.operation in read.document.definitions:
                read.fields[node_ids] = entry
        opened = open_variables(values, entry.types)
        key = (access, _shape(opened), _settled(values, entry.structural))
        cached = entry.steps.get(key)
        if cached is not None:
            return cached
        selector = self._selector(info.fragments, VariableValues({}, opened), values, access)
        selector.hidden_types = True
        selected = selector.root(info.path.key, field_def, nodes)
        statement = print_root(selected.root)
        self._afford(cost(selected.root, self.sizes) + _given(statement), access)
        step = Step(info.path.key, statement, self._shaper(typed=True).build(selected))
        entry.structural |= selector.structural
        if len(entry.steps) >= KEPT:
            entry.steps.clear()
        self.documents.grow(text, _weight(step))
        entry.steps[access, key[1], _settled(values, entry.structural)] = step
        return step

    def _afford(self, estimate: float, access: Access | None, what: str = "values") -> None:
        """Raises: QueryError; without the number where it would tell of twins that are not seen."""
        if estimate > self.settings.query_cost:
            counted = f"about {estimate:,.0f}" if access is None else "too many"
            message = f"the operation reads {counted} {what}, at most {self.settings.query_cost:,} are allowed"
            raise QueryError(message, hint="give first, fewer fields, or pages", code="QUERY_TOO_LARGE")

    def _selector(self, fragments: Any, values: VariableValues, raw: Any, access: Access | None) -> Selector:
        collector = Collector(self.schema, fragments, raw)
        return Selector(self.catalog, collector, values, self.settings.page_limit, access)

    def _shaper(self, typed: bool) -> Shaper:
        return Shaper(self.catalog, self.settings.stale_seconds, typed)

    def _step(self, selector: Selector, shaper: Shaper, name: str, nodes: list[FieldNode]) -> Step:
        assert self.schema.query_type is not None
        field_name = nodes[0].name.value
        if field_name == "__typename":
            return Step(name, None, lambda record, variables: "Query")
        field_def = self.schema.query_type.fields[field_name]
        selected = selector.root(name, field_def, nodes)
        nullable = not isinstance(field_def.type, GraphQLNonNull)
        return Step(name, print_root(selected.root), shaper.build(selected), nullable, selected.root)

    def _inspect(self, text: str, document: DocumentNode, operation: OperationDefinitionNode) -> Entry:
        fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        types = variable_types(self.schema, operation)
        names = list(_root_names(operation.selection_set, fragments, set()))
        reads = operation.operation is OperationType.QUERY
        return Entry(text, operation, fragments, reads and self._all_compile(names), reads and is_introspection(names), types)

    def _all_compile(self, names: list[str]) -> bool:
        assert self.schema.query_type is not None
        fields = self.schema.query_type.fields
        return all(name == "__typename" or (name in fields and _is_compiled(fields[name])) for name in names)


def _given(statement: Statement) -> float:
    """What the values of a question cost, whatever it reads. Raises: QueryError."""
    if len(statement.params) > MOST_GIVEN:
        raise QueryError(f"the question has more than {MOST_GIVEN:,} conditions and other values", code="QUERY_TOO_LARGE")
    return sum(PATTERN_COST if param.convert is automaton else GIVEN_COST for param in statement.params)


def _weight(step: Step) -> int:
    """Bytes by estimate."""
    return STEP_BYTES + TEXT_BYTES * len(step.statement.text) if step.statement is not None else STEP_BYTES


def _most_rows(plan: Mapping[str, Any]) -> float:
    return max([float(plan["args"].get("EstimatedRows", 0)), *map(_most_rows, plan.get("children", ()))])


def variable_types(schema: GraphQLSchema, operation: OperationDefinitionNode) -> dict[str, Any]:
    return {d.variable.name.value: type_from_ast(schema, d.type) for d in operation.variable_definitions or ()}


def _is_compiled(field_def: Any) -> bool:
    return isinstance((field_def.extensions or {}).get(ORIGIN), Origin)


def _root_names(selection_set: Any, fragments: Any, seen: set[str]) -> Any:
    for node in selection_set.selections:
        if isinstance(node, FieldNode):
            yield node.name.value
        elif hasattr(node, "selection_set"):
            yield from _root_names(node.selection_set, fragments, seen)
        elif node.name.value not in seen:
            seen.add(node.name.value)
            yield from _root_names(fragments[node.name.value].selection_set, fragments, seen)


def _shape(opened: Any) -> Any:
    if isinstance(opened, dict):
        return tuple((key, _shape(value)) for key, value in opened.items())
    if isinstance(opened, list):
        return ("[]", *map(_shape, opened))
    return "?" if isinstance(opened, VariableRef) else (type(opened).__name__, opened)


def _settled(values: Mapping[str, Any], structural: set[tuple[str | int, ...]]) -> tuple[Any, ...]:
    """The values that decide the tree."""
    return tuple(_at(values, path) for path in sorted(structural, key=repr))


def _at(values: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(values, dict) and step not in values:
            return None
        values = values[step]
    return tuple(values) if isinstance(values, list) else values
