"""Cover's count of separable labellings, the linear program that decides separability, and that the two agree."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats

import shatterlab as sl
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.theory.vc import cover_probability

FALSE_ALARM = 1e-6  # of all comparisons with Cover's curve together


def exact(n, d):
    return Fraction(sum(math.comb(n - 1, j) for j in range(min(d, n))), 2 ** (n - 1))


@pytest.mark.parametrize("d", [1, 2, 7, 50])
def test_the_probability_is_the_exact_sum(d):
    for n in [*range(1, 12), 2 * d, 3 * d + 1, 200]:
        assert cover_probability(n, d) == pytest.approx(float(exact(n, d)), rel=1e-12)  # the incomplete beta function's accuracy


def test_it_is_certain_up_to_d_and_a_half_at_twice_d():
    for d in (1, 3, 40, 10_000):
        assert cover_probability(d, d) == 1
        assert cover_probability(2 * d, d) == pytest.approx(0.5, rel=1e-9)  # by symmetry of the binomial


def test_large_numbers_neither_overflow_nor_vanish():
    assert cover_probability(1_000_000, 490_000) < 1e-80
    assert cover_probability(1_000_000, 490_000) > 0
    assert cover_probability(10**9, 6 * 10**8) == 1


def test_impossible_counts_are_refused():
    with pytest.raises(DataError, match=r"^cover_probability: n and d are whole numbers >= 1, got 0 and 3\. Count the points and the dimensions\.$"):
        cover_probability(0, 3)


def cloud(n, d, seed, classes=2):
    seeds = sl.Seeds.replicate(seed)
    return sl.RandomLabels().apply(sl.GaussianCloud(d=d, n=max(n, 40), classes=classes, examples=n).load(None, seeds), seeds).train


@pytest.mark.parametrize("bias", [False, True])
def test_the_share_of_separable_samples_is_covers(bias):
    """Each count lies inside the exact binomial bounds; all comparisons together alarm falsely with probability at most 1e-6."""
    d, runs = 6, 80
    sizes = [d, 2 * d, 2 * d + 2, 3 * d]
    tail = FALSE_ALARM / 2 / len(sizes) / 2  # two kinds of classifier, four sizes, two sides
    counts = {n: sum(sl.LinearSeparator(bias=bias).fit(cloud(n, d, seed)).facts["separable"] for seed in range(runs)) for n in sizes}
    for n, count in counts.items():
        p = cover_probability(n, d + bias)
        assert stats.binom.sf(count - 1, runs, p) > tail and stats.binom.cdf(count, runs, p) > tail, (n, count, p)
    others = cover_probability(2 * d, d + 3)  # planted: a count for three dimensions more is found out where it matters most
    assert stats.binom.cdf(counts[2 * d], runs, others) < 1e-3


def test_what_separates_is_shown_and_what_does_not_is_proved():
    kinds = set()
    for seed in range(30):
        train = cloud(12, 6, seed)
        fit = sl.LinearSeparator().fit(train)
        right = fit.scores(train.inputs).argmax(1) == train.labels
        kinds.add(fit.facts["separable"])
        assert bool(right.all()) == fit.facts["separable"]
        if fit.facts["separable"]:
            assert fit.facts["proof"] is None
            assert fit.facts["slack"] < 1e-6  # the solver's tolerance, 1e-7 a constraint, over 12 of them
        else:
            assert fit.facts["proof"] < 1e-6  # multipliers that add up to 0: no map separates
    assert kinds == {True, False}


def test_a_sample_of_one_class_only_is_a_labelling_like_any_other():
    points = cloud(5, 6, 0).inputs
    for label in (0, 1):
        assert sl.LinearSeparator().fit(sl.Examples(points, torch.full((5,), label), 2)).facts["separable"] is True


def test_equal_points_with_different_labels_are_never_separable():
    points = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 1.0]])
    fit = sl.LinearSeparator(bias=True).fit(sl.Examples(points, torch.tensor([0, 1, 1]), 2))
    assert fit.facts["separable"] is False
    assert fit.facts["proof"] < 1e-6


def test_a_line_needs_a_bias_where_classes_lie_on_one_side():
    line = sl.Examples(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([0, 0, 1, 1]), 2)
    assert sl.LinearSeparator().fit(line).facts["separable"] is False
    assert sl.LinearSeparator(bias=True).fit(line).facts["separable"] is True


def test_scales_of_features_change_no_answer():
    scale = torch.tensor([1e-6, 1.0, 1e6, 10.0, 1e3, 1e-2])
    for seed in range(10):
        train = cloud(12, 6, seed)
        stretched = sl.Examples(train.inputs * scale, train.labels, 2)
        assert sl.LinearSeparator().fit(train).facts["separable"] == sl.LinearSeparator().fit(stretched).facts["separable"]


def test_true_labels_are_the_teachers_and_always_separable():
    for classes in (2, 4):
        train = sl.GaussianCloud(d=4, n=150, classes=classes).load().train
        assert sl.LinearSeparator().fit(train).facts["separable"] is True
        assert len(set(train.labels.tolist())) == classes


def test_several_classes_have_as_many_dimensions_each():
    fit = sl.LinearSeparator(bias=True).fit(cloud(6, 5, 0, classes=4))
    assert fit.facts["parameters"] == 3 * (5 + 1)
    assert fit.scores(torch.zeros(2, 5)).shape == (2, 4)
    assert fit.facts["separable"] is True  # of 6 points in general position in 5 dimensions, a plane with bias takes any values
    assert sl.LinearSeparator(bias=True).fit(cloud(60, 5, 0, classes=4)).facts["separable"] is False  # 60 labels of 2 bits, 18 numbers


def test_points_that_are_not_finite_are_refused():
    with pytest.raises(
        DataError, match=r"^LinearSeparator: finite inputs are required, got NaN or infinity in 1 examples, the first at position 1\. Clean or drop them\.$"
    ):
        sl.LinearSeparator().fit(sl.Examples(torch.tensor([[1.0], [torch.nan]]), torch.tensor([0, 1]), 2))


def test_gradient_descent_fits_nothing_that_the_programme_does_not():
    descent = sl.Training(sl.Linear(bias=False), sl.Adam(lr=0.05), batch_size=None, epochs=150, whiten=False)
    outcomes = []
    for seed in range(12):
        train = cloud(14, 8, seed)
        found = descent.fit(train, sl.Seeds.replicate(seed))
        fitted = found.facts["epochs_to_interpolation"] is not None
        outcomes.append((fitted, sl.LinearSeparator().fit(train).facts["separable"]))
    assert (True, False) not in outcomes
    assert (True, True) in outcomes


def test_gaussian_points_are_standard_and_their_shares_even():
    splits = sl.GaussianCloud(d=3, n=4000).load()
    x = splits.train.inputs.double().numpy()
    limit = stats.norm.isf(FALSE_ALARM / 6) / math.sqrt(4000)  # of a mean of 4,000; three dimensions, two sides
    assert np.abs(x.mean(0)).max() < limit
    assert np.abs(x.var(0) - 1).max() < 1.6 * limit  # the variance of a square is 2
    assert len(splits.test) == 1000
    assert not torch.equal(splits.train.inputs[:1000], splits.test.inputs)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"d": 0}, r"^GaussianCloud: d is a whole number >= 1, got 0$"),
        ({"n": 19}, r"^GaussianCloud: n is a whole number >= 20, got 19\. Keep fewer by examples\.$"),
        ({"classes": 1}, r"^GaussianCloud: classes is a whole number >= 2, got 1$"),
    ],
)
def test_a_cloud_of_impossible_size_is_refused(fields, told):
    with pytest.raises(InvalidPart, match=told):
        sl.GaussianCloud(**fields)
