"""Limits on a query before it runs, as validation rules built once a schema generation."""

from typing import Any

from graphql import (
    ASTValidationRule,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
)


def limits(most_depth: int, most_aliases: int) -> tuple[type[ASTValidationRule], ...]:
    class Limits(ASTValidationRule):
        def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
            document = self.context.document
            fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
            if any(d.name.value in ("__schema", "__type") for d in _top_fields(node)):
                return  # introspection nests by itself; the executor and the token limit bound it
            depth, aliases = _measure(node, fragments, frozenset())
            if depth > most_depth:
                self._refuse(f"the query is {depth} levels deep, at most {most_depth} are allowed", node)
            if aliases > most_aliases:
                self._refuse(f"the query has {aliases} aliases, at most {most_aliases} are allowed", node)

        def _refuse(self, what: str, node: OperationDefinitionNode) -> None:
            self.report_error(GraphQLError(what, node, extensions={"code": "QUERY_TOO_LARGE"}))

    return (Limits,)


def _top_fields(node: OperationDefinitionNode) -> list[FieldNode]:
    return [one for one in node.selection_set.selections if isinstance(one, FieldNode)]


def _measure(node: Any, fragments: Any, inside: frozenset[str]) -> tuple[int, int]:
    """(levels of fields below, aliases), fragments followed, circles passed over: another rule refuses them."""
    deepest, aliases = 0, 0
    for one in node.selection_set.selections if node.selection_set else ():
        own = 0
        below: tuple[int, int] = (0, 0)
        if isinstance(one, FragmentSpreadNode):
            name = one.name.value
            if name in fragments and name not in inside:
                below = _measure(fragments[name], fragments, inside | {name})
        else:
            own = isinstance(one, FieldNode)
            aliases += bool(getattr(one, "alias", None))
            below = _measure(one, fragments, inside)
        deepest, aliases = max(deepest, below[0] + own), aliases + below[1]
    return deepest, aliases
