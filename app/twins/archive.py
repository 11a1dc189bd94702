"""History as Parquet and back: a folder a model, a folder a UTC day (`model=Turbine/day=2024-01-31/`), a row a twin and
instant, a column a signal. DuckDB, pandas and polars read the whole as one table. What is brought back is stored once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.dtdl import Catalog, Enum, Primitive, Telemetry
from app.dtdl.kinds import column_kind
from app.errors import MessageError, NotFound
from app.graph.segment import sound
from app.graph.statements import statement
from app.graph.store import Store
from app.graph.values import flatten
from app.history.read import points
from app.history.series import Series
from app.twins.write import Batch, append

DAY_MS = 86_400_000
TOGETHER = 20  # twins read at once
ROWS = 50_000  # of a file read at once
Told = Callable[[int, int], Any]


@dataclass(slots=True)
class Archived:
    rows: int = 0
    values: int = 0
    files: int = 0
    duplicates: int = 0


def export(
    store: Store,
    catalog: Catalog,
    folder: Path,
    model: str,
    start: int | None = None,
    end: int | None = None,
    tell: Told | None = None,
) -> Archived:
    """Writes the history of a model's twins in [start, end) [epoch ms]; files of those days are written anew.

    Raises: NotFound for an unknown model, StoreError, OSError."""
    dtmi = catalog.interface(model).dtmi
    ((dt_ids, first, last),) = store.read(statement("history/span"), {"model": dtmi})
    done = Archived()
    if not dt_ids:
        return done
    start, end = max(first, start if start is not None else first), min(last + 1, end if end is not None else last + 1)
    stored_days = (day for (day,) in store.read(statement("history/days"), {"model": dtmi, "from": start, "to": end}))
    days = [day * DAY_MS for day in stored_days]
    signals = catalog.telemetry(dtmi)
    for number, day in enumerate(days, 1):
        window = max(day, start), min(day + DAY_MS, end)
        name = datetime.fromtimestamp(day / 1000, UTC).date().isoformat()
        _write_day(store, signals, dt_ids, window, folder / f"model={catalog.labels[dtmi]}" / f"day={name}", done)
        if tell:
            tell(number, len(days))
    return done


def _write_day(
    store: Store, signals: Mapping[str, Telemetry], dt_ids: Sequence[str], window: tuple[int, int], folder: Path, done: Archived
) -> None:
    import pyarrow.parquet as pq

    writer = None
    target, unfinished = folder / "history.parquet", folder / "history.parquet.part"
    try:
        for begin in range(0, len(dt_ids), TOGETHER):
            parameters = {"dtIds": list(dt_ids[begin : begin + TOGETHER]), "from": window[0], "to": window[1]}
            ((rows,),) = store.read(statement("history/export"), parameters)
            for dt_id, segments in rows:
                table = _table(signals, dt_id, segments, window, done)
                if table is not None:
                    if writer is None:
                        folder.mkdir(parents=True, exist_ok=True)
                        writer = pq.ParquetWriter(unfinished, table.schema, compression="zstd")
                    writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    if writer is not None:
        unfinished.replace(target)
        done.files += 1


def _table(signals: Mapping[str, Telemetry], dt_id: str, segments: Any, window: tuple[int, int], done: Archived) -> Any:
    """None where no point lies in the window."""
    import pyarrow as pa

    joined = points(sound(segments), signals.keys(), *window)
    every = np.unique(np.concatenate([times for times, _ in joined.values()])) if joined else np.empty(0)
    if not len(every):
        return None
    kinds = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "str": pa.string()}
    names = pa.array([dt_id]).take(pa.array(np.zeros(len(every), np.int64)))
    columns = {"dtId": names, "at": pa.array(every, pa.timestamp("ms", "UTC"))}
    for name in sorted(signals):
        times, values = joined.get(name, (np.empty(0, np.int64), np.empty(0)))
        place = np.full(len(every), -1, np.int64)
        place[np.searchsorted(every, times)] = np.arange(len(times))
        column = pa.array(values.tolist(), kinds[column_kind(signals[name].schema)])
        columns[name] = column.take(pa.array(place, mask=place < 0))
        done.values += len(times)
    done.rows += len(every)
    return pa.table(columns)


def import_history(store: Store, catalog: Catalog, folder: Path, tell: Told | None = None) -> Archived:
    """Writes what `export` has written; the twins must be there. Raises: NotFound, MessageError naming the file, StoreError."""
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise NotFound("no Parquet file", where=str(folder), hint="the folder that history export has written")
    done = Archived()
    for number, file in enumerate(files, 1):
        label = next((part.removeprefix("model=") for part in file.parts if part.startswith("model=")), "")
        signals = catalog.telemetry(catalog.interface(label).dtmi)
        for series in _read(file, signals):
            outcome = append(store, Batch(series))
            if outcome.unknown:
                raise NotFound(
                    f"no twin {outcome.unknown[0]!r}", where=str(file), hint="create the twins first: twingraph twin import"
                )
            done.values += outcome.points
            done.duplicates += outcome.duplicates
        done.files += 1
        if tell:
            tell(number, len(files))
    return done


def _read(file: Path, signals: Mapping[str, Telemetry]) -> Iterator[list[Series]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
    except (OSError, pa.ArrowException) as error:
        raise MessageError(f"not Parquet: {error}", where=str(file)) from error
    names = opened.schema_arrow.names
    unknown = set(names) - signals.keys() - {"dtId", "at"}
    if unknown or not {"dtId", "at"} <= set(names):
        raise MessageError(f"columns are {', '.join(names)}", where=str(file), hint="dtId, at and the model's telemetry")
    for batch in opened.iter_batches(ROWS):
        dt_ids = batch.column("dtId").dictionary_encode()
        place = dt_ids.indices.to_numpy()
        for index, dt_id in enumerate(dt_ids.dictionary.to_pylist()):
            series = _series(dt_id, batch.filter(pa.array(place == index)), signals)
            if series is not None:
                yield [series]


def _series(dt_id: str, rows: Any, signals: Mapping[str, Telemetry]) -> Series | None:
    import pyarrow as pa

    times = rows.column("at").cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_numpy()
    own: dict[str, list[int]] = {}
    columns: dict[str, list[Any]] = {}
    latest: dict[str, Any] = {}
    for name in signals.keys() & set(rows.schema.names):
        there = rows.column(name).is_valid()
        if there.true_count:
            own[name] = times[there.to_numpy(zero_copy_only=False)].tolist()
            columns[name] = rows.column(name).filter(there).to_pylist()
            schema, newest = signals[name].schema, columns[name][-1]
            latest |= flatten(name, schema, newest if isinstance(schema, Primitive | Enum) else orjson.loads(newest))
    if not columns:
        return None
    shared = max(own.values(), key=len)
    return Series(
        dt_id, shared, columns, latest, {name: signal_times for name, signal_times in own.items() if signal_times != shared}
    )
