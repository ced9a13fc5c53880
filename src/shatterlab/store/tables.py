"""The tables of a results database, the steps that bring an older one up to date, and how rows are written to them and read back."""

from __future__ import annotations

import bisect
import json
import math
import sqlite3
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from shatterlab import __version__
from shatterlab.core import Row, Scalar
from shatterlab.core.errors import StoreError
from shatterlab.store.digests import of_run

VERSION = 2

TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    """CREATE TABLE runs (
        run INTEGER PRIMARY KEY,
        uid TEXT NOT NULL UNIQUE,
        key TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('ok', 'diverged', 'failed')),
        finished TEXT NOT NULL,
        digest TEXT NOT NULL)""",
    "CREATE INDEX runs_by_key ON runs (key, status)",
    """CREATE TABLE scalars (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        name TEXT NOT NULL,
        value,
        PRIMARY KEY (run, name)) WITHOUT ROWID""",
    """CREATE TABLE curves (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        epoch INTEGER NOT NULL,
        step INTEGER NOT NULL,
        name TEXT NOT NULL,
        value REAL,
        PRIMARY KEY (run, epoch, step, name)) WITHOUT ROWID""",
    """CREATE TABLE arrays (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        name TEXT NOT NULL,
        dtype TEXT NOT NULL,
        shape TEXT NOT NULL,
        data BLOB NOT NULL,
        UNIQUE (run, name))""",
    """CREATE VIEW newest AS
        SELECT run, key, status, finished, first FROM (
            SELECT run, key, status, finished,
                min(run) OVER (PARTITION BY key) AS first,
                row_number() OVER (PARTITION BY key ORDER BY status = 'failed', finished DESC, run DESC) AS place
            FROM runs)
        WHERE place = 1""",
)


def add_digests(connection: sqlite3.Connection) -> None:
    """From schema 1 to 2: each run gets the digest of what is there; one that cannot be read gets none, and counts as damaged."""
    connection.execute("ALTER TABLE runs ADD COLUMN digest TEXT NOT NULL DEFAULT ''")
    for (run,) in connection.execute("SELECT run FROM runs").fetchall():
        try:
            heading = connection.execute("SELECT uid, key, status, finished FROM runs WHERE run = ?", (run,)).fetchone()
            digest = record(connection, run, heading).digest
        except UNREADABLE:
            continue
        connection.execute("UPDATE runs SET digest = ? WHERE run = ?", (digest, run))


MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: add_digests}
"""From version -> the step to the next one. A step executes single statements (`executescript` would commit)."""

STATUSES = ("ok", "diverged", "failed")
IN_RUNS = ("key", "status", "finished")  # columns of a row that table `runs` has, not `scalars`
UNREADABLE = (TypeError, ValueError, OverflowError, struct.error, sqlite3.OperationalError)
"""What reading values of another type than the tables have ends in; a text that is no UTF-8 is an OperationalError."""
COLUMNS = {"scalars": "name, value", "curves": "epoch, step, name, value", "arrays": "name, dtype, shape, data"}
_LONGEST = 10_000  # characters of the text of an error in a row
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)])  # but tabs and ends of lines
_BATCH = 30  # entries an INSERT: three times faster than one by one, and far below SQLite's limit of variables
ARRAY_KINDS = "biufcSU"
_Numbers = np.ndarray[Any, Any]
_Entry = Sequence[Any]


class Unstorable(StoreError):
    """A row that no database can store: its content is at fault, not the file or the disk."""


@dataclass(frozen=True)
class Record:
    """A row as the tables store it: the heading (uid, key, status, finished), and the entries of each table without the run, in the order of its key."""

    heading: _Entry
    scalars: Sequence[_Entry]
    curves: Sequence[_Entry]
    arrays: Sequence[_Entry]

    @classmethod
    def of(cls, row: Row) -> Record:
        """The record of a row, under a new uid.

        Raises:
            Unstorable: the row has no key or status, or something that a database cannot hold.
        """
        arrays = [_encoded(name, array) for name, array in sorted(row.arrays.items())]
        return cls((uuid.uuid4().hex, *_heading(row)), _scalars(row), _curves(row), arrays)

    @property
    def digest(self) -> str:
        """The digest of what the tables hold of it."""
        return of_run(self.heading, self.scalars, self.curves, self.arrays)

    def insert(self, connection: sqlite3.Connection) -> int:
        """Writes the record inside the caller's transaction; returns the number of its run."""
        run = connection.execute("INSERT INTO runs (uid, key, status, finished, digest) VALUES (?, ?, ?, ?, ?)", (*self.heading, self.digest)).lastrowid
        assert run is not None  # SQLite numbers every inserted run
        for table in COLUMNS:
            _insert(connection, table, [(run, *entry) for entry in getattr(self, table)])
        return run


def record(connection: sqlite3.Connection, run: int, heading: _Entry) -> Record:
    """The record of one run, as the tables hold it."""
    return Record(heading, **{table: [entry[1:] for entry in entries_of(connection, table, [run]).get(run, ())] for table in COLUMNS})


def _heading(row: Row) -> tuple[str, str, str]:
    key, status = row.get("key"), row.get("status")
    if not isinstance(key, str) or not key:
        raise Unstorable(f"Store: a row with the text column `key` is required, got {key!r}. Add rows that `run` makes.")
    if status not in STATUSES:
        raise Unstorable(f"Store: a status is one of {', '.join(STATUSES)}, got {status!r}.")
    return key, str(status), _utc(row.get("finished"))


def _utc(finished: Scalar) -> str:
    if finished is None:
        return datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        moment = datetime.fromisoformat(str(finished))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Unstorable(f"Store: `finished` is an ISO 8601 time with its offset, got {finished!r}. Leave it out for now.")
    return str(finished) if not moment.utcoffset() else moment.astimezone(UTC).isoformat()


def _scalars(row: Row) -> list[tuple[str, Scalar]]:
    return sorted(((_text(name), _bounded(name, _scalar(name, value))) for name, value in row.items() if name not in IN_RUNS), key=itemgetter(0))


def _scalar(name: str, value: Any) -> Scalar:
    """The value as SQLite stores it: NaN becomes NULL, true and false become 1 and 0."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or isinstance(plain, float):
        return None if plain is None or math.isnan(plain) else plain
    if isinstance(plain, str):
        return _text(plain)
    if isinstance(plain, int):
        if -(2**63) <= plain < 2**63:
            return int(plain)
        raise Unstorable(f"Store: whole numbers of at most 64 bits are required, column {name} has {plain}. Write it as text.")
    raise Unstorable(f"Store: text, numbers, true, false or None are required, column {name} has {type(plain).__name__}. Put arrays in Row.arrays.")


def _text(text: str) -> str:
    """The text in valid UTF-8: stray bytes of a file name become backslash escapes."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _bounded(name: str, value: Scalar) -> Scalar:
    """The text of an error without control characters, and with its middle left out where it is long; other values as they are."""
    if not isinstance(value, str) or not (name in ("error", "trace") or name.endswith(".reason")):
        return value
    text = value.translate(_CONTROLS)
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2 - 40
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters are left out ...]\n{text[-half:]}"


def _curves(row: Row) -> list[tuple[int, int, str, float | None]]:
    points = [(int(epoch), int(step), name, None if value is None or math.isnan(value) else float(value)) for epoch, step, name, value in row.curves]
    points.sort(key=itemgetter(0, 1, 2))
    for before, after in pairwise(points):
        if before[:3] == after[:3]:
            raise Unstorable(f"Store: one value for each epoch, step and name is required, curve {after[2]} has two at epoch {after[0]}, step {after[1]}.")
    return points


def _encoded(name: str, array: _Numbers) -> tuple[str, str, str, bytes]:
    """Name, type, shape and raw little-endian bytes."""
    values = np.asarray(array)
    if values.dtype.kind not in ARRAY_KINDS:
        raise Unstorable(f"Store: an array of numbers, booleans or text is required, {name} holds {values.dtype}. Convert it first.")
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return name, little.dtype.str, json.dumps(values.shape), little.tobytes()


def _insert(connection: sqlite3.Connection, table: str, entries: Sequence[_Entry]) -> None:
    if not entries:
        return
    slots = f"({', '.join('?' * len(entries[0]))})"
    whole = len(entries) - len(entries) % _BATCH
    batches = (list(chain.from_iterable(entries[start : start + _BATCH])) for start in range(0, whole, _BATCH))
    connection.executemany(f"INSERT INTO {table} VALUES {', '.join([slots] * _BATCH)}", batches)
    connection.executemany(f"INSERT INTO {table} VALUES {slots}", entries[whole:])


def entries_of(connection: sqlite3.Connection, table: str, runs: Sequence[int]) -> dict[int, list[_Entry]]:
    """Run -> its entries in a table, each after the run, in the order of the table's key; one query."""
    order = "run, epoch, step, name" if table == "curves" else "run, name"
    query = f"SELECT run, {COLUMNS[table]} FROM {table} WHERE run IN (SELECT value FROM json_each(?)) ORDER BY {order}"
    entries, start = connection.execute(query, (json.dumps(runs),)).fetchall(), 0
    found = {}
    while start < len(entries):
        run = entries[start][0]
        end = bisect.bisect_right(entries, run, start, key=itemgetter(0))
        found[run] = entries[start:end]
        start = end
    return found


def schema_version(connection: sqlite3.Connection, name: str) -> int | None:
    """The schema version of a results database; None for a database without any table.

    Raises:
        StoreError: the database belongs to another program, or to a newer shatterlab.
    """
    tables = {table for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    notes = dict(connection.execute("SELECT name, value FROM meta")) if _has_notes(connection, tables) else {}
    version = notes.get("schema_version")
    if not str(notes.get("created_by", "")).startswith("shatterlab") or not isinstance(version, int):
        first = ", ".join(sorted(tables)[:3])
        raise StoreError(f"Store: a results database is required, {name} belongs to another program (tables: {first}). Use another --store.")
    if version > VERSION:
        raise StoreError(f"Store: {name} has schema {version}, this shatterlab reads up to {VERSION}. Upgrade shatterlab, or use another --store.")
    return version


def _has_notes(connection: sqlite3.Connection, tables: set[str]) -> bool:
    columns = [column for _, column, *_ in connection.execute("PRAGMA table_info(meta)")] if "meta" in tables else []
    return columns == ["name", "value"]


def bring_up_to_date(connection: sqlite3.Connection, name: str) -> None:
    """Creates the tables of a new database, or migrates an older one step by step, in one transaction.

    Raises:
        StoreError: there is no step from its version; the database stays as it was.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = schema_version(connection, name)
        if version is None:
            for statement in TABLES:
                connection.execute(statement)
            notes = [("schema_version", VERSION), ("created_by", f"shatterlab {__version__}")]
            connection.executemany("INSERT INTO meta VALUES (?, ?)", notes)
        else:
            _migrate(connection, name, version)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection, name: str, version: int) -> None:
    for older in range(version, VERSION):
        if older not in MIGRATIONS:
            raise StoreError(f"Store: {name} has schema {older}, this shatterlab has no step to schema {older + 1}. Use another --store.")
        MIGRATIONS[older](connection)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'schema_version'", (older + 1,))
