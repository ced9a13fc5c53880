"""Points and values as they enter a construction: checked, in float64, equal points merged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from shatterlab.core.errors import DataError

Array = np.ndarray[Any, Any]
LARGEST = 2.0**500  # and its inverse: products and sums of a few such numbers neither overflow nor vanish
_WHOLE = 2**53
_BLOCK = 2**18  # numbers read at a time: they stay in the processor's cache


def table(owner: str, z: Any) -> Array:
    """The points as rows, in their own number type where numpy computes with it.

    Raises:
        DataError: there are none, or they are no numbers.
    """
    points = np.asarray(z)
    if points.ndim < 2 or points.size == 0:
        raise DataError(f"{owner}: at least one point, as rows of n x d, is required, got shape {points.shape}. Give one row a point.")
    points = points.reshape(len(points), -1)
    if points.dtype.kind in "ui" and points.dtype.itemsize == 8:
        _require_whole(owner, "points", points)
    return points if points.dtype.kind in "uif" and points.dtype.itemsize <= 8 else _real(owner, "points", points)


def targets(owner: str, y: Any, n: int) -> Array:
    """The values in float64, of shape (n,) or (n, k).

    Raises:
        DataError: they are not one row a point, not finite, or whole numbers beyond 2^53.
    """
    values = np.asarray(y)
    if values.ndim not in (1, 2) or len(values) != n or values.size == 0:
        raise DataError(f"{owner}: values of shape n or n x k for n = {n} points are required, got shape {values.shape}. Give each point its values.")
    real = _real(owner, "values", values)
    require_moderate(owner, real.reshape(n, -1), "values")
    return real


def require_moderate(owner: str, numbers: Array, what: str = "points") -> None:
    """Refuses numbers that are not finite, or so large or small that exact arithmetic would leave float64.

    Raises:
        DataError: the text names the number and the first row that has one.
    """
    for rows in blocks(numbers) if numbers.dtype.kind == "f" else ():
        wide = numbers[rows].astype(np.float64, copy=False)
        size = np.abs(wide)
        good = ((size <= LARGEST) & ((size >= 1 / LARGEST) | (size == 0))).all(1)
        if not good.all():
            position = int((~good).argmax())
            got = next(number for number in wide[position].tolist() if not (1 / LARGEST <= abs(number) <= LARGEST or number == 0))
            required = "0 or between 2^-500 and 2^500 in size" if math.isfinite(got) else "finite"
            raise DataError(f"{owner}: {what} are {required}, got {got} at position {rows.start + position}. Clean or rescale them.")


def blocks(points: Array) -> list[slice]:
    """Slices of rows, a quarter of a million numbers each."""
    rows = max(1, _BLOCK // math.prod(points.shape[1:]))
    return [slice(start, min(start + rows, len(points))) for start in range(0, len(points), rows)]


def _real(owner: str, what: str, numbers: Array) -> Array:
    if numbers.dtype.kind in "iu" or (numbers.dtype == object and all(type(number) is int for number in numbers.flat)):
        _require_whole(owner, what, numbers)
    elif numbers.dtype.kind not in "bf":
        raise DataError(f"{owner}: {what} are real numbers, got an array of {numbers.dtype}. Convert them.")
    return numbers.astype(np.float64)


def _require_whole(owner: str, what: str, numbers: Array) -> None:
    extreme = max(int(numbers.max()), -int(numbers.min()))
    if extreme > _WHOLE:
        raise DataError(f"{owner}: {what} that are whole numbers are at most 2^53 in size, which float64 holds, got {extreme}. Renumber or rescale them.")


@dataclass(frozen=True)
class Distinct:
    """The distinct points of a sample in float64.

    Args:
        inputs: n x d, no two rows equal.
        targets: n x k, the values to take.
        positions: the first position of each point in the sample, shape (n,).
    """

    inputs: Array
    targets: Array
    positions: Array

    def __len__(self) -> int:
        return len(self.inputs)


def distinct_points(owner: str, z: Any, y: Any) -> Distinct:
    """The distinct points of the sample, each with its label; equal points with equal labels count once.

    Args:
        owner: name used in errors.
        z: n x d numbers, or images, which are flattened.
        y: n numbers, or n x k.

    Raises:
        DataError: the shapes do not match, a number is not finite, or equal points have different labels.
    """
    inputs, values = _finite(owner, "points", z), _finite(owner, "labels", y)
    if len(inputs) != len(values) or not inputs.size or not values.size:
        got = f"got {len(inputs)} points of {inputs.shape[1]} numbers and {len(values)} labels of {values.shape[1]}"
        raise DataError(f"{owner}: one label a point is required, {got}. Pass n x d points and n or n x k labels.")
    positions: dict[bytes, int] = {}
    first = np.array([positions.setdefault(row.tobytes(), position) for position, row in enumerate(inputs)])
    unequal = np.flatnonzero((values != values[first]).any(1))
    if len(unequal):
        other = int(unequal[0])
        twin = int(first[other])
        labels = [f"{row[0]:g}" if len(row) == 1 else str(row.tolist()) for row in (values[twin], values[other])]
        same = f"points {twin} and {other} are equal and have labels {labels[0]} and {labels[1]}"
        raise DataError(f"{owner}: one label a point is required, {same}. Drop one of them.")
    kept = np.unique(first)
    return Distinct(inputs[kept], values[kept], kept)


def _finite(owner: str, name: str, values: Any) -> Array:
    array = np.asarray(values.detach().cpu().numpy() if isinstance(values, Tensor) else values, dtype=np.float64)
    rows: Array = array.reshape(len(array), math.prod(array.shape[1:])) if array.ndim else array.reshape(1, 1)
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(bad):
        raise DataError(f"{owner}: finite {name} are required, got NaN or infinity in {len(bad)}, the first at position {bad[0]}. Clean or drop them.")
    return rows + 0.0  # -0.0 + 0.0 is 0.0
