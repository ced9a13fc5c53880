"""The user's code is tried before the sweep: on a few examples, and on all of them before a failure counts."""

from __future__ import annotations

import os
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from torch import nn

import shatterlab as sl
from shatterlab.core.errors import InvalidPart, UserCodeError
from shatterlab.learners.estimator import Estimator
from shatterlab.studies.first_try import few, users_own
from shatterlab.studies.model_and_data import learners
from shatterlab.studies.preflight import preflight
from shatterlab.trials.trial import Trial

DATA = sl.Digits(examples=200, test_examples=40)


class Breaking(torch.autograd.Function):
    """Goes forward, and fails on its way back."""

    @staticmethod
    def forward(context, scores):
        return scores

    @staticmethod
    def backward(context, gradient):
        raise RuntimeError("no way back")


class NoWayBack(nn.Linear):
    def forward(self, rows):
        return Breaking.apply(super().forward(rows.flatten(1)))


class Picky(DummyClassifier):
    """Needs more examples than a first try has."""

    tried: ClassVar[list[int]] = []

    def fit(self, X, y, sample_weight=None):
        self.tried.append(len(X))
        if len(X) < 150:
            raise ValueError("too few")
        return super().fit(X, y)


def asked(*models):
    return [Trial(DATA, corruption, learner) for corruption in (sl.TrueLabels(), sl.RandomLabels()) for learner in models]


def fails_while_training(X, y):
    raise KeyError("lost")


def fails_while_scoring(X, y):
    def predict(X):
        return X[:, 1000]

    return predict


def of_a_wrong_width(X, y):
    return lambda X: np.zeros((len(X), 3))


def whole(X, y):
    return lambda X: np.zeros((len(X), 10))


@pytest.mark.parametrize(
    ("model", "message", "line"),
    [
        (sl.Recipe(fails_while_training), "failed with KeyError: 'lost'", 'raise KeyError("lost")'),
        (sl.Recipe(fails_while_scoring), "failed with IndexError: index 1000 is out of bounds for axis 1 with size 64", "return X[:, 1000]"),
        (sl.Recipe(of_a_wrong_width), "scores: examples x classes, (8, 10), are required, got (8, 3). Give the model one output a class.", ""),
        (lambda: NoWayBack(64, 10), "Training: the first try failed with RuntimeError: no way back", 'raise RuntimeError("no way back")'),
    ],
)
def test_what_fails_in_training_or_scoring_is_raised_with_the_users_own_frames(model, message, line):
    folder = os.getcwd()
    with pytest.raises(UserCodeError) as failed:
        preflight(asked(*learners(model)), sl.Runtime())
    assert message in str(failed.value)
    assert line in failed.value.trace and "shatterlab/studies/" not in failed.value.trace
    assert os.getcwd() == folder


def test_a_wrong_argument_is_refused_with_the_names():
    def fit(X, target):
        raise AssertionError

    with pytest.raises(InvalidPart, match=r"^Recipe: arguments of the names X, y, inputs, labels, classes, seed, device are required, got 'target' of "):
        preflight(asked(sl.Recipe(fit)), sl.Runtime())


def test_what_only_needs_more_examples_and_what_fails_beside_another_model_goes_on(monkeypatch):
    Picky.tried.clear()
    preflight(asked(Estimator(f"{__name__}:Picky")), sl.Runtime())
    assert Picky.tried[0] == 64 and Picky.tried[-1] == len(DATA.load().train) >= 150  # what fails on a few is tried on all of them
    tried, fit = [], sl.Recipe.fit
    monkeypatch.setattr(sl.Recipe, "fit", lambda self, *rest: tried.append(self.function.partition("#")[0]) or fit(self, *rest))
    preflight(asked(sl.Recipe(fails_while_training), sl.Recipe(whole)), sl.Runtime())
    assert len(set(tried)) == 2  # both were tried, and only one failed


def test_the_users_code_is_tried_once_on_a_few_examples_of_each_class(monkeypatch):
    samples = []
    fit = sl.Recipe.fit
    monkeypatch.setattr(sl.Recipe, "fit", lambda self, train, *rest: samples.append(train) or fit(self, train, *rest))
    preflight(asked(sl.Recipe(whole), sl.Twins(sl.Recipe(whole))), sl.Runtime())
    assert [len(sample) for sample in samples] == [64]
    assert set(samples[0].labels.bincount(minlength=10).tolist()) == {6, 7}


def test_equally_many_of_each_class_as_far_as_there_are():
    labels = torch.tensor([0] * 100 + [1] * 3 + [2] * 100)
    chosen = few(sl.Examples(torch.arange(203.0)[:, None], labels, 3), 20)
    assert sorted(chosen.labels.bincount().tolist()) == [3, 8, 9] and len(chosen) == 20
    assert few(chosen, 64).labels.tolist() == chosen.labels.tolist()
    assert users_own(sl.Training(sl.MLP())) is None
