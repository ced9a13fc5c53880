"""From arrays to examples: pixels become float32, labels class numbers, one sample two splits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from shatterlab.core import Examples, Seeds, stratified
from shatterlab.core.errors import DataError

_CLASSES = 20  # distinct numbers that are classes in any case; more are a quantity where they are most of the examples
_QUANTITY = "A quantity to be predicted is regression: use a regressor, or bin it."
_QUARTER = "The test split is a quarter of the examples, drawn with class shares kept."
_QUARTER_OF_NUMBERS = "The test split is a quarter of the examples, drawn at random."

Task = Literal["classes", "numbers"]
Labels = Mapping[str, np.ndarray[Any, Any]]


def as_examples(
    values: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], classes: int, levels: int | None = None, names: tuple[str, ...] | None = None
) -> Examples:
    """Examples with float32 inputs, divided by `levels` where the values are counts 0 .. levels.

    Args:
        values: n x channels x height x width, or n x d; left unchanged.
        labels: whole numbers, shape (n,); left unchanged.
        classes: k.
        levels: the largest value that the source can hold, 255 for 8-bit pixels (None: the values are taken as they are).
        names: of the classes (None: their numbers).
    """
    import torch

    with np.errstate(over="ignore"):  # too large for float32 becomes infinity, which `Dataset.load` reports with its position
        inputs = torch.from_numpy(values.astype(np.float32, order="C"))
    if levels is not None:
        inputs.div_(levels)
    return Examples(inputs, torch.from_numpy(labels.astype(np.int64)), classes, levels, names)


@dataclass(frozen=True, eq=False)
class Target:
    """What is to be predicted: classes, or the numbers of a regression.

    Args:
        labels: by name, int64 in 0 .. classes - 1, each of shape (n,).
        classes: k, the number of classes, or of different numbers.
        names: of the classes (None: their numbers).
        values: of a regression, the k different numbers, increasing; float64. None: classes.
    """

    labels: Labels
    classes: int
    names: tuple[str, ...] | None = None
    values: np.ndarray[Any, Any] | None = None

    def examples(self, inputs: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], levels: int | None = None) -> Examples:
        """Some inputs with their labels, as `as_examples` makes them."""
        import torch

        examples = as_examples(inputs, labels, self.classes, levels, self.names)
        return examples if self.values is None else replace(examples, values=torch.from_numpy(self.values))

    def parted(self, labels: np.ndarray[Any, Any], seeds: Seeds) -> tuple[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]], str]:
        """Positions of three quarters for training and of the rest for the test, and a sentence that says so; class shares are kept, numbers have none."""
        return three_quarters(labels if self.values is None else labels * 0, seeds), _QUARTER if self.values is None else _QUARTER_OF_NUMBERS


def target_of(labels: Labels, task: Task, classes: int | None, owner: str) -> Target:
    """The target that labels stand for.

    Args:
        labels: by name, each of shape (n,), n >= 1.
        task: "classes" (see `class_numbers`), or "numbers": finite numbers of any type, kept in float64.
        classes: k (None: the number of distinct labels); of classes only.
        owner: name used in errors.

    Raises:
        DataError: a label is missing, or not of the task.
    """
    if task == "classes":
        return Target(*class_numbers(labels, classes, owner))
    labels = {name: _of_one_type(each, name, owner) for name, each in labels.items()}
    for name, each in labels.items():
        if each.dtype.kind in "US":
            raise DataError(f"{owner}: numbers are required for a regressor, got text in {name}, such as {each[0]!s:.40}. Use a classifier.")
    numbers = {name: each.astype(np.float64) for name, each in labels.items()}
    values = np.unique(np.concatenate(list(numbers.values())))
    return Target({name: np.searchsorted(values, each).astype(np.int64) for name, each in numbers.items()}, len(values), values=values)


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


def class_numbers(labels: Labels, classes: int | None, owner: str) -> tuple[Labels, int, tuple[str, ...] | None]:
    """The labels as int64 in 0 .. k - 1, k, and the names of the classes.

    Whole numbers in 0 .. k - 1 stay as they are. Other whole numbers, and text, become their positions among the distinct labels in sorted order.

    Args:
        labels: by name, each of shape (n,), n >= 1: whole numbers of any numeric type, or text, in all of them.
        classes: k (None: the number of distinct labels). With k, numbers must be in 0 .. k - 1, and a class may be empty.
        owner: name used in errors.

    Returns:
        The names are the labels as text, None where the labels are already 0 .. k - 1.

    Raises:
        DataError: a label is missing or neither text nor a whole number, there are more than k, or there are so many numbers that they are a quantity.
    """
    labels = {name: _whole(_of_one_type(values, name, owner), name, owner) for name, values in labels.items()}
    texts = {name: values.dtype.kind in "US" for name, values in labels.items()}
    if any(texts.values()) and not all(texts.values()):
        got = ", ".join(f"{name} holds {'text' if text else 'numbers'}" for name, text in texts.items())
        raise DataError(f"{owner}: labels of one type are required, {got}. Save both alike.")
    known = np.unique(np.concatenate([np.unique(values) for values in labels.values()]))
    if not any(texts.values()):
        if classes is not None or np.array_equal(known, np.arange(len(known))):
            return _numbered(labels, classes or len(known), owner)
        total = sum(map(len, labels.values()))
        if len(known) > max(_CLASSES, total // 2):
            raise DataError(f"{owner}: classes are required, got {len(known)} distinct numbers in {total} examples. {_QUANTITY}")
    if classes is not None and len(known) > classes:
        raise DataError(f"{owner}: at most {classes} distinct labels are required, got {len(known)}. Raise classes, or leave it out.")
    names = tuple(_name(label) for label in known) + ("",) * ((classes or 0) - len(known))
    return {name: np.searchsorted(known, values).astype(np.int64) for name, values in labels.items()}, classes or len(known), names


def _name(label: Any) -> str:
    if isinstance(label, bytes):
        return label.decode(errors="backslashreplace")
    return str(int(label)) if isinstance(label, np.floating) else str(label)


def _of_one_type(values: np.ndarray[Any, Any], name: str, owner: str) -> np.ndarray[Any, Any]:
    """The labels as an array of numbers or text that are all there."""
    if values.dtype.kind == "O":
        plain = [value.item() if isinstance(value, np.generic) else value for value in values.tolist()]
        kinds = {type(value) for value in plain}
        if kinds != {str} and not kinds <= {bool, int, float}:
            missing = [position for position, value in enumerate(plain) if value is None or (isinstance(value, float) and math.isnan(value))]
            got = f"none at position {missing[0]} of {name}" if missing else f"{' and '.join(sorted(kind.__name__ for kind in kinds))} in {name}"
            raise DataError(f"{owner}: a label for each example, all text or all numbers, is required, got {got}. Clean or drop them.")
        values = np.array(plain)
    if values.dtype.kind not in "uifbUS":
        raise DataError(f"{owner}: labels are whole numbers or text, {name} holds {values.dtype}. Number the classes 0, 1, ...")
    if values.dtype.kind == "f":
        broken = np.flatnonzero(~np.isfinite(values))
        if len(broken):
            got = f"{values[broken[0]]} at position {broken[0]} of {name}"
            raise DataError(f"{owner}: a label for each example is required, got {got}. Clean or drop such examples.")
    return values


def _whole(values: np.ndarray[Any, Any], name: str, owner: str) -> np.ndarray[Any, Any]:
    if values.dtype.kind == "f":
        broken = np.flatnonzero(values != np.floor(values))
        if len(broken):
            raise DataError(f"{owner}: labels are whole numbers or text, got {values[broken[0]]} at position {broken[0]} of {name}. {_QUANTITY}")
    return values


def _numbered(labels: Labels, classes: int, owner: str) -> tuple[Labels, int, None]:
    for name, values in labels.items():
        for position in (values.argmin(), values.argmax()):
            if not 0 <= values[position] < classes:
                got = f"got {values[position]} at position {position} of {name}"
                raise DataError(f"{owner}: labels are whole numbers in 0..{classes - 1}, {got}. Raise classes, or leave it out.")
    return {name: values.astype(np.int64) for name, values in labels.items()}, classes, None
