"""What points and values must be before a network is made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shatterlab.core.errors import DataError

Array = np.ndarray[Any, Any]
LARGEST = 2.0**500  # and its inverse: products and sums of a few then neither overflow nor vanish
_WHOLE = 2**53
_BLOCK = 2**18  # numbers looked at in one go: they stay in the processor's cache


def table(owner: str, z: Any) -> Array:
    """The points as rows, of their own number type where numpy computes with it.

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
    _require_moderate(owner, "values", real.reshape(n, -1))
    return real


def require_moderate(owner: str, points: Array) -> None:
    """Refuses numbers that are not finite, or so large or small that exact arithmetic would leave float64.

    Raises:
        DataError: the text names the number and the first point that has one.
    """
    for some in blocks(points) if points.dtype.kind == "f" else ():
        _require_moderate(owner, "points", points[some], some.start)


def blocks(points: Array) -> list[slice]:
    """Slices of some rows at a time, of a quarter of a million numbers each."""
    rows = max(1, _BLOCK // math.prod(points.shape[1:]))
    return [slice(start, min(start + rows, len(points))) for start in range(0, len(points), rows)]


def _real(owner: str, what: str, numbers: Array) -> Array:
    if numbers.dtype.kind in "iu" or (numbers.dtype == object and all(type(each) is int for each in numbers.flat)):
        _require_whole(owner, what, numbers)
    elif numbers.dtype.kind not in "bf":
        raise DataError(f"{owner}: {what} are real numbers, got an array of {numbers.dtype}. Convert them.")
    return numbers.astype(np.float64)


def _require_whole(owner: str, what: str, numbers: Array) -> None:
    extreme = max(int(numbers.max()), -int(numbers.min()))
    if extreme > _WHOLE:
        raise DataError(f"{owner}: {what} that are whole numbers are at most 2^53 in size, which float64 holds, got {extreme}. Renumber or rescale them.")


def _require_moderate(owner: str, what: str, numbers: Array, start: int = 0) -> None:
    wide = numbers.astype(np.float64, copy=False)
    size = np.abs(wide)
    good = ((size <= LARGEST) & ((size >= 1 / LARGEST) | (size == 0))).all(1)
    if good.all():
        return
    position = int((~good).argmax())
    got = next(each for each in wide[position].tolist() if not (1 / LARGEST <= abs(each) <= LARGEST or each == 0))
    wanted = "0 or between 2^-500 and 2^500 in size" if math.isfinite(got) else "finite"
    raise DataError(f"{owner}: {what} are {wanted}, got {got} at position {start + position}. Clean or rescale them.")
