"""Exchanges count and draw what they say; Monte Carlo p-values are valid with and without stopping, and end early where nothing is lost."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from shatterlab.core.errors import DataError
from shatterlab.statistics.permutations import (
    Exchange,
    fewest_draws,
    monte_carlo_test,
    shuffled_columns,
    significant,
    smallest_significant,
    stopping_count,
)


def free(n):
    return Exchange.of(np.arange(n), np.zeros(n, int))


small = st.integers(2, 6).flatmap(lambda n: st.tuples(*(st.lists(st.integers(0, 2), min_size=n, max_size=n) for _ in range(2))))


@given(small)
def test_arrangements_within_cells_are_those_of_a_list_of_all(codes):
    labels, cells = map(np.array, codes)
    everything = {tuple(labels[list(order)]) for order in itertools.permutations(range(len(labels))) if (cells[list(order)] == cells).all()}
    exchange = Exchange.of(np.arange(len(labels)), cells)
    assert exchange.arrangements(labels) == len(everything)
    others = [tuple(labels[indices]) for indices in exchange.draws(labels, 1000, np.random.default_rng(0))]
    assert sorted(others) == sorted(everything - {tuple(labels)})


@given(small)
def test_shifts_in_time_are_rotations_of_each_cell(codes):
    labels, cells = map(np.array, codes)
    time = np.random.default_rng(1).permutation(len(labels))
    positions = [np.flatnonzero(cells == cell)[np.argsort(time[cells == cell])] for cell in np.unique(cells)]
    everything = set()
    for shifts in itertools.product(*(range(len(each)) for each in positions)):
        rotated = labels.copy()
        for where, shift in zip(positions, shifts, strict=True):
            rotated[where] = np.roll(labels[where], shift)
        everything.add(tuple(rotated))
    exchange = Exchange.of(np.arange(len(labels)), cells, time)
    assert exchange.arrangements(labels) == len(everything)
    assert {tuple(labels[each]) for each in exchange.draws(labels, 1000, np.random.default_rng(0))} == everything - {tuple(labels)}


def test_groups_move_as_wholes():
    groups, labels = np.array([0, 0, 0, 1, 2, 2, 3]), np.array([1, 1, 1, 0, 0, 0, 1])
    exchange = Exchange.of(groups, np.zeros(7, int))
    assert exchange.arrangements(labels) == 6
    for indices in exchange.draws(labels, 1000, np.random.default_rng(0)):
        moved = labels[indices]
        assert all(len(set(moved[groups == group])) == 1 for group in range(4))
        assert sum(moved[groups == group][0] for group in range(4)) == 2


def test_every_arrangement_is_equally_likely():
    labels, rng = np.array([0, 0, 1, 2]), np.random.default_rng(0)
    drawn = [tuple(labels[free(4).draw(rng)]) for _ in range(6000)]
    counts = [drawn.count(each) for each in set(drawn)]
    assert len(counts) == 12
    assert stats.chisquare(counts).pvalue > 1e-6


def test_many_arrangements_are_not_counted():
    assert free(10**6).arrangements(np.arange(10**6) % 2) == math.inf
    assert free(10**6).arrangements((np.arange(10**6) == 5).astype(int)) == 1e6
    assert free(20).arrangements(np.arange(20) % 2) == math.comb(20, 10)


def test_columns_are_shuffled_apart_within_cells():
    rng = np.random.default_rng(0)
    values, cells = rng.normal(size=(40, 2, 3)), np.repeat([0, 1], 20)
    shuffled = shuffled_columns(values, cells, rng)
    assert values.shape == shuffled.shape and not np.array_equal(values, shuffled)
    for cell in (0, 1):
        assert np.array_equal(np.sort(shuffled[cells == cell], axis=0), np.sort(values[cells == cell], axis=0))
    assert not np.isin(shuffled[:, 0, 0] + shuffled[:, 0, 1], values[:, 0, 0] + values[:, 0, 1]).all()


def p_values(draws, runs, stop_after, rng):
    """Of statistics that are exchangeable with their draws; rounded, so that there are ties."""
    values = rng.normal(size=(runs, draws + 1)).round(1)
    return np.array([monte_carlo_test(row[0], row[1:], draws, stop_after).p for row in values])


@pytest.mark.parametrize("stop_after", [None, 1, 5])
def test_p_is_super_uniform_under_the_hypothesis(stop_after):
    """One-sided Kolmogorov-Smirnov: P(p <= a) <= a; a false alarm has probability 1e-6 (Massart's bound exp(-2 n d^2))."""
    n = 4000
    p = np.sort(p_values(39, n, stop_after, np.random.default_rng(1)))
    assert (np.arange(1, n + 1) / n - p).max() <= math.sqrt(math.log(1e6) / 2 / n)
    assert p.mean() < (0.7 if stop_after == 1 else 0.56)  # and it is not merely large; h = 1 gives 1 / l only


def test_a_significant_p_needs_all_draws():
    """For every N and level, an early stop leaves p above 1 - level, and one draw more than needed never decides otherwise."""
    for level in (0.9, 0.95, 0.99):
        for most in (99, 118, 250, 999):
            stop, alpha = stopping_count(most, level), significant(level)
            assert stop / (most - 1) > alpha
            assert stop + 1 > alpha * (most + 1)  # with all draws: (C + 1) / (N + 1) for C >= stop
            assert stop >= 10


def test_stopping_gives_h_over_l():
    test = monte_carlo_test(0.5, iter([1, 0, 1, 0, 0, 1, 0, 0]), 8, stop_after=3)
    assert (test.p, test.exceedances, test.stopped, len(test.null)) == (3 / 6, 3, True, 6)
    whole = monte_carlo_test(0.5, iter([1, 0, 1, 0, 0, 1, 0, 0]), 8)
    assert (whole.p, whole.stopped, len(whole.null)) == (4 / 9, False, 8)


def test_equal_scores_that_rounding_tells_apart_are_ties():
    assert monte_carlo_test(0.1 + 0.2, [0.3], 1).p == 1


@given(st.lists(st.integers(-5, 5), min_size=19, max_size=60), st.sampled_from([0.9, 0.95]))
def test_the_smallest_significant_score_is_where_p_turns(null, level):
    edge = smallest_significant(np.array(null, float), level)
    n = len(null)
    assert monte_carlo_test(edge + 0.5, null, n).p <= significant(level) < monte_carlo_test(edge, null, n).p


def test_levels_and_draws():
    assert [fewest_draws(level) for level in (0.9, 0.95, 0.99, 0.999)] == [9, 19, 99, 999]
    assert smallest_significant(np.zeros(18), 0.95) is None
    assert [significant(level) for level in (0.9, 0.95)] == [0.1, 0.05]
    with pytest.raises(DataError, match=r"^significance: level is a confidence in \(0, 1\), got 95\. Use 0\.95, say\.$"):
        significant(95)
    with pytest.raises(DataError, match=r"^monte_carlo_test: at least one draw is required, got none\. Ask for more permutations\.$"):
        monte_carlo_test(1.0, [], 0)
