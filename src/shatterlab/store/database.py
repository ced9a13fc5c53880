"""Store: one SQLite file to which rows are only ever added."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from shatterlab.core import Row
from shatterlab.core.errors import StoreError, printable
from shatterlab.core.frames import frame_of
from shatterlab.store.connection import open_database, store_errors
from shatterlab.store.reading import Damage, Heading, newest, read_headings, read_record, read_rows
from shatterlab.store.tables import STATUSES, Record
from shatterlab.store.upkeep import identity, rescued


class Keyed(Protocol):
    """What the store needs of a trial: a key, and optionally `measures` that have a kind."""

    @property
    def key(self) -> str:
        """The hash of the trial's description."""
        ...


K = TypeVar("K", bound=Keyed)

_log = logging.getLogger("shatterlab.store")


class Store:
    """A results database: rows in, rows out, and which trials are missing.

    One SQLite file, readable by pandas or any SQLite tool (docs/store.md has the tables). A key may have several
    runs; its row is the newest that is ok or diverged, else the newest that failed. Each run has a digest: one that
    differs from it when it is read is named in the log and in `damaged`, is left out, and counts as missing.

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
        self._file, self._identity = file, identity(file) if file else None
        self._damaged: dict[int, Damage] = {}

    @property
    def damaged(self) -> tuple[Damage, ...]:
        """The runs that were found to differ from their digest so far, by number."""
        return tuple(self._damaged[run] for run in sorted(self._damaged))

    def add(self, row: Row) -> int:
        """Adds a row in one transaction: after a crash the store has the whole row or nothing of it.

        Returns:
            The number of its run.

        Raises:
            StoreError: the row has no key or status, or a value that SQLite cannot store; there is no
                space; another process holds the file for too long. The store stays as it was. Also where the file was removed,
                moved or replaced since it was opened: its rows and this one are then in a new file beside it, which the text names.
        """
        prepared = Record.of(row)
        self._require_in_place(prepared)
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
        wanted = None if keys is None else set(keys)
        with self._snapshot() as connection:
            return self._whole(connection, lambda heading: status in (None, heading.status) and (wanted is None or heading.key in wanted), curves, arrays)

    def to_frame(self, status: str | None = None) -> Any:
        """A pandas frame with one row a key and a column for every scalar; `status` as in `rows`.

        Raises:
            InvalidPart: pandas is not installed.
            StoreError: the database cannot be read, or there is no such status.
        """
        return frame_of(self.rows(status, curves=False, arrays=False), "Store")

    def missing(self, trials: Iterable[K]) -> list[K]:
        """The trials without an ok or diverged run that has their measures, in their order, each key once."""
        trials = list(trials)
        wanted = {trial.key for trial in trials}
        with self._snapshot() as connection:
            rows = self._whole(connection, lambda heading: heading.key in wanted and heading.status != "failed")
        done = {row["key"]: {name.split(".")[1] for name in (*row, *row.arrays) if name.startswith("measure.")} for row in rows}
        absent: dict[str, K] = {}
        for trial in trials:
            if trial.key not in done or not done[trial.key].issuperset(measure.kind for measure in getattr(trial, "measures", ())):
                absent.setdefault(trial.key, trial)
        return list(absent.values())

    def merge(self, other: Store | str | Path) -> int:
        """Copies the runs of another store that this one lacks and that are whole; merging again copies none.

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
        self._require_in_place()
        with self._transaction() as connection, other._snapshot() as theirs:
            known, copied = {uid for (uid,) in connection.execute("SELECT uid FROM runs")}, 0
            headings, damages = read_headings(theirs)
            for heading in headings:
                if heading.uid in known:
                    continue
                found = read_record(theirs, heading)
                if isinstance(found, Damage):
                    damages.append(found)
                    continue
                with store_errors(self._name, self._patience):
                    found.insert(connection)
                copied += 1
        other._report(damages)
        return copied

    def __len__(self) -> int:
        """How many keys have a row."""
        with self._snapshot() as connection:
            return len(newest(read_headings(connection)[0], self._damaged))

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; closing again does nothing."""
        self._connection.close()

    def _whole(self, connection: sqlite3.Connection, chosen: Callable[[Heading], bool], curves: bool = True, arrays: bool = True) -> list[Row]:
        """The rows of the chosen among the newest runs; where one is damaged, the run before it speaks for its key."""
        headings, damages = read_headings(connection)
        self._report(damages)
        while True:
            rows, damages = read_rows(connection, [heading for heading in newest(headings, self._damaged) if chosen(heading)], curves, arrays)
            if not damages:
                return rows
            self._report(damages)

    def _report(self, damages: Iterable[Damage]) -> None:
        for damage in damages:
            if damage.run not in self._damaged:
                advice = f"It is left out and counts as missing; `shatterlab store check {self._name}` lists all damage."
                _log.warning("Store: %s is damaged, %s. %s", self._name, printable(str(damage)), advice)
                self._damaged[damage.run] = damage

    def _require_in_place(self, unsaved: Record | None = None) -> None:
        if self._file is not None and self._writable and identity(self._file) != self._identity:
            required = f"a file that stays in its place is required, {self._name} was removed, moved or replaced while it was in use"
            raise StoreError(f"Store: {required}. {rescued(self._connection, self._file, unsaved)}")

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
