"""The fields of a selection, as the specification collects them: fragments, type conditions, @include and @skip."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
)

Sets = list[SelectionSetNode]


@dataclass(frozen=True, slots=True)
class Collector:
    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    raw: Mapping[str, Any]

    def fields(self, type_: Any, sets: Sets) -> Iterator[tuple[str, list[FieldNode]]]:
        """(response key, its nodes) in the order of the document."""
        nodes_by_key: dict[str, list[FieldNode]] = {}
        seen: set[str] = set()
        for selection_set in sets:
            self._into(type_, selection_set, nodes_by_key, seen)
        yield from nodes_by_key.items()

    def parts(self, type_: Any, sets: Sets) -> list[tuple[str, str]]:
        """(response key, field name) of an object without arguments."""
        return [(key, nodes[0].name.value) for key, nodes in self.fields(type_, sets)]

    def possible(self, type_: Any) -> list[GraphQLObjectType]:
        return list(self.schema.get_possible_types(type_)) if is_abstract_type(type_) else [type_]

    def _into(
        self, type_: Any, selection_set: SelectionSetNode, nodes_by_key: dict[str, list[FieldNode]], seen: set[str]
    ) -> None:
        for node in selection_set.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                nodes_by_key.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or self._applies(node.type_condition.name.value, type_):
                    self._into(type_, node.selection_set, nodes_by_key, seen)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                fragment = self.fragments[node.name.value]
                if self._applies(fragment.type_condition.name.value, type_):
                    self._into(type_, fragment.selection_set, nodes_by_key, seen)

    def _applies(self, condition: str, type_: Any) -> bool:
        condition_type = self.schema.type_map[condition]
        return condition_type is type_ or (is_abstract_type(condition_type) and self.schema.is_sub_type(condition_type, type_))

    def _included(self, node: Any) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name in ("skip", "include"):
                argument = directive.arguments[0].value
                chosen = self.raw[argument.name.value] if isinstance(argument, VariableNode) else argument.value
                if bool(chosen) is (name == "skip"):
                    return False
        return True


def inner_sets(nodes: list[FieldNode]) -> Sets:
    return [node.selection_set for node in nodes if node.selection_set]
