"""Readings on disk until they are forwarded: SQLite, bounded, one writer and one reader.

reading   what sources said, a row a value, each instant of a signal once; with windows, until their window is closed
outgoing  what is to be forwarded, in order
position  how far sources have been read, in the transaction that holds their readings
refused   what no rule took, the newest ten thousand"""

import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import Unavailable
from app.twins.write import Position

SCHEMA = """
CREATE TABLE IF NOT EXISTS reading (twin TEXT, signal TEXT, at INTEGER, value, heard INTEGER,
  PRIMARY KEY (twin, signal, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outgoing (id INTEGER PRIMARY KEY AUTOINCREMENT, twin TEXT, signal TEXT, at INTEGER, value);
CREATE TABLE IF NOT EXISTS position (id TEXT PRIMARY KEY, source TEXT, part TEXT, position);
CREATE TABLE IF NOT EXISTS refused (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, address TEXT, reason TEXT, payload BLOB);
CREATE TABLE IF NOT EXISTS count (name TEXT PRIMARY KEY, n INTEGER);
CREATE INDEX IF NOT EXISTS reading_at ON reading (at);
"""
KEPT_REFUSED = 10_000
CLOSED = "(twin, at / ?) IN (SELECT twin, w FROM temp.closed)"
NUMERIC = "typeof(value) IN ('integer', 'real')"
INTO = "INSERT INTO outgoing (twin, signal, at, value)"
Reading = tuple[str, str, int, Any]  # twin, signal, epoch ms, value: a number, a text, or a truth as one byte


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`of` the readings of a signal in a window, `by` avg, min, max, sum, count, first or last, told as signal `to` at the
    window's start."""

    of: str
    by: str
    to: str


class Full(Unavailable):
    code = "SPOOL_FULL"


class Spool:
    """`most` bytes; `drop`: the oldest give way, and are counted; else nothing more is taken until there is room."""

    def __init__(self, path: Path, most: int, drop: bool) -> None:
        self._lock = threading.Lock()
        self._drop = drop
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")  # what is acknowledged survives a loss of power
        (size,) = self._db.execute("PRAGMA page_size").fetchone()
        self._pages = most // size
        self._db.executescript(SCHEMA)
        self._db.execute("CREATE TEMP TABLE closed (twin TEXT, w INTEGER, PRIMARY KEY (twin, w))")

    def put(
        self,
        readings: Sequence[Reading],
        refused: Sequence[tuple[str, str, str, bytes]],
        positions: Sequence[Position],
        windowed: bool,
    ) -> int:
        """All in one transaction; how many readings were there already. Raises: Full; Unavailable when the disk is."""
        with self._transaction():
            self._make_room()
            before = self._db.total_changes
            if windowed:
                heard = round(time.time() * 1000)
                self._db.executemany(f"INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, {heard})", readings)  # noqa: S608
            else:
                self._db.executemany(f"{INTO} VALUES (?, ?, ?, ?)", readings)
            doubled = len(readings) - (self._db.total_changes - before)
            self._db.executemany("INSERT INTO refused (source, address, reason, payload) VALUES (?, ?, ?, ?)", refused)
            if refused:
                self._db.execute("DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?", (KEPT_REFUSED,))
            rows = [
                (f"{position.source}|{position.part}", position.source, position.part, position.position)
                for position in positions
            ]
            self._db.executemany("INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)", rows)
        return doubled

    def positions(self, source: str) -> dict[str, int | str]:
        with self._lock:
            return dict(self._db.execute("SELECT part, position FROM position WHERE source = ?", (source,)))

    def close_windows(self, width: int, before: int, aggregates: Sequence[Aggregate]) -> int:
        """Windows of `width` [ms] that end by `before`, and of which nothing has come since then, become outgoing, in one
        transaction; signals that no aggregate names are told by their last value, as is what is no number. How many rows."""
        end = before // width * width
        named = {aggregate.of for aggregate in aggregates}
        marks = ", ".join("?" * len(named))
        with self._transaction():
            closed = "SELECT twin, at / ? AS w FROM reading WHERE at < ? GROUP BY twin, w HAVING max(heard) <= ?"
            self._db.execute("DELETE FROM temp.closed")
            self._db.execute(f"INSERT INTO temp.closed {closed}", (width, end, before))
            start = self._db.total_changes
            for aggregate in aggregates:
                self._db.execute(
                    _statement(aggregate.by, "?", f"signal = ? AND {NUMERIC}"),
                    (aggregate.to, width, width, width, aggregate.of),
                )
            others = f"(signal NOT IN ({marks}) OR NOT {NUMERIC})"
            self._db.execute(_statement("last", "signal", others), (width, width, width, *named))
            row_count = self._db.total_changes - start
            self._db.execute(f"DELETE FROM reading WHERE {CLOSED}", (width,))  # noqa: S608
        return row_count

    def outgoing(self, most: int) -> list[tuple[int, Reading]]:
        """The oldest, with what `forwarded` wants to know."""
        with self._lock:
            rows = self._db.execute("SELECT id, twin, signal, at, value FROM outgoing ORDER BY id LIMIT ?", (most,))
            return [(row[0], row[1:]) for row in rows]

    def forwarded(self, last: int) -> None:
        with self._transaction():
            self._db.execute("DELETE FROM outgoing WHERE id <= ?", (last,))

    def refuse(self, last: int, reading: Reading, reason: str) -> None:
        """The far end will never take it: rejected, and out of the way."""
        twin, signal, at, value = reading
        with self._transaction():
            row = ("uplink", f"{twin}/{signal}", reason, repr((at, value)).encode())
            self._db.execute("INSERT INTO refused (source, address, reason, payload) VALUES (?, ?, ?, ?)", row)
            self._db.execute("DELETE FROM outgoing WHERE id <= ?", (last,))

    def counts(self) -> dict[str, int]:
        with self._lock:
            table_counts = {name: self._db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}  # noqa: S608
            return table_counts | dict(self._db.execute("SELECT name, n FROM count"))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _make_room(self) -> None:
        """Free pages are room, too. Raises: Full."""
        while self._used() >= self._pages:
            if not self._drop:
                raise Full("the spool is full", hint="the uplink is away too long for its size, or full: oldest")
            oldest = "DELETE FROM outgoing WHERE id IN (SELECT id FROM outgoing ORDER BY id LIMIT 10000)"
            dropped = self._db.execute(oldest).rowcount
            if not dropped:
                raise Full("the spool is full of windows that are open", hint="a shorter window, or a larger spool")
            add = "INSERT INTO count VALUES ('dropped', ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n"
            self._db.execute(add, (dropped,))

    def _used(self) -> int:
        (pages,), (free,) = (self._db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count"))
        return int(pages - free)

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db, self._lock)


TABLES = ("reading", "outgoing", "refused")


class _Transaction:
    def __init__(self, db: sqlite3.Connection, lock: threading.Lock) -> None:
        self._db, self._lock = db, lock

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._lock.release()
            raise Unavailable(f"the spool cannot be written: {error}") from error

    def __exit__(self, kind: Any, error: Any, _: Any) -> None:
        try:
            if error is None:
                self._db.execute("COMMIT")
        except sqlite3.Error as failed:
            error = failed
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise Unavailable(f"the spool cannot be written: {error}") from error


def _statement(by: str, signal: str, condition: str) -> str:
    """A row a twin, a signal and a window. SQLite takes bare columns from the row that its min or max is of."""
    value = {"first": "value, min(at)", "last": "value, max(at)"}.get(by, f"{by}(CAST(value AS REAL)), 0")
    grouped = f"SELECT twin, {signal}, at / ? * ? AS start, {value} FROM reading WHERE {CLOSED} AND {condition}"  # noqa: S608
    rows = f"WITH rows (twin, s, start, v, _) AS ({grouped} GROUP BY twin, signal, start)"
    return f"{rows} {INTO} SELECT twin, s, start, v FROM rows WHERE v IS NOT NULL"  # noqa: S608


def lines(readings: Iterable[Reading]) -> bytes:
    """InfluxDB's line protocol, one line a twin and moment: `twin,id=wf01-t01 power=1.5 1764000000000`."""
    grouped: dict[tuple[str, int], list[str]] = {}
    for twin, signal, at, value in readings:
        grouped.setdefault((twin, at), []).append(f"{_escaped(signal)}={_said(value)}")
    return "\n".join(f"twin,id={_escaped(twin)} {','.join(fields)} {at}" for (twin, at), fields in grouped.items()).encode()


def _said(value: Any) -> str:
    if isinstance(value, bytes):
        return "t" if value == b"\x01" else "f"
    if isinstance(value, int):
        return f"{value}i"
    if isinstance(value, float):
        return repr(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in ",= \\" else c for c in text)
