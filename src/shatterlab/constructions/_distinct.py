"""The distinct points of a sample, one label each: what a network that takes every label is built through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from shatterlab.core.errors import DataError

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Distinct:
    """The distinct points of a sample in float64.

    Args:
        inputs: n x d, no two rows equal.
        targets: n x k, the values to take.
        positions: where each point came first in the sample, shape (n,).
    """

    inputs: Matrix
    targets: Matrix
    positions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.inputs)


def distinct_points(owner: str, z: Any, y: Any) -> Distinct:
    """The distinct points of the sample, each with its label; equal points with equal labels count once.

    Args:
        owner: who asks, for the text of a refusal.
        z: n x d numbers, or images, which are flattened.
        y: n numbers, or n x k.

    Raises:
        DataError: the shapes do not match, a number is not finite, or equal points have different labels.
    """
    inputs, targets = _matrix(owner, "points", z), _matrix(owner, "labels", y)
    if len(inputs) != len(targets) or not inputs.size or not targets.size:
        got = f"got {len(inputs)} points of {inputs.shape[1]} numbers and {len(targets)} labels of {targets.shape[1]}"
        raise DataError(f"{owner}: one label a point is required, {got}. Pass n x d points and n or n x k labels.")
    seen: dict[bytes, int] = {}
    first = np.array([seen.setdefault(row.tobytes(), position) for position, row in enumerate(inputs)])
    unequal = np.flatnonzero((targets != targets[first]).any(1))
    if len(unequal):
        other = int(unequal[0])
        mate = int(first[other])
        same = f"points {mate} and {other} are equal and have labels {_told(targets[mate])} and {_told(targets[other])}"
        raise DataError(f"{owner}: one label a point is required, {same}. Drop one of them.")
    kept = np.array(sorted(seen.values()))
    return Distinct(inputs[kept], targets[kept], kept)


def _matrix(owner: str, name: str, values: Any) -> Matrix:
    array = np.asarray(values.detach().cpu().numpy() if isinstance(values, Tensor) else values, dtype=np.float64)
    rows: Matrix = array.reshape(len(array), int(np.prod(array.shape[1:]))) if array.ndim else array.reshape(1, 1)
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(bad):
        raise DataError(f"{owner}: finite {name} are required, got NaN or infinity in {len(bad)}, the first at position {bad[0]}. Clean or drop them.")
    return rows + 0.0  # -0.0 + 0.0 is 0.0


def _told(label: Matrix) -> str:
    return f"{label[0]:g}" if len(label) == 1 else str(label.tolist())
