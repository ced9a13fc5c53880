"""Memorization from rows: unbiased against every subset, exact against sampled, errors as large as they say, influence, counts."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import pytest
import torch

import shatterlab as sl
from shatterlab.analysis.memorization import influence, memorization_scores, needed_trials, worst_error
from shatterlab.analysis.replicates import distinct
from shatterlab.core import Examples
from shatterlab.core.errors import DataError

N, M = 12, 8
NEAREST = sl.Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1})


@cache
def plane() -> Examples:
    """Twelve points of two classes in the plane, in general position, two of them on the wrong side."""
    rng = np.random.default_rng(5)
    labels = np.arange(N) % 2
    points = rng.normal(size=(N, 2)) + 1.5 * labels[:, None]
    labels[:2] = 1 - labels[:2]
    return Examples(torch.from_numpy(points.astype(np.float32)), torch.from_numpy(labels.astype(np.int64)), 2)


@cache
def every_subset() -> tuple[np.ndarray, np.ndarray]:
    """Inside and correct of the nearest neighbour for each of the 495 subsets of 8 of 12 points, by the plain definition."""
    points, labels = plane().inputs.numpy().astype(float), plane().labels.numpy()
    distances = ((points[:, None] - points[None]) ** 2).sum(-1)
    subsets = list(itertools.combinations(range(N), M))
    inside = np.zeros((len(subsets), N), dtype=bool)
    correct = np.zeros_like(inside)
    for place, subset in enumerate(subsets):
        inside[place, subset] = True
        correct[place] = labels[np.array(subset)[distances[:, subset].argmin(1)]] == labels
    return inside, correct


def truth() -> np.ndarray:
    inside, correct = every_subset()
    return np.array([correct[inside[:, i], i].mean() - correct[~inside[:, i], i].mean() for i in range(N)])


def row(inside: np.ndarray, correct: np.ndarray, key: object, **columns: object) -> sl.Row:
    arrays = {"fit.inside": np.packbits(inside), "fit.correct": np.packbits(correct)}
    return sl.Row({"key": str(key), "status": "ok", "train.n": len(inside), **columns}, arrays=arrays)


def drawn(trials: int, rng: np.random.Generator) -> list[sl.Row]:
    inside, correct = every_subset()
    return [row(inside[i], correct[i], key) for key, i in enumerate(rng.integers(len(inside), size=trials))]


def test_all_subsets_together_give_the_truth():
    inside, correct = every_subset()
    scores = memorization_scores([row(*pair, key) for key, pair in enumerate(zip(inside, correct, strict=True))])
    assert scores.values == pytest.approx(truth())
    assert scores.mean.estimate == pytest.approx(truth().mean())  # every example is inside equally often
    assert (scores.inside == math.comb(N - 1, M - 1)).all()


def test_the_learner_and_its_trials_estimate_the_truth_within_their_standard_errors():
    """The whole path, learner to scores, against the enumeration: 400 fits, z of each of 12 examples below 5 (false alarm 12 x 6e-7)."""
    learner = sl.OnSubset(NEAREST, share=M / N)
    fits = [learner.fit(plane(), sl.Seeds(order=r)) for r in range(400)]
    rows = [sl.Row({"key": str(r), "train.n": N}, arrays={f"fit.{name}": array for name, array in fit.arrays.items()}) for r, fit in enumerate(fits)]
    scores = memorization_scores(rows)
    assert (abs(scores.values - truth()) <= 5 * scores.standard_errors).all()
    assert abs(scores.mean.estimate - truth().mean()) <= 5 * scores.mean.width / 2


def test_the_estimator_has_no_bias_and_the_error_that_its_standard_error_and_the_bound_say():
    """2,000 repetitions of 60 fits: the mean error is within 5 of its own standard errors of 0, for each example."""
    rng = np.random.default_rng(0)
    repeats = [memorization_scores(drawn(60, rng)) for _ in range(2000)]
    errors = np.array([scores.values for scores in repeats]) - truth()
    assert (abs(errors.mean(0)) <= 5 * errors.std(0) / math.sqrt(len(repeats)) + 1e-12).all()
    said = np.array([scores.standard_errors for scores in repeats]).mean(0)
    assert (errors.std(0) <= 1.1 * said).all()  # never understated by more than a tenth
    assert (np.sqrt((errors**2).mean(0)) <= worst_error(60, M / N)).all()


def test_the_interval_of_the_count_holds():
    rng = np.random.default_rng(1)
    true = int((truth() > 0.25).sum())
    counts = [memorization_scores(drawn(150, rng)).count() for _ in range(200)]
    assert all(count.low <= count.estimate <= count.high for count in counts)
    assert sum(count.low <= true <= count.high for count in counts) >= 190
    assert max(count.low for count in counts) > 0  # it can say something


def test_at_a_share_near_one_the_sampled_values_are_the_leave_one_out_values():
    """All subsets of n - 1 of n: mem(i) is then 1[fit on others with i correct] less 1[leave-one-out correct]; 1-NN fits what it saw."""
    exact = sl.LeaveOneOut().of(NEAREST.fit(plane()), plane())["memorization_scores"]
    learner = sl.OnSubset(NEAREST, share=0.95)  # 11 of 12
    fits = [learner.fit(plane(), sl.Seeds(order=r)) for r in range(150)]  # one is outside in each; none is missed but with probability 3e-5
    rows = [sl.Row({"key": str(r), "train.n": N}, arrays={f"fit.{name}": array for name, array in fit.arrays.items()}) for r, fit in enumerate(fits)]
    assert memorization_scores(rows).values.tolist() == exact.tolist()


def test_examples_that_were_never_inside_or_never_outside_have_no_value():
    rows = [row(np.array([1, 0, 1, 0], dtype=bool), np.array([1, 1, 0, 0], dtype=bool), "a"), row(np.array([1, 0, 0, 1], bool), np.ones(4, bool), "b")]
    scores = memorization_scores(rows)
    assert np.isnan(scores.values).tolist() == [True, True, False, False]
    assert scores.values[2:].tolist() == [-1.0, 1.0]
    assert scores.most(4) == [3]
    assert scores.count().n == 2


def test_rows_that_failed_are_counted_and_equal_keys_count_once():
    good = drawn(20, np.random.default_rng(0))
    failed = sl.Row({"key": "x", "status": "failed", "error": "boom"})
    scores = memorization_scores([*good, good[0], failed])
    assert (scores.trials, scores.left_out) == (20, 1)
    with pytest.raises(DataError, match=r"^memorization: at least one trial of OnSubset that ended well is required, got 1 rows \(boom\)\."):
        memorization_scores([failed])
    with pytest.raises(DataError, match=r"^memorization: one sample for all trials is required, got 2\. Keep the data and the corruption seed\.$"):
        memorization_scores([*good, row(np.ones(3, bool), np.ones(3, bool), "y")])


def test_influence_is_the_difference_that_a_training_example_makes_for_another():
    inside, correct = every_subset()
    rows = [row(*pair, key) for key, pair in enumerate(zip(inside, correct, strict=True))]
    values, errors = influence(rows, [3, 7])
    for place, j in enumerate((3, 7)):
        for i in set(range(N)) - {j}:
            with_i, without_i = (correct[side & ~inside[:, j], j].mean() for side in (inside[:, i], ~inside[:, i]))
            assert values[i, place] == pytest.approx(with_i - without_i)
        assert np.isnan(values[j, place])
    assert (errors[~np.isnan(errors)] > 0).all()
    with pytest.raises(DataError, match=r"^influence: places of the sample in 0\.\.11 are required, got \[12\]\. Count from 0\.$"):
        influence(rows, [12])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("error", [0.05, 0.1, 0.3])
def test_the_needed_trials_are_the_fewest(error, share):
    t = needed_trials(error, share)
    assert worst_error(t, share) <= error < worst_error(t - 1, share)


def test_fits_on_different_subsets_are_not_taken_for_identical_replicates():
    """The losses of trees are often infinite on both splits, which says nothing of whether two fits are the same."""
    same = {"train.loss": math.inf, "test.loss": math.inf, "check.train_fingerprint": "f"}
    subsets = ("a", "b", "b")
    assert len(distinct([sl.Row({"key": str(r), **same, "fit.subset": subset}) for r, subset in enumerate(subsets)])) == 2
