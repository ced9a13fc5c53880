"""Cross-validation as trials: folds part the sample, keep together what belongs together, and what is kept was not fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from shatterlab.core import Examples, Fit, Seeds
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.linear import LinearMinimumNorm
from shatterlab.learners.on_fold import OnFold, class_probabilities, folds_of

NEAREST = Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1})


def sample(n: int = 100, classes: int = 4) -> Examples:
    return Examples(torch.rand(n, 3, generator=torch.Generator().manual_seed(0)), torch.arange(n) % classes, classes)


def test_each_example_is_left_out_once():
    train = sample()
    fits = [OnFold(NEAREST, 5, fold).fit(train, Seeds.replicate(3)) for fold in range(5)]
    assert sorted(np.concatenate([fit.arrays["left_out"] for fit in fits])) == list(range(100))
    for fit in fits:
        left_out = fit.arrays["left_out"]
        assert np.bincount(train.labels[left_out]).tolist() == [5, 5, 5, 5]
        probabilities = fit.arrays["probabilities"]
        assert probabilities.dtype == np.float32 and probabilities.shape == (20, 4) and fit.facts["left_out"] == 20
        assert fit.facts["left_out_error"] == (probabilities.argmax(1) != train.labels[left_out].numpy()).mean()
        seen = np.setdiff1d(np.arange(100), left_out)
        nearest = torch.cdist(train.inputs[left_out], train.inputs[seen]).argmin(1)
        assert (probabilities.argmax(1) == train.labels[seen][nearest].numpy()).all()


def test_other_seeds_part_it_otherwise():
    one, other = (folds_of(sample(), 5, Seeds.replicate(r).rng("order", "folds")) for r in (0, 1))
    assert (one != other).any()


def test_equal_inputs_share_a_fold_so_that_a_copy_cannot_vouch():
    train = sample()
    copied = replace(train, inputs=torch.cat([train.inputs[:50], train.inputs[:50]]))
    places = folds_of(copied, 5, np.random.default_rng(0))
    assert (places[:50] == places[50:]).all() and np.bincount(places).tolist() == [20] * 5


def test_groups_share_a_fold_and_times_are_blocks():
    train = sample()
    groups = torch.arange(100) // 9
    places = folds_of(replace(train, groups=groups), 3, np.random.default_rng(0))
    assert all(len(np.unique(places[groups == group])) == 1 for group in range(12)) and np.bincount(places).min() >= 27
    times = torch.arange(100).flip(0) // 3
    blocks = folds_of(replace(train, times=times), 4, np.random.default_rng(0))
    order = np.argsort(times.numpy(), kind="stable")
    assert (np.diff(blocks[order]) >= 0).all() and np.bincount(blocks).min() >= 22
    assert all(len(np.unique(blocks[times == time])) == 1 for time in range(34))


@pytest.mark.parametrize(("labels", "groups", "got"), [([0, 0, 0, 1], None, "one class only outside of it"), ([0, 1, 0, 1], [0, 0, 0, 0], "an empty one")])
def test_folds_that_cannot_be_fitted_are_refused(labels, groups, got):
    train = Examples(torch.rand(4, 2), torch.tensor(labels), 2, groups=None if groups is None else torch.tensor(groups))
    problems = []
    for fold in range(4):
        try:
            OnFold(NEAREST, 4, fold).fit(train)
        except DataError as problem:
            problems.append(str(problem))
    assert f"OnFold: folds with examples, and two classes outside of each, are required, got {got}. Use fewer folds, or more examples." in problems


def test_fields_out_of_range_are_refused():
    with pytest.raises(InvalidPart, match=r"^OnFold: folds is a whole number >= 2, got 1$"):
        OnFold(NEAREST, 1)
    with pytest.raises(InvalidPart, match=r"^OnFold: fold is a whole number in 0\.\.4, got 5$"):
        OnFold(NEAREST, 5, 5)


@pytest.mark.parametrize(
    ("output", "scores", "expected"),
    [
        ("logits", [[0.0, 0.0], [float("nan"), 1.0]], [[0.5, 0.5], [np.nan, np.nan]]),
        ("probabilities", [[0.2, 0.6], [0.0, 0.0]], [[0.25, 0.75], [0.5, 0.5]]),
        ("values", [[-0.5, 1.2], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]),
    ],
)
def test_scores_of_every_kind_become_probabilities(output, scores, expected):
    made = class_probabilities(Fit(lambda inputs: torch.tensor(scores), output), sample(2, 2))
    assert np.array_equal(made, np.float32(expected), equal_nan=True)


def test_scores_of_a_squared_loss_are_taken():
    assert OnFold(LinearMinimumNorm(), 5).fit(sample()).arrays["probabilities"].sum(1) == pytest.approx(1, abs=1e-6)
