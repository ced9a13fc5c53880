"""Intervals, equivalence and significance: numbers in, statements out, without torch and without rows."""

from __future__ import annotations

from shatterlab.statistics.bounded import interval_of_bounds, share_interval
from shatterlab.statistics.intervals import (
    Equivalence,
    Interval,
    bootstrap_interval,
    clopper_pearson,
    equivalence,
    mean_interval,
    paired_difference,
    ratio_interval,
    t_interval,
)
from shatterlab.statistics.rank import kendall_interval, kendall_tau
from shatterlab.statistics.significance import (
    Significance,
    binomial_two_sided,
    detectable,
    g_test_bound,
    holm,
    permutation_test,
    poisson_binomial_two_sided,
    same_counts_bound,
    t_test,
)

__all__ = [
    "Equivalence", "Interval", "Significance", "binomial_two_sided", "bootstrap_interval",
    "clopper_pearson", "detectable", "equivalence",
    "g_test_bound", "holm", "interval_of_bounds", "kendall_interval", "kendall_tau", "mean_interval",
    "paired_difference", "permutation_test", "poisson_binomial_two_sided", "ratio_interval", "same_counts_bound", "share_interval", "t_interval", "t_test",
]  # fmt: skip
