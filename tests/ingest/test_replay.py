"""Two years of four real turbines through the write path; monthly energy in GraphQL, in Cypher and in pandas."""

import math
from itertools import pairwise
from typing import Any

import httpx
import pandas as pd
import pytest

from app.graph.store import Store
from app.main import make_app
from app.settings import Settings
from app.stack.child import Child
from app.twins.registry import Registry
from tests.conftest import ROOT, SHARED, needs_shared, twingraph

TABLE = SHARED / "data" / "la_haute_borne" / "scada_2014_2015.parquet"
MONTHS = pd.date_range("2014-01-01", "2016-01-01", freq="MS", tz="UTC")
pytestmark = needs_shared


@pytest.fixture(scope="module")
def replayed(registry: Registry, settings: Settings) -> str:
    done = twingraph(settings, "replay", str(TABLE))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def expected() -> dict[str, list[tuple[float, float]]]:
    """Per turbine and month: (energy [kWh], mean wind [m/s]) of the file; a doubled instant keeps its first row."""
    table = pd.read_parquet(TABLE).drop_duplicates(["Wind_turbine_name", "Date_time"], keep="first")
    months = table["Date_time"].dt.tz_localize(None).dt.to_period("M")
    grouped = table.astype({"P_avg": "float64", "Ws_avg": "float64"}).groupby(["Wind_turbine_name", months])
    frame = grouped.agg(energy=("P_avg", lambda p: p.sum() / 6), wind=("Ws_avg", "mean"))
    return {str(n): list(g.itertuples(index=False, name=None)) for n, g in frame.groupby(level=0)}


def test_every_value_is_there_once(replayed: str, store: Store, settings: Settings) -> None:
    table = pd.read_parquet(TABLE).drop_duplicates(["Wind_turbine_name", "Date_time"])
    count = int(table.drop(columns=["Wind_turbine_name", "Date_time"]).notna().sum().sum())
    assert f"{count} values of 4 twins" in replayed
    again = twingraph(settings, "replay", str(TABLE))
    assert " 0 values of 4 twins" in again.stdout
    ((stored,),) = store.read("MATCH (:Turbine)-[:_HISTORY]->(s) RETURN sum(size(s.power) + size(s.windSpeed))")
    assert stored == 2 * int(table["P_avg"].notna().sum())


async def test_monthly_energy_in_graphql(
    replayed: str, expected: dict[str, Any], settings: Settings, secured: Settings, broker: Child
) -> None:
    app = make_app(settings)
    fields = " ".join(
        f'p{i}: history(signal: "power", from: "{a.isoformat()}", to: "{b.isoformat()}", every: "P366D") {{ sum }} '
        f'w{i}: history(signal: "windSpeed", from: "{a.isoformat()}", to: "{b.isoformat()}", every: "P366D") {{ sum count }}'
        for i, (a, b) in enumerate(pairwise(MONTHS))
    )
    headers = {"Authorization": f"Bearer {secured.token}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t", headers=headers) as client:
        for name, months in expected.items():
            query = f"query($id: ID!) {{ turbine(dtId: $id) {{ {fields} }} }}"
            answer = (await client.post("/graphql", json={"query": query, "variables": {"id": f"lhb-{name}"}})).json()
            turbine = answer["data"]["turbine"]
            for i, (energy, wind) in enumerate(months):
                power = sum(bucket["sum"] for bucket in turbine[f"p{i}"])
                speed, count = (sum(bucket[part] for bucket in turbine[f"w{i}"]) for part in ("sum", "count"))
                assert math.isclose(power / 6, energy, rel_tol=1e-9)
                assert math.isclose(speed / count, wind, rel_tol=1e-9)
    app.state.server.store.close()


def test_monthly_energy_in_cypher(replayed: str, expected: dict[str, Any], store: Store) -> None:
    text = (ROOT / "cypher" / "history" / "monthly-energy.cypher").read_text()
    found: dict[str, list[Any]] = {}
    for name, month, energy, wind in store.read(text):
        found.setdefault(name, []).append((month, energy, wind))
    assert found.keys() == expected.keys()
    for name, months in expected.items():
        rows = [(energy, wind) for _, energy, wind in sorted(found[name])]
        assert [part for row in rows for part in row] == pytest.approx([part for row in months for part in row], rel=1e-9)
