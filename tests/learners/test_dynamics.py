"""Recorded dynamics are those of the run: equal to scoring after every epoch, changing nothing, small, whole after a stop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import shatterlab as sl
from shatterlab.core import Examples, Fit, Progress, Runtime
from shatterlab.core.errors import InvalidPart
from shatterlab.core.losses import losses
from shatterlab.laws.samples import images
from shatterlab.learners.dynamics import Dynamics
from shatterlab.training import loop

TRAIN = images(60, 10).train
NET = sl.Training(sl.MLP((16,)), sl.SGD(lr=0.1), epochs=5, batch_size=16, stop="budget")
LEARNERS = {
    "network": NET,
    "squared loss": replace(NET, loss="squared", optimizer=sl.SGD(lr=0.01)),
    "early stopping": replace(NET, epochs=8, validation=0.25, patience=2),
    "streamed": sl.StreamedTraining(sl.MLP((16,)), sl.SGD(lr=0.05), batch_size=16, epochs=4),
    "no epochs": sl.KernelInterpolation(sl.Gaussian(1.0)),
}


def dynamics(fit, name):
    return fit.arrays[f"dynamics.{name}"]


def bits(fit):
    return np.unpackbits(dynamics(fit, "correct"), axis=1, count=dynamics(fit, "margin").shape[1]).astype(bool)


@pytest.mark.parametrize("name", LEARNERS)
def test_records_are_those_of_scoring_after_every_epoch(name):
    """Two routes: the scores that training computes, and an observer that scores the whole sample again."""
    learner, seen = LEARNERS[name], []

    def again(progress: Progress) -> None:
        if not progress.last or "validation" not in name:
            seen.append(progress.scores(TRAIN.inputs))

    fit = Dynamics(learner).fit(TRAIN, observe=again)
    labels, rows = TRAIN.labels, torch.arange(len(TRAIN))
    assert fit.facts["recorded"] == len(dynamics(fit, "epochs")) == len(dynamics(fit, "margin")) >= 1
    steps = len(seen) - (name == "early stopping")  # its last report is that of the best epoch, whose weights came back
    for epoch, scores in enumerate(seen[:steps]):
        others = scores.clone()
        others[rows, labels] = -torch.inf
        shares = scores.softmax(1) if fit.output == "logits" else scores
        away = shares - torch.nn.functional.one_hot(labels, TRAIN.classes)
        np.testing.assert_allclose(dynamics(fit, "margin")[epoch], scores[rows, labels] - others.amax(1), rtol=1e-4, atol=1e-5)  # batches of another size
        np.testing.assert_allclose(dynamics(fit, "loss")[epoch], losses(scores, labels, fit.output), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(dynamics(fit, "probability")[epoch], shares[rows, labels], rtol=1e-3, atol=1e-4)  # float16
        np.testing.assert_allclose(dynamics(fit, "el2n")[epoch], away.norm(dim=1), rtol=1e-3, atol=1e-3)
        certain = (others.amax(1) - scores[rows, labels]).abs() > 1e-4
        assert ((scores.argmax(1) == labels).numpy() == bits(fit)[epoch])[certain.numpy()].all()


@pytest.mark.parametrize("name", ["network", "early stopping", "streamed"])
def test_recording_changes_no_bit_and_makes_no_second_pass(name, monkeypatch):
    passes = []
    score = loop.TrainingLoop._score
    monkeypatch.setattr(loop.TrainingLoop, "_score", lambda self, inputs: passes.append(len(inputs)) or score(self, inputs))
    plain = LEARNERS[name].fit(TRAIN)
    before, passes[:] = list(passes), []
    watched = Dynamics(LEARNERS[name]).fit(TRAIN)
    assert passes == before
    assert all(torch.equal(value, watched.model.state_dict()[key]) for key, value in plain.model.state_dict().items())
    timeless = {key: value for key, value in plain.facts.items() if not key.startswith("seconds")}
    assert timeless.items() <= watched.facts.items()


def test_every_second_epoch():
    whole, half = Dynamics(NET).fit(TRAIN), Dynamics(NET, every=2).fit(TRAIN)
    assert dynamics(half, "epochs").tolist() == [1, 3, 5]
    np.testing.assert_array_equal(dynamics(half, "margin"), dynamics(whole, "margin")[::2])
    rarely = Dynamics(sl.StreamedTraining(sl.MLP((16,)), sl.SGD(lr=0.05), batch_size=16, epochs=5, check_every=3)).fit(TRAIN)
    assert dynamics(rarely, "epochs").tolist() == [3, 5]  # epochs that training measures


def test_held_out_examples_are_scored_and_not_trained_on():
    reports: list[Progress] = []
    fit = Dynamics(NET, held_out=12).fit(TRAIN, observe=reports.append)
    held = dynamics(fit, "held_out")
    kept = np.setdiff1d(np.arange(60), held)
    shares = np.bincount(TRAIN.labels, minlength=5) * 12 / 60
    assert len(held) == 12 and (np.abs(np.bincount(TRAIN.labels[held], minlength=5) - shares) <= 1).all()
    alone = NET.fit(TRAIN.at(torch.from_numpy(kept)))
    assert all(torch.equal(value, fit.model.state_dict()[key]) for key, value in alone.model.state_dict().items())
    scores = fit.scores(TRAIN.inputs)
    np.testing.assert_array_equal(bits(fit)[-1], scores.argmax(1) == TRAIN.labels)
    assert reports[-1].train_accuracy == pytest.approx((scores.argmax(1) == TRAIN.labels).double().mean().item())
    noise = replace(TRAIN, labels=torch.from_numpy(np.random.default_rng(0).permutation(TRAIN.labels.numpy())))
    fitted = Dynamics(replace(NET, architecture=sl.MLP((64,)), epochs=60), held_out=12).fit(noise)
    last = bits(fitted)[-1]
    assert last[kept].mean() > 0.9 and last[dynamics(fitted, "held_out")].mean() < 0.8  # labels that say nothing are memorized or missed


def test_a_row_holds_them_and_passes_its_self_check(tmp_path):
    trial = sl.Trial(sl.Digits(examples=80, test_examples=40), sl.PartialLabels(0.3), Dynamics(NET, held_out=10))
    row = sl.run(trial)
    assert row["status"] == "ok" and row["check.passed"] and row["fit.recorded"] == 5
    store = sl.Store(tmp_path / "rows.sqlite")
    store.add(row)
    [again] = store.rows()
    assert {name: (values.dtype, values.shape) for name, values in again.arrays.items()} == {k: (v.dtype, v.shape) for k, v in row.arrays.items()}
    plain = sl.run(replace(trial, learner=NET))
    assert plain.curve("test.loss") == sl.run(replace(trial, learner=Dynamics(NET))).curve("test.loss")


def test_a_stopped_run_has_the_dynamics_of_an_undisturbed_one(tmp_path, monkeypatch):
    learner, runtime = Dynamics(NET), Runtime(checkpoints=tmp_path, checkpoint_every=0.0)
    whole, write, count = learner.fit(TRAIN), loop.TrainingLoop._write, iter(range(100))

    def stopping(self, observer):
        write(self, observer)
        if next(count) == 10:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop.TrainingLoop, "_write", stopping)
        with pytest.raises(KeyboardInterrupt):
            learner.fit(TRAIN, runtime=runtime)
    again = learner.fit(TRAIN, runtime=runtime)
    assert all(np.array_equal(values, again.arrays[name]) for name, values in whole.arrays.items())


class Pretended(sl.Learner):
    """Hands on scores of a large sample without any training."""

    def fit(self, train, seeds=sl.Seeds(), observe=None, runtime=Runtime()):
        scores = torch.zeros(len(train), train.classes)
        for epoch in range(1, 101):
            observe.scored(epoch, torch.arange(len(train)), scores, "logits")
            observe(Progress(epoch, epoch, lambda inputs: scores, train_loss=0.0, train_accuracy=0.0, last=epoch == 100))
        return Fit(lambda inputs: scores, "logits")


def test_fifty_thousand_examples_over_a_hundred_epochs_stay_below_100_megabytes():
    sample = Examples(torch.zeros(50_000, 1), torch.arange(50_000) % 10, 10)
    fit = Dynamics(Pretended()).fit(sample)
    assert dynamics(fit, "margin").shape == (100, 50_000)
    assert sum(values.nbytes for values in fit.arrays.values()) == 100 * (50_000 // 8 + 50_000 * (4 + 4 + 2 + 2) + 8) < 100e6


def test_what_it_refuses():
    for wrong, text in (
        ({"every": 0}, "every is a whole number of epochs >= 1, got 0"),
        ({"held_out": -1}, "held_out is a whole number of examples >= 0, got -1"),
    ):
        with pytest.raises(InvalidPart, match=f"^Dynamics: {text}$"):
            Dynamics(NET, **wrong)
    with pytest.raises(InvalidPart, match=r"^Dynamics: held_out is smaller than the sample, 60, got 60$"):
        Dynamics(NET, held_out=60).fit(TRAIN)

    class Half(Pretended):
        def fit(self, train, seeds=sl.Seeds(), observe=None, runtime=Runtime()):
            observe.scored(1, torch.arange(30), torch.zeros(30, 5), "logits")
            observe(Progress(1, 1, lambda inputs: torch.zeros(len(inputs), 5), last=True))

    with pytest.raises(
        InvalidPart, match=r"^Dynamics: a single process that trains the model is required, got the scores of 30 of 60 examples\. Start one process\.$"
    ):
        Dynamics(Half()).fit(TRAIN)
