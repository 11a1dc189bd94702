"""The main flows (ARCHITECTURE.md), end to end on real parts."""

import asyncio
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from gql import Client as GqlClient
from gql import gql
from gql.transport.exceptions import TransportError
from gql.transport.websockets import WebsocketsTransport

from app.graph.store import Store
from app.settings import Settings
from ingest.mqtt import connect
from tests.conftest import eventually, program
from tests.journeys.conftest import Client
from tests.pace import PACE

AGE = "query($id: ID!) { turbine(dtId: $id) { power signals { name at } } }"


def age(stack: Client, dt_id: str) -> float:
    """Seconds since the newest power reading."""
    signals = stack.ask(AGE, id=dt_id)["turbine"]["signals"]
    at = next(signal["at"] for signal in signals if signal["name"] == "power")
    return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()


@pytest.mark.parametrize("dt_id", ["wf01-t01", "ua02-t03"])
def test_telemetry(dt_id: str, stack: Client) -> None:
    """1: a reading of a turbine, over MQTT or OPC UA, is seen in GraphQL within seconds, latest and history."""
    assert eventually(lambda: age(stack, dt_id) < 5)
    query = 'query($id: ID!) { turbine(dtId: $id) { history(signal: "power", every: "PT1H") { count } } }'
    points = stack.ask(query, id=dt_id)["turbine"]["history"]
    assert sum(point["count"] for point in points) > 140  # the first day's ten-minute means, and what came since


def test_model(stack: Client, small: Settings) -> None:
    """2: a model is uploaded; its type is there at once, and a twin of it can be made, found and read."""
    model = {
        "@context": "dtmi:dtdl:context;3",
        "@id": f"dtmi:journey:Crane{random.randrange(10**6)};1",
        "@type": "Interface",
        "extends": "dtmi:twingraph:core:Asset;1",
        "contents": [{"@type": "Property", "name": "reach", "schema": "double", "writable": True}],
    }
    status, loaded = stack.post("/api/models", model)
    assert (status, loaded) == (201, [model["@id"]])
    label = str(model["@id"]).removeprefix("dtmi:journey:").removesuffix(";1")
    name = label[0].lower() + label[1:]
    stack.ask('mutation($m: String!) { createTwin(dtId: "crane", model: $m, properties: { reach: 40 }) { dtId } }', m=label)
    assert stack.ask(f'{{ {name}(dtId: "crane") {{ reach }} }}') == {name: {"reach": 40.0}}
    assert stack.ask('mutation { deleteTwin(dtId: "crane") }') == {"deleteTwin": True}
    broken = model | {"@id": "dtmi:journey:Broken;1", "contents": [{"@type": "Property", "name": "x", "schema": "dubble"}]}
    status, refused = stack.post("/api/models", broken)
    assert status == 422
    assert "did you mean 'double'" in refused["problems"][0]
    assert stack.ask("{ __typename }")


def test_query(stack: Client) -> None:
    """3: one question over farm, turbine and component."""
    data = stack.ask(
        """{ windFarms(orderBy: [{ dtId: ASC }]) { dtId contains(orderBy: [{ dtId: ASC }])
        { dtId hasComponent { __typename } } } }"""
    )
    farms = data["windFarms"]
    assert [farm["dtId"] for farm in farms] == ["ua02", "wf01"]
    assert [turbine["dtId"] for turbine in farms[1]["contains"]] == ["wf01-t01", "wf01-t02", "wf01-t03"]
    assert {len(turbine["hasComponent"]) for farm in farms for turbine in farm["contains"]} == {8}


@pytest.mark.parametrize("dt_id", ["wf01-t02", "ua02-t02"])
def test_command(dt_id: str, stack: Client) -> None:
    """4: a command gets the device's own answer, over MQTT and over OPC UA; a refusal is an answer too."""
    mutation = """mutation($id: ID!, $limit: Float!) { turbineSetPowerLimit(dtId: $id, limit: $limit)
      { id status response reason } }"""
    done = stack.ask(mutation, id=dt_id, limit=1200)["turbineSetPowerLimit"]
    assert (done["status"], done["response"]["powerLimit"]) == ("SUCCEEDED", 1200.0)
    limited = "query($id: ID!) { turbine(dtId: $id) { powerLimit operatingState } }"
    assert eventually(lambda: stack.ask(limited, id=dt_id)["turbine"]["powerLimit"] == 1200.0)
    refused = stack.ask(mutation, id=dt_id, limit=-5)["turbineSetPowerLimit"]
    assert refused["status"] == "REFUSED"
    looked = stack.ask("query($id: ID!) { command(id: $id) { status request } }", id=refused["id"])["command"]
    assert looked == {"status": "REFUSED", "request": -5.0}


def test_command_without_answer_times_out(stack: Client, store: Store) -> None:
    stack.ask('mutation { createTwin(dtId: "wf09-t01", model: "Turbine") { dtId } }')
    done = stack.ask('mutation { turbineStart(dtId: "wf09-t01", timeout: 0.5) { status reason } }')["turbineStart"]
    assert done["status"] in ("TIMED_OUT", "FAILED")
    assert done["reason"]


def test_health(stack: Client, small: Settings, store: Store, trained: Path) -> None:
    """5: history becomes health on component, turbine and farm, by the ordinary write path, with a history of its own."""
    with program(small, "predictor", "predict", "run"):
        query = """{ windFarms { healthScore contains { healthScore modelVersion confidence
          hasComponent { healthScore confidence history(signal: "healthScore") { value } } } } }"""

        def scored() -> bool:
            farms = stack.ask(query)["windFarms"]
            turbines = [turbine for farm in farms for turbine in farm["contains"]]
            parts = [part for turbine in turbines for part in turbine["hasComponent"]]
            return all(one["healthScore"] is not None for one in (*farms, *turbines, *parts))

        assert eventually(scored, 40)
    turbines = [turbine for farm in stack.ask(query)["windFarms"] for turbine in farm["contains"]]
    for turbine in turbines:
        weakest = min(part["healthScore"] for part in turbine["hasComponent"])
        assert 0 <= turbine["healthScore"] <= weakest + 1e-6
        assert turbine["modelVersion"].startswith("hazard-")
        assert all(0.5 <= part["confidence"] <= 1 and part["history"] for part in turbine["hasComponent"])
    assert store.read("MATCH (n) WHERE any(k IN keys(n) WHERE k IN ['onset', 'damage', 'truth']) RETURN count(n)") == [[0]]


async def test_edge_returns(stack: Client, small: Settings, store: Store, secured: Settings) -> None:
    """6: an edge that was away sends its hour late and shuffled; history is in order, the latest stays the newest."""
    stack.ask('mutation { createTwin(dtId: "wf08-t01", model: "Turbine") { dtId } }')
    now = round(time.time() * 1000)
    hour = [(now - 3_600_000 + minute * 60_000, float(minute)) for minute in range(61)]
    late = random.Random(2).sample(hour[:-1], 60)
    from tests.ingest.test_mqtt import publish

    async with connect(secured, "edge", clean_start=True) as edge:
        for at, value in [hour[-1], *late, *late[:10]]:
            await publish(edge, "fleet/wf08/t01/telemetry", f'{{"ts": {at}, "power": {value}}}'.encode())
    query = '{ turbine(dtId: "wf08-t01") { power history(signal: "power") { at value } } }'

    def returned() -> bool:
        return len(stack.ask(query)["turbine"]["history"]) == 61

    assert await asyncio.to_thread(eventually, returned)
    turbine = stack.ask(query)["turbine"]
    assert [point["value"] for point in turbine["history"]] == [float(minute) for minute in range(61)]
    assert turbine["power"] == 60.0


async def test_changes_are_told_over_websocket(stack: Client, small: Settings) -> None:
    """A subscriber gets the twin at once and after each change; without the token it gets nothing."""
    url = f"ws://{small.host}:{small.server_port}/graphql"
    subscription = gql('subscription { twinChanged(dtId: "wf01-t03") { dtId etag ... on Turbine { power maintenanceNote } } }')
    seen: list[Any] = []
    transport = WebsocketsTransport(url=url, init_payload={"Authorization": f"Bearer {stack.token}"})
    async with GqlClient(transport=transport) as session, asyncio.timeout(PACE * 30):
        async for change in session.subscribe(subscription):
            seen.append(change["twinChanged"])
            if len(seen) == 1:
                note = 'mutation { setProperties(dtId: "wf01-t03", patch: { maintenanceNote: "seen" }) { dtId } }'
                await asyncio.to_thread(stack.ask, note)
            if seen[-1]["maintenanceNote"] == "seen" and len(seen) > 2:
                break
    assert len({one["etag"] for one in seen}) == 2
    assert len({one["power"] for one in seen}) > 1
    refused = GqlClient(transport=WebsocketsTransport(url=url, init_payload={}))
    with pytest.raises(TransportError):
        await refused.connect_async()


def test_reports_stand_as_they_are(stack: Client, small: Settings, store: Store) -> None:
    from app.report import run_report
    from tests.conftest import ROOT

    for path in sorted((ROOT / "cypher" / "report").glob("*.cypher")):
        columns, rows = run_report(store, path.stem)
        assert columns
        assert rows or path.stem == "open-alarms"


def test_metrics_and_health_pages(stack: Client) -> None:
    assert "twingraph_graphql_requests_total" in stack.get("/metrics")
    assert "live" in stack.get("/health/live")
    assert "swagger-ui.js" in stack.get("/docs")
    assert "https://cdn" not in stack.get("/docs") + stack.get("/explorer")
