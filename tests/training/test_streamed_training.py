"""Training on streamed photos: the recipe, its checkpoints, several processes, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

import shatterlab as sl
from shatterlab.core import Examples, Runtime, Seeds, Splits
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.corruptions.labels import RandomLabels, TrueLabels
from shatterlab.corruptions.pixels import RandomPixels
from shatterlab.datasets.generated import GeneratedPhotos
from shatterlab.learners.streamed_training import StreamedTraining
from shatterlab.training.checkpoint import Checkpoint
from shatterlab.training.distributed import Ranks
from shatterlab.training.feeds import StreamFeed, split
from shatterlab.trials.trial import Trial, run

CPU = torch.device("cpu")
PHOTOS = GeneratedPhotos(classes=3, per_class=8, size=16)
NET = sl.SmallInception(width=0.06)
RECIPE = StreamedTraining(NET, sl.SGD(lr=0.05), decay=0.9, decay_epochs=1, batch_size=8, epochs=3, smoothing=0.1)
VARIED = replace(RECIPE, augmentation=(sl.RandomResizedCrop((0.5, 1.0)), sl.HorizontalFlip()))


def photos() -> Splits:
    return PHOTOS.load()


def weights(fit) -> dict[str, torch.Tensor]:
    return fit.model.state_dict()


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def stream(augmentation, train) -> StreamFeed:
    """Batches of 8 as the network takes them: not prepared any further."""
    return StreamFeed(torch.nn.Sequential(torch.nn.Identity()), augmentation, train, Seeds(), Ranks(CPU), batch_size=8)


# the recipe ------------------------------------------------------------------------------------------------------------


def test_a_stream_trains_as_the_same_images_in_memory():
    train = photos().train
    held = Examples(train.inputs[:], train.labels, train.classes, train.levels)
    one, other = RECIPE.fit(train, Seeds.replicate(1)), RECIPE.fit(held, Seeds.replicate(1))
    assert same(weights(one), weights(other)) and one.facts["epochs"] == 3 and one.facts["steps"] == 9


def test_readers_decide_no_result():
    train = photos().train
    assert same(weights(VARIED.fit(train)), weights(VARIED.fit(train, runtime=Runtime(readers=3))))


def test_it_learns_generated_photos_and_fits_random_labels():
    learner = replace(RECIPE, architecture=sl.SmallInception(width=0.12), decay=1.0, epochs=60, smoothing=0.0, stop=1.0)
    for corruption, most in ((TrueLabels(), 30), (RandomLabels(), 60)):
        row = run(Trial(PHOTOS, corruption, learner))
        assert (row["status"], row["train.accuracy"], row["fit.ended"]) == ("ok", 1.0, "accuracy")
        assert row["fit.epochs_to_stop"] == row["fit.epochs"] <= most and row["check.batches_equal_sample"]


def test_the_learning_rate_falls_in_stairs():
    learner = StreamedTraining(NET)
    assert [learner.rate(epoch) for epoch in (1, 2, 3, 5)] == pytest.approx([0.045, 0.045, 0.045 * 0.94, 0.045 * 0.94**2], rel=1e-12)
    told = []
    replace(RECIPE, decay=0.5, decay_epochs=2, epochs=3).fit(photos().train, observe=told.append)
    assert [each.learning_rate for each in told] == [0.05, 0.05, 0.025] and [each.last for each in told] == [False, False, True]


def test_a_short_last_batch_joins_the_one_before():
    assert [len(each) for each in split(torch.arange(35), 8, 4)] == [8, 8, 8, 11]
    assert [len(each) for each in split(torch.arange(36), 8, 4)] == [8, 8, 8, 8, 4]
    assert [len(each) for each in split(torch.arange(3), 8, 4)] == [3]


def test_every_example_is_fed_once_an_epoch_in_a_new_order():
    feed = stream((), photos().train)
    epochs = [torch.cat([read.positions for read in feed.read(epoch, 0)]) for epoch in (1, 2)]
    assert all(sorted(each.tolist()) == list(range(24)) for each in epochs) and not torch.equal(*epochs)
    rest = torch.cat([read.positions for read in feed.read(2, 1)])
    assert torch.equal(rest, epochs[1][8:])


def test_windows_are_cut_while_photos_are_decoded_unless_a_corruption_comes_before():
    plain = next(iter(stream(VARIED.augmentation, photos().train).read(1, 0)))
    assert plain.cut and plain.inputs.dtype == torch.uint8
    corrupted = RandomPixels().apply(photos()).train
    feed = stream(VARIED.augmentation, corrupted)
    read = next(iter(feed.read(1, 0)))
    assert not read.cut and torch.equal(read.inputs, corrupted.inputs[read.positions])
    step = feed.on_device(read)
    assert step.inputs.shape == read.inputs.shape and not torch.equal(step.inputs, read.inputs) and torch.equal(step.targets, read.labels)


def test_a_window_of_the_whole_image_changes_nothing():
    images = torch.rand(3, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 3)
    crop = sl.RandomResizedCrop()
    assert torch.allclose(crop.images(images, {"box": box}), images, atol=1e-5)  # places in float32, of 9 pixels
    quarter = crop.images(images, {"box": box * 0.5})
    assert torch.allclose(quarter[:, :, 4, 4], images[:, :, :5, :5].mean((2, 3)), atol=0.5) and not torch.allclose(quarter, images)
    drawn = sl.RandomResizedCrop((0.1, 0.6)).draw(500, (3, 9, 9), np.random.default_rng(0))["box"]
    assert drawn.min() >= 0 and (drawn[:, :2] + drawn[:, 2:]).max() <= 1 + 1e-6 and (drawn[:, 2] * drawn[:, 3]).min() > 0.09


def test_the_self_check_notices_other_inputs():
    train = photos().train
    feed = stream((), train)
    read = next(iter(feed.read(1, 0)))
    assert torch.equal(feed.observed(feed.on_device(read)).inputs, train.inputs[read.positions])
    assert feed.observed(feed.on_device(replace(read, inputs=read.inputs.flip(0)))).inputs.isnan().all()  # planted


def test_mixup_and_auxiliary_scores_are_trained():
    learner = replace(RECIPE, architecture=sl.InceptionV3(width=0.04, init="he"), augmentation=(sl.Mixup(),), epochs=1, batch_size=12)
    train = GeneratedPhotos(classes=3, per_class=4, side=80, size=75).load().train
    on, off = learner.fit(train), replace(learner, auxiliary=0.0).fit(train)
    moved = [not torch.equal(fit.initial["1.auxiliary.scores.weight"], weights(fit)["1.auxiliary.scores.weight"]) for fit in (on, off)]
    assert moved == [True, False] and on.scores(train.inputs[:2]).shape == (2, 3)


def test_top_five_is_told_of_more_than_ten_classes():
    many = GeneratedPhotos(classes=12, per_class=2, size=16)
    row = run(Trial(many, TrueLabels(), replace(RECIPE, epochs=2)))
    assert row["train.accuracy"] <= row["train.top5_accuracy"] <= 1 and row["test.accuracy"] <= row["test.top5_accuracy"]
    assert len(row.curve("train.top5_accuracy")) == len(row.curve("test.top5_accuracy")) + 1 == 2
    assert "train.top5_accuracy" not in run(Trial(PHOTOS, TrueLabels(), replace(RECIPE, epochs=1)))


@pytest.mark.filterwarnings("ignore:Training. this processor has no bfloat16")
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_near_float32(precision):
    train = photos().train
    full, half = replace(RECIPE, epochs=1).fit(train), replace(RECIPE, epochs=1, precision=precision).fit(train)
    one, other = full.scores(train.inputs[:8]), half.scores(train.inputs[:8])
    assert other.dtype == torch.float32 and not torch.equal(one, other)
    assert (one - other).abs().max() < 0.25 * one.abs().max()  # 8 bits of mantissa through 19 convolutions, three steps


def test_a_run_whose_loss_is_no_number_is_a_diverged_row():
    row = run(Trial(PHOTOS, TrueLabels(), replace(RECIPE, optimizer=sl.SGD(lr=1e30, momentum=0.0))))
    assert row["status"] == "diverged" and row["fit.ended"] == "diverged" and row["fit.epochs"] < 3


def test_the_training_split_is_measured_as_often_as_asked_for():
    told = []
    replace(RECIPE, check_every=2).fit(photos().train, observe=told.append)
    assert [each.train_loss is None for each in told] == [True, False, False]


# checkpoints -----------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("writes", [2, 3, 5, 9], ids=["in the first epoch", "between epochs", "in the second epoch", "at the end"])
def test_a_stopped_run_ends_with_the_same_weights_bit_for_bit(tmp_path, monkeypatch, writes):
    learner = replace(VARIED, optimizer=sl.RMSProp(lr=0.01, eps=1.0))
    train, seeds = photos().train, Seeds.replicate(2)
    whole = learner.fit(train, seeds)
    runtime = Runtime(checkpoints=tmp_path, checkpoint_every=0.0)
    with monkeypatch.context() as patched:
        stop_after(patched, writes)
        with pytest.raises(Stopped):
            learner.fit(train, seeds, runtime=runtime)
    again = learner.fit(train, seeds, runtime=runtime)
    assert same(weights(whole), weights(again)) and again.facts["steps"] == whole.facts["steps"]
    assert list(tmp_path.iterdir()) != [] and all(each.suffix in (".checkpoint", ".before") for each in tmp_path.iterdir())


def test_dropout_goes_on_where_it_was(tmp_path, monkeypatch):
    photos75 = GeneratedPhotos(classes=2, per_class=6, side=80, size=75).load().train
    learner = StreamedTraining(sl.InceptionV3(width=0.04, dropout=0.5, init="he"), sl.SGD(lr=0.05), batch_size=6, epochs=2)
    whole, runtime = learner.fit(photos75), Runtime(checkpoints=tmp_path, checkpoint_every=0.0)
    with monkeypatch.context() as patched:
        stop_after(patched, 1)
        with pytest.raises(Stopped):
            learner.fit(photos75, runtime=runtime)
    assert same(weights(whole), weights(learner.fit(photos75, runtime=runtime)))
    assert not same(weights(whole), weights(replace(learner, architecture=replace(learner.architecture, dropout=0.0)).fit(photos75)))


def test_the_curves_of_a_stopped_trial_are_whole(tmp_path, monkeypatch):
    trial, runtime = Trial(PHOTOS, RandomLabels(), RECIPE), Runtime(checkpoints=tmp_path, checkpoint_every=0.0)
    whole = run(trial)
    with monkeypatch.context() as patched:
        stop_after(patched, 5)
        stopped = run(trial, runtime)
    again = run(trial, runtime)
    assert stopped["status"] == "failed" and again["status"] == "ok" and again.curves == whole.curves and len(whole.curve("test.loss")) == 3
    assert {name: again[name] for name in whole if name.startswith(("train", "test", "check"))} == {
        name: whole[name] for name in whole if name.startswith(("train", "test", "check"))
    }


def test_another_recipe_seed_or_sample_has_another_checkpoint(tmp_path):
    train, runtime = photos().train, Runtime(checkpoints=tmp_path)
    other = RandomLabels().apply(photos()).train
    files = {
        Checkpoint(*each, runtime).file
        for each in ((RECIPE, Seeds(), train), (VARIED, Seeds(), train), (RECIPE, Seeds(order=1), train), (RECIPE, Seeds(), other))
    }
    assert len(files) == 4 and Checkpoint(RECIPE, Seeds(), photos().train, runtime).file in files
    assert Checkpoint(RECIPE, Seeds(), train, Runtime()).file is None


def test_a_damaged_checkpoint_is_told(tmp_path):
    train, runtime = photos().train, Runtime(checkpoints=tmp_path)
    file = Checkpoint(RECIPE, Seeds(), train, runtime).file
    file.write_bytes(b"half a file")
    with pytest.raises(DataError) as caught:
        RECIPE.fit(train, runtime=runtime)
    assert str(caught.value).startswith("StreamedTraining: a whole checkpoint of this run is required, got ") and str(file) in str(caught.value)
    assert str(caught.value).endswith("Delete it; the run then starts over.") and "\n" not in str(caught.value)


SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
import shatterlab as sl
torch.set_num_threads(1)
train = sl.GeneratedPhotos(classes=3, per_class=8, size=16).load().train
learner = sl.StreamedTraining(sl.SmallInception(width=0.06), sl.SGD(lr=0.05), decay=0.9, decay_epochs=1, batch_size=8, epochs=int(sys.argv[2]), smoothing=0.1)
told = []
fit = learner.fit(train, sl.Seeds(), told.append, sl.Runtime(checkpoints=Path(sys.argv[1]), checkpoint_every=float(sys.argv[3])))
torch.save(fit.model.state_dict(), Path(sys.argv[1]) / f"weights{fit.facts['processes']}.pt")
told = [[each.train_loss, each.train_accuracy, each.online_loss, each.online_accuracy] for each in told]
(Path(sys.argv[1]) / f"told{os.environ.get('RANK', 0)}.json").write_text(json.dumps(told))
"""


@contextlib.contextmanager
def process(folder, epochs, checkpoint_every, *launcher) -> Iterator[subprocess.Popen[str]]:
    """The script in a process of its own; at the end neither it nor one of its children is left."""
    (folder / "train.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(sl.__file__)), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    with (folder / "log").open("w") as log:
        command = [sys.executable, *launcher, str(folder / "train.py"), str(folder), str(epochs), str(checkpoint_every)]
        started = subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True, start_new_session=True)
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_weights_bit_for_bit(tmp_path):
    with process(tmp_path, 200, 0) as killed:
        while not list(tmp_path.glob("*.checkpoint")) and killed.poll() is None:
            time.sleep(0.05)
        time.sleep(1)
        os.kill(killed.pid, signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
    [file] = tmp_path.glob("*.checkpoint")
    state = torch.load(file, weights_only=True)
    assert 0 < state["place"][2] < 200 * 3
    learner, runtime = replace(RECIPE, epochs=200), Runtime(checkpoints=tmp_path, checkpoint_every=1e9)
    assert same(weights(learner.fit(photos().train, runtime=runtime)), weights(learner.fit(photos().train)))


# several processes -----------------------------------------------------------------------------------------------------


@pytest.mark.timeout(1200)  # ten seconds on a free core; torchrun picks a free port, and ends both when one fails
def test_two_processes_have_the_losses_of_one_with_the_same_batch(tmp_path):
    """Sums of gradients and moments in another order: float32 rounding, amplified by at most a few steps of descent."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2", "--log-dir", str(tmp_path)]
    with process(tmp_path, 3, 1e9, *torchrun) as two:
        assert two.wait() == 0, (tmp_path / "log").read_text()
    told = [json.loads((tmp_path / f"told{rank}.json").read_text()) for rank in range(2)]
    alone = []
    fit = RECIPE.fit(photos().train, observe=alone.append)
    wanted = [[each.train_loss, each.train_accuracy, each.online_loss, each.online_accuracy] for each in alone]
    assert told[0] == told[1] and fit.facts["processes"] == 1
    assert np.allclose(told[0], wanted, rtol=1e-3)
    there = torch.load(tmp_path / "weights2.pt", weights_only=True)
    assert all(torch.allclose(value.float(), there[name].float(), rtol=1e-2, atol=1e-4) for name, value in weights(fit).items())
    moved = [float((value.detach() - fit.initial[name]).abs().max()) for name, value in fit.model.named_parameters()]
    assert max(moved) > 0.01  # it did train


# what is refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"decay": 1.5}, "StreamedTraining: decay is a factor in (0, 1], got 1.5"),
        ({"batch_size": 1}, "StreamedTraining: batch_size is a whole number >= 2, got 1"),
        ({"epochs": 0}, "StreamedTraining: epochs is a whole number >= 1, got 0"),
        ({"stop": 1.2}, "StreamedTraining: stop is a training accuracy in (0, 1], or None, got 1.2"),
        ({"smoothing": 1.0}, "StreamedTraining: smoothing is a share in [0, 1), got 1.0"),
        ({"auxiliary": -1.0}, "StreamedTraining: auxiliary is a finite weight >= 0, got -1.0"),
    ],
)
def test_fields_out_of_range_are_refused(fields, message):
    with pytest.raises(InvalidPart) as caught:
        StreamedTraining(NET, **fields)
    assert str(caught.value) == message


def test_images_that_the_network_cannot_take_are_refused_before_training():
    with pytest.raises(InvalidPart, match="inputs of at least 75x75 are required, got 16x16"):
        StreamedTraining(sl.InceptionV3(width=0.05)).fit(photos().train)


def test_a_kernel_system_refuses_a_stream_in_words():
    row = run(Trial(PHOTOS, TrueLabels(), sl.KernelInterpolation(sl.Gaussian(5.0))))
    assert row["status"] == "failed" and "what reads inputs by batches is required for a streamed sample" in row["error"]
