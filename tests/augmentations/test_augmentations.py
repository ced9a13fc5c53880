"""Augmentations: what becomes of an image, at which rate, what a run sees of it, and that nothing runs where none is asked for."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

import shatterlab as sl
from shatterlab.core import Augmentation
from shatterlab.core.errors import InvalidPart, UnknownName
from shatterlab.training.feeds import MemoryFeed
from shatterlab.training.preprocessing import Whitening

SEED = 5


def drawn(augmentation, n, shape, seed=SEED):
    values = augmentation.draw(n, shape, np.random.default_rng(seed))
    return {name: torch.from_numpy(value) for name, value in values.items()}


def pictures(n=6, shape=(3, 8, 8)):
    return torch.from_numpy(np.random.default_rng(1).random((n, *shape), np.float32))


# What becomes of an image: the batched way against the obvious loop


@pytest.mark.parametrize("crop", [sl.RandomCrop(5), sl.RandomCrop(None, padding=2), sl.RandomCrop(7, padding=1)])
def test_a_random_crop_is_the_window_that_slicing_cuts(crop):
    images, values = pictures(), drawn(crop, 6, (3, 8, 8))
    side = crop.size or 8
    for image, top, left, cut in zip(images, values["top"], values["left"], crop.images(images, values), strict=True):
        padded = functional.pad(image, (crop.padding,) * 4)
        assert torch.equal(cut, padded[:, top : top + side, left : left + side])


def test_every_window_is_as_likely():
    values = sl.RandomCrop(28).draw(25_000, (3, 32, 32), np.random.default_rng(0))
    counts = np.bincount(values["top"] * 5 + values["left"], minlength=25)
    chi_square = ((counts - 1000) ** 2 / 1000).sum()
    assert len(counts) == 25
    assert chi_square < 73  # of 24 degrees of freedom, exceeded with probability 1e-6; the stream is fixed besides


def test_a_flip_is_a_flip_and_happens_to_half():
    images, values = pictures(), {"flipped": torch.tensor([True, False, True, True, False, False])}
    flipped = sl.HorizontalFlip().images(images, values)
    assert torch.equal(flipped[0], images[0].flip(2)) and torch.equal(flipped[1], images[1])
    share = sl.HorizontalFlip(0.3).draw(10_000, (3, 8, 8), np.random.default_rng(0))["flipped"].mean()
    assert abs(share - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 10_000)  # five standard deviations


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 6, 6)])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turn_by_quarters_is_a_transposition(shape, quarters):
    images = pictures(4, shape)
    turned = sl.Rotation(180).images(images, {"radians": torch.full((4,), quarters * math.pi / 2)})
    assert torch.allclose(turned, torch.rot90(images, quarters, (2, 3)), atol=1e-5)  # float32 sines


def test_a_turn_of_an_oblong_image_keeps_its_shape_round():
    """A disc in the middle of an oblong image stays where it is under any angle: pixels are square."""
    rows, columns = torch.meshgrid(torch.arange(40.0) - 19.5, torch.arange(60.0) - 29.5, indexing="ij")
    disc = torch.sigmoid(12 - (rows.square() + columns.square()).sqrt())[None, None]
    turned = sl.Rotation(90).images(disc, {"radians": torch.tensor([1.0])})
    assert (turned - disc).abs().max() < 0.02  # of a smooth edge, sampled between pixels


def test_angles_are_uniform_up_to_the_largest():
    angles = sl.Rotation(25).draw(10_000, (3, 8, 8), np.random.default_rng(0))["radians"]
    assert np.abs(angles).max() <= math.radians(25)
    assert np.quantile(angles, [0.25, 0.5, 0.75]) == pytest.approx(np.radians([-12.5, 0, 12.5]), abs=0.02)


def test_colour_jitter_is_what_each_step_says():
    images, values = pictures(), drawn(sl.ColorJitter(0.4, 0.4, 0.4), 6, (3, 8, 8))
    weights = torch.tensor([0.299, 0.587, 0.114])
    for i, jittered in enumerate(sl.ColorJitter(0.4, 0.4, 0.4).images(images, values)):
        image = images[i] * values["brightness"][i]
        mean_grey = torch.einsum("chw,c->hw", image, weights).mean()
        image = mean_grey + values["contrast"][i] * (image - mean_grey)
        grey = torch.einsum("chw,c->hw", image, weights)
        image = grey + values["saturation"][i] * (image - grey)
        assert torch.allclose(jittered, image.clamp(0, 1), atol=1e-5)


def test_hue_turns_colours_and_leaves_grey_and_brightness():
    jitter = sl.ColorJitter(0.0, 0.0, 0.0, 0.5)
    grey = torch.full((1, 3, 2, 2), 0.4)
    assert torch.allclose(jitter.images(grey, {"hue": torch.tensor([0.3])}), grey, atol=1e-3)  # the matrices of the standard have 4 digits
    muted = 0.4 + 0.2 * pictures(4)
    half = {"hue": torch.full((4,), 0.5)}
    turned = jitter.images(muted, half)
    assert (turned - muted).abs().max() > 0.05
    assert torch.allclose(jitter.images(turned, half), muted, atol=1e-4)  # twice half a turn
    seen = torch.tensor([0.299, 0.587, 0.114])
    assert torch.allclose(torch.einsum("nchw,c->nhw", turned, seen), torch.einsum("nchw,c->nhw", muted, seen), atol=1e-3)


def test_cutout_covers_the_square_and_nothing_else():
    images, cutout = pictures(), sl.Cutout(3)
    values = drawn(cutout, 6, (3, 8, 8))
    for image, row, column, covered in zip(images, values["row"].tolist(), values["column"].tolist(), cutout.images(images, values), strict=True):
        wanted = image.clone()
        wanted[:, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = image.mean()
        assert torch.allclose(covered, wanted)


def test_what_cutout_covers_is_near_zero_once_whitened():
    images = pictures(20, (3, 32, 32))
    covered = sl.Cutout(8).images(images, {"row": torch.full((20,), 16), "column": torch.full((20,), 16)})
    assert Whitening()(covered)[:, :, 12:20, 12:20].abs().max() < 0.05


def test_mixup_blends_image_and_label_by_one_weight():
    images, mixup = pictures(), sl.Mixup(0.4)
    values, labels = drawn(mixup, 6, (3, 8, 8)), torch.eye(6)
    blended, targets = mixup.images(images, values), mixup.targets(labels, values)
    for i, weight in enumerate(values["weight"]):
        assert torch.allclose(blended[i], weight * images[i] + (1 - weight) * images[i - 1], atol=1e-6)
        assert torch.allclose(targets[i], weight * labels[i] + (1 - weight) * labels[i - 1], atol=1e-6)
    assert values["weight"].dtype == torch.float32


# Refusals


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: sl.RandomCrop(0), "RandomCrop: size is a side in pixels >= 1, or None, got 0"),
        (lambda: sl.RandomCrop(None), "RandomCrop: a size or a padding is required, got None. Without either there is one place only."),
        (lambda: sl.RandomCrop(28, -1), "RandomCrop: padding is a whole number of pixels >= 0, got -1"),
        (lambda: sl.HorizontalFlip(0.0), "HorizontalFlip: probability is in (0, 1], got 0.0"),
        (lambda: sl.Rotation(181), "Rotation: degrees is an angle in (0, 180], got 181.0"),
        (lambda: sl.ColorJitter(brightness=1.5), "ColorJitter: brightness is an amount in [0, 1], got 1.5"),
        (lambda: sl.ColorJitter(0, 0, 0), "ColorJitter: one amount at least is > 0, got (0.0, 0.0, 0.0, 0.0). Leave the augmentation out."),
        (lambda: sl.Cutout(0), "Cutout: side is a whole number of pixels >= 1, got 0"),
        (lambda: sl.Mixup(0.0), "Mixup: alpha is a finite number > 0, got 0.0"),
        (
            lambda: sl.RandomCrop(9).draw(1, (3, 8, 8), np.random.default_rng(0)),
            "RandomCrop: images, with padding, of at least 9 x 9 pixels are required, got (3, 8, 8)",
        ),
        (
            lambda: sl.ColorJitter().draw(1, (1, 8, 8), np.random.default_rng(0)),
            "ColorJitter: images of 3 colours are required for saturation and hue, got (1, 8, 8). Set both to 0.",
        ),
        (lambda: sl.Training(sl.MLP(), augmentation=("flip",)), "Training: augmentation is one of the kind Augmentation, got 'flip'"),
    ],
)
def test_what_cannot_be_augmented_is_refused(make, text):
    with pytest.raises(InvalidPart) as refusal:
        make()
    assert str(refusal.value) == text


def test_an_unknown_augmentation_is_refused_with_the_nearest():
    from shatterlab.core.catalog import build

    with pytest.raises(UnknownName, match=r"^catalog: a known name is required, got 'RandomCrops'\. Did you mean RandomCrop"):
        build({"kind": "Training", "architecture": {"kind": "MLP"}, "augmentation": [{"kind": "RandomCrops"}]})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"augmentation": (sl.RandomCrop(5),)},
            "Training: augmented images of the shape that the network meets at evaluation, (3, 6, 6), are required, got (3, 5, 5). "
            "Set crop to the side of the augmented images.",
        ),
        (
            {"augmentation": (sl.RandomCrop(4),), "crop": 5},
            "Training: augmented images of the shape that the network meets at evaluation, (3, 5, 5), are required, got (3, 4, 4). "
            "Set crop to the side of the augmented images.",
        ),
    ],
)
def test_images_of_another_size_than_at_evaluation_are_refused_before_training(fields, text, small_images):
    with pytest.raises(InvalidPart) as refusal:
        sl.Training(sl.MLP((4,)), **fields).build(small_images.train)
    assert str(refusal.value) == text


def test_tables_are_not_augmented(table):
    with pytest.raises(InvalidPart, match=r"^Training: images are required for augmentation, got inputs of shape \(7,\)\. Leave it out\.$"):
        sl.Training(sl.MLP((4,)), augmentation=(sl.HorizontalFlip(),)).build(table.train)


# In a run


def fed(learner, train, seeds=sl.Seeds(), monkeypatch=None):
    """Inputs, labels and targets of every step of a fit."""
    seen = []
    honest = MemoryFeed.steps

    def spying(feed, epoch, start):
        for step in honest(feed, epoch, start):
            seen.append((epoch, step.positions, step.inputs, step.labels, step.targets))
            yield step

    monkeypatch.setattr(MemoryFeed, "steps", spying)
    reports = []
    fit = learner.fit(train, seeds, reports.append)
    return seen, reports, fit


def recipe(*augmentations, **fields):
    settings = {"epochs": 2, "batch_size": 25, "stop": "budget"} | fields
    return sl.Training(sl.MLP((8,)), sl.SGD(lr=0.05), augmentation=augmentations, **settings)


def test_a_run_is_fed_windows_of_the_uncropped_images_then_whitened(small_images, monkeypatch):
    seen, _, fit = fed(recipe(sl.RandomCrop(4), crop=4), small_images.train, monkeypatch=monkeypatch)
    white = Whitening()
    for _, indices, inputs, labels, targets in seen:
        windows = small_images.train.inputs[indices].unfold(2, 4, 1).unfold(3, 4, 1).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)
        candidates = white(windows.flatten(0, 1)).view(len(indices), 9, 3, 4, 4)
        assert ((candidates - inputs[:, None]).abs().amax((2, 3, 4)).min(1).values < 1e-6).all()  # one of the nine windows
        assert torch.equal(labels, small_images.train.labels[indices]) and targets is labels
    first, second = (torch.cat([step[2][step[1].argsort()] for step in seen if step[0] == epoch]) for epoch in (1, 2))
    assert not torch.equal(first, second)
    centre = white(small_images.test.inputs[:, :, 1:5, 1:5])
    assert torch.allclose(fit.scores(small_images.test.inputs), fit.model[1](centre).detach(), atol=1e-6)  # evaluation cuts the centre


def test_labels_stay_while_images_vary(small_images, monkeypatch):
    seen, _, _ = fed(recipe(sl.HorizontalFlip(), sl.Rotation(10), epochs=3), small_images.train, monkeypatch=monkeypatch)
    labels = [torch.cat([step[3] for step in seen if step[0] == epoch]) for epoch in (1, 2, 3)]
    positions = [torch.cat([step[1] for step in seen if step[0] == epoch]) for epoch in (1, 2, 3)]
    for where, found in zip(positions, labels, strict=True):
        assert torch.equal(found, small_images.train.labels[where]) and sorted(where.tolist()) == list(range(60))


def test_another_augmentation_beside_it_does_not_shift_what_one_draws(small_images, monkeypatch):
    alone, _, _ = fed(recipe(sl.HorizontalFlip(), epochs=1), small_images.train, monkeypatch=monkeypatch)
    monkeypatch.undo()
    beside, _, _ = fed(recipe(sl.HorizontalFlip(), sl.Cutout(1), epochs=1), small_images.train, monkeypatch=monkeypatch)
    changed = [(one[2] != other[2]).flatten(1).any(1) for one, other in zip(alone, beside, strict=True)]
    assert torch.cat(changed).any()
    pixels = torch.cat([((one[2] - other[2]).abs() > 0.3).flatten(2).any(1).sum(1) for one, other in zip(alone, beside, strict=True)])
    assert pixels.max() <= 1  # besides the one pixel covered, images are flipped alike and whitening moves little


def test_augmentation_follows_the_order_stream_alone(small_images, monkeypatch):
    one, _, _ = fed(recipe(sl.RandomCrop(None, 1)), small_images.train, sl.Seeds(order=3), monkeypatch)
    monkeypatch.undo()
    same, _, _ = fed(recipe(sl.RandomCrop(None, 1)), small_images.train, sl.Seeds(1, 1, 0, 3), monkeypatch)
    monkeypatch.undo()
    other, _, _ = fed(recipe(sl.RandomCrop(None, 1)), small_images.train, sl.Seeds(order=4), monkeypatch)
    assert all(torch.equal(a[2], b[2]) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a[2], b[2]) for a, b in zip(one, other, strict=True))


def test_the_observer_sees_the_batch_before_augmentation_and_the_self_check_passes():
    trial = sl.Trial(sl.Digits(examples=100, test_examples=50), sl.RandomLabels(), recipe(sl.RandomCrop(None, 1), sl.Mixup()))
    row = sl.run(trial)
    assert row["status"] == "ok" and row["check.batches_equal_sample"] is True and row["check.batches"] == 2


def test_the_self_check_notices_images_that_are_not_the_samples(small_images, monkeypatch):
    """Planted: the copy that batches are gathered from is darker."""
    honest = MemoryFeed.__init__

    def spoiled(feed, *arguments, **options):
        honest(feed, *arguments, **options)
        feed.images = feed.images * 0.9 + 0.05 * torch.rand_like(feed.images)

    monkeypatch.setattr(MemoryFeed, "__init__", spoiled)
    reports = []
    recipe(sl.HorizontalFlip()).fit(small_images.train, observe=reports.append)
    assert reports[0].batch.inputs.isnan().all()


def test_mixup_trains_on_both_labels_and_online_accuracy_is_of_the_examples_own(small_images, monkeypatch):
    seen, reports, _ = fed(recipe(sl.Mixup(), epochs=1, batch_size=None), small_images.train, monkeypatch=monkeypatch)
    [(_, _, inputs, labels, targets)] = seen
    assert targets.shape == (60, 5) and torch.allclose(targets.sum(1), torch.ones(60), atol=1e-6)
    start = sl.Training(sl.MLP((8,))).build(small_images.train)
    scores = start[1](inputs)
    soft = -(targets * scores.log_softmax(1)).sum(1).mean()
    assert reports[0].online_loss == pytest.approx(soft.item(), rel=1e-5)
    assert reports[0].online_accuracy == pytest.approx((scores.argmax(1) == labels).double().mean().item())


def test_a_loss_that_is_not_a_number_makes_a_diverged_row():
    learner = sl.Training(sl.MLP((8,)), sl.SGD(lr=1e30), epochs=5, augmentation=(sl.RandomCrop(None, 1),), label_smoothing=0.1)
    row = sl.run(sl.Trial(sl.Digits(examples=60, test_examples=30), sl.TrueLabels(), learner))
    assert row["status"] == "diverged" and row["fit.ended"] == "diverged"


# Where nothing is asked for, nothing runs


def called_in_epochs(learner, train):
    """The files and functions of the package and of torch's dropout that run while a fit goes through its epochs."""
    calls = set()

    def watch(frame, event, _):
        if event == "call":
            code = frame.f_code
            owner = frame.f_locals.get("self")
            calls.add((code.co_filename.replace("\\", "/"), type(owner).__name__ if owner is not None else "", code.co_name))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        learner.fit(train)
    finally:
        sys.setprofile(before)
    return calls


def regularizing(calls):
    """Those of the calls that augment, smooth, drop, decay by name or hold out; building parts is no step."""
    names = {"Augmented", "Smoothed", "HeldOut", "Dropout"}
    found = {(owner, name) for file, owner, name in calls if owner in names or "/augmentations/" in file or name in ("soft_losses", "one_hot")}
    return {each for each in found if each[1] not in ("validate", "__post_init__", "__init__")}


def test_with_every_regularizer_off_none_of_their_code_is_called(small_images):
    plain = recipe(epochs=2)
    assert regularizing(called_in_epochs(plain, small_images.train)) == set()


@pytest.mark.parametrize(
    "fields",
    [{"augmentation": (sl.HorizontalFlip(),)}, {"label_smoothing": 0.1}, {"validation": 0.2}, {"architecture": sl.MLP((8,), dropout=0.5)}],
    ids=["augmentation", "label_smoothing", "validation", "dropout"],
)
def test_that_test_notices_each_of_them(fields, small_images):
    settings = {"architecture": sl.MLP((8,)), "epochs": 1, "stop": "budget"} | fields
    assert regularizing(called_in_epochs(sl.Training(**settings), small_images.train)) != set()


class Recorded(TorchDispatchMode):
    """The names of the tensor operations that happen inside."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def one_step(names):
    """What happens from the end of the second optimizer step to the end of the third."""
    ends = [place for place, name in enumerate(names) if name == "_fused_sgd_"]
    return names[ends[1] + 1 : ends[2] + 1]


def steps_by_hand(train):
    """Six steps of 10 examples: gather, forward, loss, backward, one fused step, two sums."""
    model = recipe().build(train).train()
    prepared, labels = model[0](train.inputs), train.labels
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=True)
    total, correct = torch.zeros(2, dtype=torch.float64)
    for indices in torch.arange(60).split(10):
        chosen = labels[indices]
        scores = model[1](prepared[indices])
        loss = functional.cross_entropy(scores.float(), chosen, reduction="none").mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(indices)
        correct += (scores.detach().argmax(1) == chosen).sum()


def test_with_every_regularizer_off_a_step_is_the_loop_written_out(small_images):
    """Operation by operation, in order, where no observer looks at the step; planted: with a flip it is not."""
    train = small_images.train
    with Recorded() as by_hand:
        steps_by_hand(train)
    found = []
    for learner in (recipe(batch_size=10, epochs=1), recipe(sl.HorizontalFlip(), batch_size=10, epochs=1)):
        with Recorded() as recorded:
            learner.fit(train)
        found.append(one_step(recorded.names))
    wanted = one_step(by_hand.names)
    assert sorted(found[0]) == sorted(wanted)
    assert len(wanted) > 15 and sorted(found[1]) != sorted(wanted)


def test_every_augmentation_is_one_of_the_kind():
    from shatterlab.core.catalog import find, get

    parts = [get(name) for name in find("augmentations")]
    assert len(parts) >= 6 and all(issubclass(each, Augmentation) for each in parts)
