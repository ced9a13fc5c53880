"""Store: one SQLite file to which rows are only ever added."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from shatterlab.core import Row
from shatterlab.core.errors import StoreError
from shatterlab.store.connection import open_database, store_errors
from shatterlab.store.tables import STATUSES, Record, read_rows, record


class Keyed(Protocol):
    """What the store needs of a trial: a key, and optionally `measures` that have a kind."""

    @property
    def key(self) -> str:
        """The hash of the trial's description."""
        ...


K = TypeVar("K", bound=Keyed)

# (key, kind of measure) of the newest runs; a column is measure.KIND or measure.KIND.name
_MEASURED = """
    WITH named AS (
        SELECT run, substr(name, 9) || '.' AS rest FROM scalars WHERE name LIKE 'measure.%'
        UNION SELECT run, substr(name, 9) || '.' FROM arrays WHERE name LIKE 'measure.%'
    )
    SELECT DISTINCT key, substr(rest, 1, instr(rest, '.') - 1) FROM named JOIN newest USING (run)
"""


class Store:
    """A results database: rows in, rows out, and which trials are missing.

    One SQLite file, readable by pandas or any SQLite tool (docs/store.md has the tables). A key may have several
    runs; its row is the newest that is ok or diverged, else the newest that failed.

    Args:
        path: the file, or ":memory:".
        create: open for writing, and create the file where there is none; False: only read an existing file.
        patience: seconds to wait for another process that writes, >= 0.

    Raises:
        StoreError: the path cannot hold a database, or holds a damaged one, another program's, or a newer schema's.

    Example:
        >>> store = Store(":memory:")
        >>> store.add(Row({"key": "a", "status": "ok", "test.error": 0.9}))
        1
        >>> store.rows()[0]["test.error"]
        0.9
    """

    def __init__(self, path: str | Path, *, create: bool = True, patience: float = 30.0) -> None:
        self.path = path
        self._patience = patience
        self._writable = create
        file = None if str(path) == ":memory:" else Path(path)
        self._name = file.name if file else ":memory:"
        self._connection = open_database(file, create, patience)

    def add(self, row: Row) -> int:
        """Adds a row in one transaction: after a crash the store has the whole row or nothing of it.

        Returns:
            The number of its run.

        Raises:
            StoreError: the row has no key or status, or a value that SQLite cannot store; there is no
                space; another process holds the file for too long. The store stays as it was.
        """
        prepared = Record.of(row)
        with self._transaction() as connection:
            return prepared.insert(connection)

    def rows(self, status: str | None = None, keys: Iterable[str] | None = None, *, curves: bool = True, arrays: bool = True) -> list[Row]:
        """One row a key, in the order in which the keys were first added.

        Args:
            status: only rows of this status (ok, diverged, failed); None: all.
            keys: only these keys; None: all.
            curves: False leaves `Row.curves` empty, which is faster.
            arrays: False leaves `Row.arrays` empty, which is faster.

        Raises:
            StoreError: the database cannot be read, or there is no such status.
        """
        if status is not None and status not in STATUSES:
            raise StoreError(f"Store: a status is one of {', '.join(STATUSES)}, got {status!r}.")
        selected = None if keys is None else set(keys)
        with self._snapshot() as connection:
            newest = connection.execute("SELECT run, key, status, finished FROM newest ORDER BY first").fetchall()
            headings = [heading for heading in newest if status in (None, heading[2]) and (selected is None or heading[1] in selected)]
            return read_rows(connection, headings, curves, arrays)

    def missing(self, trials: Iterable[K]) -> list[K]:
        """The trials without an ok or diverged run that has their measures, in their order, each key once."""
        with self._snapshot() as connection:
            done = {key for (key,) in connection.execute("SELECT key FROM runs WHERE status <> 'failed'")}
            measured = set(connection.execute(_MEASURED))
        absent: dict[str, K] = {}
        for trial in trials:
            key, kinds = trial.key, [measure.kind for measure in getattr(trial, "measures", ())]
            if key not in done or any((key, kind) not in measured for kind in kinds):
                absent.setdefault(key, trial)
        return list(absent.values())

    def merge(self, other: Store | str | Path) -> int:
        """Copies the runs of another store that this one lacks; merging again copies none.

        Returns:
            How many runs were copied.

        Raises:
            StoreError: one of the two cannot be read or written; this store stays as it was.
        """
        if other is self:
            return 0
        if not isinstance(other, Store):
            with Store(other, create=False, patience=self._patience) as opened:
                return self.merge(opened)
        with self._transaction() as connection, other._snapshot() as theirs:
            known = {uid for (uid,) in connection.execute("SELECT uid FROM runs")}
            headings = theirs.execute("SELECT run, uid, key, status, finished FROM runs ORDER BY run").fetchall()
            absent = [(run, heading) for run, *heading in headings if heading[0] not in known]
            for run, heading in absent:
                copy = record(theirs, run, heading)
                with store_errors(self._name, self._patience):
                    copy.insert(connection)
        return len(absent)

    def __len__(self) -> int:
        """How many keys have a row."""
        with self._snapshot() as connection:
            return int(connection.execute("SELECT count(DISTINCT key) FROM runs").fetchone()[0])

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; closing again does nothing."""
        self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is written, or nothing."""
        if not self._writable:
            raise StoreError(f"Store: a store opened for writing is required, {self._name} is open for reading only. Open it without create=False.")
        with self._within("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """Everything inside sees one state of the database, whatever other processes add."""
        with self._within("BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def _within(self, begin: str) -> Iterator[sqlite3.Connection]:
        with store_errors(self._name, self._patience):
            try:
                self._connection.execute(begin)
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
