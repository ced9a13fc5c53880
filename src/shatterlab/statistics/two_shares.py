"""The difference of two shares: its standard error and an interval, for many pairs at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from shatterlab.core.errors import DataError

Counts = np.ndarray[Any, Any]
Numbers = np.ndarray[Any, np.dtype[np.float64]]


def share_difference(hits: Counts, of: Counts, other_hits: Counts, other_of: Counts) -> tuple[Numbers, Numbers]:
    """The difference of two observed shares and its standard error, which counts one more hit and one more miss on either side.

    The plain standard error is 0 where both shares are 0 or 1, as if nothing were uncertain; with the added counts it is not, and the interval around the
    difference of the shares so counted covers what it says from some 10 runs a side on.

    Args:
        hits: whole numbers, 0 <= hits <= of.
        of: runs.
        other_hits: hits on the other side, subtracted.
        other_of: its runs.

    Returns:
        Difference in [-1, 1] and standard error > 0; NaN where a side has no run.

    Raises:
        DataError: a count is negative, or hits are more than runs.

    Source:
        Agresti, Caffo 2000, "Simple and effective confidence intervals for proportions".

    Example:
        >>> difference, error = share_difference(np.array([8]), np.array([8]), np.array([0]), np.array([8]))
        >>> difference.item(), round(error.item(), 3)  # sqrt(2 x 0.9 x 0.1 / 10)
        (1.0, 0.134)
    """
    sides = _sides(hits, of, other_hits, other_of)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [x / n for x, n in sides]
    known = np.logical_and(*(n > 0 for _, n in sides))
    adjusted = [((x + 1) / (n + 2), n + 2) for x, n in sides]
    error = np.sqrt(sum(p * (1 - p) / n for p, n in adjusted))
    return np.where(known, shares[0] - shares[1], np.nan), np.where(known, error, np.nan)


def share_difference_bounds(hits: Counts, of: Counts, other_hits: Counts, other_of: Counts, miss: float) -> tuple[Numbers, Numbers]:
    """Bounds on the difference of two shares, each of which is wrong with probability at most `miss`, at any number of runs.

    The lower bound is that of the first share less the upper bound of the second (Clopper and Pearson's, each at miss / 2), the upper bound likewise.

    Args:
        hits: whole numbers, 0 <= hits <= of.
        of: runs; a share without runs lies in [0, 1].
        other_hits: hits on the other side, subtracted.
        other_of: its runs.
        miss: in (0, 1).

    Raises:
        DataError: a count is negative, hits are more than runs, or `miss` is out of range.

    Source:
        Clopper, Pearson 1934; a union bound joins the two.

    Example:
        >>> low, high = share_difference_bounds(np.array([140]), np.array([140]), np.array([0]), np.array([60]), 0.001)
        >>> round(low.item(), 3), high.item()  # 0.0005^(1/140) - (1 - 0.0005^(1/60))
        (0.828, 1.0)
    """
    if not 0 < miss < 1:
        raise DataError(f"share_difference_bounds: miss is a probability in (0, 1), got {miss!r}. Use 0.025, say.")
    (x, n), (y, m) = _sides(hits, of, other_hits, other_of)
    return _lower(x, n, miss / 2) - _upper(y, m, miss / 2), _upper(x, n, miss / 2) - _lower(y, m, miss / 2)


def _sides(hits: Counts, of: Counts, other_hits: Counts, other_of: Counts) -> list[tuple[Numbers, Numbers]]:
    sides = [(np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64)) for x, n in ((hits, of), (other_hits, other_of))]
    for x, n in sides:
        if (x < 0).any() or (x > n).any():
            raise DataError("two shares: 0 <= hits <= runs is required, got other counts. Count hits among the runs.")
    return sides


def _lower(x: Numbers, n: Numbers, miss: float) -> Numbers:
    return np.where(x > 0, special.betaincinv(np.maximum(x, 1), n - x + 1, miss), 0.0)


def _upper(x: Numbers, n: Numbers, miss: float) -> Numbers:
    return 1 - _lower(n - x, n, miss)
