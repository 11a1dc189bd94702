"""The server as it is served, around the plant of the GraphQL tests."""

from tests.graphql.conftest import plant, served

__all__ = ["plant", "served"]
