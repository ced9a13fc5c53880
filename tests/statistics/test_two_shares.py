"""Differences of shares: coverage over every outcome, edges, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from shatterlab.core.errors import DataError
from shatterlab.statistics.two_shares import share_difference, share_difference_bounds


def outcomes(n: int, p: float, m: int, q: float):
    """Every pair of counts with its probability."""
    x, y = (each.ravel() for each in np.meshgrid(np.arange(n + 1), np.arange(m + 1), indexing="ij"))
    return x, y, stats.binom.pmf(x, n, p) * stats.binom.pmf(y, m, q)


@pytest.mark.parametrize(("n", "m"), [(14, 6), (70, 30), (140, 60)])
@pytest.mark.parametrize("p", [0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.95])
def test_the_interval_of_the_standard_error_covers_about_what_it_says(n, m, p, q):
    """Exact coverage, by enumeration, of (the difference with added counts) +- 1.96 standard errors: at least 91 %, where plain ones fall to 0."""
    x, y, probability = outcomes(n, p, m, q)
    _, error = share_difference(x, n + 0 * x, y, m + 0 * y)
    centre = (x + 1) / (n + 2) - (y + 1) / (m + 2)
    assert probability[abs(centre - (p - q)) <= 1.96 * error].sum() >= 0.91


@pytest.mark.parametrize(("n", "m"), [(5, 3), (70, 30)])
@pytest.mark.parametrize("p", [0.3, 0.9, 1.0])
@pytest.mark.parametrize("q", [0.0, 0.2, 0.75])
@pytest.mark.parametrize("miss", [0.025, 0.001])
def test_each_bound_is_wrong_no_more_often_than_asked(n, m, p, q, miss):
    x, y, probability = outcomes(n, p, m, q)
    low, high = share_difference_bounds(x, n + 0 * x, y, m + 0 * y, miss)
    assert probability[low > p - q + 1e-12].sum() <= miss
    assert probability[high < p - q - 1e-12].sum() <= miss


def test_sides_without_runs():
    none, some = np.array([0]), np.array([4])
    assert np.isnan(share_difference(none, none, none, some)).all()
    low, high = share_difference_bounds(none, none, some, some, 0.05)
    assert low[0] == -1
    assert 0 < high[0] < 1


def test_what_is_refused():
    one, two = np.array([1]), np.array([2])
    with pytest.raises(DataError, match=r"^two shares: 0 <= hits <= runs is required, got other counts\. Count hits among the runs\.$"):
        share_difference(two, one, one, one)
    with pytest.raises(DataError, match=r"^share_difference_bounds: miss is a probability in \(0, 1\), got 0\. Use 0\.025, say\.$"):
        share_difference_bounds(one, one, one, one, 0)
