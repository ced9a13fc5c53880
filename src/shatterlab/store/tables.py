"""What a row becomes in the tables of a results database, and back."""

from __future__ import annotations

import json
import sqlite3
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, groupby, pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from shatterlab.core import Row, Scalar
from shatterlab.core.errors import StoreError

STATUSES = ("ok", "diverged", "failed")
IN_RUNS = ("key", "status", "finished")  # columns of a row that stand in `runs`, not in `scalars`
COLUMNS = {"scalars": "name, value", "curves": "epoch, step, name, value", "arrays": "name, dtype, shape, data"}
_AT_ONCE = 30  # entries an INSERT: three times faster than one by one, and far below SQLite's limit of variables
_ARRAY_KINDS = "biufcSU"
_Numbers = np.ndarray[Any, Any]
_Entry = Sequence[Any]


class Unstorable(StoreError):
    """A row that no database could hold: its content is at fault, not the file or the disk."""


@dataclass(frozen=True)
class Record:
    """A row as the tables hold it: uid, key, status, finished; and the entries of each table, less the run."""

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
        return cls((uuid.uuid4().hex, *_heading(row)), _scalars(row), _curves(row), [_encoded(name, array) for name, array in row.arrays.items()])

    def insert(self, connection: sqlite3.Connection) -> int:
        """Writes the record inside the caller's transaction and gives its run."""
        run = connection.execute("INSERT INTO runs (uid, key, status, finished) VALUES (?, ?, ?, ?)", self.heading).lastrowid
        assert run is not None  # SQLite numbers every inserted run
        for table in COLUMNS:
            _insert(connection, table, [(run, *entry) for entry in getattr(self, table)])
        return run


def record(connection: sqlite3.Connection, run: int, heading: _Entry) -> Record:
    """The record of one run of another store."""
    return Record(heading, **{table: [entry[1:] for entry in _entries(connection, table, [run])] for table in COLUMNS})


def read_rows(connection: sqlite3.Connection, headings: Sequence[_Entry], curves: bool, arrays: bool) -> list[Row]:
    """The rows of these runs, in their order; one query a table.

    Args:
        connection: to the database, inside a transaction.
        headings: run, key, status, finished.
        curves: whether to read them.
        arrays: whether to read them.
    """
    runs = [run for run, *_ in headings]
    columns: dict[int, dict[str, Scalar]] = {run: dict(zip(IN_RUNS, rest, strict=True)) for run, *rest in headings}
    for run, name, value in _entries(connection, "scalars", runs):
        columns[run][sys.intern(name)] = value
    curves_of = _grouped(connection, "curves", runs, _point) if curves else {}
    arrays_of = _grouped(connection, "arrays", runs, _named_array) if arrays else {}
    return [Row(columns[run], curves_of.get(run, ()), dict(arrays_of.get(run, ()))) for run in runs]


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
    return [(_text(name), _scalar(name, value)) for name, value in sorted(row.items()) if name not in IN_RUNS]


def _scalar(name: str, value: Any) -> Scalar:
    """What SQLite can hold; NaN becomes NULL in SQLite itself, true and false become 1 and 0."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or isinstance(plain, float):
        return plain
    if isinstance(plain, str):
        return _text(plain)
    if isinstance(plain, int):
        if -(2**63) <= plain < 2**63:
            return plain
        raise Unstorable(f"Store: whole numbers of at most 64 bits are required, column {name} has {plain}. Write it as text.")
    raise Unstorable(f"Store: text, numbers, true, false or None are required, column {name} has {type(plain).__name__}. Put arrays in Row.arrays.")


def _text(text: str) -> str:
    """Text that UTF-8 can hold: stray bytes of a file name are written as backslash escapes."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _curves(row: Row) -> list[tuple[int, int, str, float | None]]:
    points = [(int(epoch), int(step), name, None if value is None else float(value)) for epoch, step, name, value in row.curves]
    points.sort(key=itemgetter(0, 1, 2))
    for before, after in pairwise(points):
        if before[:3] == after[:3]:
            raise Unstorable(f"Store: one value for each epoch, step and name is required, curve {after[2]} has two at epoch {after[0]}, step {after[1]}.")
    return points


def _encoded(name: str, array: _Numbers) -> tuple[str, str, str, bytes]:
    """Name, type, shape and raw little-endian bytes."""
    values = np.asarray(array)
    if values.dtype.kind not in _ARRAY_KINDS:
        raise Unstorable(f"Store: an array of numbers, booleans or text is required, {name} holds {values.dtype}. Convert it first.")
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return name, little.dtype.str, json.dumps(values.shape), little.tobytes()


def _point(entry: _Entry) -> tuple[int, int, str, float | None]:
    _, epoch, step, name, value = entry
    return epoch, step, sys.intern(name), value


def _named_array(entry: _Entry) -> tuple[str, _Numbers]:
    _, name, dtype, shape, data = entry
    return name, np.frombuffer(bytearray(data), dtype).reshape(json.loads(shape))


def _insert(connection: sqlite3.Connection, table: str, entries: Sequence[_Entry]) -> None:
    if not entries:
        return
    slots = f"({', '.join('?' * len(entries[0]))})"
    whole = len(entries) - len(entries) % _AT_ONCE
    batches = (list(chain.from_iterable(entries[start : start + _AT_ONCE])) for start in range(0, whole, _AT_ONCE))
    connection.executemany(f"INSERT INTO {table} VALUES {', '.join([slots] * _AT_ONCE)}", batches)
    connection.executemany(f"INSERT INTO {table} VALUES {slots}", entries[whole:])


def _entries(connection: sqlite3.Connection, table: str, runs: Sequence[int]) -> Iterable[_Entry]:
    """The entries of these runs, each led by its run, in the order of the table's own key."""
    order = "run, epoch, step, name" if table == "curves" else "run, name"
    query = f"SELECT run, {COLUMNS[table]} FROM {table} WHERE run IN (SELECT value FROM json_each(?)) ORDER BY {order}"
    return connection.execute(query, (json.dumps(runs),))


def _grouped(connection: sqlite3.Connection, table: str, runs: Sequence[int], read: Callable[[_Entry], Any]) -> dict[int, list[Any]]:
    return {run: [read(entry) for entry in group] for run, group in groupby(_entries(connection, table, runs), key=itemgetter(0))}
