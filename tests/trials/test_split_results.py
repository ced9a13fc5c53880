"""Columns of changed labels: against the obvious count, for learners that report training figures and for those that do not; cheap."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import shatterlab as sl

DATA = sl.Digits(examples=200, test_examples=100)
LEARNERS = {
    "reports figures": sl.Training(sl.MLP((32,)), sl.SGD(lr=0.05), epochs=8, batch_size=32),
    "reports values": sl.KernelInterpolation(sl.Gaussian(2.0), ridge=1.0),
    "reports none": sl.Estimator("sklearn.tree:DecisionTreeClassifier", {"max_depth": 5}),
}
NOISY = ("noisy.n", "noisy.accuracy", "noisy.clean_accuracy", "train.clean_accuracy")


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("corruption", [sl.PartialLabels(0.4), sl.PermutedLabels(0.2), sl.RandomSigns()], ids=lambda each: each.kind)
def test_accuracies_on_changed_labels_are_those_of_counting(name, corruption):
    row = sl.run(sl.Trial(DATA, corruption, LEARNERS[name]))
    splits = DATA.load()
    train = corruption.apply(splits).train
    guesses = LEARNERS[name].fit(train).scores(train.inputs).argmax(1)
    changed = train.labels != splits.train.labels
    right, told = guesses == splits.train.labels, guesses == train.labels
    counted = (int(changed.sum()), told[changed].double().mean().item(), right[changed].double().mean().item(), right.double().mean().item())
    assert [row[column] for column in NOISY] == pytest.approx(counted, abs=1e-12)


@pytest.mark.parametrize("corruption", [sl.TrueLabels(), sl.RandomLabels(), sl.PermutedLabels(), sl.GaussianPixels()], ids=lambda each: repr(each)[:22])
def test_without_changed_labels_or_with_all_of_them_there_are_none(corruption):
    row = sl.run(sl.Trial(DATA, corruption, LEARNERS["reports none"]))
    assert row["status"] == "ok" and not any(column in row for column in NOISY)


def test_a_learner_that_reports_no_figures_scores_the_sample_once(monkeypatch):
    scored = []

    class Counted(sl.Learner):
        def fit(self, train, seeds=sl.Seeds(), observe=None, runtime=sl.Runtime()):
            fit = LEARNERS["reports none"].fit(train, seeds, observe, runtime)
            return replace(fit, scores=lambda inputs: scored.append(len(inputs)) or fit.scores(inputs))

    row = sl.run(sl.Trial(DATA, sl.PartialLabels(0.4), Counted()))
    assert row["noisy.n"] > 0 and sum(scored) == 200 + 100


def test_each_changed_example_is_scored_once_more_where_figures_are_reported(monkeypatch):
    from shatterlab.training.loop import TrainingLoop

    passes = []
    scores = TrainingLoop.scores
    monkeypatch.setattr(TrainingLoop, "scores", lambda self, inputs: passes.append(len(inputs)) or scores(self, inputs))
    trial = sl.Trial(DATA, sl.PartialLabels(0.4), LEARNERS["reports figures"])
    with_changes = sl.run(trial)
    noisy, passes[:] = sum(passes), []
    sl.run(replace(trial, corruption=sl.RandomLabels()))
    assert noisy - with_changes["noisy.n"] == sum(passes)


def test_an_example_redrawn_to_its_own_class_is_not_changed():
    row = sl.run(sl.Trial(sl.Digits(examples=300, test_examples=50), sl.PartialLabels(0.9), LEARNERS["reports none"]))
    assert row["noisy.n"] == row["check.changed"] < 0.9 * 300
    assert torch.tensor([row["noisy.clean_accuracy"], row["train.clean_accuracy"]]).isfinite().all()
