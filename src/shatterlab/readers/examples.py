"""From arrays to examples: pixels become float32, labels class numbers, one sample two splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shatterlab.core import Examples, Seeds, stratified
from shatterlab.core.errors import DataError

Labels = Mapping[str, np.ndarray[Any, Any]]


def as_examples(values: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], classes: int, levels: int | None = None) -> Examples:
    """Examples with float32 inputs, divided by `levels` where the values are counts 0 .. levels.

    Args:
        values: n x channels x height x width, or n x d; left unchanged.
        labels: whole numbers, shape (n,); left unchanged.
        classes: k.
        levels: the largest value that the source can hold, 255 for 8-bit pixels (None: the values are taken as they are).
    """
    import torch

    with np.errstate(over="ignore"):  # too large for float32 becomes infinity, which `Dataset.load` reports with its position
        inputs = torch.from_numpy(values.astype(np.float32, order="C"))
    if levels is not None:
        inputs.div_(levels)
    return Examples(inputs, torch.from_numpy(labels.astype(np.int64)), classes, levels)


def three_quarters(labels: np.ndarray[Any, Any], seeds: Seeds) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Positions of the training and of the test examples, each sorted, drawn from the data stream.

    Of n examples floor(3 n / 4) are for training, class shares matched to within one example. Two exceptions for tiny classes shift these sizes: the only
    example of a class is for training, and of two or more at least one goes to each side.

    Args:
        labels: whole numbers >= 0, shape (n,).
        seeds: the data stream decides.
    """
    n = len(labels)
    if n == 0:
        return np.arange(0), np.arange(0)
    rng = seeds.rng("data", "split")
    training = np.zeros(n, dtype=bool)
    training[stratified(labels, max(1, 3 * n // 4), rng)] = True
    totals = np.bincount(labels)
    inside = np.bincount(labels[training], minlength=len(totals))
    for label in np.flatnonzero((totals > 0) & (inside == 0)):
        training[rng.choice(np.flatnonzero(labels == label))] = True
    for label in np.flatnonzero((totals > 1) & (inside == totals)):
        training[rng.choice(np.flatnonzero(labels == label))] = False
    return np.flatnonzero(training), np.flatnonzero(~training)


def class_numbers(labels: Labels, classes: int | None, owner: str) -> tuple[Labels, int]:
    """The labels as int64 in 0 .. k - 1, and k.

    Args:
        labels: by name, each of shape (n,), n >= 1: whole numbers of any numeric type, or text in all of them,
            which becomes its position among the distinct texts in sorted order.
        classes: k (None: the largest number plus one, or the number of distinct texts).
        owner: name used in errors.

    Raises:
        DataError: a label is neither, negative or >= k, or there are far more classes than examples.
    """
    texts = {name: values.dtype.kind in "US" for name, values in labels.items()}
    if all(texts.values()):
        known = np.unique(np.concatenate(list(labels.values())))
        if classes is not None and len(known) > classes:
            raise DataError(f"{owner}: at most {classes} distinct labels are required, got {len(known)}. Raise classes, or leave it out.")
        return {name: np.searchsorted(known, values).astype(np.int64) for name, values in labels.items()}, classes or len(known)
    if any(texts.values()):
        got = ", ".join(f"{name} holds {'text' if text else 'numbers'}" for name, text in texts.items())
        raise DataError(f"{owner}: labels of one type are required, {got}. Save both alike.")
    for name, values in labels.items():
        if values.dtype.kind not in "uifb":
            raise DataError(f"{owner}: labels are whole numbers or text, {name} holds {values.dtype}. Number the classes 0, 1, ...")
        broken = np.flatnonzero(~np.isfinite(values) | (values != np.floor(values))) if values.dtype.kind == "f" else np.arange(0)
        if len(broken):
            got = f"{values[broken[0]]} at position {broken[0]} of {name}"
            raise DataError(f"{owner}: labels are whole numbers, got {got}. Number the classes 0, 1, ...; a quantity to be predicted is no class.")
        if values.min() < 0:
            got = f"{values.min()} at position {values.argmin()} of {name}"
            raise DataError(f"{owner}: labels are whole numbers >= 0, got {got}. Number the classes 0, 1, ...")
    name, values = max(labels.items(), key=lambda item: int(item[1].max()))
    largest, total = int(values.max()), sum(map(len, labels.values()))
    where = f"got {largest} at position {values.argmax()} of {name}"
    if classes is not None and largest >= classes:
        raise DataError(f"{owner}: labels are whole numbers in 0..{classes - 1}, {where}. Raise classes, or number the classes 0, 1, ...")
    if classes is None and largest >= total:
        raise DataError(f"{owner}: classes numbered 0, 1, ... are required, {where} among {total} examples. Renumber them, or state classes.")
    return {name: values.astype(np.int64) for name, values in labels.items()}, classes or largest + 1
