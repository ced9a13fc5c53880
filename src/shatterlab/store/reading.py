"""How runs are read back: each part is compared with its digest, and what differs is named and left out."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from shatterlab.core import Row
from shatterlab.store.digests import agrees
from shatterlab.store.tables import ARRAY_KINDS, UNREADABLE, Record, entries_of, record

_AT_A_TIME = 500  # runs whose entries are read by one query a table


class Heading(NamedTuple):
    """One line of the table of runs."""

    run: int
    uid: str
    key: str
    status: str
    finished: str
    digest: str | None


@dataclass(frozen=True)
class Damage:
    """A run that is not what it was when it was added.

    Args:
        run: its number.
        key: of its trial, as far as it can be read; empty where it cannot.
        reason: what is wrong.
    """

    run: int
    key: str
    reason: str

    def __str__(self) -> str:
        return f"run {self.run}{f' (key {self.key:.12})' if self.key else ''}: {self.reason}"


def read_headings(connection: sqlite3.Connection, only: int | None = None) -> tuple[list[Heading], list[Damage]]:
    """The headings of all runs whose heading is whole, by run, and the damage of the others. Runs are never removed, so a gap is damage too.

    Args:
        connection: of an up-to-date store.
        only: one run; None: all.
    """
    query = f"SELECT run, uid, key, status, finished, digest FROM runs {'' if only is None else f'WHERE run = {only:d}'} ORDER BY run"
    try:
        headings = [Heading(*line) for line in connection.execute(query)]
    except UNREADABLE as problem:
        _raise_if_the_file_is_at_fault(problem)
        tolerant = connection.cursor()
        before, connection.text_factory = connection.text_factory, _forgiving_text
        try:
            headings = [Heading(*line) for line in tolerant.execute(query)]
        finally:
            connection.text_factory = before
    whole, damages, last = [], [], 0 if only is None else only - 1
    for heading in headings:
        if heading.run > last + 1:
            damages.append(Damage(last + 1, "", f"{heading.run - last - 1} runs before run {heading.run} are gone"))
        last = heading.run
        if _agrees(heading.digest, "heading", heading[1:5]):
            whole.append(heading)
        else:
            damages.append(Damage(heading.run, str(heading.key), "its heading differs from its digest"))
    return whole, damages


def newest(headings: Iterable[Heading], without: Iterable[int] = ()) -> list[Heading]:
    """For each key the latest run that is ok or diverged, else the latest that failed, in the order in which the keys were first added.

    Args:
        headings: by run.
        without: runs that do not count.
    """
    excluded, best = set(without), dict[str, Heading]()
    for heading in headings:
        if heading.run in excluded:
            continue
        before = best.setdefault(heading.key, heading)
        if (heading.status != "failed", heading.finished, heading.run) > (before.status != "failed", before.finished, before.run):
            best[heading.key] = heading
    return list(best.values())


def read_rows(connection: sqlite3.Connection, headings: Sequence[Heading], curves: bool = True, arrays: bool = True) -> tuple[list[Row], list[Damage]]:
    """The rows of these runs, in the order of the headings, and the damage of those that are not whole; one query a table for 500 runs.

    Args:
        connection: of an up-to-date store.
        headings: of the runs.
        curves: whether curves are read and compared.
        arrays: whether arrays are read and compared.
    """
    tables = ["scalars", *["curves"] * curves, *["arrays"] * arrays]
    rows: list[Row] = []
    damages: list[Damage] = []
    for start in range(0, len(headings), _AT_A_TIME):
        more_rows, more_damages = _halving(connection, headings[start : start + _AT_A_TIME], tables)
        rows, damages = rows + more_rows, damages + more_damages
    return rows, damages


def _halving(connection: sqlite3.Connection, headings: Sequence[Heading], tables: Sequence[str]) -> tuple[list[Row], list[Damage]]:
    """What `_read` gives; a value of another type than the tables have ends the reading, and halving the runs finds it."""
    try:
        return _read(connection, headings, tables)
    except UNREADABLE as problem:
        _raise_if_the_file_is_at_fault(problem)
        if len(headings) == 1:
            return [], [Damage(headings[0].run, headings[0].key, f"it cannot be read ({type(problem).__name__}: {problem})")]
    middle = len(headings) // 2
    (rows, damages), (more_rows, more_damages) = (_halving(connection, half, tables) for half in (headings[:middle], headings[middle:]))
    return rows + more_rows, damages + more_damages


def read_record(connection: sqlite3.Connection, heading: Heading) -> Record | Damage:
    """A run as it can be written to another store, or what is wrong with it."""
    try:
        found = record(connection, heading.run, heading[1:5])
        whole = found.digest == heading.digest or heading.digest is None  # schema 1 had no digests: what can be read is taken as it is
        for _, *array in found.arrays:
            _array(*array)
    except UNREADABLE as problem:
        _raise_if_the_file_is_at_fault(problem)
        return Damage(heading.run, str(heading.key), f"it cannot be read ({type(problem).__name__}: {problem})")
    return found if whole else Damage(heading.run, heading.key, "it differs from its digest")


def _read(connection: sqlite3.Connection, headings: Sequence[Heading], tables: Sequence[str]) -> tuple[list[Row], list[Damage]]:
    runs = [heading.run for heading in headings]
    entries = {table: entries_of(connection, table, runs) for table in tables}
    rows, damages = [], []
    for heading in headings:
        scalars = [(sys.intern(name), value) for _, name, value in entries["scalars"].pop(heading.run, ())]
        found = entries["curves"].pop(heading.run, ()) if "curves" in entries else ()
        curves = [(epoch, step, sys.intern(name), value) for _, epoch, step, name, value in found]
        arrays = [entry[1:] for entry in entries["arrays"].pop(heading.run, ())] if "arrays" in entries else []
        read: dict[str, Sequence[Any]] = {"scalars": scalars, "curves": curves, "arrays": arrays}
        differing = [table for table in tables if not agrees(heading.digest, table, read[table])]
        if differing:
            damages.append(Damage(heading.run, heading.key, f"its {' and '.join(differing)} differ from the digest"))
        else:
            cells = {"key": heading.key, "status": heading.status, "finished": heading.finished} | dict(scalars)
            rows.append(Row(cells, curves, {name: _array(dtype, shape, data) for name, dtype, shape, data in arrays}))
    return rows, damages


def _array(dtype: str, shape: str, data: bytes) -> np.ndarray[Any, Any]:
    kind = np.dtype(dtype)
    if kind.kind not in ARRAY_KINDS:
        raise TypeError(f"an array of {dtype}")
    return np.frombuffer(bytearray(data), kind).reshape(json.loads(shape))


def _agrees(digest: Any, part: str, entries: Sequence[Any]) -> bool:
    try:
        return agrees(digest, part, entries)
    except UNREADABLE:
        return False


def _forgiving_text(content: bytes) -> str:
    return content.decode(errors="backslashreplace")


def _raise_if_the_file_is_at_fault(problem: BaseException) -> None:
    """Raises SQLite's own errors; Python's words for a text that is no UTF-8 come without a code."""
    if getattr(problem, "sqlite_errorcode", None) is not None:
        raise problem
