"""The tables of a results database, and the steps that bring an older one up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from shatterlab import __version__
from shatterlab.core.errors import StoreError

VERSION = 1

TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    """CREATE TABLE runs (
        run INTEGER PRIMARY KEY,
        uid TEXT NOT NULL UNIQUE,
        key TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('ok', 'diverged', 'failed')),
        finished TEXT NOT NULL)""",
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

MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {}
"""From version -> the step to the next one. A step executes single statements (`executescript` would commit)."""


def found_version(connection: sqlite3.Connection, name: str) -> int | None:
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
        seen = ", ".join(sorted(tables)[:3])
        raise StoreError(f"Store: a results database is required, {name} belongs to another program (tables: {seen}). Use another --store.")
    if version > VERSION:
        raise StoreError(f"Store: {name} has schema {version}, this shatterlab reads up to {VERSION}. Upgrade shatterlab, or use another --store.")
    return version


def _has_notes(connection: sqlite3.Connection, tables: set[str]) -> bool:
    columns = [column for _, column, *_ in connection.execute("PRAGMA table_info(meta)")] if "meta" in tables else []
    return columns == ["name", "value"]


def bring_up_to_date(connection: sqlite3.Connection, name: str) -> None:
    """Makes the tables of a new database, or migrates an older one step by step, in one transaction.

    Raises:
        StoreError: there is no step from the version found; the database stays as it was.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = found_version(connection, name)
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
