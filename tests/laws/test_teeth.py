"""Every law has teeth: for each a planted bug that breaks it and no other; and the self-check of a trial has, too."""

from __future__ import annotations

import contextlib
import itertools
import random
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from test_kernel_teeth import TEETH as KERNEL_TEETH
from torch import nn

import shatterlab as sl
from shatterlab.core import Augmentation, Batch, Progress, catalog, random_bits
from shatterlab.core.errors import DataError, InvalidPart, LawBroken, NotApplicable
from shatterlab.laws import check, laws, samples, words
from shatterlab.optimizers.descent import SGD
from shatterlab.training.torch_seed import seeded

TEETH: list[tuple[sl.Part, set[str]]] = []


def breaks(*names, **fields):
    """Plants a bug: the class, made with these fields, breaks the laws of these names and no other."""

    def plant(cls):
        TEETH.append((cls(**fields), set(names)))
        return cls

    return plant


# All parts


@breaks("description_is_plain", sizes=(1, 2))
@dataclass(frozen=True)
class DescribesTuples(sl.Part):
    """Writes a tuple where JSON has lists.

    Args:
        sizes: whole numbers.
    """

    sizes: tuple[int, ...] = ()

    def describe(self, *, defaults=False):
        return {"kind": self.kind, "sizes": self.sizes}


@breaks("description_builds_an_equal_part", sizes=(1, 2))
@dataclass(frozen=True)
class ForgetsAField(sl.Part):
    """Leaves a field out of its description.

    Args:
        sizes: whole numbers.
    """

    sizes: tuple[int, ...] = ()

    def describe(self, *, defaults=False):
        return {"kind": self.kind}


@breaks("numbers_are_normalized", level=1.0)
@dataclass(frozen=True)
class KeepsIntegers(sl.Part):
    """Takes numbers as they come.

    Args:
        level: a number.
    """

    level: float = 0.0

    def __post_init__(self):
        self.validate()


_clock = itertools.count()


@breaks("identity_is_stable")
@dataclass(frozen=True)
class LooksAtTheClock(sl.Part):
    """Says something else each time it is asked."""

    def identity(self):
        return {**super().identity(), "at": next(_clock)}


@breaks("defaults_are_left_out")
@dataclass(frozen=True)
class WritesDefaults(sl.Part):
    """Writes every field into its identity.

    Args:
        level: a number.
    """

    level: float = 0.0

    def identity(self):
        return self.describe(defaults=True)


@breaks("is_frozen")
class Thawed(sl.Part):
    """Can be changed after it is made."""

    __setattr__ = object.__setattr__


@breaks("is_documented")
@dataclass(frozen=True)
class Silent(sl.Part):
    pass


@breaks("is_documented")
@dataclass(frozen=True)
class ExplainsNoField(sl.Part):
    """Has a field that nobody explains."""

    level: float = 0.0


# Corruptions


@breaks("is_drawn_once")
@dataclass(frozen=True)
class DrawsAfresh(sl.LabelCorruption):
    """Draws from a generator that nobody seeded."""

    def labels(self, labels, classes, rng):
        return np.random.default_rng().integers(classes, size=len(labels))


@breaks("follows_its_stream")
@dataclass(frozen=True)
class SeedsItself(sl.LabelCorruption):
    """Draws from a generator with a seed of its own."""

    def labels(self, labels, classes, rng):
        return np.random.default_rng(0).integers(classes, size=len(labels))


@breaks("follows_its_stream")
@dataclass(frozen=True)
class IsRandomAfterAll(sl.PartialLabels):
    """Says that it draws nothing, and draws.

    Args:
        level: a probability.
    """

    random: ClassVar[bool] = False
    level: float = 1.0


@breaks("leaves_its_input_alone")
@dataclass(frozen=True)
class WritesInPlace(sl.ShuffledPixels):
    """Changes the test labels that it is given."""

    def apply(self, splits, seeds=sl.Seeds()):
        splits.test.labels.zero_()
        return super().apply(splits, seeds)


@breaks("leaves_generators_alone")
@dataclass(frozen=True)
class DrawsFromNumpy(sl.ShuffledPixels):
    """Moves numpy's process-wide generator."""

    def apply(self, splits, seeds=sl.Seeds()):
        np.random.rand()  # noqa: NPY002
        return super().apply(splits, seeds)


@breaks("leaves_generators_alone")
@dataclass(frozen=True)
class DrawsFromPython(sl.ShuffledPixels):
    """Moves Python's process-wide generator."""

    def apply(self, splits, seeds=sl.Seeds()):
        random.random()
        return super().apply(splits, seeds)


@breaks("keeps_the_form")
@dataclass(frozen=True)
class ForgetsLevels(sl.ShuffledPixels):
    """Loses the number of levels on its way."""

    def apply(self, splits, seeds=sl.Seeds()):
        after = super().apply(splits, seeds)
        return sl.Splits(replace(after.train, levels=None), replace(after.test, levels=None))


@breaks("keeps_test_labels")
@dataclass(frozen=True)
class CorruptsTestLabels(sl.ShuffledPixels):
    """Shuffles test labels too."""

    def apply(self, splits, seeds=sl.Seeds()):
        after = super().apply(splits, seeds)
        return sl.Splits(after.train, replace(after.test, labels=after.test.labels.flip(0)))


@breaks("keeps_the_other_half")
@dataclass(frozen=True)
class CorruptsBothHalves(sl.ShuffledPixels):
    """Shuffles pixels and training labels."""

    def apply(self, splits, seeds=sl.Seeds()):
        after = super().apply(splits, seeds)
        return sl.Splits(replace(after.train, labels=after.train.labels.flip(0)), after.test)


@breaks("keeps_the_other_half")
@dataclass(frozen=True)
class DarkensImages(sl.PartialLabels):
    """Redraws labels and halves inputs.

    Args:
        level: a probability.
    """

    level: float = 1.0

    def apply(self, splits, seeds=sl.Seeds()):
        after = super().apply(splits, seeds)
        dark = self.level if self.level == 0 else 0.5
        return sl.Splits(replace(after.train, inputs=after.train.inputs * (dark or 1)), after.test)


@dataclass(frozen=True)
class Redrawn(sl.LabelCorruption):
    """Redraws labels like PartialLabels, with places for a bug.

    Args:
        level: a probability.
    """

    level: float = 0.5

    def validate(self):
        self.require(0 <= self.level <= 1, "level is a probability in [0, 1]", self.level)

    def labels(self, labels, classes, rng):
        return np.where(rng.random(len(labels)) < self.level, rng.integers(classes, size=len(labels)), labels)


@breaks("level_is_a_probability")
@dataclass(frozen=True)
class TakesAnyLevel(Redrawn):
    """Checks nothing."""

    def validate(self):
        pass


@breaks("level_zero_is_the_identity")
@dataclass(frozen=True)
class NeverQuiet(Redrawn):
    """Redraws a tenth even at level 0."""

    def labels(self, labels, classes, rng):
        return np.where(rng.random(len(labels)) < max(self.level, 0.1), rng.integers(classes, size=len(labels)), labels)


@breaks("level_one_hides_the_class")
@dataclass(frozen=True)
class SparesClassThree(Redrawn):
    """Leaves one class as it is."""

    def labels(self, labels, classes, rng):
        return np.where(labels == 3, labels, super().labels(labels, classes, rng))


@breaks("draws_labels_one_by_one", "keeps_its_transition")
@dataclass(frozen=True)
class NeverDrawsClassZero(Redrawn):
    """Says uniform, and draws from 1 .. k - 1."""

    level: float = 1.0

    def labels(self, labels, classes, rng):
        return np.where(rng.random(len(labels)) < self.level, rng.integers(1, classes, size=len(labels)), labels)

    def transition(self, classes):
        return (1 - self.level) * np.eye(classes) + self.level / classes


@breaks("keeps_its_transition")
@dataclass(frozen=True)
class ChangesFewer(sl.PartialLabels):
    """Redraws 1 in 20 fewer than it says."""

    level: float = 0.5

    def labels(self, labels, classes, rng):
        return (
            np.where(rng.random(len(labels)) < 0.1, labels, super().labels(labels, classes, rng))
            if 0 < self.level < 1
            else super().labels(labels, classes, rng)
        )


@breaks("draws_labels_one_by_one", "keeps_its_transition")
@dataclass(frozen=True)
class LoadedCoin(sl.RandomSigns):
    """Says that its coin is fair, and lets heads come three times in four."""

    def labels(self, labels, classes, rng):
        return (rng.random(len(labels)) < 0.75).astype(np.int64)


@breaks("draws_labels_one_by_one")
@dataclass(frozen=True)
class DealsLabels(sl.LabelCorruption):
    """Says that it draws classes in the shares of the sample, and deals its labels out again."""

    def labels(self, labels, classes, rng):
        return rng.permutation(labels)

    def transition(self, classes):
        return np.tile(np.arange(1, classes + 1) / np.arange(1, classes + 1).sum(), (classes, 1))


@breaks("draws_labels_one_by_one")
@dataclass(frozen=True)
class RenamesClasses(sl.LabelCorruption):
    """Only renames the classes, and states no transition."""

    def labels(self, labels, classes, rng):
        return (labels + 1 + rng.integers(classes - 1)) % classes


@breaks("draws_labels_one_by_one")
@dataclass(frozen=True)
class LeavesLabels(sl.LabelCorruption):
    """Does nothing, and states no transition."""

    def labels(self, labels, classes, rng):
        return labels


@breaks("does_to_inputs_what_it_says")
@dataclass(frozen=True)
class SharesItsPermutation(sl.ShuffledPixels):
    """Says that each image has its own permutation, and shuffles all by one."""

    effect: ClassVar[str] = "a permutation each"


@breaks("does_to_inputs_what_it_says")
@dataclass(frozen=True)
class DrawsWithReplacement(sl.RandomPixels):
    """Draws positions with replacement."""

    def inputs(self, images, indices, split, seed):
        rows = images.flatten(1)
        order = (random_bits(seed, split, indices, rows.shape[1]) % np.uint64(rows.shape[1])).astype(np.int64)
        return rows.gather(1, torch.from_numpy(order)).view(images.shape)


@breaks("does_to_inputs_what_it_says")
@dataclass(frozen=True)
class KeepsTheImage(sl.GaussianPixels):
    """Adds its noise to the image."""

    def inputs(self, images, indices, split, seed):
        return images + super().inputs(images, indices, split, seed)


@breaks("does_to_inputs_what_it_says")
@dataclass(frozen=True)
class HasTwiceTheDeviation(sl.GaussianPixels):
    """Draws noise of twice the deviation."""

    def inputs(self, images, indices, split, seed):
        return 2 * super().inputs(images, indices, split, seed) - self.mean


@breaks("does_to_inputs_what_it_says")
@dataclass(frozen=True)
class DoesNothing(sl.PixelCorruption):
    """Leaves every image as it is."""

    random: ClassVar[bool] = False

    def inputs(self, images, indices, split, seed):
        return images.clone()


@breaks("ignores_batch_and_order")
@dataclass(frozen=True)
class DrawsByBatch(sl.PixelCorruption):
    """Draws the same noise for every batch of one size."""

    def inputs(self, images, indices, split, seed):
        noise = np.random.default_rng((seed, len(split))).standard_normal(tuple(images.shape))
        return torch.from_numpy(noise.astype(np.float32))


@dataclass(frozen=True)
class Uniform(sl.PixelCorruption):
    """Uniform noise in place of images, with places for a bug."""

    def inputs(self, images, indices, split, seed):
        bits = random_bits(seed, split, indices, images[0].numel())
        return torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)).view(images.shape)


@breaks("splits_are_drawn_apart")
@dataclass(frozen=True)
class SplitsAlike(Uniform):
    """Draws for the test split what it draws for the training split."""

    def inputs(self, images, indices, split, seed):
        return super().inputs(images, indices, "train", seed)


@dataclass(frozen=True)
class FewPlaces(sl.PixelCorruption):
    """Moves each image by one of four steps, so that equal draws are frequent, with a place for a bug."""

    def inputs(self, images, indices, split, seed):
        steps = random_bits(seed, split, indices, 1)[:, 0] % np.uint64(4)
        return torch.stack([image.roll(int(step) + 1, -1) for image, step in zip(images, steps, strict=True)])


@breaks("splits_are_drawn_apart")
@dataclass(frozen=True)
class FewPlacesAlike(FewPlaces):
    """Draws for the test split what it draws for the training split."""

    def inputs(self, images, indices, split, seed):
        return super().inputs(images, indices, "train", seed)


@breaks("clips_nothing")
@dataclass(frozen=True)
class Clips(sl.GaussianPixels):
    """Clips noise to [0, 1]."""

    def inputs(self, images, indices, split, seed):
        return super().inputs(images, indices, split, seed).clamp(0, 1)


@breaks("takes_tables")
@dataclass(frozen=True)
class ImagesOnly(sl.RandomPixels):
    """Looks for a height that a table has not."""

    def inputs(self, images, indices, split, seed):
        assert images.shape[2]
        return super().inputs(images, indices, split, seed)


# Data sets


@dataclass(frozen=True)
class Made(sl.Dataset):
    """A sample out of thin air, with places for a bug."""

    def read(self, root, seeds):
        return samples.images(200, 90)


@breaks("loads_the_same_sample")
@dataclass(frozen=True)
class Reorders(Made):
    """Comes in another order each time."""

    def read(self, root, seeds):
        splits = super().read(root, seeds)
        return sl.Splits(splits.train.at(torch.from_numpy(np.random.default_rng().permutation(200))), splits.test)


@breaks("leaves_generators_alone")
@dataclass(frozen=True)
class ReadsAtRandom(Made):
    """Moves numpy's process-wide generator."""

    def read(self, root, seeds):
        np.random.rand()  # noqa: NPY002
        return super().read(root, seeds)


@breaks("gives_tensors_of_one_form")
@dataclass(frozen=True)
class ShortLabels(Made):
    """Has labels of 32 bits."""

    def read(self, root, seeds):
        splits = super().read(root, seeds)
        return sl.Splits(replace(splits.train, labels=splits.train.labels.int()), splits.test)


@breaks("gives_tensors_of_one_form")
@dataclass(frozen=True)
class LargerTests(Made):
    """Has test images of another size."""

    def read(self, root, seeds):
        splits = super().read(root, seeds)
        return sl.Splits(splits.train, replace(splits.test, inputs=splits.test.inputs.repeat(1, 1, 2, 2)))


@breaks("keeps_pixels_in_range")
@dataclass(frozen=True)
class Bytes(Made):
    """Forgets to divide by 255."""

    def read(self, root, seeds):
        splits = super().read(root, seeds)
        return sl.Splits(*(replace(each, inputs=each.inputs * 255) for each in (splits.train, splits.test)))


@breaks("keeps_pixels_in_range")
@dataclass(frozen=True)
class OffTheGrid(Made):
    """Has pixels between its 256 levels."""

    def read(self, root, seeds):
        splits = super().read(root, seeds)
        return sl.Splits(*(replace(each, inputs=each.inputs.square()) for each in (splits.train, splits.test)))


@breaks("parts_the_splits")
@dataclass(frozen=True)
class ExaminesOnTraining(Made):
    """Tests on what it trains on."""

    def read(self, root, seeds):
        train = super().read(root, seeds).train
        return sl.Splits(train, train.at(torch.arange(80)))


@breaks("subsamples_by_class")
@dataclass(frozen=True)
class TakesTheFirst(Made):
    """Keeps the first examples instead of drawing them by class."""

    def _subsample(self, part, n, name, seeds):
        if n is not None and n > len(part):
            raise DataError("too many")
        return part if n is None else part.at(torch.arange(n))


@breaks("refuses_what_it_has_not")
@dataclass(frozen=True)
class GivesWhatItHas(Made):
    """Gives fewer examples than were asked for, in silence."""

    def _subsample(self, part, n, name, seeds):
        return super()._subsample(part, n if n is None else min(n, len(part)), name, seeds)


# Augmentations


@dataclass(frozen=True)
class Dims(Augmentation):
    """Makes each image darker by a factor of its own; keeps every law."""

    def draw(self, n, shape, rng):
        return {"factor": rng.uniform(0.5, 1.0, n).astype(np.float32)}

    def images(self, images, drawn):
        return images * drawn["factor"][:, None, None, None]


@breaks("draws_from_its_stream")
@dataclass(frozen=True)
class DrawsUnseeded(Dims):
    """Draws from a generator that nobody seeded."""

    def draw(self, n, shape, rng):
        return super().draw(n, shape, np.random.default_rng())


@breaks("draws_for_each_example")
@dataclass(frozen=True)
class DrawsOneForAll(Dims):
    """Darkens all images alike."""

    def draw(self, n, shape, rng):
        return {"factor": np.full(n, rng.uniform(0.5, 1.0), np.float32)}


@breaks("depends_on_what_is_drawn")
@dataclass(frozen=True)
class IgnoresItsDraw(Dims):
    """Halves every image."""

    def images(self, images, drawn):
        return images / 2


@breaks("leaves_its_batch_alone")
@dataclass(frozen=True)
class ShiftsLabelsInPlace(Dims):
    """Writes into the targets that it is given."""

    def targets(self, targets, drawn):
        return targets.copy_(targets.roll(1, 0))


@breaks("keeps_images_images")
@dataclass(frozen=True)
class Overexposes(Dims):
    """Brightens beyond 1."""

    def images(self, images, drawn):
        return super().images(images, drawn) * 2


@breaks("treats_each_image_by_itself")
@dataclass(frozen=True)
class MixesInSecret(Dims):
    """Blends each image with its neighbour and does not say so."""

    def images(self, images, drawn):
        return images.roll(1, 0).lerp(images, drawn["factor"][:, None, None, None])


@breaks("targets_stay_distributions")
@dataclass(frozen=True)
class ForgetsTheOtherLabel(Dims):
    """Blends images, and leaves the other label out."""

    mixes: ClassVar[bool] = True

    def targets(self, targets, drawn):
        return targets * drawn["factor"][:, None]


@breaks("works_on_whole_batches")
@dataclass(frozen=True)
class OneByOne(Dims):
    """Takes a Python step an image."""

    def images(self, images, drawn):
        return torch.stack([image * factor for image, factor in zip(images, drawn["factor"], strict=True)])


# Architectures


def linear(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), classes))


@breaks("takes_some_input")
@dataclass(frozen=True)
class TakesNothing(sl.Architecture):
    """Refuses every input."""

    def build(self, shape, classes):
        raise InvalidPart("TakesNothing: nothing is required")


@breaks("takes_some_input")
@dataclass(frozen=True)
class FailsOnTables(sl.Architecture):
    """Fails in the middle of a table."""

    def build(self, shape, classes):
        return linear((shape[0], shape[1], shape[2]), classes)


@breaks("gives_a_score_a_class")
@dataclass(frozen=True)
class OneTooMany(sl.Architecture):
    """Has one score more than there are classes."""

    def build(self, shape, classes):
        return linear(shape, classes + 1)


@breaks("draws_the_same_weights")
@dataclass(frozen=True)
class Unseeded(sl.Architecture):
    """Draws biases from a generator that nobody seeded."""

    def build(self, shape, classes):
        network = linear(shape, classes)
        with torch.no_grad():
            network[1].bias.copy_(torch.from_numpy(np.random.default_rng().standard_normal(classes)))
        return network


@breaks("seeds_nothing")
@dataclass(frozen=True)
class SeedsTorch(sl.Architecture):
    """Seeds torch's process-wide generator."""

    def build(self, shape, classes):
        torch.manual_seed(0)  # noqa: TID251
        return linear(shape, classes)


_made: dict[tuple[tuple[int, ...], int], nn.Module] = {}


@breaks("builds_a_fresh_network")
@dataclass(frozen=True)
class KeepsOne(sl.Architecture):
    """Gives the same network again and again."""

    def build(self, shape, classes):
        return _made.setdefault((shape, classes), linear(shape, classes))


class _Idle(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.used, self.idle = linear(shape, classes), nn.Linear(3, 3)

    def forward(self, inputs):
        return self.used(inputs)


@breaks("reaches_every_parameter")
@dataclass(frozen=True)
class HasAnIdleLayer(sl.Architecture):
    """Has a layer that it never uses."""

    def build(self, shape, classes):
        return _Idle(shape, classes)


class _Noisy(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.inside = linear(shape, classes)

    def forward(self, inputs):
        return self.inside(nn.functional.dropout(inputs, 0.5, training=True))


@breaks("evaluates_the_same_twice")
@dataclass(frozen=True)
class DropsAlways(sl.Architecture):
    """Drops units in evaluation mode too."""

    def build(self, shape, classes):
        return _Noisy(shape, classes)


# Optimizers


@breaks("goes_downhill")
@dataclass(frozen=True)
class Climbs(SGD):
    """Goes uphill."""

    def build(self, parameters, fused=False):
        return torch.optim.SGD(parameters, lr=self.lr, maximize=True)


@breaks("honours_the_rate", lr=5e-5)
@dataclass(frozen=True)
class Capped(SGD):
    """Never goes faster than 0.0001."""

    def build(self, parameters, fused=False):
        return torch.optim.SGD(parameters, lr=min(self.lr, 1e-4))


class _Stubborn(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] = self.defaults["lr"]
        return super().step(closure)


@breaks("follows_a_changing_rate")
@dataclass(frozen=True)
class Stubborn(SGD):
    """Keeps the rate that it began with."""

    def build(self, parameters, fused=False):
        return _Stubborn(parameters, lr=self.lr)


@breaks("refuses_other_rates")
@dataclass(frozen=True)
class TakesAnyRate(SGD):
    """Checks nothing."""

    def validate(self):
        pass


class _Trembling(torch.optim.SGD):
    steps = 0

    def step(self, closure=None):
        super().step(closure)
        self.steps += 1
        if self.steps > 1:
            for group in self.param_groups:
                for each in group["params"]:
                    each.data += 1e-4 * group["lr"] * float(np.random.default_rng().random())


@breaks("walks_the_same_path_twice")
@dataclass(frozen=True)
class Trembles(SGD):
    """Adds a little noise from a generator that nobody seeded."""

    def build(self, parameters, fused=False):
        return _Trembling(parameters, lr=self.lr)


@breaks("moves_what_it_is_given")
@dataclass(frozen=True)
class MovesTheFirst(SGD):
    """Moves the first parameter only."""

    def build(self, parameters, fused=False):
        return torch.optim.SGD(parameters[:1], lr=self.lr)


@breaks("fused_is_the_same")
@dataclass(frozen=True)
class ForgetsMomentum(SGD):
    """Has no momentum when fused."""

    def build(self, parameters, fused=False):
        return torch.optim.SGD(parameters, lr=self.lr, momentum=0 if fused else self.momentum)


# Learners


@dataclass(frozen=True)
class Means(sl.Learner):
    """Scores by distance to the mean of each class, with places for a bug."""

    def means(self, rows, labels, classes, seeds, observe):
        return torch.stack([rows[labels == each].mean(0) if (labels == each).any() else torch.full(rows.shape[1:], 1e3) for each in range(classes)])

    def scores(self, rows, means):
        return -(rows[:, None] - means).square().sum(2)

    def report(self, score, batch):
        return Progress(1, 1, score, "values", last=True, batch=batch)

    def facts(self):
        return {}

    def fit(self, train, seeds=sl.Seeds(), observe=None, runtime=sl.Runtime()):
        means = self.means(train.inputs.flatten(1), train.labels, train.classes, seeds, observe)

        def score(inputs):
            return self.scores(inputs.flatten(1), means)

        report = self.report(score, Batch(torch.arange(len(train)), train.inputs, train.labels))
        if observe is not None:
            observe(report)
        return sl.Fit(score, report.output, facts=self.facts())


def test_the_honest_ones_break_no_law():
    for part in (Means(), Redrawn(), Uniform(), FewPlaces(), Made()):
        assert not [each for each in check(part) if not each.passed]


@breaks("fits_the_same_twice", "observers_change_nothing")
@dataclass(frozen=True)
class GuessesMeans(Means):
    """Adds noise that nobody seeded."""

    def means(self, *given):
        means = super().means(*given)
        return means + torch.from_numpy(np.random.default_rng().standard_normal(means.shape)).float()


@breaks("fits_the_same_twice")
@dataclass(frozen=True)
class TimesItself(Means):
    """Reports a number that differs each time."""

    def facts(self):
        return {"at": next(_clock)}


@breaks("observers_change_nothing")
@dataclass(frozen=True)
class SharesItsGenerator(Means):
    """Lets the observer draw from the generator that it trains with."""

    def report(self, score, batch):
        return replace(super().report(score, batch), epoch=2)

    def means(self, rows, labels, classes, seeds, observe):
        means = super().means(rows, labels, classes, seeds, observe)
        with seeded(seeds.init, torch.device("cpu")):
            if observe is not None:
                batch = Batch(torch.arange(3), rows[:3].view(3, *samples.IMAGE) if rows.shape[1] > 7 else rows[:3], labels[:3])
                observe(Progress(1, 1, lambda inputs: self.scores(inputs.flatten(1), means), "values", batch=batch))
            return means + torch.rand(means.shape)


@breaks("leaves_generators_alone")
@dataclass(frozen=True)
class DrawsFromTorch(Means):
    """Moves torch's process-wide generator."""

    def means(self, *given):
        torch.rand(1)
        return super().means(*given)


@breaks("leaves_the_sample_alone")
@dataclass(frozen=True)
class CentersInPlace(Means):
    """Centres the inputs where they lie."""

    def means(self, rows, *given):
        rows -= rows.mean(0)
        return super().means(rows, *given)


@breaks("scores_every_class")
@dataclass(frozen=True)
class LooksAround(Means):
    """Scores an input by the others of its batch."""

    def scores(self, rows, means):
        return super().scores(rows - rows.mean(0), means)


@breaks("scores_absent_classes")
@dataclass(frozen=True)
class CountsWhatItSees(Means):
    """Has a column for each class that it has seen."""

    def means(self, rows, labels, classes, *given):
        return super().means(rows, labels.unique(return_inverse=True)[1], len(labels.unique()), *given)


@breaks("says_what_scores_are")
@dataclass(frozen=True)
class CallsThemProbabilities(Means):
    """Calls distances probabilities."""

    def report(self, score, batch):
        return replace(super().report(score, batch), output="probabilities")


@breaks("reports_in_order")
@dataclass(frozen=True)
class StartsAtZero(Means):
    """Calls its first epoch 0."""

    def report(self, score, batch):
        return replace(super().report(score, batch), epoch=0)


@breaks("reports_in_order")
@dataclass(frozen=True)
class NeverEnds(Means):
    """Never says that a report is the last."""

    def report(self, score, batch):
        return replace(super().report(score, batch), last=False)


@breaks("reports_what_it_was_given")
@dataclass(frozen=True)
class TrainsOnOthers(Means):
    """Trains on inputs of its own."""

    def report(self, score, batch):
        return super().report(score, replace(batch, inputs=batch.inputs / 2))


@breaks("reports_what_it_fitted")
@dataclass(frozen=True)
class Boasts(Means):
    """Says that it makes no error."""

    def report(self, score, batch):
        return replace(super().report(score, batch), train_accuracy=1.01)


@breaks("learns_from_its_labels")
@dataclass(frozen=True)
class KnowsBetter(Means):
    """Learns labels of its own."""

    def means(self, rows, labels, *given):
        return super().means(rows, torch.arange(len(labels)) % 5, *given)


@breaks("facts_are_plain")
@dataclass(frozen=True)
class KeepsATensor(Means):
    """Has a tensor among its facts."""

    def facts(self):
        return {"norm": torch.tensor(1.0)}


@breaks("takes_tables")
@dataclass(frozen=True)
class NeedsImages(Means):
    """Looks for a height that a table has not."""

    def means(self, rows, *given):
        rows.view(-1, 3, 36)
        return super().means(rows, *given)


# Measures


@dataclass(frozen=True)
class Size(sl.Measure):
    """The number of examples, with places for a bug."""

    def of(self, fit, train):
        return {"n": len(train)}


@breaks("gives_scalars_and_arrays")
@dataclass(frozen=True)
class KeepsTheGraph(Size):
    """Gives a tensor that still has its gradient."""

    def of(self, fit, train):
        if not isinstance(fit.model, nn.Module):
            raise NotApplicable("no network")
        return {"norm": next(fit.model.parameters()).square().sum()}


@breaks("is_the_same_twice")
@dataclass(frozen=True)
class Guesses(Size):
    """Draws from a generator that nobody seeded."""

    def of(self, fit, train):
        return {"n": np.random.default_rng().random()}


@breaks("leaves_the_model_alone")
@dataclass(frozen=True)
class LeavesItEvaluating(Size):
    """Leaves the model in evaluation mode."""

    def of(self, fit, train):
        if isinstance(fit.model, nn.Module):
            fit.model.eval()
        return super().of(fit, train)


@breaks("leaves_the_model_alone")
@dataclass(frozen=True)
class LeavesGradients(Size):
    """Leaves gradients behind."""

    def of(self, fit, train):
        if isinstance(fit.model, nn.Module):
            sum(each.sum() for each in fit.model.parameters()).backward()
        return super().of(fit, train)


@breaks("leaves_the_sample_alone")
@dataclass(frozen=True)
class Relabels(Size):
    """Changes a label."""

    def of(self, fit, train):
        train.labels[0] = (train.labels[0] + 1) % train.classes
        return super().of(fit, train)


@breaks("leaves_generators_alone")
@dataclass(frozen=True)
class MeasuresAtRandom(Size):
    """Moves torch's process-wide generator."""

    def of(self, fit, train):
        torch.rand(1)
        return super().of(fit, train)


@pytest.mark.parametrize(("part", "broken"), TEETH, ids=[type(part).__name__ for part, _ in TEETH])
def test_a_planted_bug_breaks_its_law_and_no_other(part, broken, known):
    known(type(part))
    outcomes = dict(zip((law.__name__ for law in laws(part)), check(part), strict=True))
    assert {name for name, found in outcomes.items() if not found.passed} == broken
    for name in broken:
        text = outcomes[name].text
        assert text.startswith(f"{type(part).__name__}: ")
        assert ", got " in text
        assert "\n" not in text


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_every_law_has_a_tooth_of_its_own(kind):
    alone = {law for part, broken in [*TEETH, *KERNEL_TEETH] if len(broken) == 1 for law in laws(part) if law.__name__ in broken}
    assert [law.__name__ for law in laws(kind) if law not in alone] == []


def test_a_law_names_the_part_what_is_required_what_it_got_and_what_to_do():
    law = next(law for law in laws(sl.RandomLabels()) if law.__name__ == "level_zero_is_the_identity")
    assert words(law) == "Level 0 changes nothing"
    with pytest.raises(LawBroken, match=r"^NeverQuiet: level 0 is the identity, got in the training split 29 changed labels\. Change each example with"):
        law(NeverQuiet())


def test_the_augmentation_that_bugs_are_planted_in_keeps_every_law(known):
    known(Dims)
    assert [found.text for found in check(Dims()) if not found.passed] == []


def test_a_part_that_raises_breaks_the_law_not_the_check():
    with contextlib.suppress(KeyError):
        assert not [each for each in check(Redrawn()) if not each.passed]
    found = {each.law: each for each in check(ImagesOnly())}
    assert found["Rows of a table are corrupted too, or refused in one line"].text == (
        "ImagesOnly: Rows of a table are corrupted too, or refused in one line is a law, got IndexError: tuple index out of range. Correct the part."
    )


# The self-check of a trial


@dataclass(frozen=True)
class RedrawsEachEpoch(Means):
    """Draws new labels for every epoch."""

    def report(self, score, batch):
        return super().report(score, replace(batch, labels=(batch.labels + 1) % 10))


@dataclass(frozen=True)
class RelabelsInPlace(Means):
    """Writes a label into the sample that it is given."""

    def fit(self, train, seeds=sl.Seeds(), observe=None, runtime=sl.Runtime()):
        found = super().fit(train, seeds, observe, runtime)
        train.labels[7] = (train.labels[7] + 1) % train.classes
        return found


@dataclass(frozen=True)
class DarkensInPlace(Means):
    """Halves the inputs that it is given, all of them."""

    def fit(self, train, seeds=sl.Seeds(), observe=None, runtime=sl.Runtime()):
        found = super().fit(train, seeds, observe, runtime)
        train.inputs.div_(2)
        return found


@dataclass(frozen=True)
class CorruptsFewer(sl.PartialLabels):
    """Redraws one label in ten fewer than it says."""

    def labels(self, labels, classes, rng):
        drawn = super().labels(labels, classes, rng)
        return np.where(rng.random(len(labels)) < 0.1, labels, drawn)


@dataclass(frozen=True)
class SkipsZero(sl.PartialLabels):
    """Says that it draws from all classes, and never draws class 0."""

    def labels(self, labels, classes, rng):
        return rng.integers(1, classes, size=len(labels))


@dataclass(frozen=True)
class SparesThree(sl.PartialLabels):
    """Says that it redraws every label, and leaves class 3 true."""

    def labels(self, labels, classes, rng):
        return np.where(labels == 3, labels, super().labels(labels, classes, rng))


@dataclass(frozen=True)
class TestLabelsToo(sl.PartialLabels):
    """Redraws test labels as well."""

    __test__ = False

    def apply(self, splits, seeds=sl.Seeds()):
        after = super().apply(splits, seeds)
        return sl.Splits(after.train, replace(after.test, labels=after.test.labels.flip(0)))


@dataclass(frozen=True)
class DarkensInputs(sl.PartialLabels):
    """Changes inputs as well."""

    def apply(self, splits, seeds=sl.Seeds()):
        after = super().apply(splits, seeds)
        return sl.Splits(replace(after.train, inputs=after.train.inputs / 2), after.test)


DIGITS = sl.Digits()
SELF_CHECKS = [
    pytest.param(sl.RandomLabels(), RedrawsEachEpoch(), "batches_equal_sample", id="labels-redrawn-each-epoch"),
    pytest.param(sl.RandomLabels(), TrainsOnOthers(), "batches_equal_sample", id="other-inputs"),
    pytest.param(sl.RandomLabels(), RelabelsInPlace(), "unchanged_by_training", id="label-written-in-place"),
    pytest.param(sl.ShuffledPixels(), DarkensInPlace(), "unchanged_by_training", id="inputs-written-in-place"),
    pytest.param(CorruptsFewer(1.0), Means(), "changed_p", id="fewer-labels"),
    pytest.param(SkipsZero(1.0), Means(), "transition_p, independence_p", id="never-class-zero"),
    pytest.param(SparesThree(1.0), Means(), "changed_p, transition_p, independence_p", id="class-three-left-true"),
    pytest.param(TestLabelsToo(0.5), Means(), "test_labels_true", id="test-labels"),
    pytest.param(DarkensInputs(0.5), Means(), "inputs_untouched", id="inputs"),
    pytest.param(CorruptsBothHalves(), Means(), "labels_untouched", id="labels-under-pixels"),
]


@pytest.fixture
def fresh_data():
    """A learner that writes into its sample must not leave it to the next test."""
    from shatterlab.trials import trial

    trial._load.cache_clear()
    yield
    trial._load.cache_clear()


@pytest.mark.usefixtures("fresh_data")
@pytest.mark.parametrize(("corruption", "learner", "named"), SELF_CHECKS)
def test_a_trial_that_is_not_what_it_says_fails_and_names_the_check(corruption, learner, named):
    row = sl.run(sl.Trial(DIGITS, corruption, learner))
    assert row["status"] == "failed"
    assert row["check.passed"] is False
    assert row["check.failures"] == named
    assert row["error"] == f"Trial: a clean self-check is required, failed: {row['check.failures']}. Do not use this result."


@pytest.mark.usefixtures("fresh_data")
@pytest.mark.parametrize("corruption", [sl.TrueLabels(), sl.PartialLabels(0.4), sl.RandomLabels(), sl.ShuffledPixels(), sl.RandomPixels(), sl.GaussianPixels()])
def test_a_clean_trial_passes_its_self_check(corruption):
    row = sl.run(sl.Trial(DIGITS, corruption, Means()))
    assert (row["status"], row["error"], row["check.passed"], row["check.failures"]) == ("ok", None, True, None)
    assert row["check.batches_equal_sample"] is True


@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 1.0])
def test_the_self_check_raises_no_false_alarm(level):
    """Three statistical checks with false alarm <= 1e-6 in all: in 4 x 300 trials one is expected with probability < 0.0012."""
    from shatterlab.trials.self_check import SelfCheck

    data = sl.Digits(examples=300, test_examples=20).load()
    for seed in range(300):
        corruption = sl.PartialLabels(level)
        columns = SelfCheck(data, corruption.apply(data, sl.Seeds(corruption=seed)), corruption).columns()
        assert columns["check.passed"], (seed, columns["check.failures"])
