"""Leave-one-out predictions in closed form against refits without each example."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier

import shatterlab as sl
from shatterlab.core import Examples, Learner
from shatterlab.core.errors import NotApplicable

KNN = "sklearn.neighbors:KNeighborsClassifier"


def sample(n: int, d: int, classes: int = 3, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes)
    inputs = rng.normal(size=(n, d)) + 0.7 * labels[:, None]
    return Examples(torch.from_numpy(inputs.astype(np.float32)), torch.from_numpy(labels.astype(np.int64)), classes)


def refitted(learner: Learner, train: Examples) -> np.ndarray:
    """1[fit correct] - 1[correct without the example], by n refits."""
    right = (learner.fit(train).scores(train.inputs).argmax(1) == train.labels).numpy().astype(int)
    for i in range(len(train)):
        others = train.at(torch.tensor([j for j in range(len(train)) if j != i]))
        right[i] -= int(learner.fit(others).scores(train.inputs[i : i + 1]).argmax() == train.labels[i])
    return right


LEARNERS = {
    "1-NN": sl.Estimator(KNN, {"n_neighbors": 1}),
    "4-NN, brute force": sl.Estimator(KNN, {"n_neighbors": 4, "algorithm": "brute"}),
    "5-NN by distance": sl.Estimator(KNN, {"n_neighbors": 5, "weights": "distance"}),
    "minimum norm": sl.LinearMinimumNorm(),
    "ridge": sl.Estimator("sklearn.linear_model:RidgeClassifier", {"alpha": 2.0}),
    "ridge without intercept": sl.Estimator("sklearn.linear_model:RidgeClassifier", {"alpha": 0.5, "fit_intercept": False}),
    "kernel": sl.KernelInterpolation(sl.Gaussian(2.0)),
    "kernel ridge": sl.KernelInterpolation(sl.Gaussian(2.0), ridge=0.3),
}


@pytest.mark.parametrize("shape", [(30, 4, 3), (24, 40, 3), (26, 5, 2)], ids=["n > d", "n < d", "two classes"])
@pytest.mark.parametrize("name", LEARNERS)
def test_scores_are_those_of_refits_and_their_mean_is_the_difference_of_accuracies(name, shape):
    learner, train = LEARNERS[name], sample(*shape)
    fit = learner.fit(train)
    values = sl.LeaveOneOut().of(fit, train)
    assert values["memorization_scores"].tolist() == refitted(learner, train).tolist()
    accuracy = (fit.scores(train.inputs).argmax(1) == train.labels).double().mean().item()
    assert values["memorization"] == pytest.approx(accuracy - (1 - values["error"]), abs=1e-12)
    assert values["residuals"].shape == values["predictions"].shape == (len(train), train.classes)


def test_least_squares_of_any_rank_predicts_what_a_refit_predicts():
    """Repeated rows and one row outside the span of all others: both forms of the residual in one sample, neither n > d nor full rank."""
    train = sample(14, 6)
    inputs = train.inputs.clone()
    inputs[:, 4:] = 0  # two columns that say nothing: rank 4 but for the last row
    inputs[5] = inputs[4]
    inputs[13] = torch.tensor([0.0, 0, 0, 0, 1, 2])
    train = replace(train, inputs=inputs)
    learner = sl.LinearMinimumNorm()
    got = sl.LeaveOneOut().of(learner.fit(train), train)["predictions"]
    for i in range(len(train)):
        others = train.at(torch.tensor([j for j in range(len(train)) if j != i]))
        assert got[i] == pytest.approx(learner.fit(others).scores(train.inputs[i : i + 1])[0].numpy(), abs=1e-5)


def test_a_class_of_one_example_is_memorized_by_whoever_is_right():
    train = sample(12, 3, classes=2)
    train = replace(train, classes=3, labels=torch.cat([train.labels[:-1], torch.tensor([2])]))
    for name in ("1-NN", "ridge", "minimum norm"):
        scores = sl.LeaveOneOut().of(LEARNERS[name].fit(train), train)["memorization_scores"]
        assert scores.tolist() == refitted(LEARNERS[name], train).tolist()
        assert scores[-1] >= 0


def test_fits_without_a_closed_form_are_refused():
    train = sample(12, 3)
    for estimator in (RidgeClassifier(class_weight="balanced"), RidgeClassifier(positive=True), RidgeClassifier(alpha=0.0)):
        with pytest.raises(NotApplicable, match="a ridge classifier of numbers with one alpha > 0"):
            sl.LeaveOneOut().of(sl.Estimator.of(estimator).fit(train), train)
    with pytest.raises(NotApplicable, match=r"more than n_neighbors \+ 1 = 13 examples are required, got 12"):
        sl.LeaveOneOut().of(sl.Estimator(KNN, {"n_neighbors": 12}).fit(train), train)
    steps = sl.Training(sl.Linear(bias=False), epochs=1, loss="squared")
    with pytest.raises(NotApplicable, match="the minimum-norm least-squares map"):
        sl.LeaveOneOut().of(steps.fit(train), train)
    with pytest.raises(NotApplicable, match=r"a factored kernel system is required, got DecisionTreeClassifier.*or a ridge classifier"):
        sl.LeaveOneOut().of(sl.Estimator("sklearn.tree:DecisionTreeClassifier").fit(train), train)
