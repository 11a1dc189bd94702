"""`twingraph graphql …`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from graphql import GraphQLError, parse, print_schema, validate
from rich.console import Console

from app.errors import SettingError, TwingraphError
from app.settings import Settings

graphql_app = typer.Typer(help="The schema, and what becomes of a query.", no_args_is_help=True)
out = Console(emoji=False)


@graphql_app.command("schema")
def schema() -> None:
    """Prints the schema of the graph's models in GraphQL's own language."""
    out.print(print_schema(_schema()[1]._schema), markup=False, highlight=False, soft_wrap=True)


@graphql_app.command("explain")
def explain(
    query: Annotated[str, typer.Argument(help="the query, or a file with it; - for the standard input")],
    variables: Annotated[str, typer.Option(help="JSON object")] = "{}",
    root: Annotated[list[str] | None, typer.Option(help="as a key with these roots would ask")] = None,
    database: Annotated[bool, typer.Option("--database", help="also Neo4j's own plan")] = False,
) -> None:
    """Shows the select tree, its estimated cost, and the Cypher that a query becomes."""
    from app.graph.select.tree import Access
    from app.graphql.answer.explain import explained
    from app.main import open_store

    settings, twin_schema = _schema()
    variable_values = _variables(variables)
    text = _text(query)
    access = Access(tuple(sorted(part for part in settings.scope_via.split(",") if part))) if root else None
    with open_store(settings) as store:
        try:
            document = parse(text, max_tokens=settings.query_tokens)
            errors = validate(twin_schema._schema, document)
        except GraphQLError as error:
            errors = [error]
        try:
            database_of = store if database else None
            parts = (
                [] if errors else list(explained(twin_schema, document, text, variable_values, access, root or [], database_of))
            )
        except GraphQLError as error:
            errors = [error]
        if errors:
            what = "; ".join(error.message for error in errors)
            raise TwingraphError(what, where=query[:60], code="GRAPHQL_VALIDATION_FAILED")
    for part in parts:
        out.print(part, markup=False, highlight=False, soft_wrap=True)


def _schema() -> tuple[Settings, Any]:
    from app.graphql.answer.persisted import Persisted
    from app.graphql.answer.schema import TwinSchema
    from app.main import open_store
    from app.twins.registry import Registry

    settings = Settings.read()
    with open_store(settings) as store:
        catalog = Registry(store).catalog
    return settings, TwinSchema(catalog, settings, Persisted("", False))


def _text(query: str) -> str:
    if query == "-":
        return sys.stdin.read()
    return Path(query).read_text(encoding="utf-8") if query.endswith((".graphql", ".gql")) else query


def _variables(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise SettingError(f"--variables is not JSON: {error}", hint='--variables \'{"id": "t1"}\'') from error
    if not isinstance(values, dict):
        raise SettingError("--variables must be a JSON object")
    return values
