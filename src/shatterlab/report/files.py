"""Writing the page: all of it or nothing."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from shatterlab.core.errors import ShatterlabError


def write(path: Path | str, html: str) -> Path:
    """Writes the page to a file in one step: a reader sees the old file or the new one, never half of one.

    Args:
        path: the file; its folder must exist.
        html: the page.

    Returns:
        The absolute path of the file.

    Raises:
        ShatterlabError: the folder is missing or read-only, the path is a folder, or there is no space.

    Example:
        >>> write(Path(tempfile.mkdtemp()) / "report.html", "<!doctype html>").name
        'report.html'
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise ShatterlabError(f"report: the name of a file is required, {path} is a folder. Add a file name, such as report.html.")
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    except OSError as problem:
        raise _refused(path, problem) from problem
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(html)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except OSError as problem:
        raise _refused(path, problem) from problem
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    return target


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _refused(path: Path | str, problem: OSError) -> ShatterlabError:
    return ShatterlabError(f"report: a place that can be written is required, {path} cannot be: {problem.strerror}. Choose another --output.")
