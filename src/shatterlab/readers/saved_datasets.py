"""Data sets of Hugging Face's package `datasets`, saved with `save_to_disk` or held by this process."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.readers.photos import antialiased_square
from shatterlab.readers.sizes import require_regular, require_room

_MARKS = (("dataset_dict.json",), ("dataset_info.json", "state.json"))
_HELD_OUT = ("test", "validation", "val", "dev")


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return any(all((folder / name).is_file() for name in names) for names in _MARKS)


def is_of_hugging_face(data: object) -> bool:
    """Whether data are a `Dataset` or `DatasetDict` of that package."""
    return type(data).__module__ in ("datasets.arrow_dataset", "datasets.dataset_dict") and not type(data).__name__.startswith("Iterable")


def load_saved(folder: Path, owner: str) -> Any:
    """The data set in a folder, its columns on disk until they are read.

    Args:
        folder: of `save_to_disk`.
        owner: name used in errors.

    Raises:
        InvalidPart: the package `datasets` is not installed.
        DataError: the folder is damaged.
    """
    try:
        from datasets import load_from_disk
    except ImportError as problem:
        required = f"the package datasets is required to read the saved data set at {folder}"
        raise InvalidPart(f"{owner}: {required}, it is not installed. Run pip install 'shatterlab[hf]'.") from problem
    try:
        return load_from_disk(str(folder))
    except Exception as problem:  # of json, of arrow, of the package itself
        reason = f"{type(problem).__name__}: {problem}".partition("\n")[0][:300]
        raise DataError(f"{owner}: a whole data set of save_to_disk is required, got {reason} at {folder}. Save it again.") from problem


def parts_of(data: Any, owner: str) -> list[Any]:
    """The training split and, where there is one, the test split: of a dict `train` and the first of `test`, `validation`, `val` and `dev`.

    Raises:
        DataError: a dict has several splits and none of them is `train`.
    """
    if hasattr(data, "features"):
        return [data]
    names = list(data)
    if len(names) == 1:
        return [data[names[0]]]
    if "train" not in names:
        raise DataError(f"{owner}: a split train is required, got {', '.join(map(str, names))}. Rename one, or pass one of them.")
    return [data["train"], *(data[name] for name in [name for name in _HELD_OUT if name in names][:1])]


def column_kinds(part: Any) -> dict[str, str]:
    """The kind of each column: "Image", "ClassLabel", "Value", ..."""
    return {str(name): type(feature).__name__ for name, feature in part.features.items()}


def labels_in(part: Any, target: str, owner: str) -> np.ndarray[Any, Any]:
    """The labels of a split, by name where they have names.

    Raises:
        DataError: an example has no label, which is -1 where labels have names.
    """
    labels: np.ndarray[Any, Any] = np.asarray(part[target][:])
    names = getattr(part.features[target], "names", None)
    if names is None:
        return labels
    if labels.min() < 0:
        raise DataError(f"{owner}: a label for each example is required, {(labels < 0).sum()} of {target} are -1. Take a split with labels.")
    named: np.ndarray[Any, Any] = np.asarray(names)[labels]
    return named


def images_in(part: Any, column: str, size: int, owner: str) -> np.ndarray[Any, Any]:
    """The images of a split as n x 3 x size x size bytes: shorter side scaled to `size`, centre kept.

    Args:
        part: of `parts_of`.
        column: of images.
        size: side in pixels.
        owner: name used in errors.

    Raises:
        DataError: memory cannot hold them, or one is no whole image.
    """
    from datasets import Image

    require_room(5 * len(part) * 3 * size * size, f"{len(part)} images of {size} x {size}", owner)  # bytes, and float32
    pixels = np.empty((len(part), 3, size, size), np.uint8)
    for position, image in enumerate(part.cast_column(column, Image(decode=False))[column]):
        if image is None:
            raise DataError(f"{owner}: an image in each row is required, row {position} of {column} has none. Drop it.")
        source = Path(image["path"]) if image["bytes"] is None else io.BytesIO(image["bytes"])
        if isinstance(source, Path):
            require_regular(source, owner)
        pixels[position] = antialiased_square(source, size, f"{owner}: row {position} of {column}")
    return pixels
