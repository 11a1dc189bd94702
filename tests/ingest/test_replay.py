"""Two years of four real turbines through the write path; monthly energy in GraphQL, in Cypher and in pandas."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from app.errors import MessageError
from app.graph.store import Store
from app.main import make_app
from app.settings import Settings
from app.stack.child import Child
from app.twins.registry import Registry
from ingest.mapping.declaration import Rule, SourceMapping
from ingest.replay import replay
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


TABLES: dict[str, list[Any]] = {
    "seconds": [1_700_000_000, 1_700_000_001, 1_700_000_001, 1_700_000_060],
    "milliseconds": [1_700_000_000_000, 1_700_000_001_000, 1_700_000_001_000, 1_700_000_060_000],
    "text": ["2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z", "2023-11-14T22:13:21+00:00", "2023-11-14T22:14:20Z"],
}


@pytest.mark.parametrize("kind", TABLES)
def test_times_are_taken_as_live_sources_take_them(kind: str, registry: Registry, tmp_path: Path) -> None:
    """Without signals in the rule columns bear the signals' names; what is left out is counted."""
    path, dt_id = tmp_path / "table.csv", f"replayed-{kind}"
    pd.DataFrame({"unit": dt_id, "ts": TABLES[kind], "power": [1.0, 2.0, 9.0, 3.0], "other": "x"}).to_csv(path, index=False)
    rules = (Rule(match="{unit}", twin="{unit}", create="Turbine"),)
    done = replay(registry.store, registry.catalog, SourceMapping(source="t", protocol="http", rules=rules), path)
    assert (done.rows, done.values, done.repeated) == (4, 3, 1)
    ((start, offsets, values),) = registry.store.read(
        "MATCH (:Twin {dtId: $id})-[:_HISTORY]->(s) RETURN s._from, s._dt, s.power", {"id": dt_id}
    )
    assert (start, offsets, values) == (1_700_000_000_000, [0, 1000, 60_000], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("times", [[5, 6], ["2023-11-14", "soon"], [1_700_000_000, None], [1_700_000_000_000_000_000] * 2])
def test_a_time_that_can_be_none_is_refused_by_its_row(times: list[Any], registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    pd.DataFrame({"unit": "replayed-x", "ts": times, "power": 1.0}).to_csv(path, index=False)
    rules = (Rule(match="{unit}", twin="{unit}", create="Turbine"),)
    with pytest.raises(MessageError, match=r"row \d|cannot be read"):
        replay(registry.store, registry.catalog, SourceMapping(source="t", protocol="http", rules=rules), path)
