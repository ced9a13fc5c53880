"""Confidence intervals, for means, paired differences, ratios and counts, and whether a mean equals a target up to a margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import special

from shatterlab.core.errors import DataError

BOOTSTRAP_FROM = 10  # replicates: below it the BCa interval covers far less than its level
_RESAMPLES = 9999

Values = Sequence[float] | np.ndarray[Any, Any]
Closeness = Literal["equivalent", "different", "undecided", "too few"]


@dataclass(frozen=True)
class Interval:
    """An estimate and the range that its level speaks for.

    Args:
        estimate: the point estimate; NaN where only bounds are known.
        low: lower end, -inf where one value cannot give one.
        high: upper end, inf likewise.
        level: confidence, in (0, 1).
        method: how it was made.
        n: how many values it rests on.
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str
    n: int

    @property
    def width(self) -> float:
        """High minus low."""
        return self.high - self.low

    def inside(self, low: float | None, high: float | None) -> bool:
        """True if every value of the interval lies in [low, high]; None is no bound."""
        return (low is None or self.low >= low) and (high is None or self.high <= high)

    def disjoint(self, low: float | None, high: float | None) -> bool:
        """True if no value of the interval lies in [low, high]; None is no bound."""
        return (low is not None and self.high < low) or (high is not None and self.low > high)


def numbers(values: Values, owner: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The values as float64.

    Raises:
        DataError: there is none, or one of them is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"{owner}: a sequence of at least one number is required, got shape {array.shape}. Run more replicates.")
    if not np.isfinite(array).all():
        raise DataError(f"{owner}: finite numbers are required, got {array[~np.isfinite(array)][0]}. Leave diverged trials out and say how many.")
    return array


def confidence(level: float, owner: str) -> float:
    """The level itself.

    Raises:
        DataError: it lies outside (0, 1).
    """
    if not 0 < level < 1:
        raise DataError(f"{owner}: level is a confidence in (0, 1), got {level!r}. Use 0.95, say.")
    return level


def t_interval(values: Values, level: float = 0.95) -> Interval:
    """Student's interval for the mean of independent replicates: mean +- t(n-1) s / sqrt(n).

    One value gives (-inf, inf), method "too few"; so do equal values, method "no spread": a tie tells nothing of the spread.

    Args:
        values: one number a replicate.
        level: confidence, in (0, 1).

    Raises:
        DataError: no value, a value that is not finite, or a level outside (0, 1).

    Source:
        Student 1908.

    Example:
        >>> interval = t_interval([0.0, 1.0, 2.0])  # t(2) at 0.975 is 4.3027, s / sqrt(3) is 0.57735
        >>> round(interval.low, 3), interval.estimate, round(interval.high, 3)
        (-1.484, 1.0, 3.484)
    """
    array, n = numbers(values, "t_interval"), len(values)
    confidence(level, "t_interval")
    mean = float(array.mean())
    if n == 1:
        return Interval(mean, -math.inf, math.inf, level, "too few", 1)
    if np.ptp(array) == 0:
        return Interval(float(array[0]), -math.inf, math.inf, level, "no spread", n)
    half = float(special.stdtrit(n - 1, (1 + level) / 2) * array.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, level, "t", n)


def bootstrap_interval(values: Values, level: float, rng: np.random.Generator) -> Interval:
    """The bias-corrected accelerated (BCa) bootstrap interval for the mean, from 10 replicates on.

    With 3 replicates a resample has only 10 distinct outcomes: of normal values the interval then covers 73 % where it says 95 %, and from 10 on 90 %
    (measured, tests/test_statistics.py). So fewer than 10 are refused.

    Args:
        values: one number a replicate.
        level: confidence, in (0, 1).
        rng: draws the 9,999 resamples.

    Raises:
        DataError: fewer than 10 values, a value that is not finite, or a level outside (0, 1).

    Source:
        Efron 1987, "Better bootstrap confidence intervals".
    """
    array, n = numbers(values, "bootstrap_interval"), len(values)
    confidence(level, "bootstrap_interval")
    if n < BOOTSTRAP_FROM:
        reason = "At 3 a 95 % interval covers 73 %: use t_interval"
        raise DataError(f"bootstrap_interval: at least {BOOTSTRAP_FROM} replicates are required, got {n}. {reason}.")
    mean = float(array.mean())
    if np.ptp(array) == 0:
        return Interval(float(array[0]), -math.inf, math.inf, level, "no spread", n)
    from scipy import stats  # half a second to import, and needed from 10 replicates only

    ends = stats.bootstrap((array,), np.mean, n_resamples=_RESAMPLES, confidence_level=level, method="BCa", random_state=rng).confidence_interval
    return Interval(mean, float(ends.low), float(ends.high), level, "BCa", n)


def mean_interval(values: Values, level: float = 0.95, rng: np.random.Generator | None = None) -> Interval:
    """The interval of a mean over replicates: BCa where a generator is given and there are 10 or more, else t.

    Args:
        values: one number a replicate.
        level: confidence, in (0, 1).
        rng: draws the resamples; None asks for the t interval at any n.

    Raises:
        DataError: no value, a value that is not finite, or a level outside (0, 1).
    """
    return bootstrap_interval(values, level, rng) if rng is not None and len(values) >= BOOTSTRAP_FROM else t_interval(values, level)


def paired_difference(a: Values, b: Values, level: float = 0.95, rng: np.random.Generator | None = None) -> Interval:
    """The interval of the mean of a - b, pair by pair: what the pairs share (their seeds) cancels.

    Args:
        a: one number a replicate.
        b: the same replicates under the other condition, in the same order.
        level: confidence, in (0, 1).
        rng: as in `mean_interval`.

    Raises:
        DataError: the lengths differ, or as in `t_interval`.
    """
    first, second = _pairs(a, b, "paired_difference")
    return mean_interval(first - second, level, rng)


def ratio_interval(a: Values, b: Values, level: float = 0.95) -> Interval:
    """How many times larger a is than b, pair by pair: the t interval of log(a / b), transformed back.

    Args:
        a: positive numbers, epochs to fit random labels, say.
        b: the same replicates under the other condition, epochs to fit true labels, say; positive.
        level: confidence, in (0, 1).

    Returns:
        The interval of the geometric mean of the ratios, > 0; (0, inf) from one pair and where all ratios are equal.

    Raises:
        DataError: a number is not positive, the lengths differ, or as in `t_interval`.

    Example:
        >>> interval = ratio_interval([20, 40, 80], [10, 10, 40])
        >>> round(interval.low, 3), round(interval.estimate, 3), round(interval.high, 3)
        (0.932, 2.52, 6.81)
    """
    first, second = _pairs(a, b, "ratio_interval")
    if min(first.min(), second.min()) <= 0:
        raise DataError(f"ratio_interval: positive numbers are required, got {min(first.min(), second.min())}. Use paired_difference.")
    logs = t_interval(np.log(first) - np.log(second), level)
    with np.errstate(over="ignore"):  # an end beyond the largest number is infinite
        estimate, low, high = (float(each) for each in np.exp([logs.estimate, logs.low, logs.high]))
    return Interval(estimate, low, high, level, "log-ratio t" if logs.method == "t" else logs.method, logs.n)


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval of a probability from independent yes-or-no outcomes.

    For the examples of ONE fixed model (its test errors), or for "fits k of r replicates". Not for test errors pooled over models that share a random-label
    draw: they are not independent, so a claim about chance is judged over corruption seeds (`equivalence`).

    Args:
        successes: how many, 0 .. n.
        n: out of how many, >= 1.
        level: confidence, in (0, 1).

    Returns:
        The interval of the probability, within [0, 1]; its coverage is at least the level for every probability.

    Raises:
        DataError: counts that are impossible, or a level outside (0, 1).

    Source:
        Clopper, Pearson 1934.

    Example:
        >>> round(clopper_pearson(3, 3).low, 4)  # 0.025 ** (1/3): three of three may still fail two times in three
        0.2924
    """
    confidence(level, "clopper_pearson")
    if not (n >= 1 and 0 <= successes <= n):
        raise DataError(f"clopper_pearson: 0 <= successes <= n and n >= 1 are required, got {successes} of {n}. Count again.")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(special.betainccinv(successes + 1, n - successes, tail))
    return Interval(successes / n, low, high, level, "Clopper-Pearson", n)


@dataclass(frozen=True)
class Equivalence:
    """The answer of an equivalence test.

    Args:
        verdict: "equivalent", "different", "undecided" or "too few".
        interval: the 1 - 2 alpha interval, which lies inside the zone where the verdict is "equivalent".
        outer: the 1 - alpha interval, which lies outside the zone where the verdict is "different".
        target: the value to compare with.
        margin: half the width of the zone.
    """

    verdict: Closeness
    interval: Interval
    outer: Interval
    target: float
    margin: float


def equivalence(values: Values, target: float, margin: float, level: float = 0.95) -> Equivalence:
    """Whether the mean over replicates lies within target +- margin: two one-sided t tests.

    "Test accuracy is at chance" is such a claim: the values are one number a corruption seed, the target is 1/k.

    Args:
        values: one number a replicate.
        target: in the unit of the values.
        margin: what still counts as equal, > 0, stated before looking.
        level: 1 - alpha, in (0.5, 1).

    Returns:
        "equivalent" where the 1 - 2 alpha interval lies in the zone (wrong with probability <= alpha), "different" where the 1 - alpha interval lies outside
        (likewise), else "undecided"; "too few" from one value.

    Raises:
        DataError: the margin is not positive, the level is outside (0.5, 1), or as in `t_interval`.

    Source:
        Schuirmann 1987, two one-sided tests.

    Example:
        >>> equivalence([0.101, 0.098, 0.103, 0.099], target=0.1, margin=0.02).verdict
        'equivalent'
    """
    if not margin > 0:
        raise DataError(f"equivalence: margin is > 0, got {margin!r}. State what still counts as equal.")
    if not 0.5 < level < 1:
        raise DataError(f"equivalence: level is a confidence in (0.5, 1), got {level!r}. Use 0.95, say.")
    inner, outer = t_interval(values, 2 * level - 1), t_interval(values, level)
    low, high = target - margin, target + margin
    verdict: Closeness = "undecided"
    if inner.n == 1:
        verdict = "too few"
    elif inner.inside(low, high):
        verdict = "equivalent"
    elif outer.disjoint(low, high):
        verdict = "different"
    return Equivalence(verdict, inner, outer, target, margin)


def _pairs(a: Values, b: Values, owner: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    first, second = numbers(a, owner), numbers(b, owner)
    if len(first) != len(second):
        raise DataError(f"{owner}: as many values on both sides are required, got {len(first)} and {len(second)}. Pair them by seeds.")
    return first, second
