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
            depth, aliases = _measure(node, fragments, frozenset(), {})
            if depth > most_depth:
                self._refuse(f"the query is {depth} levels deep, at most {most_depth} are allowed", node)
            if aliases > most_aliases:
                self._refuse(f"the query has {aliases} aliases, at most {most_aliases} are allowed", node)

        def _refuse(self, what: str, node: OperationDefinitionNode) -> None:
            self.report_error(GraphQLError(what, node, extensions={"code": "QUERY_TOO_LARGE"}))

    return (Limits,)


INTROSPECTION = ("__schema", "__type")  # it nests by itself; the token limit bounds it


def _measure(node: Any, fragments: Any, inside: frozenset[str], known: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """(levels of fields below, aliases), fragments followed once each, circles passed over: another rule refuses them."""
    deepest, aliases = 0, 0
    for one in node.selection_set.selections if node.selection_set else ():
        own = 0
        below: tuple[int, int] = (0, 0)
        if isinstance(one, FragmentSpreadNode):
            name = one.name.value
            if name in fragments and name not in inside:
                if name not in known:
                    known[name] = _measure(fragments[name], fragments, inside | {name}, known)
                below = known[name]
        elif not (isinstance(one, FieldNode) and one.name.value in INTROSPECTION):
            own = isinstance(one, FieldNode)
            aliases += bool(getattr(one, "alias", None))
            below = _measure(one, fragments, inside, known)
        deepest, aliases = max(deepest, below[0] + own), aliases + below[1]
    return deepest, aliases
