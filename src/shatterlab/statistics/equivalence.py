"""Is a mean equal to a target up to a stated margin? Not being different is not enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Interval, Values, t_interval

Verdict = Literal["equivalent", "different", "undecided", "too few"]


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

    verdict: Verdict
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
        "equivalent" where the 1 - 2 alpha interval lies in the zone (wrong with probability <= alpha), "different"
        where the 1 - alpha interval lies outside (likewise), else "undecided"; "too few" from one value.

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
    verdict: Verdict = "undecided"
    if inner.n == 1:
        verdict = "too few"
    elif inner.inside(low, high):
        verdict = "equivalent"
    elif outer.disjoint(low, high):
        verdict = "different"
    return Equivalence(verdict, inner, outer, target, margin)
