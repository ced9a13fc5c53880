"""Folders of photos: one folder a class, in two splits or in one; their labels and their fingerprint."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shatterlab.core.errors import DataError
from shatterlab.readers.published_files import file_digest
from shatterlab.readers.sizes import require_regular

_LABELS = 2**28  # bytes of a file of labels: ImageNet's has 50,000 lines
Classes = dict[str, list[Path]]  # class -> its files


def folder_at(path: str, owner: str) -> Path:
    """The folder, absolute; a relative path starts at the working folder.

    Raises:
        DataError: there is none.
    """
    folder = Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise DataError(f"{owner}: a folder of class folders is required, {'a file' if folder.exists() else 'nothing'} is at {folder}. Check the path.")
    return folder


def sources(path: str, owner: str, held_out_labels: str | None = None, follow_links: bool = False) -> dict[str, Classes]:
    """Split -> class -> its files; a single split named "" where the folder has no splits.

    Args:
        path: the folder: `train/CLASS/*` with `val/CLASS/*` or `test/CLASS/*`, or `CLASS/*`.
        owner: name used in errors.
        held_out_labels: a text file with the classes of files that lie in `val` or `test` without class folders: a line is "FILE CLASS",
            or the class alone, for the files in sorted order. A relative path starts at the folder.
        follow_links: a file may be a link to one outside of the folder. The folder itself and class folders may be links in any case.

    Raises:
        DataError: the layout is another, a class is empty, the splits have different classes, a file is a pipe or a device, or a link leads outside.
    """
    folder = folder_at(path, owner)
    outside = None if follow_links else folder
    if not (folder / "train").is_dir():
        return {"": _classes(folder, outside, owner)}
    held_out = next((name for name in ("val", "test") if (folder / name).is_dir()), None)
    if held_out is None:
        raise DataError(f"{owner}: a folder val or test beside train is required, got neither in {folder}. Add one, or put the class folders there.")
    splits = {"train": _classes(folder / "train", outside, owner)}
    inner = folder / held_out
    labels = None if held_out_labels is None else folder / Path(held_out_labels).expanduser()
    splits[held_out] = _classes(inner, outside, owner) if labels is None else _listed(inner, labels, outside, owner)
    only = {one: sorted(splits[one].keys() - splits[other].keys()) for one, other in itertools.permutations(splits)}
    differences = [f"only in {name}: {', '.join(classes)}" for name, classes in only.items() if classes]
    if differences:
        required = f"the same class folders in train and {held_out} are required"
        raise DataError(f"{owner}: {required}, got {'; '.join(differences)} in {folder}. Rename or remove them.")
    return splits


def labelled_files(classes: Classes) -> tuple[list[Path], np.ndarray[Any, Any]]:
    """The files, class by class, and their class numbers."""
    return [file for files in classes.values() for file in files], np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])


def folder_fingerprint(folder: Path, files: Sequence[Path], owner: str, samples: int | None = None) -> str:
    """A fingerprint of all names and sizes, and of the content of some files.

    Args:
        folder: names are relative to it; a file elsewhere has its bare name.
        files: in a fixed order.
        owner: name used in errors.
        samples: read the content of so many files, evenly spaced, the last among them (None: of all files).

    Raises:
        DataError: a file cannot be read.
    """
    read = set(np.linspace(0, len(files) - 1, samples).astype(int).tolist()) if samples else range(len(files))
    content = hashlib.sha256()
    for position, file in enumerate(files):
        line = [file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name, str(file.stat().st_size)]
        line += [file_digest(file, "sha256", owner)] if position in read or file == files[-1] else []
        content.update("\0".join(line).encode(errors="surrogateescape") + b"\n")
    return f"sha256:{content.hexdigest()[:32]}"


def _classes(folder: Path, root: Path | None, owner: str) -> Classes:
    classes = {entry.name: _visible(entry) for entry in _visible(folder) if entry.is_dir()}
    if not classes:
        raise DataError(f"{owner}: one folder a class is required, got none in {folder}. Sort the images into folders named after their classes.")
    for name, images in classes.items():
        if not images:
            raise DataError(f"{owner}: at least one image a class is required, {folder / name} is empty. Fill or remove it.")
        for image in images:
            if image.is_dir():
                raise DataError(f"{owner}: a class folder holds images only, got the folder {image}. Move its images up, or check the layout.")
            _require_inside(image, root, owner)
    return classes


def _require_inside(file: Path, root: Path | None, owner: str) -> None:
    """Refuses what is no regular file, and a link that leads out of the root and out of the folder that it lies in."""
    require_regular(file, owner)
    if root is not None and file.is_symlink():
        target = Path(os.path.realpath(file))
        if not any(target.is_relative_to(os.path.realpath(folder)) for folder in (root, file.parent)):
            raise DataError(f"{owner}: files inside of {root} are required, {file} is a link to {target}. Copy the file there, or set follow_links=True.")


def _listed(folder: Path, labels: Path, root: Path | None, owner: str) -> Classes:
    require_regular(labels, owner)
    try:
        if labels.stat().st_size > _LABELS:
            raise OSError(f"{labels.stat().st_size:,} bytes")
        lines = [line.split() for line in labels.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{owner}: a text file of labels is required, got {problem} at {labels}. Check held_out_labels.") from problem
    files = [entry for entry in _visible(folder) if not entry.is_dir()]
    for file in files:
        _require_inside(file, root, owner)
    if lines and all(len(line) == 1 for line in lines):
        lines = [[file.name, *line] for file, line in zip(files, lines, strict=False)] if len(lines) == len(files) else lines
    named = {line[0]: line[-1] for line in lines if len(line) == 2}
    missing = [file.name for file in files if file.name not in named]
    if len(named) != len(lines) or missing or len(named) != len(files) or not files:
        got = f"{len(lines)} lines for {len(files)} files" + (f", none for {missing[0]}" if missing else "")
        raise DataError(f'{owner}: one line "FILE CLASS" (or CLASS alone) for each file of {folder} is required, got {got} in {labels}. Correct the file.')
    classes: Classes = {}
    for file in files:
        classes.setdefault(named[file.name], []).append(file)
    return dict(sorted(classes.items()))


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
