"""How long history is kept: points, and beyond them their roll-ups. A YAML list; of the rows that fit the last one counts.

- {keep: P2Y}                                                       of every model, every signal
- {model: Turbine, keep: P1Y, rollups: P10Y}                        of a model and those below it
- {model: Turbine, signal: vibration, keep: P30D, rollups: P5Y}

A segment goes as a whole, once all of it is older. Beyond `keep` a signal answers in buckets as wide as its roll-ups or wider,
and its points no more; in a time zone only where there are roll-ups by the minute."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import isodate
import yaml

from app.dtdl import Catalog
from app.errors import NotFound, SettingError
from app.graph.rollup import COARSEST, LEVELS
from app.graph.segment import own_times
from app.graph.statements import statement
from app.graph.store import Store

SEGMENTS = 1000
KNOWN = {"model", "signal", "keep", "rollups"}


@dataclass(frozen=True, slots=True)
class Keep:
    """Durations as ISO 8601 says them. `model` and `signal` empty: all."""

    keep: str
    rollups: str
    model: str = ""
    signal: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """Of one signal of one model: points before `points` go, roll-ups before `rollups` [epoch ms]."""

    model: str
    signal: str
    points: int
    rollups: int


def read_retention(path: Path) -> list[Keep]:
    """Raises: SettingError naming the row."""
    try:
        rows = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingError(f"cannot read what is kept: {error}", where=str(path)) from error
    if not isinstance(rows, list):
        raise SettingError("must be a list of rows", where=str(path), hint="- {model: Turbine, keep: P1Y, rollups: P10Y}")
    return [_row(row, f"{path}[{index}]") for index, row in enumerate(rows)]


def _row(row: Any, where: str) -> Keep:
    if not isinstance(row, dict) or "keep" not in row or set(row) - KNOWN:
        raise SettingError("a row has keep, and may have model, signal, rollups", where=where)
    if not all(isinstance(value, str) for value in row.values()):
        raise SettingError("all values of a row are texts", where=where, hint="keep: P90D")
    texts = dict(row)
    keep = Keep(**{"rollups": texts["keep"], **texts})
    now = round(time.time() * 1000)
    if _before(keep.rollups, now, where) > _before(keep.keep, now, where):
        raise SettingError("rollups are kept at least as long as the points", where=where)
    return keep


def _before(text: str, now: int, where: str = "") -> int:
    """The moment [epoch ms] that lies a duration before `now`."""
    try:
        duration = isodate.parse_duration(text)
        moment = datetime.fromtimestamp(now / 1000, UTC) - duration
    except (ValueError, OverflowError, isodate.ISO8601Error) as error:
        raise SettingError(f"{text!r:.40} is no duration", where=where, hint="P90D, P2Y, PT12H") from error
    at = int(moment.timestamp() * 1000)
    if at >= now:
        raise SettingError(f"{text!r:.40} is no time to keep something", where=where, hint="P90D, P2Y, PT12H")
    return at


def limits(rows: Sequence[Keep], catalog: Catalog, now: int) -> Iterator[Limit]:
    """Raises: SettingError for a model or a signal that nobody has."""
    for row in rows:
        _check(row, catalog)
    for dtmi in catalog.interfaces:
        for signal in catalog.telemetry(dtmi):
            fits = [row for row in rows if row.signal in ("", signal) and (not row.model or _is_of(catalog, dtmi, row.model))]
            if fits:
                yield Limit(dtmi, signal, _before(fits[-1].keep, now), _before(fits[-1].rollups, now))


def _check(row: Keep, catalog: Catalog) -> None:
    try:
        models = [catalog.interface(row.model).dtmi] if row.model else list(catalog.interfaces)
    except NotFound as error:
        raise SettingError(f"retention: no model {row.model!r}", hint="models list") from error
    if row.signal and not any(row.signal in catalog.telemetry(dtmi) for dtmi in models):
        raise SettingError(f"retention: no telemetry {row.signal!r}", where=row.model)


def _is_of(catalog: Catalog, dtmi: str, model: str) -> bool:
    return catalog.is_a(dtmi, catalog.interface(model).dtmi)


def forget(store: Store, catalog: Catalog, rows: Sequence[Keep], tell: Callable[[Limit, int], None] | None = None) -> int:
    """Takes away what is older than it is kept; how many columns of segments. Raises: SettingError, StoreError."""
    done = 0
    for limit in limits(rows, catalog, round(time.time() * 1000)):
        taken = _forget(store, limit)
        done += taken
        if tell and taken:
            tell(limit, taken)
    return done


def _forget(store: Store, limit: Limit) -> int:
    points = {limit.signal: None, own_times(limit.signal): None}
    rest = dict.fromkeys([prefix + limit.signal for prefix in LEVELS])
    parameters: dict[str, Any] = {"model": limit.model, "signal": limit.signal, "rollup": COARSEST + limit.signal}
    parameters |= {"before": limit.points, "rolled": limit.rollups, "points": points, "rest": rest, "most": SEGMENTS}
    done = 0
    while True:
        ((touched,),) = store.run(statement("history/forget"), **parameters)
        done += int(touched)
        if touched < SEGMENTS:
            return done
