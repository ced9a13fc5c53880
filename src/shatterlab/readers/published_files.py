"""Files as their authors published them: the folder they lie in, and whether they are there and whole."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import platformdirs

from shatterlab.core import catalog
from shatterlab.core.errors import DataError


@dataclass(frozen=True)
class CanonicalFile:
    """One file of a data set as its authors published it.

    Args:
        dataset: the data set's name.
        path: where the file lies below the data root, with forward slashes.
        md5: the published md5 of its content.
        source: the public page or file to get it from.
        size: its size in bytes (None: known by its md5 only).
        packed: its `.gz`, which serves as well.
    """

    dataset: str
    path: str
    md5: str
    source: str
    size: int | None = None
    packed: CanonicalFile | None = None

    def find(self, root: Path | None) -> Path:
        """The whole file below the root, the plain one where both are there.

        Raises:
            DataError: it is missing or damaged; the text says where it was looked for and how to get it.
        """
        folder = data_root(root)
        for file in self.variants():
            path = folder / file.path
            if os.path.isfile(path):
                damage = file._damage(path)
                if damage:
                    raise DataError(f"{self.dataset}: {path.name} {damage} at {path}. It is damaged: delete it and get it again from {file.source}.")
                return path
        path, gz = folder / self.path, ".gz" if self.packed else ""
        either = f"{path.name} or {path.name}.gz" if self.packed else path.name
        get = f"Get it from {(self.packed or self).source}, or name the folder that holds {Path(self.path).parts[0]} by --data FOLDER or SHATTERLAB_DATA."
        raise DataError(f"{self.dataset}: the file {either} is required, nothing is at {path}{f'[{gz}]' if gz else ''}. {get}")

    def variants(self) -> list[CanonicalFile]:
        """The plain file and, where there is one, its `.gz`."""
        return [self] if self.packed is None else [self, self.packed]

    def _damage(self, path: Path) -> str | None:
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"of {self.size} bytes is required, got {size} bytes"
        md5 = file_digest(path, "md5", self.dataset)
        return f"with md5 {self.md5} is required, got md5 {md5}" if md5 != self.md5 else None


class FileState(NamedTuple):
    """State of one published file; `path` is the plain file's or the `.gz`'s, whichever is there."""

    dataset: str
    path: str
    status: Literal["ok", "missing", "damaged"]
    detail: str


def data_root(root: Path | None = None) -> Path:
    """The folder that holds the data sets: the argument, else SHATTERLAB_DATA, else the user's cache folder."""
    folder = root or os.environ.get("SHATTERLAB_DATA")
    return Path(folder).expanduser().absolute() if folder else platformdirs.user_cache_path("shatterlab") / "data"


def canonical_files() -> list[CanonicalFile]:
    """Every published file that a data set of this package reads: the `FILES` of each data set, in reading order."""
    return [file for name in catalog.find("datasets") for file in getattr(catalog.get(name), "FILES", ())]


def is_root(folder: Path | str) -> bool:
    """Whether it holds the folder of at least one published data set."""
    return any((Path(folder).expanduser() / file.path.partition("/")[0]).is_dir() for file in canonical_files())


def check_files(root: Path | None = None) -> Iterator[FileState]:
    """The state of every published file below the root; `detail` is the path, or what is wrong and what to do."""
    folder = data_root(root)
    for file in canonical_files():
        paths = [variant.path for variant in file.variants() if os.path.isfile(folder / variant.path)]
        try:
            yield FileState(file.dataset, paths[0] if paths else file.path, "ok", str(file.find(root)))
        except DataError as problem:
            yield FileState(file.dataset, paths[0] if paths else file.path, "damaged" if paths else "missing", str(problem))


def file_digest(path: Path, algorithm: str, owner: str) -> str:
    """The digest of a file's content in hexadecimal, computed once a process until its size or time of change differs.

    Args:
        path: an existing file.
        algorithm: "md5" or "sha256".
        owner: name used in errors.

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
