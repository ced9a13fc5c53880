"""A training in memory that is stopped anywhere goes on to the same bits: weights, curves, facts, and what is held out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import shatterlab as sl
from shatterlab.core import Examples, Runtime, Seeds
from shatterlab.core.errors import DataError
from shatterlab.training.checkpoint import Checkpoint

MLP = sl.MLP((16,))
IMAGES = Examples(torch.rand(60, 3, 10, 10, generator=torch.Generator().manual_seed(3)), torch.arange(60) % 3, 3, 255)
RECIPES = {
    "momentum": sl.Training(MLP, sl.SGD(lr=0.05), epochs=3, batch_size=16, stop="budget"),
    "dropout and images that vary": sl.Training(
        sl.SmallAlexNet(8, init="he", dropout=0.5), sl.SGD(lr=0.02), epochs=3, batch_size=16, stop="budget",
        augmentation=(sl.RandomCrop(8), sl.HorizontalFlip()), crop=8,
    ),
    "batch norm, channels last, Adam": sl.Training(sl.SmallInception(width=0.08), sl.Adam(lr=0.01), epochs=3, batch_size=20, stop="budget"),
    "early stopping": sl.Training(
        MLP, sl.SGD(lr=0.3, weight_decay=0.01), epochs=30, batch_size=16, validation=0.25, patience=2, label_smoothing=0.1, weight_decay_on=("*.weight",)
    ),
    "full batch": sl.Training(MLP, sl.RMSProp(lr=0.001), epochs=5, batch_size=None, loss="squared", stop="budget"),
}  # fmt: skip


class Stopped(Exception):
    pass


def stop_after(monkeypatch, writes):
    """The process ends right after this checkpoint is written."""
    real, count = Checkpoint.write, iter(range(1, 1000))

    def write(self, state):
        real(self, state)
        if next(count) == writes:
            raise Stopped

    monkeypatch.setattr(Checkpoint, "write", write)


def reported(learner, runtime=Runtime()):
    reports = []

    def observe(progress):
        torch.rand(3)  # an observer that draws shifts nobody's randomness
        figures = (progress.train_loss, progress.train_accuracy, progress.online_loss, progress.online_accuracy, progress.validation_loss)
        reports.append((progress.epoch, progress.step, progress.learning_rate, progress.last, figures))

    return learner.fit(IMAGES, Seeds.replicate(2), observe, runtime), reports


@pytest.mark.parametrize("writes", [1, 3, 4, 6], ids=["after a step", "in the middle", "after an epoch", "later"])
@pytest.mark.parametrize("name", RECIPES)
def test_a_stopped_run_ends_with_the_same_bits(name, writes, tmp_path, monkeypatch):
    learner, runtime = RECIPES[name], Runtime(checkpoints=tmp_path, checkpoint_every=0.0)
    whole, reports = reported(learner)
    with monkeypatch.context() as patched:
        stop_after(patched, writes)
        with pytest.raises(Stopped):
            reported(learner, runtime)
    again, rest = reported(learner, runtime)
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key]), key
    assert again.facts == whole.facts
    assert rest == reports[-len(rest) :]  # from the epoch in which it stopped
    assert all(torch.equal(value, again.initial[key]) for key, value in whole.initial.items())
    assert [file.suffix for file in tmp_path.iterdir()] == [".checkpoint"]


@pytest.mark.parametrize("name", ["momentum", "early stopping"])
def test_a_finished_run_is_finished(name, tmp_path):
    """Found again, it takes no step, and the model of the best epoch comes back."""
    runtime = Runtime(checkpoints=tmp_path)
    whole, _ = reported(RECIPES[name], runtime)
    again, reports = reported(RECIPES[name], runtime)
    assert len(reports) == 1 and reports[0][3]
    assert all(torch.equal(value, again.model.state_dict()[key]) for key, value in whole.model.state_dict().items())
    assert again.facts == whole.facts


def test_the_row_of_a_stopped_trial_is_that_of_an_undisturbed_one(tmp_path, monkeypatch):
    trial = sl.Trial(sl.Digits(examples=60, test_examples=30), sl.RandomLabels(), replace(RECIPES["momentum"], epochs=4))
    runtime, whole = Runtime(checkpoints=tmp_path, checkpoint_every=0.0), sl.run(trial)
    with monkeypatch.context() as patched:
        stop_after(patched, 10)
        stopped = sl.run(trial, runtime)
    again = sl.run(trial, runtime)
    lasting = [name for name in whole if not name.startswith(("seconds", "peak_memory", "finished"))]
    assert stopped["status"] == "failed" and {name: again[name] for name in lasting} == {name: whole[name] for name in lasting}
    assert again.curves == whole.curves


def test_samples_that_differ_in_one_input_have_a_checkpoint_each(tmp_path):
    """Twins differ in one example: the second must not start from the first one's end."""
    learner, runtime = RECIPES["momentum"], Runtime(checkpoints=tmp_path)
    inputs = IMAGES.inputs.clone()
    inputs[17, 0, 3, 3] += 0.25
    other = Examples(inputs, IMAGES.labels, 3, 255)
    assert Checkpoint(learner, Seeds(), IMAGES, runtime).file != Checkpoint(learner, Seeds(), other, runtime).file
    assert Checkpoint(learner, Seeds(), IMAGES, runtime).file == Checkpoint(learner, Seeds(), Examples(IMAGES.inputs.clone(), IMAGES.labels, 3), runtime).file


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reported(RECIPES["momentum"], Runtime(checkpoint_every=0.0))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_named(tmp_path):
    learner, runtime = RECIPES["momentum"], Runtime(checkpoints=tmp_path)
    file = Checkpoint(learner, Seeds.replicate(2), IMAGES, runtime).file
    file.write_bytes(b"half a file")
    with pytest.raises(DataError) as caught:
        reported(learner, runtime)
    assert str(caught.value).startswith("Training: a whole checkpoint is required, got ") and str(file) in str(caught.value)


def test_a_random_state_that_is_not_kept_is_noticed(tmp_path, monkeypatch):
    """Planted: the checkpoint forgets torch's generator, or the order of the epoch; the comparison above sees either."""
    learner, runtime = RECIPES["dropout and images that vary"], Runtime(checkpoints=tmp_path, checkpoint_every=0.0)
    whole, _ = reported(learner)
    for forget in ("shatterlab.training.loop.restore_random_state", "shatterlab.training.feeds.MemoryFeed.restore"):
        for file in tmp_path.iterdir():
            file.unlink()
        with monkeypatch.context() as patched:
            stop_after(patched, 5)
            with pytest.raises(Stopped):
                reported(learner, runtime)
        with monkeypatch.context() as patched:
            patched.setattr(forget, lambda *_: None)
            again, _ = reported(learner, runtime)
        assert not all(torch.equal(value, again.model.state_dict()[key]) for key, value in whole.model.state_dict().items())
