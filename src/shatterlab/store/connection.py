"""Opens the SQLite file of a store: checks of the path, journal mode, and SQLite's errors in one sentence."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from shatterlab.core.errors import StoreError
from shatterlab.store import tables
from shatterlab.store.tables import UNREADABLE

_MOUNTS = Path("/proc/mounts")
_NETWORK = {
    "9p", "afs", "afpfs", "beegfs", "ceph", "cifs", "davfs", "drvfs", "fuse", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2",
    "orangefs", "panfs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "wekafs",
}  # fmt: skip


def open_database(path: Path | None, create: bool, patience: float) -> sqlite3.Connection:
    """A connection to an up-to-date results database.

    Args:
        path: the file; None: a database in memory.
        create: open for writing, and create the file where there is none; else open an existing file for reading only.
        patience: seconds to wait for another process.

    Raises:
        StoreError: there is no usable results database at this path, or it is of a newer schema.
    """
    name = path.name if path else ":memory:"
    if path is not None:
        _require_place(path, create)
    with store_errors(name, patience):
        connection = _connect(path, create, patience)
        try:
            return _up_to_date(connection, path, name, create)
        except BaseException:
            connection.close()
            raise


def open_as_it_is(path: Path, patience: float) -> tuple[sqlite3.Connection, int]:
    """A connection for reading only to a results database that may be damaged, and its schema version; nothing is brought up to date.

    Raises:
        StoreError: there is no results database at this path, or it is of a newer schema.
    """
    _require_place(path, create=False)
    with store_errors(path.name, patience):
        connection = _connect(path, create=False, patience=patience)
        try:
            version = tables.schema_version(connection, path.name)
            if version is None:
                raise StoreError(f"Store: a results database is required, {path.name} is empty. Run an experiment first, or give its --store.")
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection, version


def _require_place(path: Path, create: bool) -> None:
    """Raises StoreError unless a database can be at this path."""
    exists = os.path.lexists(path)
    if os.path.isdir(path):
        raise StoreError(f"Store: a file is required, {path.name} is a folder. Name a file in it: {path.name}/shatterlab.sqlite.")
    if not os.path.isdir(path.parent):
        raise StoreError(f"Store: an existing folder is required, {path.parent} is none. Create the folder, or use another --store.")
    if exists and not os.path.isfile(path):
        raise StoreError(f"Store: a file is required, {path.name} is a device, a pipe or a broken link. Use another --store.")
    if create:
        _require_writable(path, exists)
    elif not exists:
        raise StoreError(f"Store: a results database is required, nothing is at {path}. Run an experiment first, or give its --store.")
    elif not _may(path, os.R_OK):
        raise StoreError(f"Store: a file that can be read is required, {path.name} cannot be. Change its permissions.")


def _require_writable(path: Path, exists: bool) -> None:
    remedy = "is read-only. Change its permissions, or use another --store."
    if exists and not _may(path, os.R_OK | os.W_OK):
        raise StoreError(f"Store: a file that can be written is required, {path.name} {remedy}")
    if not _may(path.parent, os.W_OK | os.X_OK):
        raise StoreError(f"Store: a folder that can be written is required, {path.parent.resolve()} {remedy}")


def _may(path: Path, access: int) -> bool:
    return os.access(path, access, effective_ids=os.access in os.supports_effective_ids)


def _connect(path: Path | None, create: bool, patience: float) -> sqlite3.Connection:
    def connect(query: str) -> sqlite3.Connection:
        target = f"{path.absolute().as_uri()}?{query}" if path else ":memory:"
        return sqlite3.connect(target, timeout=patience, isolation_level=None, uri=path is not None)

    if path is None or create:
        return connect("mode=rwc")
    if _may(path, os.W_OK) and _may(path.parent, os.W_OK | os.X_OK):
        return connect("mode=rw")  # lets SQLite recover after a killed process; query_only follows
    connection = connect("mode=ro")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        return connect("immutable=1")  # a write-ahead database at rest, in a folder where SQLite can make no file
    return connection


def _up_to_date(connection: sqlite3.Connection, path: Path | None, name: str, create: bool) -> sqlite3.Connection:
    version = tables.schema_version(connection, name)
    if not create:
        if version is None:
            raise StoreError(f"Store: a results database is required, {name} is empty. Run an experiment first, or give its --store.")
        if version < tables.VERSION:
            connection = _migrated_copy(connection, name)
        connection.execute("PRAGMA query_only = ON")
        return connection
    if version is None:
        tables.bring_up_to_date(connection, name)  # before any other write: a file with content is a whole store
    mode = "DELETE" if path is not None and on_network(path) else "WAL"
    if path is not None:
        _set_journal(connection, mode)
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'WAL' else 'FULL'}")
    connection.execute("PRAGMA foreign_keys = ON")
    if version is not None and version < tables.VERSION:
        tables.bring_up_to_date(connection, name)
    return connection


def _migrated_copy(connection: sqlite3.Connection, name: str) -> sqlite3.Connection:
    """A copy in memory, brought up to date, of an older database that is read only."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    connection.backup(copy)
    connection.close()
    tables.bring_up_to_date(copy, name)
    return copy


def _set_journal(connection: sqlite3.Connection, mode: str) -> None:
    """Sets the journal mode where it differs; SQLite itself does not wait here while another process holds the file."""
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    deadline = time.monotonic() + patience / 1000
    while connection.execute("PRAGMA journal_mode").fetchone()[0].upper() != mode:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}")
            return
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def on_network(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether the file lies on a network or user-space file system, where write-ahead logging is not safe."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    place, best, kind = path.resolve(), -1, ""
    for line in lines:
        fields = line.split(" ")
        point = Path(fields[1].encode(errors="surrogateescape").decode("unicode_escape", errors="replace"))
        depth = len(point.parts)
        if depth >= best and place.is_relative_to(point):
            best, kind = depth, fields[2]
    return kind in _NETWORK or kind.startswith("fuse.")


@contextlib.contextmanager
def store_errors(name: str, patience: float) -> Iterator[None]:
    """Turns SQLite's errors into StoreError in the one form of this package."""
    try:
        yield
    except sqlite3.Error as problem:
        raise StoreError(_sentence(problem, name, patience)) from problem
    except UNREADABLE as problem:  # a value of another type than the tables have
        raise StoreError(f"Store: a results database is required, {name} is damaged ({problem}). Restore a copy, or use another --store.") from problem


def _sentence(problem: sqlite3.Error, name: str, patience: float) -> str:
    code = getattr(problem, "sqlite_errorcode", -1) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return f"Store: free space is required to add to {name}, got none ({problem}). Free some and run again; finished rows are kept."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"Store: {name} must be free within {patience:g} s, another process holds it. Wait until that ends, or use another --store."
    if code == sqlite3.SQLITE_CORRUPT:
        remedy = f"Save what is whole by `shatterlab store repair {name}`, restore a copy, or use another --store."
        return f"Store: a SQLite database is required, {name} is damaged ({problem}). {remedy}"
    if code == sqlite3.SQLITE_NOTADB:
        return f"Store: a SQLite database is required, {name} is damaged ({problem}). Restore a copy, or use another --store."
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY):
        return f"Store: a file that can be opened is required, {name} cannot be ({problem}). Check its permissions and its folder's."
    if code == sqlite3.SQLITE_IOERR:
        return f"Store: a disk that can be read and written is required for {name}, got {problem}. Check the disk and its free space."
    return f"Store: {name} cannot do this ({problem})."
