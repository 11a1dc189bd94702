"""What becomes of an operation, as text for people: tree, estimate, Cypher, Neo4j's plan."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from graphql import DocumentNode

from app.graph.select.cost import count_sizes
from app.graph.select.tree import ACCESS, Access, Param
from app.graph.store import Store
from app.graphql.answer.schema import TwinSchema
from app.graphql.compile.plan import parameters


def explained(
    schema: TwinSchema,
    document: DocumentNode,
    query: str,
    variables: Mapping[str, Any],
    access: Access | None,
    roots: Sequence[str],
    store: Store | None,
) -> Iterator[str]:
    """Raises: QueryError, GraphQLError for variables that do not fit."""
    plans = schema.plans
    entry = plans.entry(query, document, None)
    if entry is None:
        yield "the document has several operations: leave one"
        return
    if not entry.compiled:
        yield "not compiled: the executor runs this operation field by field"
        return
    if store is not None:
        plans.sizes = count_sizes(store, ["Twin", *sorted(plans.catalog.by_label)], sorted(_relationships(schema)))
    values = plans.variables(entry, variables)
    plan = plans.plan(entry, values, access)
    yield f"about {plan.cost:,.0f} values" if store is not None else "estimate: with --database"
    bindings = {**values.coerced, **({ACCESS: list(roots)} if access is not None else {})}
    for step in plan.steps:
        yield f"\n# {step.key}"
        if step.root is None or step.statement is None:
            continue
        yield "\n".join(_drawn(step.root, ""))
        values_of = parameters(step, bindings)
        yield "\n" + step.statement.text
        yield "\n" + "\n".join(f"${name} = {value!r}" for name, value in values_of.items())
        if store is not None:
            yield "\n" + "\n".join(_operators(store.plan(step.statement.text, values_of), 0))


def _relationships(schema: TwinSchema) -> set[str]:
    catalog = schema.plans.catalog
    return {name for dtmi in catalog.interfaces for name in catalog.relationships(dtmi)}


def _drawn(value: Any, name: str, depth: int = 0) -> Iterator[str]:
    """One line a node of the tree; what is empty is left out."""
    lead = "  " * depth + (f"{name}: " if name else "")
    if isinstance(value, Param):
        yield f"{lead}{value.tree}"
    elif isinstance(value, tuple):
        for item in value:
            yield from _drawn(item, "", depth)
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        plain = {key: part for key, part in parts.items() if isinstance(part, str | int) and part not in ("", False, 0)}
        yield f"{lead}{type(value).__name__} " + " ".join(f"{key}={part}" for key, part in plain.items())
        for key, part in parts.items():
            if key not in plain and part not in (None, (), "", False, 0):
                yield from _drawn(part, key if not isinstance(part, tuple) else "", depth + 1)
    else:
        yield f"{lead}{value}"


def _operators(plan: Mapping[str, Any], depth: int) -> Iterator[str]:
    rows = plan["args"].get("EstimatedRows", 0)
    details = plan["args"].get("Details", "")
    yield f"{'  ' * depth}{plan['operatorType'].partition('@')[0]}  ~{rows:,.0f} rows  {details}"
    for child in plan.get("children", ()):
        yield from _operators(child, depth + 1)
