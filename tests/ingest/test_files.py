"""Tables of every kind, with units and names of states, through `replay`."""

from pathlib import Path

import pandas as pd
import pytest

from app.errors import MessageError
from app.twins.registry import Registry
from ingest.mapping.declaration import SourceMapping
from ingest.replay import replay

START = pd.Timestamp("2025-11-24T00:00:00Z")
TABLE = pd.DataFrame(
    {
        "unit": ["a", "a", "b"],
        "ts": [(START + pd.Timedelta(minutes=i)).isoformat() for i in range(3)],
        "P_W": [1500.0, 2500.0, 3500.0],
        "mode": [1, 2, 1],
    }
)
RULE = {
    "match": "{unit}",
    "twin": "f-{unit}",
    "create": "Turbine",
    "signals": {
        "P_W": {"to": "power", "unit": "watt"},
        "mode": {"to": "operatingState", "values": {1: "running", 2: "stopped"}},
    },
}
MAPPING = SourceMapping.model_validate({"source": "files", "protocol": "file", "rules": [RULE]})


@pytest.mark.parametrize("kind", ["csv", "parquet", "ndjson"])
def test_a_table_becomes_history(kind: str, tmp_path: Path, registry: Registry) -> None:
    registry.store.command("MATCH (n:Twin|_Segment) DETACH DELETE n")
    path = tmp_path / f"table.{kind}"
    if kind == "csv":
        TABLE.to_csv(path, index=False)
    elif kind == "parquet":
        TABLE.to_parquet(path)
    else:
        TABLE.to_json(path, orient="records", lines=True)
    for values, duplicates in ((6, 0), (0, 6)):
        done = replay(registry.store, registry.catalog, MAPPING, path)
        assert (done.rows, done.values, done.duplicates, done.twins) == (3, values, duplicates, 2)
    text = "MATCH (t:Twin)-[:_HISTORY]->(s) RETURN t.dtId, s.power, s.operatingState ORDER BY t.dtId"
    expected = [["f-a", [1.5, 2.5], ["running", "stopped"]], ["f-b", [3.5], ["running"]]]
    assert registry.store.read(text) == expected


def test_a_state_without_a_name_is_told(tmp_path: Path, registry: Registry) -> None:
    TABLE.assign(mode=7).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(MessageError, match="7 is not one of 1, 2"):
        replay(registry.store, registry.catalog, MAPPING, tmp_path / "t.csv")
