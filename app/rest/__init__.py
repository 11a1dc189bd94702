"""The REST endpoint: models up, twins, commands, health, metrics. Documented at /docs.

    api      /api/… for scripts that do not speak GraphQL
    health   /health/live, /health/ready, /metrics

The token guards everything but the two health pages.
"""
