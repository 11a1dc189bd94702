"""The server as it is served, around the plant of the GraphQL tests."""

from tests.graphql.conftest import app, ask, http, plant, served

__all__ = ["app", "ask", "http", "plant", "served"]
