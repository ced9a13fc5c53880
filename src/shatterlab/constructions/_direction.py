"""A direction that tells the points apart, chosen so that float64 projects them without rounding where it can."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shatterlab.constructions._distinct import Distinct
from shatterlab.core.errors import DataError

Matrix = NDArray[np.float64]

_TRIES = 32  # directions drawn; the one whose smallest gap is largest is kept
_FEWEST_BITS = 6  # of a coefficient, below which a rounded direction no longer tells points apart
_MOST_BITS = 24


def separating(owner: str, points: Distinct, seed: int) -> tuple[Matrix, Matrix]:
    """A direction and the projections of the points on it, no two of them equal.

    Where the coordinates are multiples of some 2^-e and small enough (8-bit pixels, also divided by 255 in float32), the
    coefficients are multiples of a power of two with so few bits that every partial sum is exact, in any order of summation.

    Args:
        owner: who asks, for the text of a refusal.
        points: to be told apart.
        seed: of the draw.

    Returns:
        The direction, shape (d,), and the projections, shape (n,).

    Raises:
        DataError: no direction drawn gives different projections.
    """
    rng = np.random.default_rng(seed)
    bits = exact_bits(points.inputs)
    best: tuple[float, Matrix, Matrix] | None = None
    for _ in range(_TRIES):
        direction = _drawn(rng, points.inputs.shape[1], bits)
        projections = points.inputs @ direction
        gap = float(np.diff(np.sort(projections)).min(initial=np.inf)) / max(1e-300, float(np.abs(direction).max()))
        if best is None or gap > best[0]:
            best = gap, direction, projections
    assert best is not None
    if not best[0] > 0:
        raise DataError(f"{owner}: points whose projections differ in float64 are required, {_TRIES} directions gave none. Drop points that nearly coincide.")
    return best[1], best[2]


def exact_bits(inputs: Matrix) -> int:
    """How many bits a coefficient may have so that every scalar product with a row is exact; 0 if fewer than six."""
    used = inputs[inputs != 0]
    if not len(used):
        return _MOST_BITS
    fraction, exponent = np.frexp(used)
    whole = np.abs(fraction * 2.0**53).astype(np.int64)
    lowest = int((exponent - 53 + np.log2(whole & -whole).astype(int)).min())
    largest = np.ldexp(float(np.abs(inputs).sum(1).max()), -lowest)  # of a scalar product with coefficients 1, in units of the last bit
    bits = min(_MOST_BITS, 53 - int(np.ceil(np.log2(largest))) - 1)
    return bits if bits >= _FEWEST_BITS else 0


def _drawn(rng: np.random.Generator, d: int, bits: int) -> Matrix:
    scale = 2.0**bits if bits else float(np.sqrt(d))
    drawn: Matrix = rng.integers(1 - 2**bits, 2**bits, d) / scale if bits else rng.standard_normal(d) / scale
    return drawn
