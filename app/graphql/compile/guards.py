"""Limits on a document, looked at before it is validated: what validation costs grows with the square of some of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    NoFragmentCyclesRule,
    OperationDefinitionNode,
    validate,
)

FIELDS = 5000  # with all fragments written out
PAIRS = 40_000  # of fields with one response key, and of fragments, in one place: each is compared with each
INTROSPECTION = ("__schema", "__type")  # it nests by itself; a rule of graphql-core bounds it
Sets = list[Any]


@dataclass(slots=True)
class Limits:
    """Of one document."""

    depth: int
    aliases: int
    fields: int = FIELDS
    pairs: int = PAIRS


def refuse_large(schema: GraphQLSchema, document: DocumentNode, most: Limits) -> list[GraphQLError]:
    """What is too large; empty: the document can be validated."""
    circles = validate(schema, document, [NoFragmentCyclesRule])
    if circles:
        return circles
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    left = _Left(fragments, most, most.aliases, most.fields, most.pairs)
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    try:
        for operation in operations:
            left.take([operation.selection_set], most.depth)
        for fragment in fragments.values():
            left.take([fragment.selection_set], most.depth)
    except _Exceeded as error:
        return [GraphQLError(f"the query has {error}", operations[:1] or None, extensions={"code": "QUERY_TOO_LARGE"})]
    return []


class _Exceeded(Exception):
    pass


@dataclass(slots=True)
class _Left:
    """What is left of each limit, counted as execution merges fields: by response key, fragments written out."""

    fragments: dict[str, FragmentDefinitionNode]
    most: Limits
    aliases: int
    fields: int
    pairs: int

    def take(self, sets: Sets, depth: int) -> None:
        """Raises: _Exceeded."""
        spread: set[str] = set()
        by_key: dict[str, list[FieldNode]] = {}
        for field in self._fields(sets, spread):
            by_key.setdefault(field.alias.value if field.alias else field.name.value, []).append(field)
            self.fields -= 1
            self.aliases -= field.alias is not None
            if self.fields < 0:
                raise _Exceeded(f"more than {self.most.fields} fields, with all fragments written out")
            if self.aliases < 0:
                raise _Exceeded(f"more than {self.most.aliases} aliases")
        self.pairs -= sum(_pairs(len(one)) for one in (spread, *by_key.values()))
        if self.pairs < 0:
            raise _Exceeded("too many fields of one name, or fragments, in one place: name each once")
        if by_key and not depth:
            raise _Exceeded(f"more than {self.most.depth} levels")
        for fields in by_key.values():
            if fields[0].name.value not in INTROSPECTION:
                self.take([one.selection_set for one in fields if one.selection_set], depth - 1)

    def _fields(self, sets: Sets, spread: set[str]) -> Iterator[FieldNode]:
        waiting = list(sets)
        while waiting:
            for selection in waiting.pop().selections:
                if isinstance(selection, FieldNode):
                    yield selection
                elif not isinstance(selection, FragmentSpreadNode):
                    waiting.append(selection.selection_set)
                elif selection.name.value in self.fragments and selection.name.value not in spread:
                    spread.add(selection.name.value)
                    waiting.append(self.fragments[selection.name.value].selection_set)


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
