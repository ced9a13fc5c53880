"""The margin of support vector machines against what geometry, the kernel matrix and a quadratic program say."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, minimize
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.svm import SVC, LinearSVC

import shatterlab as sl
from shatterlab.core import Examples, Fit
from shatterlab.core.errors import NotApplicable
from shatterlab.laws import laws, measures
from shatterlab.measures.margins import MaximumMargin

# libsvm stops where the most violating pair is off by less than tol = 1e-3: the dual objective, |w|^2 / 2 at its end, is then right to tol times
# the sum of the coefficients, which is |w|^2. So 1 / |w| is right to about tol / 2 .. tol; with tol = 1e-6 to 1e-6.
TIGHT = 1e-6


def machine(train, **arguments):
    made = SVC(**({"C": 1e6, "tol": TIGHT} | arguments))
    return made.fit(train.inputs.flatten(1).numpy(), train.labels.numpy())


def measured(train, model):
    return MaximumMargin().of(Fit(lambda inputs: inputs, "values", model), train)


def examples(inputs, labels, classes=None):
    return Examples(torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels), classes or max(labels) + 1)


def noise(n=40, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    return examples(rng.standard_normal((n, 6)), [i % classes for i in range(n)])


@pytest.mark.parametrize("flip", [False, True])
def test_a_road_of_known_width(flip):
    """Two columns of points, 3 apart along (0.6, 0.8): the margin is half of that, held up by the four points on its edges."""
    along, across = np.array([0.6, 0.8]), np.array([-0.8, 0.6])
    left = [-along * (0 if i < 2 else 5) + across * i for i in range(4)]
    right = [along * (3 if i < 2 else 7) + across * i for i in range(4)]
    labels = [0] * 4 + [1] * 4
    train = examples(np.array([*left, *right]), labels[::-1] if flip else labels)
    found = measured(train, machine(train, kernel="linear"))
    assert found["smallest_margin"] == found["mean_margin"] == pytest.approx(1.5, rel=10 * TIGHT)
    assert found["margins"].shape == found["supports"].shape == (1,)
    assert 2 / 8 <= found["support"] <= 4 / 8  # the two facing pairs tie: the solver may use any of them
    assert found["support"] == found["support_per_pair"]
    assert found["at_bound"] == 0.0 and found["deviation"] <= 10 * TIGHT


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel": "rbf", "gamma": 0.3},
        {"kernel": "rbf", "gamma": "scale"},
        {"kernel": "poly", "degree": 3, "gamma": 0.5, "coef0": 1.0},
        {"kernel": "rbf", "gamma": 0.3, "decision_function_shape": "ovr", "break_ties": True},
    ],
    ids=["rbf", "scale", "poly", "ovr"],
)
def test_the_norm_is_that_of_the_kernel_matrix(arguments):
    """c'Kc over the support vectors of each pair, with K from scikit-learn's pairwise kernels, and the supports counted by hand."""
    train = noise()
    model = machine(train, **arguments)
    gamma = 1 / (6 * train.inputs.double().numpy().var()) if arguments["gamma"] == "scale" else arguments["gamma"]
    given = {"degree": 3, "coef0": arguments.get("coef0", 0.0), "gamma": gamma}
    gram = pairwise_kernels(model.support_vectors_, metric=arguments["kernel"], filter_params=True, **given)
    owners = train.labels.numpy()[model.support_]
    margins, counts = [], []
    for i, j in itertools.combinations(range(4), 2):
        coefficients = np.where(owners == i, model.dual_coef_[j - 1], np.where(owners == j, model.dual_coef_[i], 0))
        margins.append((coefficients @ gram @ coefficients) ** -0.5)
        counts.append(np.count_nonzero(coefficients) / 20)
    found = measured(train, model)
    assert found["margins"] == pytest.approx(margins, rel=1e-9)  # both in float64: rounding of some hundred additions
    assert found["supports"] == pytest.approx(counts)
    assert found["support"] == model.n_support_.sum() / 40
    assert found["deviation"] <= 10 * TIGHT and found["at_bound"] == 0
    planted = np.where(owners == 0, model.dual_coef_[0], np.where(owners == 1, model.dual_coef_[1], 0))  # the wrong row for class 1
    assert (planted @ gram @ planted) ** -0.5 != pytest.approx(found["margins"][0], rel=1e-3)


def test_a_quadratic_program_finds_the_same_margin():
    """Least |w|^2 under y (w'x + b) >= 1, solved in the primal by scipy, without any dual or kernel."""
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.standard_normal((5, 3)) - 2, rng.standard_normal((5, 3)) + 2])
    train = examples(points, [0] * 5 + [1] * 5)
    signs = np.repeat([-1.0, 1.0], 5)
    inputs = train.inputs.double().numpy()
    rows = signs[:, None] * np.column_stack([inputs, np.ones(10)])
    start = np.array([1.0, 1.0, 1.0, 0.0])
    solved = minimize(
        lambda w: w[:3] @ w[:3] / 2,
        start,
        jac=lambda w: np.append(w[:3], 0.0),
        method="SLSQP",
        constraints=LinearConstraint(rows, 1, np.inf),
        options={"ftol": 1e-14},
    )
    assert solved.success
    wanted = 1 / np.linalg.norm(solved.x[:3])
    found = measured(train, machine(train, kernel="linear"))
    assert found["smallest_margin"] == pytest.approx(wanted, rel=1e-5)  # of both solvers
    on_the_edge = int((np.abs(rows @ solved.x - 1) < 1e-6).sum())
    assert found["support"] == on_the_edge / 10


def test_a_soft_margin_is_told():
    """With overlapping classes and a small C nearly all coefficients reach it; class weights raise their own class's bound."""
    train = noise(classes=2)
    soft, hard = measured(train, machine(train, C=0.01, kernel="linear")), measured(train, machine(train, gamma=0.3))
    assert soft["at_bound"] > 0.8 and hard["at_bound"] == 0.0
    weighted = measured(train, machine(train, C=0.01, kernel="linear", class_weight={0: 1.0, 1: 3.0}))
    assert weighted["at_bound"] > 0.5
    assert soft["smallest_margin"] > 1 / 6  # wide, at the price of examples inside: not a margin of separation


def test_random_labels_leave_a_smaller_margin_and_more_support():
    splits = sl.Digits(examples=200).load()
    learner = sl.Estimator("sklearn.svm:SVC", {"C": 1e6, "gamma": 1 / (2 * 1.5**2)})
    true, random = (MaximumMargin().of(learner.fit(sample.train), sample.train) for sample in (splits, sl.RandomLabels().apply(splits)))
    assert random["support"] >= 0.95 > true["support"]
    assert random["mean_margin"] < 0.5 * true["mean_margin"]
    assert random["margins"].shape == (45,)


def test_classes_without_examples_have_no_pair():
    train = dataclasses.replace(noise(classes=3), classes=5)
    found = measured(train, machine(train, gamma=0.3))
    assert found["margins"].shape == (3,)
    assert found["support_per_pair"] == pytest.approx(found["supports"].mean()) and 0 < found["support_per_pair"] <= 1


def test_a_norm_of_zero_is_an_infinite_margin():
    train = examples(np.zeros((4, 2)), [0, 0, 1, 1])
    found = measured(train, machine(train, C=1.0, kernel="linear"))
    assert math.isinf(found["smallest_margin"]) and found["at_bound"] > 0


@pytest.mark.parametrize("model", [None, LinearSVC(), object()], ids=["none", "linear", "other"])
def test_other_models_have_no_such_margin(model):
    with pytest.raises(NotApplicable, match=r'^MaximumMargin: a support vector machine is required, got \w+\. Fit Estimator\("sklearn\.svm:SVC"\)$'):
        measured(noise(), model)


@pytest.mark.parametrize("each", laws("measures"), ids=lambda each: each.__name__)
def test_the_laws_hold_on_a_machine(each, monkeypatch):
    """The laws' own fits have no support vector machine among them: here it is the only one."""
    train = noise()
    fitted = sl.Estimator("sklearn.svm:SVC", {"C": 1e6, "gamma": 0.3}).fit(train)
    monkeypatch.setattr(measures, "_fits", lambda: iter([("a support vector machine", fitted, train)]))
    assert each(MaximumMargin()) is None
    assert MaximumMargin().of(fitted, train)["support"] > 0


def test_a_trial_with_it_has_its_columns():
    machine_trial = sl.Trial(
        sl.Digits(examples=100, test_examples=50),
        sl.RandomLabels(),
        sl.Estimator("sklearn.svm:SVC", {"C": 1e6, "gamma": 0.2}),
        measures=(MaximumMargin(),),
    )
    row = sl.run(machine_trial)
    assert row["status"] == "ok" and row["train.error"] == 0.0
    assert row["measure.MaximumMargin.support"] >= 0.95
    assert row.arrays["measure.MaximumMargin.margins"].shape == (45,)
