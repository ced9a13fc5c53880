"""A learner on random subsets: what is inside, what is right, what stays the same between fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import shatterlab as sl
from shatterlab.core import Examples
from shatterlab.core.errors import InvalidPart

NEAREST = sl.Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1})


@pytest.fixture(scope="module")
def train() -> Examples:
    return sl.Digits(examples=60, test_examples=50).load().train


def bits(fit, name: str, n: int) -> np.ndarray:
    return np.unpackbits(fit.arrays[name], count=n).astype(bool)


def test_it_says_which_examples_are_inside_and_which_the_fit_is_right_on(train):
    fit = sl.OnSubset(NEAREST, share=0.7).fit(train, sl.Seeds(order=4))
    inside, correct = (bits(fit, name, 60) for name in ("inside", "correct"))
    assert inside.sum() == fit.facts["inside"] == 42
    alone = NEAREST.fit(train.at(torch.from_numpy(np.flatnonzero(inside))))
    assert (correct == (alone.scores(train.inputs).argmax(1) == train.labels).numpy()).all()
    assert fit.facts["inside_accuracy"] == correct[inside].mean() == 1
    assert fit.facts["outside_accuracy"] == correct[~inside].mean()
    assert "held_out_accuracy" not in fit.facts
    assert fit.arrays["inside"].nbytes == 8  # 60 bits


def test_held_out_examples_are_the_same_in_all_fits_and_never_inside(train):
    fits = [sl.OnSubset(NEAREST, share=0.6, held_out=15).fit(train, sl.Seeds(order=r, init=r)) for r in range(40)]
    seen = np.stack([bits(fit, "inside", 60) for fit in fits])
    assert seen.any(0).sum() == 45  # each of the others is missed by all 40 with probability 0.4^40
    assert {fit.facts["inside"] for fit in fits} == {27}
    assert len({row.tobytes() for row in seen}) == 40
    correct, never = bits(fits[0], "correct", 60), ~seen.any(0)
    assert fits[0].facts["held_out_accuracy"] == correct[never].mean()
    assert fits[0].facts["outside_accuracy"] == correct[~never & ~seen[0]].mean()


def test_examples_are_inside_as_often_as_the_share_says(train):
    learner = sl.OnSubset(NEAREST, share=0.4)
    counts = sum(bits(learner.fit(train, sl.Seeds(order=r)), "inside", 60).astype(int) for r in range(150))
    assert counts.sum() == 150 * 24
    assert counts.min() >= 30  # Binomial(150, 0.4) lies in 30 .. 90 but for 6e-7 each side
    assert counts.max() <= 90


def test_a_class_that_is_not_inside_still_has_a_column(train):
    labels = torch.cat([torch.zeros(30), torch.ones(29), torch.full((1,), 9)]).long()
    rare = replace(train, labels=labels)
    fit = next(fit for r in range(50) if not bits(fit := sl.OnSubset(NEAREST).fit(rare, sl.Seeds(order=r)), "inside", 60)[59])
    assert fit.scores(rare.inputs).shape == (60, 10)
    assert not bits(fit, "correct", 60)[59]


def test_a_trial_of_it_passes_its_self_check_and_scores_the_whole_sample():
    trial = sl.Trial(sl.Digits(examples=60, test_examples=50), sl.PartialLabels(0.3), sl.OnSubset(sl.Training(sl.MLP((8,)), epochs=2)), sl.Seeds(order=1))
    row = sl.run(trial)
    assert row["status"] == "ok", row["error"]
    assert row["check.batches_equal_sample"] is True
    assert row["train.accuracy"] == pytest.approx(np.unpackbits(row.arrays["fit.correct"], count=60).mean())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"share": 1.0}, r"^OnSubset: share is a fraction in \(0, 1\), got 1\.0\. 0\.7 is usual\.$"),
        ({"share": 0.0}, r"^OnSubset: share is a fraction in \(0, 1\), got 0\.0\. 0\.7 is usual\.$"),
        ({"held_out": -1}, r"^OnSubset: held_out is a whole number >= 0, got -1$"),
    ],
)
def test_fields_out_of_range_are_refused(fields, text):
    with pytest.raises(InvalidPart, match=text):
        sl.OnSubset(NEAREST, **fields)


def test_something_stays_inside_and_outside(train):
    with pytest.raises(InvalidPart, match=r"^OnSubset: at least 2 examples that are not held out are required, got 1\. Hold out fewer\.$"):
        sl.OnSubset(NEAREST, held_out=59).fit(train)
    assert sl.OnSubset(NEAREST, share=0.999).fit(train).facts["inside"] == 59
    assert sl.OnSubset(NEAREST, share=0.001).fit(train).facts["inside"] == 1
