"""Intervals that respect what a number is: a share of so many examples, a positive quantity, a time known to within an epoch."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from scipy import special

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Interval, Values, clopper_pearson, confidence, numbers

Scale = Literal["linear", "log"]
_ROUNDING = 1e-12  # of the values: what arithmetic alone can make of equal numbers


def interval_of_bounds(
    lows: Values, highs: Values, level: float = 0.95, scale: Scale = "linear", limits: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    """The interval of a mean of replicates of which each is known to lie between two bounds.

    A time to zero error of 20 whole epochs lies in (19, 20], an accuracy on 500 examples within 1 / 1000 of its value. The interval reaches from the lower end
    of Student's interval of the lower bounds to the upper end of that of the upper bounds. Replicates that tie have a spread that their rounding hides: it is
    never taken below width / sqrt(12), the deviation of a value that lies anywhere between its bounds. Equal values with no width say nothing of their spread,
    and get no interval.

    Args:
        lows: lower bound of each replicate, -inf where there is none; on the log scale >= 0.
        highs: its upper bound, inf where a run was cut short; equal to the lower one where the value is known.
        level: confidence, in (0, 1).
        scale: "log" gives the interval of a geometric mean, of lognormal values exactly; it never goes below 0.
        limits: where no mean can lie outside.

    Returns:
        Its estimate is the mean of the middles (NaN where an upper bound is infinite); an end is a limit where nothing is known of it.

    Raises:
        DataError: no value, lengths that differ, bounds in the wrong order, a level outside (0, 1), or a negative value on the log scale.

    Example:
        >>> tied = interval_of_bounds([19, 19, 19], [20, 20, 20])  # three times 20 whole epochs: 19.5 +- 0.5 +- 4.303 / sqrt(36)
        >>> round(tied.low, 3), round(tied.high, 3)
        (18.283, 20.717)
    """
    confidence(level, "interval_of_bounds")
    low, high = np.asarray(lows, dtype=np.float64), np.asarray(highs, dtype=np.float64)
    if not len(low) == len(high) > 0:
        raise DataError(f"interval_of_bounds: as many upper as lower bounds are required, got {len(high)} and {len(low)}. Give two a replicate.")
    if not ((low <= high) & (low < math.inf) & (high > -math.inf)).all():
        raise DataError("interval_of_bounds: a lower bound is a number below inf and at most its upper bound. Leave diverged trials out and say how many.")
    if scale == "log" and low.min() < 0:
        raise DataError(f"interval_of_bounds: values >= 0 are required on the log scale, got {low.min()}. Use scale='linear'.")
    least, most = limits if scale == "linear" else (max(0.0, limits[0]), limits[1])
    with np.errstate(divide="ignore"):
        ends = (np.log(low), np.log(high)) if scale == "log" else (low, high)
    widths = (ends[1] - ends[0])[np.isfinite(ends[0]) & np.isfinite(ends[1])]
    floor = float(widths.mean()) / math.sqrt(12) if len(widths) else 0.0
    lower, upper = (_end(values, floor, level, sign) for values, sign in zip(ends, (-1, 1), strict=True))
    known = [bool(np.isfinite(values).all()) for values in ends]
    middle = float(np.mean((ends[0] + ends[1]) / 2)) if all(known) else math.nan
    endless = lower == -math.inf and upper == math.inf and any(known)
    if scale == "log":
        with np.errstate(over="ignore"):  # an end beyond the largest number is infinite
            lower, upper, middle = (float(each) for each in np.exp([lower, upper, middle]))
    name = "t of logarithms" if scale == "log" else "t"
    method = "too few" if len(low) == 1 else "no spread" if endless else name
    return Interval(middle, max(least, lower), min(most, upper), level, method, len(low))


def _end(values: np.ndarray[Any, Any], floor: float, level: float, sign: int) -> float:
    n = len(values)
    if n == 1 or not np.isfinite(values).all():
        return sign * math.inf
    deviation, mean = float(values.std(ddof=1)), float(values.mean())
    if np.ptp(values) <= _ROUNDING * abs(mean):
        deviation = 0.0
    deviation = max(deviation, floor)
    return mean + sign * float(special.stdtrit(n - 1, (1 + level) / 2)) * deviation / math.sqrt(n) if deviation else sign * math.inf


def share_interval(shares: Values, examples: int | None = None, level: float = 0.95) -> Interval:
    """The interval of a mean share (an accuracy, an error), within [0, 1].

    The hull of three: Student's of the shares; Student's of arcsin sqrt((x + 3/8) / (m + 3/4)) for x of m, whose variance is the same near 0 and 1, transformed
    back to means; and Clopper and Pearson's of all counts together, the error of counting that no agreement of replicates removes.

    Args:
        shares: one a replicate, in [0, 1].
        examples: m, of how many examples each is the share, >= 1; None: not known, and equal shares then get no interval.
        level: confidence, in (0, 1).

    Returns:
        The mean share with its interval; (0, 1) from one share.

    Source:
        Anscombe 1948 for the transform; Clopper, Pearson 1934.

    Raises:
        DataError: no share, one outside [0, 1], examples below 1, or a level outside (0, 1).

    Example:
        >>> perfect = share_interval([1.0, 1.0, 1.0], examples=100)  # none wrong of 300
        >>> round(perfect.low, 4), perfect.high
        (0.9878, 1.0)
    """
    array, n = numbers(shares, "share_interval"), len(shares)
    if array.min() < 0 or array.max() > 1 or (examples is not None and examples < 1):
        got = f"{array.min()} to {array.max()} of {examples}"
        raise DataError(f"share_interval: shares in [0, 1] of at least one example are required, got {got}. Count again.")
    half = 0.0 if examples is None else 0.5 / examples
    linear = interval_of_bounds(array - half, array + half, level, limits=(0.0, 1.0))
    mean = float(array.mean())
    if n == 1 or (examples is None and not math.isfinite(interval_of_bounds(array, array, level).low)):
        return Interval(mean, 0.0, 1.0, level, "too few" if n == 1 else "no spread", n)
    size = math.inf if examples is None else float(examples)
    angles = np.arcsin(np.sqrt(array if examples is None else (array * size + 0.375) / (size + 0.75)))
    turned, beyond = interval_of_bounds(angles, angles, level, limits=(0.0, math.pi / 2)), max(0.0, float(angles.var(ddof=1)) - 1 / (4 * size))
    ends = [(linear.low, linear.high)]
    if turned.method == "t":
        # E sin^2 y = sin^2 E y + cos(2 E y) var y, but for what counting adds to the variance
        ends.append((max(0.0, _share(turned.low, beyond)), min(1.0, _share(turned.high, beyond))))
    if examples is not None:
        pooled = clopper_pearson(round(float(array.sum()) * examples), n * examples, level)
        ends.append((pooled.low, pooled.high))
    return Interval(mean, min(low for low, _ in ends), max(high for _, high in ends), level, "t of shares and angles, counting error", n)


def _share(angle: float, variance: float) -> float:
    return math.sin(angle) ** 2 + math.cos(2 * angle) * variance
