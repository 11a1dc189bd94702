"""Documents are parsed, measured and validated beside the event loop, two at a time, clients in turn; the valid ones are kept.

What is kept of a document: its tree, and the plans made for it (`app.graphql.compile.plan`). Both count against one bound."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from graphql import ASTValidationRule, DocumentNode, GraphQLError, GraphQLSchema, parse, validate

from app.graphql.compile.guards import Limits, refuse_large
from app.graphql.compile.kept import Kept

BYTES = 48 * 1024**2
TREE_BYTES = 110  # a character of a document, as its tree
CHARACTERS = 25  # a token, comments and blanks included
ERRORS = 20


@dataclass(slots=True)
class Read:
    """A document and why it is refused. `document` None: its syntax is wrong.

    `entries`, `fields`: as `Plans` keeps them, by the operation's name, by the nodes of a field."""

    document: DocumentNode | None
    errors: list[GraphQLError] = field(default_factory=list)
    entries: dict[str | None, Any] = field(default_factory=dict)
    fields: dict[tuple[int, ...], Any] = field(default_factory=dict)


class Documents:
    """Of one schema generation."""

    def __init__(self, schema: GraphQLSchema, rules: Collection[type[ASTValidationRule]], tokens: int, limits: Limits) -> None:
        self._schema, self._rules, self._tokens, self._limits = schema, rules, tokens, limits
        self._known: Kept[str, Read] = Kept(BYTES)

    def known(self, text: str) -> Read | None:
        return self._known.get(text)

    def grow(self, text: str, by: int) -> None:
        """What is kept of a document has grown by so many bytes."""
        self._known.grow(text, by)

    def read(self, text: str) -> Read:
        """`text`, with every error that it has. What is valid is remembered."""
        most = self._tokens * CHARACTERS
        if len(text) > most:
            what = f"the document has {len(text):,} characters, at most {most:,} are allowed"
            return Read(None, [GraphQLError(what, extensions={"code": "QUERY_TOO_LARGE"})])
        try:
            document = parse(text, max_tokens=self._tokens)
        except GraphQLError as error:
            return Read(None, [error])
        errors = refuse_large(self._schema, document, self._limits)
        errors = [_told(problem) for problem in errors or validate(self._schema, document, self._rules, max_errors=ERRORS)]
        checked = Read(document, errors)
        if not errors:
            self._known.put(text, checked, TREE_BYTES * len(text))
        return checked


def _told(error: GraphQLError) -> GraphQLError:
    """graphql-core gives up where a rule would go too deep, and does not say so."""
    if error.message != "Validation aborted.":
        return error
    return GraphQLError("the document is too complex to be validated", extensions={"code": "QUERY_TOO_LARGE"})
