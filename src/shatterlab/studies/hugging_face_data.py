"""Data sets of Hugging Face's package as data sets of a study: images with classes, or a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shatterlab.core import Dataset
from shatterlab.core.errors import InvalidPart, UnknownName
from shatterlab.datasets.arrays import Arrays
from shatterlab.datasets.table import DataTable
from shatterlab.readers.saved_datasets import column_kinds, images_in, labels_in, parts_of
from shatterlab.studies.data_of_this_process import without_target

_SIDE = 32


def of_hugging_face(data: Any, columns: Mapping[str, str], size: int | None = None) -> Dataset:
    """The data set of a `Dataset` or `DatasetDict`; its content is copied, names of classes and its own test split are kept.

    Args:
        data: with a column of images and one of labels, or the columns of a table.
        columns: `target` (else the only column of class labels, else `label`), and of a table `group`, `time` and `split`.
        size: side in pixels to which images are scaled; None: 32.

    Raises:
        DataError: the data cannot be used.
        InvalidPart: no target is named where there are several, options of a table go with images, or of images with a table.
        UnknownName: there is no such column.
    """
    parts = parts_of(data, "audit")
    kinds = column_kinds(parts[0])
    target = _target(kinds, columns.get("target"))
    images = [name for name, kind in kinds.items() if kind == "Image"]
    if not images:
        if size is not None:
            raise InvalidPart("audit: size is the side of images, got a data set without any. Leave it out.")
        return _table(parts, target, columns)
    others = [name for name in columns if name != "target"]
    if others or len(images) > 1:
        got = f"{', '.join(others)} beside images" if others else f"the columns {', '.join(images)}"
        raise InvalidPart(f"audit: one column of images and its labels are required, got {got}. Leave out or remove the others.")
    samples = [(images_in(part, images[0], size or _SIDE, "audit"), labels_in(part, target, "audit")) for part in parts]
    return Arrays.of(*samples[0], test=samples[1] if len(samples) > 1 else None)


def _target(kinds: Mapping[str, str], named: str | None) -> str:
    if named is not None:
        if named not in kinds:
            raise UnknownName("audit: target", named, kinds)
        return named
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    if len(labels) == 1:
        return labels[0]
    return "label" if "label" in kinds else without_target(list(kinds))


def _table(parts: list[Any], target: str, columns: Mapping[str, str]) -> Dataset:
    import pandas as pd

    frames = [part.to_pandas().assign(**{target: labels_in(part, target, "audit")}) for part in parts]
    options = {name: value for name, value in columns.items() if name != "target"}
    if len(frames) > 1 and not options:
        split = "split"
        while split in frames[0].columns:
            split += "_"
        frames = [frame.assign(**{split: name}) for frame, name in zip(frames, ("train", "test"), strict=True)]
        options["split"] = split
    return DataTable.of(pd.concat(frames, ignore_index=True), target, **options)
