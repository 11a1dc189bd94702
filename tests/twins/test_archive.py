"""History out as Parquet and back into another graph, by the commands; what analysts' tools read of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from app.history.compaction import Tier, compact
from app.history.series import Series
from app.settings import Settings
from app.twins.edit import NewTwin, ensure
from app.twins.registry import Registry
from app.twins.write import Batch, append
from tests.conftest import twingraph

START = round(datetime(2024, 3, 30, 23, tzinfo=UTC).timestamp() * 1000)
TWINS = ("a1", "a2", "a3")


@pytest.fixture(scope="module")
def filled(registry: Registry) -> Registry:
    """Two hours over midnight: floats, texts and whole numbers, with times of their own, long segments and short ones."""
    ensure(registry.store, registry.catalog, [NewTwin(name, "Turbine") for name in TWINS], [])
    for name in TWINS[:2]:
        times = [START + second * 1000 for second in range(7200)]
        for first in range(0, 7200, 200):
            part = times[first : first + 200]
            values = [at % 977 / 7 for at in part]
            append(registry.store, Batch([Series(name, part, {"power": values}, {"power": values[-1]})]))
    while compact(registry.store, [Tier(False, 2, 600, 0)]):
        pass
    states = {"operatingState": ["running", "stopped"]}
    append(registry.store, Batch([Series("a1", [START + 1, START + 7_100_000], states, {"operatingState": "stopped"})]))
    return registry


def stored(registry: Registry) -> dict[tuple[str, str, int], Any]:
    found: dict[tuple[str, str, int], Any] = {}
    for dt_id, segment in registry.store.read("MATCH (t:Twin)-[:_HISTORY]->(s) RETURN t.dtId, properties(s)"):
        for signal, values in segment.items():
            if not signal.startswith("_"):
                offsets = segment.get(f"_dt_{signal}", segment["_dt"])
                found |= {(dt_id, signal, segment["_from"] + at): v for at, v in zip(offsets, values, strict=True)}
    return found


def latest(registry: Registry) -> list[list[Any]]:
    return registry.store.read(
        "MATCH (t:Turbine) RETURN t.dtId, t.power, t._at_power, t.operatingState, t._last ORDER BY t.dtId"
    )


def test_history_goes_out_and_comes_back(filled: Registry, settings: Settings, tmp_path: Path) -> None:
    before, newest = stored(filled), latest(filled)
    done = twingraph(settings, "history", "export", str(tmp_path))
    assert done.stdout.split()[:5] == ["14401", "rows,", "14402", "values", "in"], done.stderr
    days = sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet"))
    assert days == ["model=Turbine/day=2024-03-30", "model=Turbine/day=2024-03-31"]
    table = pd.read_parquet(tmp_path)
    assert len(table) == 14_401
    power = [value for (name, signal, _), value in before.items() if (name, signal) == ("a1", "power")]
    assert table.groupby("dtId").power.mean()["a1"] == pytest.approx(sum(power) / 7200)
    filled.store.command("MATCH (:Twin)-[:_HISTORY]->(s) DETACH DELETE s")
    filled.store.command("MATCH (t:Turbine) REMOVE t.power, t._at_power, t.operatingState, t._at_operatingState, t._last")
    back = twingraph(settings, "history", "import", str(tmp_path))
    assert back.stdout.startswith("14402 values from 2 files, 0 were there"), back.stderr
    assert stored(filled) == before
    assert latest(filled) == newest
    again = twingraph(settings, "history", "import", str(tmp_path))
    assert again.stdout.startswith("0 values from 2 files, 14402 were there already"), again.stderr
    assert stored(filled) == before


def test_a_window_of_one_model(filled: Registry, settings: Settings, tmp_path: Path) -> None:
    window = ("--from", "2024-03-31", "--to", "2024-03-31T00:10:00Z")
    done = twingraph(settings, "history", "export", str(tmp_path), "--model", "Turbine", *window)
    assert done.stdout.startswith("1200 rows, 1200 values in 1 files"), done.stderr
    swapped = twingraph(settings, "history", "export", str(tmp_path), "--from", "2026-02-01", "--to", "2026-01-01")
    assert (swapped.returncode, "--from must lie before --to" in swapped.stderr) == (1, True)
    nothing = twingraph(settings, "history", "export", str(tmp_path / "none"), "--model", "Gearbox")
    assert nothing.stdout.startswith("0 rows, 0 values in 0 files"), nothing.stderr


def test_what_cannot_be_brought_is_told(filled: Registry, settings: Settings, tmp_path: Path) -> None:
    def refusal(*arguments: str) -> str:
        done = twingraph(settings, "history", *arguments)
        assert done.returncode == 1
        return done.stderr

    assert "no Parquet file" in refusal("import", str(tmp_path))
    assert "no model 'Nothing'" in refusal("export", str(tmp_path), "--model", "Nothing")
    assert "is no time" in refusal("export", str(tmp_path), "--from", "soon")
    place = tmp_path / "model=Turbine" / "day=2024-03-31"
    place.mkdir(parents=True)
    (place / "history.parquet").write_bytes(b"no Parquet")
    assert "not Parquet" in refusal("import", str(tmp_path))
    at = pd.to_datetime([START], unit="ms", utc=True)
    pd.DataFrame({"dtId": ["a1"], "at": at, "nothing": [1.0]}).to_parquet(place / "history.parquet")
    assert "dtId, at, nothing" in refusal("import", str(tmp_path))
    pd.DataFrame({"dtId": ["nobody"], "at": at, "power": [1.0]}).to_parquet(place / "history.parquet")
    assert "no twin 'nobody'" in refusal("import", str(tmp_path))
