"""What is asked of a file before anything of it is allocated: that it is a regular one, and how much it will become."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from shatterlab.core.errors import DataError
from shatterlab.core.memory import free_memory_of_machine, gibibytes

MOST_TIMES = 100  # how many times its packed size a packed array may become; photos and tables become 1 to 20 times theirs
_ALWAYS = 2**26  # bytes that it may become in any case


def require_regular(path: Path, owner: str) -> None:
    """Refuses a pipe, a socket, a device or a link to nothing, on which a read could wait for ever.

    Raises:
        DataError: the file, or the one that a link leads to, is none that holds bytes.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as problem:
        raise DataError(f"{owner}: a regular file is required, got {problem.strerror!r} at {path}. Remove or replace it.") from problem
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFDIR: "a folder"}
        raise DataError(f"{owner}: a regular file is required, {kinds.get(stat.S_IFMT(mode), 'something else')} is at {path}. Remove or replace it.")


def require_plausible(packed: int, unpacked: int, what: str, owner: str) -> None:
    """Refuses what a few bytes would blow up into gigabytes: more than 64 MiB, and more than 100 times the packed size.

    Args:
        packed: bytes in the file.
        unpacked: bytes that they say they become.
        what: the name of the packed thing, for the error.
        owner: name used in errors.

    Raises:
        DataError: it would.
    """
    if unpacked > max(_ALWAYS, MOST_TIMES * packed):
        got = f"got {what}, which becomes {gibibytes(unpacked)} GiB from {packed:,} bytes"
        raise DataError(f"{owner}: an array of at most {MOST_TIMES} times its packed size is required, {got}. If that is meant, store it unpacked.")


def require_room(needed: int, what: str, owner: str) -> None:
    """Refuses what is larger than the memory that is free.

    Args:
        needed: bytes.
        what: what would take them, for the error.
        owner: name used in errors.

    Raises:
        DataError: there is not so much.
    """
    free = free_memory_of_machine()
    if needed > free:
        got = f"got {gibibytes(free)} GiB free"
        raise DataError(f"{owner}: {gibibytes(needed)} GiB of memory are required for {what}, {got}. Keep fewer examples in it, or use a larger machine.")
