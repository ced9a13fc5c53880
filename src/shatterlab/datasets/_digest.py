"""Digests of files, computed once a process for each (path, size, time of change)."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from shatterlab.core.errors import DataError


def file_digest(path: Path, algorithm: str, owner: str) -> str:
    """The digest of a file's content in hexadecimal; a file that did not change since is not read again.

    Args:
        path: an existing file.
        algorithm: "md5" or "sha256".
        owner: who asks, for the message.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        state = path.stat()
        return _digest(str(path.absolute()), algorithm, state.st_size, state.st_mtime_ns)
    except OSError as problem:
        raise DataError(f"{owner}: a readable file is required, got {problem.strerror!r} at {path}. Check the file and its permissions.") from problem


@functools.cache
def _digest(path: str, algorithm: str, _size: int, _changed: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
