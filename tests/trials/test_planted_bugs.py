"""Bugs planted where a sample is corrupted and where a network is fed: each ends its trial as failed, by the check that is meant for it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import shatterlab as sl
from shatterlab.core import random_bits
from shatterlab.statistics.significance import same_counts_bound
from shatterlab.training.feeds import MemoryFeed, StreamFeed
from shatterlab.training.loop import TrainingLoop
from shatterlab.trials.corrupted_labels import _dealt
from shatterlab.trials.self_check import FALSE_ALARM, SelfCheck

DIGITS = sl.Digits(examples=300, test_examples=100)
QUICK = sl.Training(sl.MLP((8,)), sl.SGD(lr=0.05), epochs=3, batch_size=32, stop="budget")
STREAMED = sl.StreamedTraining(sl.MLP((8,)), sl.SGD(lr=0.05), epochs=2, batch_size=32)
LEARNERS = [pytest.param(QUICK, id="in-memory"), pytest.param(STREAMED, id="streamed")]


def failures(corruption, learner=QUICK, dataset=DIGITS, seeds=sl.Seeds()):
    """The checks that fail; the trial must say so."""
    row = sl.run(sl.Trial(dataset, corruption, learner, seeds))
    assert row["error"] is None or "self-check" in row["error"], row["trace"]
    assert (row["status"] == "failed") == (row["check.passed"] is False) == (row["check.failures"] is not None)
    return (row["check.failures"] or "").split(", ")


# Labels


@dataclass(frozen=True)
class Renames(sl.PartialLabels):
    """Renames classes, and says that it redraws labels."""

    level: float = 1.0

    def labels(self, labels, classes, rng):
        return rng.permutation(classes)[labels]


@dataclass(frozen=True)
class RenamesSilently(sl.LabelCorruption):
    """Renames classes, and states no transition."""

    def labels(self, labels, classes, rng):
        return (labels + 1 + rng.integers(classes - 1)) % classes


@dataclass(frozen=True)
class KeepsLabels(sl.PartialLabels):
    """Leaves labels as they are."""

    level: float = 1.0

    def labels(self, labels, classes, rng):
        return labels


@dataclass(frozen=True)
class KeepsLabelsSilently(sl.LabelCorruption):
    """Leaves labels as they are, and states no transition."""

    def labels(self, labels, classes, rng):
        return labels


@dataclass(frozen=True)
class ExcludesTheTrueClass(sl.PartialLabels):
    """Draws each label from the other classes."""

    level: float = 1.0

    def labels(self, labels, classes, rng):
        redrawn = rng.random(len(labels)) < self.level
        return np.where(redrawn, (labels + rng.integers(1, classes, len(labels))) % classes, labels)


@dataclass(frozen=True)
class Permutes(sl.PartialLabels):
    """Deals the labels of redrawn examples out among them."""

    level: float = 1.0

    def labels(self, labels, classes, rng):
        redrawn = np.flatnonzero(rng.random(len(labels)) < self.level)
        labels[redrawn] = labels[rng.permutation(redrawn)]
        return labels


@dataclass(frozen=True)
class DrawsInPlaceOfPermuting(sl.PermutedLabels):
    """Redraws each label from the classes, and says that it keeps their sizes."""

    def labels(self, labels, classes, rng):
        return rng.choice(labels, len(labels))


@dataclass(frozen=True)
class PermutesTooFew(sl.PermutedLabels):
    """Permutes the labels of a third of the examples."""

    def labels(self, labels, classes, rng):
        third = len(labels) // 3
        return np.concatenate([rng.permutation(labels[:third]), labels[third:]])


@dataclass(frozen=True)
class CorruptsTestLabels(sl.PartialLabels):
    """Redraws test labels as well."""

    level: float = 1.0

    def apply(self, splits, seeds=sl.Seeds()):
        after, test = super().apply(splits, seeds), super().apply(sl.Splits(splits.test, splits.train), seeds)
        return sl.Splits(after.train, test.train)


LABELS = [
    (Renames(), ["transition_p", "independence_p"]),
    (RenamesSilently(), ["renamed_p"]),
    (KeepsLabels(), ["changed_p", "transition_p", "class_counts_p", "independence_p"]),
    (KeepsLabels(0.3), ["changed_p"]),
    (KeepsLabelsSilently(), ["labels_changed", "renamed_p"]),
    (ExcludesTheTrueClass(), ["changed_p"]),  # all of 300 labels change with probability 0.9^300 = 2e-14
    (Permutes(), ["class_counts_p"]),
    (sl.PermutedLabels(), [""]),
    (DrawsInPlaceOfPermuting(), ["class_counts_kept"]),
    (PermutesTooFew(), ["independence_p"]),
    (CorruptsTestLabels(), ["test_labels_true"]),
]


@pytest.mark.parametrize(("corruption", "named"), LABELS, ids=[type(part).__name__ for part, _ in LABELS])
def test_labels_that_are_not_corrupted_as_stated_fail_the_trial(corruption, named):
    assert failures(corruption) == named


@pytest.mark.parametrize("true", [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 1], [0, 1]])
def test_the_bound_of_a_dealt_table_is_at_least_its_exact_p_value(true):
    """Over all ways to deal the labels: the share of ways whose table has at most this probability."""
    k = max(true) + 1
    tables = [tuple(np.bincount(k * np.array(true) + new, minlength=k * k)) for new in itertools.permutations(true)]
    shares = {table: tables.count(table) / len(tables) for table in set(tables)}
    for table, share in shares.items():
        exact = sum(each for each in shares.values() if each <= share * (1 + 1e-9))
        assert exact <= _dealt(np.array(table).reshape(k, k)) * (1 + 1e-9)


@pytest.mark.parametrize("level", [0.3, 0.5])
def test_labels_that_are_permuted_at_a_lower_level_fail_where_the_sample_is_large_enough(level):
    assert "class_counts_p" in failures(Permutes(level), dataset=sl.Digits(examples=1200, test_examples=100))


@pytest.mark.parametrize(("k", "n"), [(10, 60), (5, 2100), (4, 22_000)])
def test_permuted_labels_show_from_the_stated_sample_sizes_on(k, n):
    uniform = np.full((k, k), 1 / k)
    assert same_counts_bound(np.full(k, n // k), uniform) <= FALSE_ALARM < same_counts_bound(np.full(k, n // k * 4 // 5), uniform)
    assert same_counts_bound([10**6] * 2, np.full((2, 2), 0.5)) > 1e-4  # two classes never show it


@pytest.mark.parametrize("part", [sl.TrueLabels(), sl.PartialLabels(0.02), sl.PartialLabels(0.5), sl.RandomLabels(), sl.RandomSigns()], ids=repr)
def test_labels_that_are_corrupted_as_stated_pass_over_many_seeds(part):
    sample = DIGITS.load()
    columns = [SelfCheck(sample, part.apply(sample, seeds), part, seeds).columns() for seeds in map(sl.Seeds.replicate, range(60))]
    assert [each["check.failures"] for each in columns] == [None] * 60


def test_a_corruption_without_a_transition_may_depend_on_the_class_and_the_rest():
    @dataclass(frozen=True)
    class Deals(sl.LabelCorruption):
        """Deals all labels out again."""

        def labels(self, labels, classes, rng):
            return rng.permutation(labels)

    for seed in range(60):
        sample = sl.Digits(examples=12, test_examples=10).load()
        assert SelfCheck(sample, Deals().apply(sample, sl.Seeds(corruption=seed)), Deals()).columns()["check.passed"]


# What a network is fed


def spoil(monkeypatch, change):
    """Every step of both feeds passes through `change(epoch, number, step, rng)`."""
    rng = torch.Generator().manual_seed(0)
    for feed in (MemoryFeed, StreamFeed):
        honest = feed.steps

        def steps(self, epoch, start, honest=honest):
            for number, step in enumerate(honest(self, epoch, start), start):
                yield change(epoch, number, step, rng)

        monkeypatch.setattr(feed, "steps", steps)


def redrawn(labels, rng):
    return torch.randint(10, labels.shape, generator=rng)


@pytest.mark.parametrize("learner", LEARNERS)
def test_labels_that_are_redrawn_each_epoch_fail_the_trial(learner, monkeypatch):
    def change(epoch, number, step, rng):
        labels = redrawn(step.labels, rng) if epoch > 1 else step.labels
        return replace(step, labels=labels, targets=labels, read=step.read and replace(step.read, labels=labels))

    spoil(monkeypatch, change)
    assert failures(sl.RandomLabels(), learner) == ["batches_equal_sample", "targets_equal_sample"]


@pytest.mark.parametrize("learner", LEARNERS)
def test_targets_that_are_redrawn_behind_intact_labels_fail_the_trial(learner, monkeypatch):
    spoil(monkeypatch, lambda epoch, number, step, rng: replace(step, targets=redrawn(step.labels, rng)))
    assert failures(sl.RandomLabels(), learner) == ["targets_equal_sample"]


@pytest.mark.parametrize("learner", LEARNERS)
def test_labels_that_are_redrawn_in_every_batch_but_the_first_fail_the_trial(learner, monkeypatch):
    spoil(monkeypatch, lambda epoch, number, step, rng: replace(step, targets=redrawn(step.labels, rng)) if number else step)
    assert failures(sl.RandomLabels(), learner) == ["targets_equal_sample"]


def test_targets_that_change_in_the_step_itself_fail_the_trial(monkeypatch):
    """The observer gets the tensor that the loss used, which is not what the step was fed."""
    honest = TrainingLoop._step
    monkeypatch.setattr(TrainingLoop, "_step", lambda loop, trained, step: honest(loop, trained, replace(step, targets=step.targets.flip(0))))
    assert failures(sl.RandomLabels()) == ["targets_equal_sample"]


@pytest.mark.parametrize("learner", LEARNERS)
def test_targets_that_change_within_the_loss_fail_the_trial(learner, monkeypatch):
    for feed in (MemoryFeed, StreamFeed):
        monkeypatch.setattr(feed, "loss", lambda self, scores, targets, honest=feed.loss: honest(self, scores, targets.flip(0)))
    assert failures(sl.RandomLabels(), learner) == ["targets_equal_sample"]


@pytest.mark.parametrize(
    "options", [{"label_smoothing": 0.1}, {"augmentation": (sl.Mixup(),)}, {"augmentation": (sl.Mixup(),), "label_smoothing": 0.1}, {"loss": "squared"}]
)
def test_soft_targets_are_checked_too(options, monkeypatch):
    learner = replace(QUICK, **options)
    assert failures(sl.RandomLabels(), learner) == [""]
    spoil(monkeypatch, lambda epoch, number, step, rng: replace(step, targets=step.targets[torch.randperm(len(step.targets), generator=rng)]))
    assert failures(sl.RandomLabels(), learner) == ["targets_equal_sample"]


@pytest.mark.parametrize("part", [sl.ShuffledPixels(), sl.RandomPixels(), sl.GaussianPixels()], ids=lambda part: type(part).__name__)
@pytest.mark.parametrize("learner", LEARNERS)
def test_an_uncorrupted_tensor_that_is_trained_on_fails_the_trial(part, learner, monkeypatch):
    """The learner hands the corrupted sample out for checking, and feeds the network the uncorrupted one."""
    original = DIGITS.load().train.inputs
    spoil(monkeypatch, lambda epoch, number, step, rng: replace(step, inputs=original[step.positions]))
    assert failures(part, learner) == ["batches_equal_sample"]


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("corruption", [sl.RandomLabels(), sl.PartialLabels(0.1), sl.RandomPixels()], ids=repr)
def test_an_uncorrupted_sample_that_is_trained_on_fails_the_trial(corruption, learner, monkeypatch):
    """The learner never gets the corrupted sample."""
    original, honest = DIGITS.load().train, type(learner).fit
    monkeypatch.setattr(type(learner), "fit", lambda self, train, *rest: honest(self, original, *rest))
    assert failures(corruption, learner) == ["batches_equal_sample"] + ["targets_equal_sample"] * (corruption != sl.RandomPixels())


# Pixels


class DoesNothing(sl.ShuffledPixels):
    """Shuffles by the identity."""

    def inputs(self, images, indices, split, seed):
        return images.clone()


class OtherInTest(sl.ShuffledPixels):
    """Shuffles the test split by another permutation."""

    def inputs(self, images, indices, split, seed):
        return super().inputs(images, indices, split, seed + (split == "test"))


class SkipsTest(sl.ShuffledPixels):
    """Leaves the test split as it is, wherever `inputs` is not asked."""

    def apply(self, splits, seeds=sl.Seeds()):
        return sl.Splits(super().apply(splits, seeds).train, splits.test)


class ShufflesHalf(sl.ShuffledPixels):
    """Leaves the last half of the values where they are."""

    def inputs(self, images, indices, split, seed):
        rows, after = images.flatten(1), super().inputs(images, indices, split, seed).flatten(1)
        half = rows.shape[1] // 2
        order = torch.from_numpy(np.random.default_rng(seed).permutation(half))
        return torch.cat([rows[:, :half][:, order], rows[:, half:]], 1).view(images.shape).to(after)


class Rolls(sl.RandomPixels):
    """Rolls each image by a step of its own, which is a permutation, but no random one."""

    def inputs(self, images, indices, split, seed):
        steps = 1 + random_bits(seed, split, indices, 1)[:, 0] % np.uint64(images[0].numel() - 1)
        return torch.stack([image.flatten().roll(int(step)).view(image.shape) for image, step in zip(images, steps, strict=True)])


class OneForAll(sl.RandomPixels):
    """Shares one permutation among all images."""

    def inputs(self, images, indices, split, seed):
        return super().inputs(images, np.zeros_like(indices), split, seed)


class BothSplitsAlike(sl.RandomPixels):
    """Gives test image i the permutation of training image i."""

    def inputs(self, images, indices, split, seed):
        return super().inputs(images, indices, "train", seed)


class Replaces(sl.RandomPixels):
    """Draws positions with replacement."""

    def inputs(self, images, indices, split, seed):
        rows = images.flatten(1)
        order = random_bits(seed, split, indices, rows.shape[1]) % np.uint64(rows.shape[1])
        return rows.gather(1, torch.from_numpy(order.astype(np.int64))).view(images.shape)


class SortsSample(sl.RandomPixels):
    """Is right for any values but those of the sample, which it sorts."""

    def inputs(self, images, indices, split, seed):
        codes = images.flatten(1).diff(dim=1).min() > 0
        return super().inputs(images, indices, split, seed) if codes else images.flatten(1).sort(1).values.view(images.shape)


class RedrawsWhenRead(sl.RandomPixels):
    """Draws another permutation whenever an image is read."""

    def inputs(self, images, indices, split, seed):
        return super().inputs(images, indices, split, int(torch.randint(2**40, ())))


class KeepsImage(sl.GaussianPixels):
    """Adds noise of the right moments to a tenth of the image, and takes nine tenths of the noise."""

    def inputs(self, images, indices, split, seed):
        noise = super().inputs(images, indices, split, seed)
        return self.mean + 0.995 * (noise - self.mean) + 0.1 * (images - self.mean)


class KeepsImageOnlyInApply(sl.GaussianPixels):
    """Leaves every second image of the sample as it is, wherever `inputs` is not asked."""

    def apply(self, splits, seeds=sl.Seeds()):
        after = super().apply(splits, seeds)
        after.train.inputs[::2] = splits.train.inputs[::2]
        return after


class WrongMean(sl.GaussianPixels):
    """Has a mean that is off by a fifth of a deviation."""

    def inputs(self, images, indices, split, seed):
        return super().inputs(images, indices, split, seed) + 0.2 * self.deviation


class WrongDeviation(sl.GaussianPixels):
    """Takes the variance for the deviation."""

    def fitted(self, train, seeds=sl.Seeds()):
        ready = super().fitted(train, seeds)
        return ready if self.mean is not None else replace(ready, deviation=ready.deviation.square())


class OneNoiseForAll(sl.GaussianPixels):
    """Draws one noise for all images of a split."""

    def inputs(self, images, indices, split, seed):
        return super().inputs(images, np.zeros_like(indices), split, seed)


class UniformNoise(sl.GaussianPixels):
    """Draws uniform noise of the right moments."""

    def inputs(self, images, indices, split, seed):
        bits = random_bits(seed, split, indices, images[0].numel()) >> np.uint64(40)
        uniform = torch.from_numpy(bits.astype(np.float32) * np.float32(2**-24)).view(images.shape)
        return self.mean + self.deviation * (uniform - 0.5) * 12**0.5


@dataclass(frozen=True)
class BlursNothing(sl.PixelCorruption):
    """Says nothing of itself, and does nothing."""

    def inputs(self, images, indices, split, seed):
        return images.clone()


PIXELS = [
    (DoesNothing(), ["permutation_p"]),
    (DoesNothing("value"), ["permutation_p"]),
    (OtherInTest(), ["permuted"]),
    (SkipsTest(), ["same_when_read_again", "permuted"]),
    (ShufflesHalf("value"), ["permutation_p"]),
    (Rolls("value"), ["permutation_p"]),
    (OneForAll(), ["permutation_p"]),
    (BothSplitsAlike(), ["permutation_p"]),
    (Replaces("value"), ["permuted"]),
    (SortsSample(), ["permuted"]),
    (RedrawsWhenRead(), ["same_when_read_again", "permuted"]),
    (KeepsImage(), ["noise_ignores_inputs"]),
    (KeepsImageOnlyInApply(), ["same_when_read_again", "noise_p"]),
    (WrongMean(), ["noise_p"]),
    (WrongDeviation(), ["noise_p"]),
    (WrongDeviation("pixel"), ["noise_p"]),
    (OneNoiseForAll(), ["noise_p"]),
    (UniformNoise(), ["noise_p"]),
    (BlursNothing(), ["inputs_changed"]),
]


@pytest.mark.parametrize(("corruption", "named"), PIXELS, ids=[f"{type(part).__name__}-{index}" for index, (part, _) in enumerate(PIXELS)])
def test_pixels_that_are_not_corrupted_as_stated_fail_the_trial(corruption, named):
    assert failures(corruption) == named


def colours(n=60, *shape):
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, *shape)).astype(np.float32) / 255)
    part = sl.Examples(pixels, torch.arange(n) % 3, 3, 255)
    return sl.Splits(part, replace(part, inputs=pixels.flip(0)))


def test_channels_move_together_where_the_unit_is_a_position():
    class MovesValues(sl.ShuffledPixels):
        """Says that it moves positions, and moves values."""

        def rows(self, images):
            return images.flatten(1)

    sample, seeds = colours(60, 3, 8, 8), sl.Seeds()
    assert SelfCheck(sample, MovesValues().apply(sample, seeds), MovesValues(), seeds).columns()["check.failures"] == "permuted"
    assert SelfCheck(sample, MovesValues("value").apply(sample, seeds), MovesValues("value"), seeds).columns()["check.passed"]


BUILT_IN = [*sl.ShuffledPixels.specimens(), *sl.RandomPixels.specimens(), *sl.GaussianPixels.specimens()]


@pytest.mark.parametrize("part", BUILT_IN, ids=repr)
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8), (7,), (2,), (1,)], ids=str)
def test_the_built_in_corruptions_of_pixels_pass_over_many_seeds(part, shape):
    """Also where a table has so few features that a permutation often keeps them all."""
    sample = colours(60, *shape)
    for seeds in map(sl.Seeds.replicate, range(12)):
        ready = part.fitted(sample.train, seeds)
        assert SelfCheck(sample, ready.apply(sample, seeds), ready, seeds).columns()["check.failures"] is None


def test_an_effect_that_nobody_knows_is_refused():
    class Shuffles(sl.ShuffledPixels):
        """Shuffles, and says so in other words."""

        effect = "shuffled"

    row = sl.run(sl.Trial(DIGITS, Shuffles(), QUICK))
    assert row["status"] == "failed"
    assert row["error"].startswith("Shuffles: effect is one permutation, a permutation each, noise or None, got 'shuffled'")


def test_a_corruption_of_labels_and_inputs_passes():
    @dataclass(frozen=True)
    class Both(sl.Corruption):
        """Redraws labels and shuffles pixels."""

        def apply(self, splits, seeds=sl.Seeds()):
            return sl.ShuffledPixels().apply(sl.RandomLabels().apply(splits, seeds), seeds)

    assert failures(Both()) == [""]


@pytest.mark.parametrize("part", [sl.RandomLabels(), sl.ShuffledPixels(), sl.RandomPixels(), sl.GaussianPixels()], ids=lambda part: type(part).__name__)
def test_photos_that_are_read_from_disk_are_checked_as_well(part, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for split, label, index in ((split, label, index) for split in ("train", "test") for label in ("cat", "dog") for index in range(12)):
        (tmp_path / split / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(tmp_path / split / label / f"{index}.png")
    row = sl.run(sl.Trial(sl.StreamedFolder(str(tmp_path), size=8), part, STREAMED))
    assert (row["status"], row["error"], row["check.targets_equal_sample"]) == ("ok", None, True)
    assert part == sl.RandomLabels() or row["check.same_when_read_again"] is True
