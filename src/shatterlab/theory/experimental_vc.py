"""The VC dimension as it shows in training errors on random labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Values, numbers

_A, _B, _C = 0.16, 1.2, 0.14928  # theirs; c makes the formula continuous where it leaves 1, at t = 1/2


def expected_deviation(t: float) -> float:
    """Phi(t): how far the error rates of two half samples of size n differ at most, in the mean, at t = n / h.

    Phi(t) = 1 for t <= 1/2, else a (ln 2t + 1) / (t - c) (sqrt(1 + b (t - c) / (ln 2t + 1)) + 1), a = 0.16, b = 1.2, c = 0.14928. The
    constants a and b were fitted to linear classifiers and are taken to hold for other learners too.

    Args:
        t: the size of each half over the VC dimension, > 0.

    Returns:
        In (0, 1].

    Source:
        Vapnik, Levin, LeCun 1994, "Measuring the VC-dimension of a learning machine".

    Example:
        >>> expected_deviation(0.4), round(expected_deviation(0.5 + 1e-9), 4), expected_deviation(10) < 0.5
        (1.0, 1.0, True)
    """
    if t <= 0.5:
        return 1.0
    rise = math.log(2 * t) + 1
    return min(1.0, _A * rise / (t - _C) * (math.sqrt(1 + _B * (t - _C) / rise) + 1))


@dataclass(frozen=True)
class VCDimension:
    """A fitted experimental VC dimension.

    Args:
        h: the dimension, > 0; the formula's only parameter.
        residual: root mean square distance of the deviations from the formula.
        lower_bound: no deviation is below 1, so that h is only known to be at least twice the largest half.
    """

    h: float
    residual: float
    lower_bound: bool


def fitted_vc_dimension(halves: Values, deviations: Values) -> VCDimension:
    """The h whose formula Phi(n / h) comes nearest to measured deviations, in the sense of least squares.

    The experiment of the source draws 2n examples of two classes, flips the labels of one half, trains on all of them, and takes the difference
    between the two halves' error rates against the labels before the flip: |e1 - (1 - e2)| for training errors e1 and e2. Where the
    labels are random to begin with that is 1 - 2 e, e the training error on 2n random labels, so that no run of its own is needed.

    Args:
        halves: n, the size of each half (half of the training sample), > 0.
        deviations: 1 - 2 e at each, in [0, 1].

    Returns:
        The fit; where every deviation is 1 the smallest h that gives this, as a lower bound.

    Raises:
        DataError: lengths that differ, no value, or values out of range.

    Source:
        Vapnik, Levin, LeCun 1994, "Measuring the VC-dimension of a learning machine".

    Example:
        >>> round(fitted_vc_dimension([10, 20, 40, 80], [expected_deviation(n / 25) for n in (10, 20, 40, 80)]).h, 3)
        25.0
    """
    n, xi = numbers(halves, "fitted_vc_dimension"), numbers(deviations, "fitted_vc_dimension")
    if len(n) != len(xi) or n.min() <= 0 or xi.min() < 0 or xi.max() > 1:
        got = f"{len(xi)} in {xi.min():g}..{xi.max():g} for {len(n)} sizes from {n.min():g}"
        raise DataError(f"fitted_vc_dimension: as many deviations in [0, 1] as sizes > 0 are required, got {got}. Pass 1 - 2 e of two classes.")
    if xi.min() == 1:
        return VCDimension(2 * float(n.max()), 0.0, True)

    from scipy import optimize  # a tenth of a second to import, and needed here only

    def distance(log_h: float) -> float:
        return float(np.mean([(expected_deviation(size / math.exp(log_h)) - each) ** 2 for size, each in zip(n, xi, strict=True)]))

    grid = np.linspace(math.log(n.min()) - 5, math.log(n.max()) + 5, 200)  # the distance may have several dips: the best of these leads
    best = int(np.argmin([distance(each) for each in grid]))
    around = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = optimize.minimize_scalar(distance, bounds=around, method="bounded", options={"xatol": 1e-9})
    return VCDimension(math.exp(found.x), math.sqrt(found.fun), False)
