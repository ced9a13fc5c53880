"""Many tests at once: Holm's correction, the paired t test that it corrects, and the effect that a test could have seen."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Values, confidence, numbers


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for being several: calling those <= alpha is wrong about any of them with probability <= alpha.

    The i-th smallest of m is multiplied by m - i + 1, made at least as large as the adjusted one before it, and cut at 1. No
    independence is assumed.

    Args:
        p_values: in [0, 1].

    Returns:
        The adjusted ones, in the order given.

    Raises:
        DataError: one lies outside [0, 1].

    Source:
        Holm 1979, "A simple sequentially rejective multiple test procedure".

    Example:
        >>> holm([0.01, 0.04, 0.03])  # 3 x 0.01, then 2 x 0.03, then the largest, which stays at least as large
        [0.03, 0.06, 0.06]
    """
    wrong = [p for p in p_values if not 0 <= p <= 1]
    if wrong:
        raise DataError(f"holm: p-values in [0, 1] are required, got {wrong[0]!r}. Leave out effects that were not tested.")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def t_test(values: Values) -> float:
    """The two-sided p-value of Student's test that the mean of independent values (differences of pairs, say) is 0.

    Args:
        values: one number a replicate, at least two.

    Returns:
        In [0, 1]; 1 where all values are 0, 0 where all are equal and not 0.

    Raises:
        DataError: fewer than two values, or one that is not finite.

    Source:
        Student 1908.

    Example:
        >>> round(t_test([1.0, 2.0, 3.0]), 4)  # t = 2 / (1 / sqrt 3) = 3.4641 with 2 degrees of freedom
        0.0742
    """
    array = numbers(values, "t_test")
    if len(array) < 2:
        raise DataError(f"t_test: at least two values are required, got {len(array)}. Run more replicates.")
    mean, error = float(array.mean()), float(array.std(ddof=1)) / math.sqrt(len(array))
    if np.ptp(array) == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * special.stdtr(len(array) - 1, -abs(mean / error)))


def detectable(deviation: float, n: int, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest mean difference that a two-sided t test of n pairs would find with this power.

    Args:
        deviation: standard deviation of the differences, >= 0.
        n: pairs, >= 2.
        level: 1 - the size of the test, in (0, 1).
        power: probability of finding it, in (1 - level, 1).

    Returns:
        In the unit of the deviation.

    Raises:
        DataError: fewer than two pairs, or a number out of range.

    Source:
        Cohen 1988, chapter 2; the power is that of the noncentral t distribution, not of the normal approximation.

    Example:
        >>> round(detectable(1.0, 8), 3)  # 8 pairs find a difference of 1.16 deviations four times in five
        1.156
    """
    confidence(level, "detectable")
    if n < 2 or not deviation >= 0 or not 1 - level < power < 1:
        required = "n >= 2 pairs, a deviation >= 0 and a power in (1 - level, 1) are required"
        raise DataError(f"detectable: {required}, got {n}, {deviation!r} and {power!r}. Run more replicates, or ask for another power.")
    return float(deviation) / math.sqrt(n) * _shift(n - 1, level, power)


@functools.cache
def _shift(freedom: int, level: float, power: float) -> float:
    """The noncentrality at which Student's T lies beyond the ends of its interval with this probability."""
    edge = float(special.stdtrit(freedom, (1 + level) / 2))
    deviations = _deviations(freedom)
    high = 2.0
    while _power(high, edge, deviations) < power:
        high *= 2
    from scipy import optimize  # slow to import, and needed here only

    return float(optimize.brentq(lambda shift: _power(shift, edge, deviations) - power, 0.0, high, xtol=1e-9))


def _power(shift: float, edge: float, deviations: np.ndarray[Any, Any]) -> float:
    """P(|T| > edge) of Student's T with this noncentrality: the mean of two normal tails over the quantiles of the deviation.

    Where |T| > edge depends on the deviation s of the sample alone, it is P(Z + shift > edge s) + P(Z + shift < -edge s). Over s the
    midpoint rule with 20,000 points errs by less than 1e-4 (scipy's `nctdtr` is not a number for some large shifts).
    """
    return float((special.ndtr(shift - edge * deviations) + special.ndtr(-shift - edge * deviations)).mean())


def _deviations(freedom: int) -> np.ndarray[Any, Any]:
    """The middles of 20,000 equally likely ranges of a sample's deviation, in units of the true one."""
    quantiles = (np.arange(20_000) + 0.5) / 20_000
    deviations: np.ndarray[Any, Any] = np.sqrt(2 * special.gammaincinv(freedom / 2, quantiles) / freedom)
    return deviations
