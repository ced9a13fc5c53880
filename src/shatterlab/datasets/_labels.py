"""From labels as people write them to class numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shatterlab.core.errors import DataError

Labels = Mapping[str, np.ndarray[Any, Any]]


def class_numbers(labels: Labels, classes: int | None, owner: str) -> tuple[Labels, int]:
    """The labels as int64 in 0 .. k - 1, and k.

    Args:
        labels: by name, each of shape (n,), n >= 1: whole numbers of any numeric type, or text in all of them,
            which becomes its position among the distinct texts in sorted order.
        classes: k (None: the largest number plus one, or the number of distinct texts).
        owner: who asks, for the message.

    Raises:
        DataError: a label is neither, negative or >= k, or there are far more classes than examples.
    """
    texts = {name: each.dtype.kind in "US" for name, each in labels.items()}
    if all(texts.values()):
        return _numbered_texts(labels, classes, owner)
    if any(texts.values()):
        got = ", ".join(f"{name} holds {'text' if text else 'numbers'}" for name, text in texts.items())
        raise DataError(f"{owner}: labels of one type are required, {got}. Save both alike.")
    for name, each in labels.items():
        _check_whole(each, name, owner)
    return _limited(labels, classes, owner)


def _numbered_texts(labels: Labels, classes: int | None, owner: str) -> tuple[Labels, int]:
    known = np.unique(np.concatenate(list(labels.values())))
    if classes is not None and len(known) > classes:
        raise DataError(f"{owner}: at most {classes} distinct labels are required, got {len(known)}. Raise classes, or leave it out.")
    return {name: np.searchsorted(known, each).astype(np.int64) for name, each in labels.items()}, classes or len(known)


def _check_whole(labels: np.ndarray[Any, Any], name: str, owner: str) -> None:
    if labels.dtype.kind not in "uifb":
        raise DataError(f"{owner}: labels are whole numbers or text, {name} holds {labels.dtype}. Number the classes 0, 1, ...")
    if labels.dtype.kind == "f":
        broken = np.flatnonzero(~np.isfinite(labels) | (labels != np.floor(labels)))
        if len(broken):
            got = f"{labels[broken[0]]} at position {broken[0]} of {name}"
            raise DataError(f"{owner}: labels are whole numbers, got {got}. Number the classes 0, 1, ...; a quantity to be predicted is no class.")
    if labels.min() < 0:
        raise DataError(f"{owner}: labels are whole numbers >= 0, got {labels.min()} at position {labels.argmin()} of {name}. Number the classes 0, 1, ...")


def _limited(labels: Labels, classes: int | None, owner: str) -> tuple[Labels, int]:
    name, each = max(labels.items(), key=lambda item: int(item[1].max()))
    largest, total = int(each.max()), sum(map(len, labels.values()))
    where = f"got {largest} at position {each.argmax()} of {name}"
    if classes is not None and largest >= classes:
        raise DataError(f"{owner}: labels are whole numbers in 0..{classes - 1}, {where}. Raise classes, or number the classes 0, 1, ...")
    if classes is None and largest >= total:
        raise DataError(f"{owner}: classes numbered 0, 1, ... are required, {where} among {total} examples. Renumber them, or state classes.")
    return {name: each.astype(np.int64) for name, each in labels.items()}, classes or largest + 1
