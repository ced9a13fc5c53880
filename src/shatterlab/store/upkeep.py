"""What keeps a store safe: a check, a repair, a copy of one that is in use, and the rescue of one whose file is gone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shatterlab.core.errors import StoreError, printable
from shatterlab.store.connection import open_as_it_is, open_database, store_errors
from shatterlab.store.reading import Damage, Heading, read_headings, read_record
from shatterlab.store.tables import Record

_PATIENCE = 30.0  # seconds to wait for another process


@dataclass(frozen=True)
class Condition:
    """What a check of a store found.

    Args:
        runs: how many are whole.
        damages: the others.
        pages: what SQLite says of the pages of the file; empty where they are in order.
        undigested: whether its schema is one without digests, so that only what cannot be read is noticed.
    """

    runs: int
    damages: tuple[Damage, ...]
    pages: tuple[str, ...]
    undigested: bool

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged."""
        return not (self.damages or self.pages)

    @property
    def lines(self) -> list[str]:
        """What is damaged, each in a line."""
        return [printable(f"damaged  {each}") for each in (*self.damages, *(f"the file: {page}" for page in self.pages))]

    def __str__(self) -> str:
        damaged = f"{len(self.damages)} damaged" if self.damages or not self.pages else "a damaged file"
        note = ", in a schema without digests: only what cannot be read is noticed; the next run with this store adds them" if self.undigested else ""
        return f"{self.runs} whole rows, {damaged}{note}"


def check(path: Path) -> Condition:
    """Reads every run of a store and compares it with its digest, and has SQLite check the pages; changes nothing.

    Raises:
        StoreError: it cannot be opened.
    """
    with _opened(path) as (connection, version):
        found = list(_found(connection, version))
        pages = _pages(connection)
    damages = tuple(each for each in found if isinstance(each, Damage))
    return Condition(len(found) - len(damages), damages, pages, version < 2)


def repair(path: Path, output: Path) -> Condition:
    """Writes the whole runs of a damaged store to a new one; the old file stays as it is.

    Args:
        path: the damaged store.
        output: a file that does not exist yet.

    Raises:
        StoreError: the old one cannot be opened, or the new one cannot be written.
    """
    _require_new(output)
    with _opened(path) as (connection, version), contextlib.closing(open_database(output, True, _PATIENCE)) as target:
        target.execute("BEGIN")
        damages, runs = [], 0
        for each in _found(connection, version):
            if isinstance(each, Damage):
                damages.append(each)
            else:
                with store_errors(output.name, _PATIENCE):
                    each.insert(target)
                runs += 1
        with store_errors(output.name, _PATIENCE):
            target.execute("COMMIT")
        return Condition(runs, tuple(damages), _pages(connection), version < 2)


def backup(path: Path, output: Path) -> None:
    """Copies a store as it is at this moment, also one that a sweep is adding rows to; a file copy could miss what is in its write-ahead log.

    Args:
        path: the store.
        output: a file that does not exist yet.

    Raises:
        StoreError: the store cannot be read, or the copy cannot be written.
    """
    _require_new(output)
    with _opened(path) as (connection, _):
        draft = output.with_name(f".{output.name}.part")
        try:
            with store_errors(output.name, _PATIENCE):
                _copy(connection, draft, None)
            os.replace(draft, output)
        except OSError as problem:
            raise StoreError(f"Store: a place that can be written is required, {output} cannot be: {problem.strerror}. Name another file.") from problem
        finally:
            draft.unlink(missing_ok=True)


def identity(path: Path) -> tuple[int, int] | None:
    """Which file is at this path: device and inode; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def rescued(connection: sqlite3.Connection, path: Path, unsaved: Record | None) -> str:
    """Copies an open store whose file is no longer at its path to a new file there, with a row that it has not yet; says where.

    Args:
        connection: the store, still open.
        path: where its file was.
        unsaved: a row to add.
    """
    names = (path.with_name(f"{path.stem}.rescued{number}{path.suffix}") for number in ("", *map(str, range(2, 1000))))
    target = next(name for name in names if not os.path.lexists(name))
    try:
        _copy(connection, target, unsaved)
        with contextlib.closing(sqlite3.connect(target)) as copy:
            (runs,) = copy.execute("SELECT count(*) FROM runs").fetchone()
    except (sqlite3.Error, OSError) as problem:
        return f"Its rows could not be saved to {target} ({problem}). Look for the file where it was moved to."
    return f"Its {runs} finished runs are in {target}: give that file as --store, or move it to {path}, and run again."


def _copy(connection: sqlite3.Connection, target: Path, unsaved: Record | None) -> None:
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy:
        connection.backup(copy)
        if unsaved is not None:
            unsaved.insert(copy)


def _require_new(output: Path) -> None:
    if os.path.lexists(output):
        raise StoreError(f"Store: a file that does not exist yet is required, {output} does. Name another one.")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[sqlite3.Connection, int]]:
    with store_errors(path.name, _PATIENCE):
        connection, version = open_as_it_is(path, _PATIENCE)
        with contextlib.closing(connection):
            yield connection, version


def _found(connection: sqlite3.Connection, version: int) -> Iterator[Record | Damage]:
    """Every run, whole or damaged, by number; damage of the file's pages is damage of the runs on them."""
    for heading in _headings(connection, version):
        if isinstance(heading, Damage):
            yield heading
            continue
        try:
            yield read_record(connection, heading)
        except sqlite3.DatabaseError as problem:
            yield Damage(heading.run, heading.key, f"it cannot be read ({problem})")


def _headings(connection: sqlite3.Connection, version: int) -> list[Heading | Damage]:
    if version < 2:
        return [Heading(*line) for line in connection.execute("SELECT run, uid, key, status, finished, NULL FROM runs ORDER BY run")]
    try:
        whole, damages = read_headings(connection)
    except sqlite3.DatabaseError:
        whole, damages = _one_by_one(connection)
    return sorted((*whole, *damages), key=lambda each: each.run)


def _one_by_one(connection: sqlite3.Connection) -> tuple[list[Heading], list[Damage]]:
    """The headings that single queries still give where the table of runs cannot be read as a whole; a scan from each end and the indices know of them."""
    runs: set[int] = set()
    for query in ("SELECT run FROM runs ORDER BY run", "SELECT run FROM runs ORDER BY run DESC", "SELECT run FROM runs INDEXED BY runs_by_key"):
        with contextlib.suppress(sqlite3.DatabaseError):
            for (run,) in connection.execute(query):
                runs.add(run)
    whole: list[Heading] = []
    damages: list[Damage] = []
    for run in sorted(runs):
        try:
            headings, damage = read_headings(connection, run)
        except sqlite3.DatabaseError as problem:
            headings, damage = [], [Damage(run, "", f"its heading cannot be read ({problem})")]
        whole, damages = whole + headings, damages + damage
    return whole, damages


def _pages(connection: sqlite3.Connection) -> tuple[str, ...]:
    try:
        lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check(10)")]
    except sqlite3.DatabaseError as problem:
        lines = [str(problem)]
    return tuple(line for line in lines if line != "ok")
