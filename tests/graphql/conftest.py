"""A small plant with known values, and the server's own app around it, in this process."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.graphql.answer.schema import TwinSchema
from app.history.series import Series
from app.main import make_app
from app.settings import Settings
from app.stack.child import Child
from app.twins.edit import NewRelationship, NewTwin, ensure
from app.twins.registry import Registry
from app.twins.write import Batch, append
from tests.conftest import program

START = 1_700_000_000_000 // 3_600_000 * 3_600_000  # a full hour: 2023-11-14T22:00Z
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def plant(registry: Registry) -> Registry:
    """Two farms; turbines t1, t2 in north and t3 in south; t1 has a gearbox and a generator."""
    catalog, store = registry.catalog, registry.store
    twins = [
        NewTwin("north", "WindFarm", {"name": "North", "region": "Coast"}),
        NewTwin("south", "WindFarm", {"name": "South", "region": "Hills"}),
        NewTwin("sub", "Substation", {"name": "Sub"}),
        NewTwin("t1", "Turbine", {"name": "Turbine 1", "ratedPower": 3000.0, "commissioned": "2022-01-01"}),
        NewTwin("t2", "Turbine", {"name": "Turbine 2", "ratedPower": 3000.0, "commissioned": "2021-01-01"}),
        NewTwin("t3", "Turbine", {"name": "Turbine 3", "ratedPower": 3000.0}),
        NewTwin("t1-gearbox", "Gearbox", {"name": "Gearbox 1"}),
        NewTwin("t1-generator", "Generator", {"name": "Generator 1"}),
    ]
    links = [
        NewRelationship("north", "contains", "t1"),
        NewRelationship("north", "contains", "t2"),
        NewRelationship("south", "contains", "t3"),
        NewRelationship("t1", "feeds", "sub"),
        NewRelationship("t1", "hasComponent", "t1-gearbox"),
        NewRelationship("t1", "hasComponent", "t1-generator"),
    ]
    ensure(store, catalog, twins, links)
    minutes = [START + 60_000 * i for i in range(180)]
    series = [
        Series("t1", minutes, {"power": [float(i) for i in range(180)]}, {"power": 179.0}),
        Series("t2", minutes[:2], {"power": [10.0, 20.0], "windSpeed": [5.0, 6.0]}, {"power": 20.0, "windSpeed": 6.0}),
        Series(
            "t1-gearbox",
            [START],
            {"oilTemperature": [61.5], "healthScore": [0.4]},
            {"oilTemperature": 61.5, "healthScore": 0.4},
        ),
        Series("t1-generator", [START], {"healthScore": [0.9]}, {"healthScore": 0.9}),
        Series("t1", [START + 1], {"operatingState": ["running"]}, {"operatingState": "running"}),
    ]
    for day, name in ((20, "t1"), (10, "t2")):
        moment = datetime(2026, 12, day, tzinfo=UTC)
        columns = {"expectedFailureTime": [moment.isoformat()]}
        series.append(Series(name, [START + 2], columns, {"expectedFailureTime": moment}))
    append(store, Batch(series))
    return registry


@pytest.fixture(scope="module")
def app(plant: Registry, settings: Settings, broker: Child) -> Iterator[FastAPI]:
    made = make_app(settings)
    yield made
    made.state.server.store.close()


@pytest.fixture
async def http(app: FastAPI, secured: Settings) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {secured.token}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


@pytest.fixture
def ask(http: httpx.AsyncClient) -> Ask:
    async def run(query: str, **variables: Any) -> Any:
        return (await http.post("/graphql", json={"query": query, "variables": variables})).json()

    return run


@pytest.fixture(scope="module")
def served(plant: Registry, settings: Settings, broker: Child) -> Iterator[Settings]:
    """The server as a process of its own."""
    with program(settings, "serve", "serve", healthy=lambda: is_ready(settings)):
        yield settings


def schema_of(app: FastAPI) -> TwinSchema:
    route: Any = next(route for route in app.routes if getattr(route, "path", "") == "/graphql")
    found: TwinSchema = route.app.schema
    return found


def is_ready(settings: Settings) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{settings.server_port}/health/ready").status_code == 200
    except httpx.TransportError:
        return False
