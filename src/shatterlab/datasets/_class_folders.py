"""Folders of photos: one folder a class, in two splits or in one."""

from __future__ import annotations

from pathlib import Path

from shatterlab.core.errors import DataError

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


def sources(path: str, owner: str, held_out_labels: str | None = None) -> dict[str, Classes]:
    """Split -> class -> its files; a single split named "" where the folder is not parted yet.

    Args:
        path: the folder: `train/CLASS/*` with `val/CLASS/*` or `test/CLASS/*`, or `CLASS/*`.
        owner: who asks, for messages.
        held_out_labels: a text file with the classes of files that lie in `val` or `test` without class folders: a line is "FILE CLASS",
            or the class alone, for the files in sorted order. A relative path starts at the folder.

    Raises:
        DataError: the layout is another, a class is empty, or the splits have different classes.
    """
    folder = folder_at(path, owner)
    if not (folder / "train").is_dir():
        return {"": _classes(folder, owner)}
    held_out = next((name for name in ("val", "test") if (folder / name).is_dir()), None)
    if held_out is None:
        raise DataError(f"{owner}: a folder val or test beside train is required, got neither in {folder}. Add one, or put the class folders there.")
    found = {"train": _classes(folder / "train", owner)}
    if held_out_labels is None:
        found[held_out] = _classes(folder / held_out, owner)
    else:
        found[held_out] = _listed(folder / held_out, folder / Path(held_out_labels).expanduser(), owner)
    differences = [f"only in {name}: {', '.join(only)}" for name, only in _differences(found) if only]
    if differences:
        wanted = f"the same class folders in train and {held_out} are required"
        raise DataError(f"{owner}: {wanted}, got {'; '.join(differences)} in {folder}. Rename or remove them.")
    return found


def _classes(folder: Path, owner: str) -> Classes:
    classes = {each.name: _visible(each) for each in _visible(folder) if each.is_dir()}
    if not classes:
        raise DataError(f"{owner}: one folder a class is required, got none in {folder}. Sort the images into folders named after their classes.")
    for name, images in classes.items():
        if not images:
            raise DataError(f"{owner}: at least one image a class is required, {folder / name} is empty. Fill or remove it.")
        inner = next((each for each in images if each.is_dir()), None)
        if inner is not None:
            raise DataError(f"{owner}: a class folder holds images only, got the folder {inner}. Move its images up, or check the layout.")
    return classes


def _listed(folder: Path, labels: Path, owner: str) -> Classes:
    """Class -> files, as a text file says."""
    try:
        lines = [line.split() for line in labels.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{owner}: a text file of labels is required, got {problem} at {labels}. Check held_out_labels.") from problem
    files = [each for each in _visible(folder) if not each.is_dir()]
    if lines and all(len(line) == 1 for line in lines):
        lines = [[file.name, *line] for file, line in zip(files, lines, strict=False)] if len(lines) == len(files) else lines
    named = {line[0]: line[-1] for line in lines if len(line) == 2}
    missing = [file.name for file in files if file.name not in named]
    if len(named) != len(lines) or missing or len(named) != len(files) or not files:
        got = f"{len(lines)} lines for {len(files)} files" + (f", none for {missing[0]}" if missing else "")
        raise DataError(f'{owner}: one line "FILE CLASS" (or CLASS alone) for each file of {folder} is required, got {got} in {labels}. Mend the file.')
    classes: Classes = {}
    for file in files:
        classes.setdefault(named[file.name], []).append(file)
    return dict(sorted(classes.items()))


def _visible(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if not each.name.startswith("."))


def _differences(found: dict[str, Classes]) -> list[tuple[str, list[str]]]:
    (first, inside), (second, other) = found.items()
    return [(first, sorted(inside.keys() - other.keys())), (second, sorted(other.keys() - inside.keys()))]
