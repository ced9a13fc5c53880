"""Scores of examples from their dynamics: against the definitions written out, and on labels that are wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import shatterlab as sl
from shatterlab.analysis.dynamics import correctness, example_scores
from shatterlab.core.errors import DataError
from shatterlab.learners.dynamics import Dynamics


def arrays(correct, **others):
    correct = np.array(correct, dtype=bool)
    t, n = correct.shape
    rng = np.random.default_rng(0)
    parts = {"epochs": np.arange(1, t + 1), "held_out": np.empty(0, np.int64), "correct": np.packbits(correct, axis=1)}
    parts |= {name: rng.random((t, n)).astype(np.float32) for name in ("margin", "loss", "probability", "el2n")} | others
    return {f"fit.dynamics.{name}": values for name, values in parts.items()}


def test_events_by_hand():
    said = example_scores(arrays([[0, 1, 0, 0], [1, 0, 0, 1], [0, 1, 0, 1], [1, 0, 0, 1]], epochs=np.array([1, 3, 5, 7])))
    assert said["forgetting_events"].tolist() == [1, 2, np.inf, 0]
    assert said["first_learned"].tolist() == [3, 1, np.inf, 3]


def test_definitions_written_out():
    given = arrays(np.random.default_rng(1).random((12, 9)) < 0.5, epochs=np.arange(2, 26, 2), held_out=np.array([3, 8]))
    said, margin, p = example_scores(given), given["fit.dynamics.margin"], given["fit.dynamics.probability"].astype(float)
    right = correctness(given)
    for i in range(9):
        assert said["aum"][i] == pytest.approx(sum(margin[:, i]) / 12)
        assert said["confidence"][i] == pytest.approx(sum(p[:, i]) / 12)
        assert said["variability"][i] == pytest.approx((sum((p[:, i] - p[:, i].mean()) ** 2) / 12) ** 0.5)
        assert said["cumulative_loss"][i] == pytest.approx(sum(given["fit.dynamics.loss"][:, i]), rel=1e-6)
        assert said["forgetting_events"][i] == sum(a and not b for a, b in zip(right[:-1, i], right[1:, i], strict=True))
    assert said["el2n"].tolist() == given["fit.dynamics.el2n"][4].astype(float).tolist()  # epoch 10
    assert example_scores(given, early=1)["el2n"].tolist() == given["fit.dynamics.el2n"][0].astype(float).tolist()
    assert np.flatnonzero(said["held_out"]).tolist() == [3, 8]


def test_changed_labels_are_learned_later_and_stand_out():
    """Arpit et al. 2017, Pleiss et al. 2020 on digits: areas under the ROC curve far above 1/2 in one run."""
    splits = sl.Digits(examples=600, test_examples=100).load()
    noisy = sl.PartialLabels(0.2).apply(splits).train
    changed = (noisy.labels != splits.train.labels).numpy()
    fit = Dynamics(sl.Training(sl.MLP((64,)), sl.SGD(lr=0.05), epochs=30, batch_size=64, stop="budget")).fit(noisy)
    said, right = example_scores(fit.arrays), correctness(fit.arrays)

    def area(score):
        order = score.argsort().argsort() + 1
        m = changed.sum()
        return (order[changed].sum() - m * (m + 1) / 2) / (m * (~changed).sum())

    assert min(area(-said["aum"]), area(-said["confidence"]), area(said["el2n"]), area(said["cumulative_loss"])) > 0.9
    assert np.median(said["first_learned"][~changed]) < np.median(said["first_learned"][changed])
    assert right[9][~changed].mean() > 0.9 > right[9][changed].mean()
    assert torch.equal(torch.from_numpy(right[-1]), fit.scores(noisy.inputs).argmax(1) == noisy.labels)


def test_what_it_refuses():
    with pytest.raises(DataError, match=r"^example_scores: the arrays of a fit of Dynamics are required, got code\. Fit sl\.Dynamics\(learner\)\.$"):
        example_scores({"code": np.ones(3)})
    with pytest.raises(DataError, match=r"^example_scores: at least one recorded epoch is required, got none\. Record more often\.$"):
        correctness(arrays(np.empty((0, 4), bool)))
