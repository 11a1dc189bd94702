"""Replay beside the raw driver writing the same segments, in turns on one database. `bench/replay.py [parquet]`; without
a file it makes a table of the same shape: four turbines, two years of ten-minute means, seven signals."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from neo4j import GraphDatabase

from app.graph.store import Store
from app.history.series import segment_properties
from app.stack.secrets import secret
from bench.stack import ROOT, bench_stack, show
from ingest.mapping.declaration import read_mapping
from ingest.replay import _segments, read_table, replay

SHARED = ROOT.parent / "shared" / "data" / "la_haute_borne" / "scada_2014_2015.parquet"
ROUNDS = 3
RAW = """UNWIND $rows AS row MATCH (t:Twin {dtId: row.id}) SET t += row.latest
CREATE (t)-[:_HISTORY]->(s:_Segment) SET s = row.segment"""


def table_of_that_shape(path: Path) -> Path:
    random = np.random.default_rng(1)
    times = pd.date_range("2014-01-01", "2016-01-01", freq="10min", tz="UTC", inclusive="left")
    columns = ("Ba_avg", "P_avg", "Ws_avg", "Va_avg", "Ot_avg", "Ya_avg", "Wa_avg")
    frames = [
        pd.DataFrame({"Wind_turbine_name": f"R{i}", "Date_time": times} | {c: random.random(len(times)) for c in columns})
        for i in range(4)
    ]
    pd.concat(frames).to_parquet(path)
    return path


def clear(store: Store) -> None:
    store.command("MATCH (s:_Segment) CALL (s) { DETACH DELETE s } IN TRANSACTIONS OF 1000 ROWS")
    store.run("MATCH (t:Twin) SET t = {dtId: t.dtId, _model: t._model, _etag: t._etag}")


def main() -> None:
    mapping = read_mapping(ROOT / "ingest/mappings/files/la-haute-borne.yaml")
    with bench_stack() as (settings, store, registry):
        given = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
        path = given if given.exists() else table_of_that_shape(settings.home / "table.parquet")
        replay(store, registry.catalog, mapping, path)  # warms the database and makes the twins
        rule = mapping.rules[0]
        batches: list[dict[str, Any]] = []
        for name, rows in read_table(path).groupby("Wind_turbine_name"):
            model = registry.catalog.interface("Turbine").dtmi
            for series, _ in _segments(registry.catalog, rule, model, f"lhb-{name}", rows, path):
                first, last = series.span()
                segment = segment_properties(series, first, last)
                batches.append({"id": series.dt_id, "latest": series.latest, "segment": segment, "values": series.points()})
        values = sum(row["values"] for row in batches)
        driver = GraphDatabase.driver(store.uri, auth=("neo4j", secret(settings.home, "neo4j")))
        ours, raw = [], []
        for _ in range(ROUNDS):
            clear(store)
            started = time.perf_counter()
            with driver.session() as session:
                for start in range(0, len(batches), 5):
                    session.run(RAW, rows=batches[start : start + 5]).consume()
            raw.append(values / (time.perf_counter() - started))
            clear(store)
            started = time.perf_counter()
            done = replay(store, registry.catalog, mapping, path)
            ours.append(done.values / (time.perf_counter() - started))
        driver.close()
    best, limit = float(np.median(ours)), float(np.median(raw))
    shown = [
        ("values", f"{values:,}"),
        ("replay, file to durable", f"{best:,.0f} values/s (of {', '.join(f'{v:,.0f}' for v in ours)})"),
        ("raw driver, same segments ready in memory", f"{limit:,.0f} values/s (of {', '.join(f'{v:,.0f}' for v in raw)})"),
        ("ratio", f"{best / limit:.2f}"),
    ]
    show("replay", shown, {"values_per_second": best, "raw": limit, "ratio": best / limit})


if __name__ == "__main__":
    main()
