"""A training in memory that is stopped anywhere goes on to the same bits: weights, curves, facts, and what is held out."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
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
    assert {file.suffix for file in tmp_path.iterdir()} <= {".checkpoint", ".before"}


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
    assert str(caught.value).startswith("Training: a whole checkpoint of this run is required, got ") and str(file) in str(caught.value)


def stopped_in(folder, name="momentum", writes=5):
    """The newest of two checkpoints of a run that was stopped, and its runtime."""
    runtime = Runtime(checkpoints=folder, checkpoint_every=0.0)
    with pytest.MonkeyPatch.context() as patched:
        stop_after(patched, writes)
        with pytest.raises(Stopped):
            reported(RECIPES[name], runtime)
    [file] = folder.glob("*.checkpoint")
    return file, runtime


def test_a_flipped_bit_or_a_cut_file_never_decides_a_result(tmp_path, caplog):
    """The one before is used, and that is said; the run ends with the same bits."""
    whole, _ = reported(RECIPES["momentum"])
    file, runtime = stopped_in(tmp_path)
    good, before = file.read_bytes(), file.with_suffix(".before").read_bytes()
    rng = np.random.default_rng(0)
    for attempt in range(20):
        damaged = bytearray(good)
        damaged[rng.integers(len(good))] ^= 1 << rng.integers(8)
        file.write_bytes(bytes(damaged) if attempt else good[: len(good) // 2])
        file.with_suffix(".before").write_bytes(before)
        caplog.clear()
        again, _ = reported(RECIPES["momentum"], replace(runtime, checkpoint_every=1e9))
        assert "the newest checkpoint is damaged" in caplog.text
        assert all(torch.equal(value, again.model.state_dict()[key]) for key, value in whole.model.state_dict().items())


def test_the_checkpoint_of_another_run_is_refused(tmp_path):
    """Renamed into place, it is whole, and not this run's."""
    file, runtime = stopped_in(tmp_path)
    other = Checkpoint(RECIPES["momentum"], Seeds.replicate(3), IMAGES, runtime)
    file.rename(other.file)
    with pytest.raises(DataError, match="it belongs to another trial, learner, seed or sample"):
        other.read()
    assert Checkpoint(RECIPES["momentum"], Seeds(), IMAGES, replace(runtime, trial="a")).file != Checkpoint(RECIPES["momentum"], Seeds(), IMAGES, runtime).file


def test_a_place_outside_the_plan_is_refused(tmp_path):
    file, runtime = stopped_in(tmp_path)
    checkpoint = Checkpoint(RECIPES["momentum"], Seeds.replicate(2), IMAGES, runtime)
    state = checkpoint.read()
    for place in ((10**9, 0, 12), (2, 10**6, 10**6), (0, 0, 0), (2, 3, 1)):
        checkpoint.write({**state, "place": place})
        with pytest.raises(DataError, match="within the 3 epochs of this run is required, got epoch"):
            reported(RECIPES["momentum"], runtime)
    assert file.exists()


def test_drafts_of_killed_runs_are_removed(tmp_path):
    file, runtime = stopped_in(tmp_path)
    draft = file.with_suffix(".4711.draft")
    draft.write_bytes(b"half")
    reported(RECIPES["momentum"], runtime)
    assert not draft.exists()


SCRIPT = """
import sys
from pathlib import Path
import torch
import shatterlab as sl
torch.set_num_threads(1)
learner = sl.Training(sl.MLP((16,)), sl.SGD(lr=0.05), epochs=100_000, batch_size=16, stop="budget")
learner.fit(sl.Digits(examples=60).load().train, observe=lambda progress: print(progress.epoch, flush=True), runtime=sl.Runtime(checkpoints=Path(sys.argv[1])))
"""


def test_a_terminated_process_leaves_a_checkpoint(tmp_path):
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.terminate()
        process.stdout.read()
    assert process.returncode == -signal.SIGTERM
    [file] = tmp_path.glob("*.checkpoint")
    assert torch.load(file, weights_only=True)["place"][2] > 0


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
