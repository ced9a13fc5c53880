"""KernelInterpolator under scikit-learn's own checks, and against the learner that it is a face of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import shatterlab as sl
from shatterlab.core.errors import InvalidPart

CHECKS = [pytest.param(estimator, check, id=check.func.__name__) for estimator, check in estimator_checks_generator(sl.KernelInterpolator())]


@pytest.mark.filterwarnings("default")  # a check of scikit-learn's own may warn
@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_it_passes_scikit_learns_checks(estimator, check):
    check(estimator)
    assert estimator.get_params() == sl.KernelInterpolator().get_params()  # checks work on clones: fitting sets no parameter


@pytest.fixture
def digits():
    pixels, labels = load_digits(return_X_y=True)
    return (pixels / 16).astype(np.float32)[:500], np.array([f"digit {label}" for label in labels[:500]])


def test_it_is_the_learner(digits):
    x, y = digits
    estimator = sl.KernelInterpolator(sl.Gaussian(1.5)).fit(x[:300], y[:300])
    classes, labels = np.unique(y[:300], return_inverse=True)
    fit = sl.KernelInterpolation(sl.Gaussian(1.5)).fit(sl.Examples(torch.from_numpy(x[:300]), torch.from_numpy(labels), 10))
    scores = fit.scores(torch.from_numpy(x[300:])).numpy()
    assert estimator.decision_function(x[300:]) == pytest.approx(scores, abs=1e-7)
    assert (estimator.predict(x[300:]) == classes[scores.argmax(1)]).all()
    assert estimator.score(x[:300], y[:300]) == 1.0 and estimator.fit_.facts["interpolates"]
    assert estimator.score(x[300:], y[300:]) > 0.9
    assert list(estimator.classes_) == list(classes) and estimator.n_features_in_ == 64


def test_with_ridge_it_is_kernel_ridge_regression(digits):
    x, y = digits
    ours = sl.KernelInterpolator(sl.Gaussian(1.5), ridge=0.3).fit(x[:200], y[:200])
    theirs = KernelRidge(kernel="rbf", gamma=1 / (2 * 1.5**2), alpha=0.3).fit(x[:200].astype(float), np.eye(10)[np.unique(y[:200], return_inverse=True)[1]])
    # (K + 0.3 I)^-1 has norm 3.3, n = 200, and distances of inputs in float32
    assert ours.decision_function(x[200:]) == pytest.approx(theirs.predict(x[200:].astype(float)), abs=1e-4)


def test_it_fits_random_labels_and_works_in_pipelines(digits):
    x, y = digits
    random = np.random.default_rng(0).permutation(y)
    assert sl.KernelInterpolator(sl.Gaussian(1.0)).fit(x, random).score(x, random) == 1.0
    pipeline = make_pipeline(StandardScaler(), sl.KernelInterpolator(sl.Laplacian(8.0)))
    assert cross_val_score(clone(pipeline), x[:200], y[:200], cv=2).mean() > 0.7


def test_two_classes_have_one_score(digits):
    x, y = digits
    two = np.isin(y, ["digit 3", "digit 8"])
    estimator = sl.KernelInterpolator(sl.Gaussian(1.5)).fit(x[two], y[two])
    scores = estimator.decision_function(x[two])
    assert scores.shape == (two.sum(),)
    assert ((scores > 0) == (y[two] == "digit 8")).all()


def test_mistakes_are_told_before_work_starts(digits):
    x, y = digits
    with pytest.raises(InvalidPart, match=r"^KernelInterpolator: a kernel of shatterlab is required, got 'rbf'. Pass shatterlab.Laplacian\(1.0\), say.$"):
        sl.KernelInterpolator("rbf").fit(x, y)
    with pytest.raises(InvalidPart, match=r"ridge is a finite number >= 0, got -1.0"):
        sl.KernelInterpolator(ridge=-1).fit(x, y)
    with pytest.raises(InvalidPart, match=r"^KernelInterpolator: at least two classes are required, got one class, "):
        sl.KernelInterpolator().fit(x, np.zeros(len(x)))
    with pytest.raises(sl.DataError, match="have equal inputs and labels 0 and 1"):
        sl.KernelInterpolator(sl.Gaussian(1.0)).fit(np.vstack([x[:3], x[:1]]), [0, 1, 0, 1])
    with pytest.raises(NotFittedError):
        sl.KernelInterpolator().predict(x)
