"""What a column is, between which bounds its values are known, and the intervals that follow, against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from shatterlab.analysis.columns import bounds, examples, is_known, mean_interval_of, mean_of, quantity
from shatterlab.analysis.summary import summarize
from shatterlab.core import Row
from shatterlab.core.errors import DataError
from shatterlab.statistics import interval_of_bounds, share_interval

TIME = "fit.epochs_to_interpolation"


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("share", ["train.error", "test.accuracy", "test.top5_accuracy", "oracle.random_error", "measure.MaximumMargin.support"]),
        ("time", ["fit.epochs", "fit.steps", TIME, "fit.steps_to_loss_0.05"]),
        ("positive", ["train.loss", "fit.squared_norm", "seconds", "peak_memory", "fit.parameters", "measure.LogCoshCurvature.trace", "train.n"]),
        ("outcome", ["fit.separable", "fit.censored", "check.passed", "check.batches_equal_sample"]),
        ("r2", ["train.r2", "test.r2", "baseline.test.r2", "my.r2"]),
        ("positive", ["test.rmse", "baseline.train.rmse", "test.r2_se"]),
        ("real", ["gap", "measure.MemorizedBits.per_parameter", "measure.MaximumMargin.smallest_margin"]),
    ],
)
def test_a_column_is_of_one_kind(kind, columns):
    assert {column: quantity(column) for column in columns} == dict.fromkeys(columns, kind) and all(map(is_known, columns))


def test_the_mean_of_r2_has_students_interval_which_ends_at_1():
    values = [0.9, 0.95, 0.99]
    interval = mean_interval_of("r2", values, [(value, value) for value in values], None, 0.95)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (interval.low, interval.high, interval.estimate) == (pytest.approx(low), 1.0, pytest.approx(np.mean(values))) and high > 1
    below = [-3.0, 0.1, 0.2]
    assert mean_interval_of("r2", below, [(value, value) for value in below], None, 0.95).low == pytest.approx(
        stats.t.interval(0.95, 2, np.mean(below), stats.sem(below))[0]
    )


def test_what_the_registry_does_not_know_is_a_real_number():
    assert [(quantity(column), is_known(column)) for column in ("my.score", "check.changed_p")] == [("real", False)] * 2


def test_a_share_is_of_the_examples_of_its_split():
    row = {"train.n": 100, "test.n": 50, "train.error": 0.25, "test.error": 0.25, "train.loss": 0.25}
    assert [examples(row, column) for column in ("train.error", "test.error", "train.loss", "my.error")] == [100, 50, None, None]
    assert examples({"test.error": 0.25, "test.n": 0}, "test.error") is None


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ({TIME: 20, "fit.epochs": 30}, TIME, (19, 20)),
        ({TIME: 0}, TIME, (0, 0)),  # fitted before training began
        ({TIME: None, "fit.epochs": 100}, TIME, (100, math.inf)),
        ({TIME: None}, TIME, None),
        ({"fit.epochs": 100}, "fit.epochs", (100, 100)),  # how long a run was is known
        ({"fit.steps_to_interpolation": 40, "fit.epochs": 10, "fit.steps": 80}, "fit.steps_to_interpolation", (32, 40)),  # 8 steps an epoch
        ({"fit.steps_to_interpolation": None, "fit.steps": 80}, "fit.steps_to_interpolation", (80, math.inf)),
        ({"test.error": 0.25, "test.n": 50}, "test.error", (0.24, 0.26)),
        ({"test.error": 0.25}, "test.error", (0.25, 0.25)),
        ({"train.loss": 0.5}, "train.loss", (0.5, 0.5)),
        ({"train.loss": None}, "train.loss", None),
        ({}, "train.loss", None),
    ],
)
def test_between_which_bounds_a_value_is_known(row, column, expected):
    assert bounds(row, column) == expected


def by_scipy(values):
    return stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))


def test_a_share_has_the_hull_of_three_intervals():
    """On 200 examples: Student's of the shares (each to within 1 / 400), of Anscombe's angles turned back into means, and the exact one of all 600."""
    shares, n = np.array([0.98, 0.995, 1.0]), 200
    plain, half = by_scipy(shares), 0.5 / n
    angles = np.arcsin(np.sqrt((shares * n + 3 / 8) / (n + 3 / 4)))
    spread = max(0.0, np.var(angles, ddof=1) - 1 / (4 * n))
    turned = [np.sin(angle) ** 2 + np.cos(2 * angle) * spread for angle in np.clip(by_scipy(angles), 0, np.pi / 2)]
    exact = stats.binomtest(595, 600).proportion_ci(0.95, method="exact")
    found = share_interval(shares, n)
    assert (found.low, found.high) == pytest.approx((min(plain[0] - half, turned[0], exact.low), min(1, max(plain[1] + half, turned[1], exact.high))))
    assert found.low == pytest.approx(turned[0]) and found.high == 1  # no two of the three agree


@pytest.mark.parametrize("shares", [(0.0, 0.01, 0.05), (0.95, 1.0, 0.99), (0.0, 0.0, 0.0), (1.0, 1.0), (0.2, 0.9)])
@pytest.mark.parametrize("n", [None, 1, 10, 1000])
def test_a_share_never_leaves_its_range(shares, n):
    for level in (0.5, 0.95, 0.999999):
        found = share_interval(np.round(np.array(shares) * (n or 1)) / (n or 1) if n else shares, n, level)
        assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_without_the_number_of_examples_a_tie_has_no_interval():
    assert share_interval([0.9, 0.9, 0.9]).method == "no spread" and share_interval([0.9]).method == "too few"
    with pytest.raises(DataError, match=r"^share_interval: shares in \[0, 1\] of at least one example are required, got 0\.1 to 1\.5 of None\. Count again\.$"):
        share_interval([0.1, 1.5])


def test_a_positive_quantity_has_the_interval_of_its_geometric_mean():
    values = [0.5, 2.0, 3.0]
    found = mean_interval_of("positive", values, [(value, value) for value in values], None, 0.95)
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(by_scipy(np.log(values))))) and found.estimate == pytest.approx(stats.gmean(values))
    assert 0 < found.low < by_scipy(values)[1] and by_scipy(values)[0] < 0  # where Student's goes below 0


def test_a_positive_quantity_that_is_once_zero_has_its_plain_mean_and_no_end_below_zero():
    values = [0.0, 2.0, 3.0]
    found = mean_interval_of("positive", values, [(value, value) for value in values], None, 0.95)
    assert (found.estimate, found.low) == (pytest.approx(5 / 3), 0.0) and found.high == pytest.approx(by_scipy(values)[1])


def test_a_time_reaches_from_the_lower_bounds_interval_to_the_upper_one_s():
    found = mean_interval_of("time", [20, 33, 90], [(19, 20), (32, 33), (89, 90)], None, 0.95)
    ends = np.exp(by_scipy(np.log([19, 32, 89]))[0]), np.exp(by_scipy(np.log([20, 33, 90]))[1])
    assert (found.low, found.high) == pytest.approx(ends) and found.estimate == pytest.approx(stats.gmean([20, 33, 90]))


def test_outcomes_are_counted():
    exact = stats.binomtest(2, 3).proportion_ci(0.95, method="exact")
    found = mean_interval_of("outcome", [1.0, 0.0, 1.0], [(1, 1), (0, 0), (1, 1)], None, 0.95)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize("n", [2, 9, 10, 30])
def test_real_numbers_have_student_s_interval_at_every_n(n):
    values = np.random.default_rng(n).normal(size=n).tolist()
    found = mean_interval_of("real", values, [(value, value) for value in values], None, 0.95)
    assert (found.low, found.high) == pytest.approx(by_scipy(values)) and found.method == "t"


def test_ties_have_the_spread_that_their_rounding_hides_or_none():
    """Three times 20 whole epochs: each end is that of values with deviation 1 / sqrt(12) around it."""
    half = stats.t.ppf(0.975, 2) / math.sqrt(12 * 3)
    found = interval_of_bounds([19, 19, 19], [20, 20, 20])
    assert (found.low, found.high) == pytest.approx((19 - half, 20 + half))
    for scale, low in (("linear", -math.inf), ("log", 0.0)):
        none = interval_of_bounds([20, 20, 20], [20, 20, 20], scale=scale)
        assert (none.low, none.high, none.method) == (low, math.inf, "no spread")


def test_an_end_of_which_nothing_is_known_is_open():
    below = interval_of_bounds([-math.inf, -math.inf, 1], [2, 3, 4])
    assert below.low == -math.inf and below.high == pytest.approx(by_scipy([2, 3, 4])[1]) and math.isnan(below.estimate)
    cut = interval_of_bounds([100, 100, 89], [math.inf, math.inf, 90], scale="log")
    assert cut.high == math.inf and cut.low == pytest.approx(np.exp(by_scipy(np.log([100, 100, 89]))[0]))
    unknown = interval_of_bounds([-math.inf] * 2, [math.inf] * 2)
    assert (unknown.low, unknown.high, unknown.method) == (-math.inf, math.inf, "t")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interval_of_bounds([1], [1, 2]), "interval_of_bounds: as many upper as lower bounds are required, got 2 and 1. Give two a replicate."),
        (
            lambda: interval_of_bounds([-1, 1], [1, 1], scale="log"),
            "interval_of_bounds: values >= 0 are required on the log scale, got -1.0. Use scale='linear'.",
        ),
        (
            lambda: interval_of_bounds([2, math.nan], [1, 1]),
            "interval_of_bounds: a lower bound is a number below inf and at most its upper bound. Leave diverged trials out and say how many.",
        ),
    ],
)
def test_bounds_that_are_none_are_refused(call, message):
    with pytest.raises(DataError) as refusal:
        call()
    assert str(refusal.value) == message


def test_equal_values_have_themselves_for_a_mean():
    assert mean_of("positive", [0.1] * 3) == 0.1 == mean_of("share", [0.1] * 3)  # the mean of three times 0.1 rounds


@pytest.mark.parametrize("values", [(0.2, 0.3), (0.2, 0.2)])
def test_two_replicates_show_no_interval(values):
    told = summarize([Row({"test.error": value, "test.n": 100}) for value in values], "test.error")
    assert told.interval is None and "[" not in told.text("test.error")
    assert values[0] == values[1] or told.text("test.error") == "25.0 % (n = 2)"
