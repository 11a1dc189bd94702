"""The REST door: models up, twins, commands, health, metrics. Documented at /docs.

    api      /api/… for scripts that do not speak GraphQL
    health   /health/live, /health/ready, /metrics
    docs     Swagger UI from its WebJar

The token guards everything but the two health pages.
"""
