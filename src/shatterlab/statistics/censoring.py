"""Times that a budget cut short: bounds where a mean would be a lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Interval, Values, numbers, t_interval


@dataclass(frozen=True)
class CensoredSummary:
    """What times, some of them only known to exceed a budget, say of their mean and median.

    Args:
        interval: of the mean, where nothing is censored; else None.
        lower_bound: the mean of the sample is at least this, and equal to it where nothing is censored.
        median: the Kaplan-Meier median, where the sample identifies it; else None.
        censored: how many are censored.
        n: how many there are.
    """

    interval: Interval | None
    lower_bound: float
    median: float | None
    censored: int
    n: int

    @property
    def estimate(self) -> float | None:
        """The mean, where nothing is censored; else None."""
        return None if self.interval is None else self.interval.estimate

    @property
    def text(self) -> str:
        """The summary in words; it never shows a mean over censored values."""
        if self.interval is not None:
            return f"{self.interval.estimate:.4g} [{self.interval.low:.4g}, {self.interval.high:.4g}]"
        median = "" if self.median is None else f", median {self.median:.4g}"
        return f">= {self.lower_bound:.4g} ({self.censored} of {self.n} censored{median})"


def censored_summary(values: Values, censored: Sequence[bool] | np.ndarray[Any, Any], level: float = 0.95) -> CensoredSummary:
    """Sums up times of which some are only lower bounds.

    Args:
        values: the time of each replicate, or, where it is censored, the budget at which it was given up.
        censored: which are censored, in the same order.
        level: confidence of the interval, in (0, 1).

    Returns:
        The interval of the mean where nothing is censored; else bounds, and the median where half of the replicates
        (in the Kaplan-Meier estimate) were seen to end.

    Raises:
        DataError: the lengths differ, or as in `t_interval`.

    Source:
        Kaplan, Meier 1958.

    Example:
        >>> censored_summary([12, 15, 40], [False, False, True]).text  # the third did not fit within 40 epochs
        '>= 22.33 (1 of 3 censored, median 15)'
    """
    times, cut = numbers(values, "censored_summary"), np.asarray(censored, dtype=bool)
    if cut.shape != times.shape:
        raise DataError(f"censored_summary: one flag a value is required, got {cut.size} for {times.size}. Pass both of the same rows.")
    interval = None if cut.any() else t_interval(times, level)
    return CensoredSummary(interval, float(times.mean()), _median(times, cut), int(cut.sum()), len(times))


def _median(times: np.ndarray[Any, Any], cut: np.ndarray[Any, Any]) -> float | None:
    """The first time at which the Kaplan-Meier survival is <= 1/2."""
    survival = 1.0
    for time in np.unique(times[~cut]):
        at_risk, ended = int((times >= time).sum()), int(((times == time) & ~cut).sum())
        survival *= 1 - ended / at_risk
        if survival <= 0.5 + 1e-12:  # a product of fractions that equals 1/2 may round up
            return float(time)
    return None
