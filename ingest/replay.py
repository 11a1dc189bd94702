"""A table of measurements → history, column by column, through the same write path as everything else."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from app.dtdl import Catalog, Telemetry
from app.dtdl.kinds import column_kind
from app.errors import MappingError, MessageError
from app.graph.store import Store
from app.graph.values import flatten
from app.history.series import Series
from app.twins.edit import NewTwin, ensure, model_of
from app.twins.write import Batch, append
from ingest.mapping.convert import conversion_of
from ingest.mapping.declaration import PART, Rule, SourceMapping, Target, check_against, fill
from ingest.payload import decode

POINTS_PER_SEGMENT = 4320  # thirty days of ten-minute means
VALUES_PER_COMMIT = 150_000
SKEW_MS = 600_000


def _lines(path: Path) -> pd.DataFrame:
    return pd.DataFrame.from_records([orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()])


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {".parquet": pd.read_parquet, ".ndjson": _lines, ".jsonl": _lines}


@dataclass(slots=True)
class Replayed:
    rows: int = 0
    values: int = 0
    duplicates: int = 0
    twins: int = 0
    repeated: int = 0  # rows of an instant that stood in an earlier row of the table


def replay(
    store: Store, catalog: Catalog, mapping: SourceMapping, path: Path, progress: Callable[[int, int], Any] | None = None
) -> Replayed:
    """Writes the table at `path` (Parquet, NDJSON or CSV) as the mapping's first rule says; a second run changes nothing.

    `progress(rows done, rows in all)` is called after each commit. Raises: MappingError, MessageError, StoreError."""
    rule = mapping.rules[0]
    check_against(mapping, catalog)
    table = read_table(path)
    _check_columns(rule, table, path)
    keys = PART.findall(rule.match)
    done = Replayed()
    batch: list[Series] = []
    waiting, passed = 0, 0
    for names, rows in table.groupby(keys, sort=True, observed=True):
        parts = dict(zip(keys, map(str, names), strict=True))
        dt_id = fill(rule.twin, parts)
        if rule.create:
            ensure(store, catalog, [NewTwin(dt_id, rule.create, {"name": "-".join(parts.values())})], [])
        model = catalog.interface(rule.create).dtmi if rule.create else model_of(store, catalog, dt_id)
        done.twins += 1
        told = 0
        for series, length in _segments(catalog, rule, model, dt_id, rows, path):
            batch.append(series)
            waiting, passed, told = waiting + series.points(), passed + length, told + length
            if waiting >= VALUES_PER_COMMIT:
                _commit(store, batch, done)
                batch, waiting = [], 0
                if progress:
                    progress(passed, len(table))
        done.repeated += len(rows) - told
    _commit(store, batch, done)
    done.rows = len(table)
    if progress:
        progress(len(table), len(table))
    return done


def read_table(path: Path) -> pd.DataFrame:
    try:
        return READERS.get(path.suffix, pd.read_csv)(path)
    except (OSError, ValueError) as error:
        raise MessageError(f"cannot read the table: {error}", where=str(path), hint="Parquet, NDJSON or CSV") from error


def _segments(
    catalog: Catalog, rule: Rule, model: str, dt_id: str, rows: pd.DataFrame, path: Path
) -> Iterator[tuple[Series, int]]:
    times = _instants(rows[rule.time], path)
    order = np.argsort(times, kind="stable")
    times = times[order]
    first = np.concatenate(([True], np.diff(times) > 0))  # the value stored first stays
    times, order = times[first], order[first]
    telemetry = catalog.telemetry(model)
    fields = rule.signals or {name: Target(to=name) for name in rows.columns if name in telemetry}
    if not fields:
        raise MappingError("no column bears the name of a signal", where=str(path), hint=f"signals are {', '.join(telemetry)}")
    columns = {
        target.to: _converted(rows[field].to_numpy()[order], target, telemetry[target.to], path)
        for field, target in fields.items()
    }
    for start in range(0, len(times), POINTS_PER_SEGMENT):
        part = slice(start, start + POINTS_PER_SEGMENT)
        series = _series(dt_id, times[part], {name: values[part] for name, values in columns.items()}, telemetry, path)
        if series:
            yield series, len(times[part])


def _instants(column: pd.Series, path: Path) -> Any:
    """Epoch ms, as live sources take it: text, or a number of seconds or milliseconds. Raises: MessageError naming the row."""
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(np.float64)
        times = np.where(np.abs(numbers) > 1e11, numbers, numbers * 1000).round()
    else:
        try:
            moments = pd.to_datetime(column, utc=True)
        except (ValueError, OverflowError, TypeError) as error:
            raise MessageError(f"times cannot be read: {error}"[:300], where=str(path), code="TIME_INVALID") from error
        times = moments.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.float64)
        times[moments.isna()] = np.nan
    wrong = ~((times >= decode.EARLIEST) & (times <= time.time() * 1000 + SKEW_MS))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        what = f"row {column.index[row] + 1}: {column.iloc[row]!s:.60} is no plausible time"
        raise MessageError(what, where=str(path), hint="RFC 3339, or epoch seconds or milliseconds", code="TIME_INVALID")
    return times.astype(np.int64)


def _converted(values: Any, target: Target, signal: Telemetry, path: Path) -> Any:
    conversion = conversion_of(target, signal.unit)
    if conversion is None:
        return values
    if not conversion.values:
        return conversion.numbers(values)
    try:
        return np.asarray([None if pd.isna(value) else conversion(value) for value in values.tolist()], object)
    except ValueError as error:
        unknown = next(value for value in values.tolist() if not pd.isna(value) and value not in target.values)
        raise MessageError(f"{target.to}: {unknown} {error}", where=str(path)) from error


def _series(dt_id: str, times: Any, columns: dict[str, Any], telemetry: Any, path: Path) -> Series | None:
    """Columns without holes share their times; a column with holes gets times of its own."""
    masks = {name: ~pd.isna(values) for name, values in columns.items()}
    some = np.logical_or.reduce(list(masks.values()))
    if not some.any():
        return None
    shared = times[some].tolist()
    lists: dict[str, list[Any]] = {}
    own: dict[str, list[int]] = {}
    latest: dict[str, Any] = {}
    for name, values in columns.items():
        present = values[masks[name]]
        if not len(present):
            continue
        kind = column_kind(telemetry[name].schema)
        lists[name] = present.astype(np.float64).tolist() if kind == "float" else present.tolist()
        if kind == "float" and not math.isfinite(sum(lists[name])):
            raise MessageError(f"column of {name!r} holds infinite values", where=str(path))
        latest |= flatten(name, telemetry[name].schema, lists[name][-1])
        if len(present) != len(shared):
            own[name] = times[masks[name]].tolist()
    return Series(dt_id, shared, lists, latest, own)


def _commit(store: Store, batch: list[Series], done: Replayed) -> None:
    if batch:
        outcome = append(store, Batch(batch))
        done.values += outcome.points
        done.duplicates += outcome.duplicates


def _check_columns(rule: Rule, table: pd.DataFrame, path: Path) -> None:
    required = [*PART.findall(rule.match), rule.time, *rule.signals]
    missing = [column for column in required if column not in table.columns]
    if missing:
        hint = f"the table has {', '.join(map(str, table.columns))}"
        raise MappingError(f"no column {missing[0]!r}", where=str(path), hint=hint)
