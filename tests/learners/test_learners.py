"""Training against theory and against a loop written out; estimators and recipes through the same door."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import shatterlab as sl
from shatterlab.core import Batch, Progress
from shatterlab.core.errors import InvalidPart, UnknownName, UserCodeError
from shatterlab.core.losses import evaluate, losses
from shatterlab.core.part import canonical
from shatterlab.training import device as _precision
from shatterlab.training.feeds import MemoryFeed, split
from shatterlab.training.preprocessing import Standardization, Whitening, preparation
from shatterlab.training.torch_seed import seeded

FAST = {"batch_size": 16, "epochs": 60}
CPU = torch.device("cpu")


def training(architecture=None, lr=0.05, momentum=0.9, **fields):
    return sl.Training(architecture or sl.MLP((32,)), sl.SGD(lr=lr, momentum=momentum), **{**FAST, **fields})


def told_by(learner, train, seeds=sl.Seeds()):
    told: list[Progress] = []
    return learner.fit(train, seeds, told.append), told


def randomized(splits, seed=0):
    return sl.RandomLabels().apply(splits, sl.Seeds(corruption=seed)).train


# Training: the steps


def test_full_batch_descent_is_the_loop_written_out(small_images):
    """Two routes: W <- W - lr_t 2/n (X W - Y)' X from 0 in float64, and Training of a linear model."""
    train = small_images.train
    learner = sl.Training(
        sl.Linear(bias=False, init="zero"),
        sl.SGD(lr=0.002, momentum=0.5),
        decay=0.9,
        decay_steps=2,
        batch_size=None,
        epochs=20,
        stop="budget",
        whiten=False,
        loss="squared",
    )
    fit, told = told_by(learner, train)
    x, y = train.inputs.flatten(1).double().numpy(), np.eye(5)[train.labels.numpy()]
    w, velocity = np.zeros((5, x.shape[1])), 0.0
    for step in range(20):
        velocity = 0.5 * velocity + 2 / len(x) * (w @ x.T - y.T) @ x
        w = w - 0.002 * 0.9 ** (step / 2) * velocity
    weight = fit.model[1][1].weight.detach().double().numpy()
    # float32 rounding, eps = 6e-8 relative to the largest weight, grows by at most 2 a step in a stable descent
    assert np.abs(weight - w).max() <= 20 * 2 * 6e-8 * 50 * np.abs(w).max()
    assert told[-1].train_loss == pytest.approx(((x @ w.T - y) ** 2).sum(1).mean(), rel=1e-5)
    assert (told[0].step, told[-1].step) == (1, 20)


def test_weights_reach_the_minimum_norm_interpolant_from_zero(small_images):
    """Gradient descent on squared loss from 0 stays in the span of the data: it finds X' (X X')^-1 Y where n < d."""
    train = small_images.train.at(torch.arange(12))
    learner = sl.Training(
        sl.Linear(bias=False, init="zero"), sl.SGD(lr=0.02, momentum=0.95), decay=1.0, batch_size=None, epochs=4000, stop=1e-9, whiten=False, loss="squared"
    )
    fit, _ = told_by(learner, train)
    x, y = train.inputs.flatten(1).double(), functional.one_hot(train.labels, 5).double()
    wanted = torch.linalg.lstsq(x, y).solution.T  # of all solutions the one of least norm
    found = fit.model[1][1].weight.detach().double()
    # residual r: |W - W*| <= |r| / smallest singular value, plus float32 rounding
    bound = math.sqrt(12 * 1e-9) / torch.linalg.svdvals(x).min().item() + 1e-5 * wanted.norm().item()
    assert (found - wanted).norm().item() <= bound
    assert fit.facts["ended"] == "loss"


def test_every_example_is_seen_once_an_epoch_and_in_another_order_each(small_images):
    train, seen = small_images.train, []

    def spying(shape, classes):
        network = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))
        network.register_forward_pre_hook(lambda module, given: seen.append(given[0].clone()) if module.training else None)
        return network

    sl.Training(sl.Imported(spying), sl.SGD(), batch_size=16, epochs=3, stop="budget", whiten=False).fit(train)
    assert [len(each) for each in seen] == 3 * [16, 16, 16, 12]
    epochs = [torch.cat(seen[start : start + 4]).flatten(1) for start in (0, 4, 8)]
    for epoch in epochs:
        assert {row.numpy().tobytes() for row in epoch} == {row.numpy().tobytes() for row in train.inputs}
    assert not torch.equal(epochs[0], epochs[1])


def test_the_rate_falls_by_steps_not_by_epochs(small_images):
    """lr 0.95^(step / 391): after 391 steps 0.95, whatever the number of examples."""
    recipe = sl.Training(sl.MLP(), sl.SGD(lr=0.1))
    assert recipe.rate(0) == 0.1
    assert recipe.rate(391) == pytest.approx(0.095)
    assert recipe.rate(3910) == pytest.approx(0.1 * 0.95**10)
    _, told = told_by(training(epochs=3, stop="budget", decay=0.5, decay_steps=4), small_images.train)
    assert [each.learning_rate for each in told] == pytest.approx([0.05 * 0.5**epoch for epoch in range(3)])  # 4 steps an epoch; the rate it began with


# Training: when it ends


def test_it_stops_at_zero_training_error_and_knows_when(images):
    train = randomized(images).at(torch.arange(100))
    fit, told = told_by(training(), train)
    facts = fit.facts
    assert (facts["ended"], facts["censored"], facts["diverged"]) == ("interpolation", False, False)
    assert evaluate(fit.scores, train, fit.output)[1] == 1.0
    assert [each.train_accuracy == 1 for each in told] == [False] * (len(told) - 1) + [True]
    assert facts["epochs"] == facts["epochs_to_interpolation"] == len(told)
    assert facts["steps"] == facts["steps_to_interpolation"] == told[-1].step == 7 * len(told)
    for threshold in (1.0, 0.5, 0.1, 0.05, 0.01):
        first = next((each for each in told if each.train_loss <= threshold), None)
        assert facts[f"epochs_to_loss_{threshold}"] == (first and first.epoch)
        assert facts[f"steps_to_loss_{threshold}"] == (first and first.step)


def test_it_stops_at_a_loss(small_images):
    fit, told = told_by(training(stop=0.3), small_images.train)
    assert fit.facts["ended"] == "loss"
    assert told[-1].train_loss <= 0.3 < told[-2].train_loss


def test_it_stops_at_zero_error_with_a_small_loss_so_that_both_times_are_known(images):
    fit, told = told_by(training(epochs=200, stop="overfit"), images.train)
    reached = [progress.train_accuracy == 1 and progress.train_loss <= 0.05 for progress in told]
    assert reached == [False] * (len(told) - 1) + [True]
    assert fit.facts["ended"] == "overfit" and not fit.facts["censored"]
    assert max(fit.facts["epochs_to_interpolation"], fit.facts["epochs_to_loss_0.05"]) == len(told)


def test_at_the_end_of_its_budget_what_was_not_reached_is_censored(images):
    fit, told = told_by(training(epochs=2), randomized(images))
    assert len(told) == 2
    assert (fit.facts["ended"], fit.facts["censored"], fit.facts["epochs_to_interpolation"]) == ("budget", True, None)


def test_a_budget_that_was_all_that_was_asked_for_is_not_censored_where_it_interpolated(small_images):
    fit, told = told_by(training(stop="budget", epochs=40), small_images.train)
    assert len(told) == 40
    assert fit.facts["epochs_to_interpolation"] < 40
    assert (fit.facts["ended"], fit.facts["censored"]) == ("budget", False)


def test_a_run_whose_learning_rate_is_spent_ends_as_budget(small_images):
    """decay 0.5 each epoch of 4 steps leaves 0.5^e of the whole sum: below 1 % after 7 epochs."""
    fit, told = told_by(training(decay=0.5, decay_steps=4, lr=1e-6, epochs=100), randomized(small_images))
    assert (fit.facts["ended"], len(told)) == ("budget", 7)
    assert fit.facts["learning_rate_left"] == pytest.approx(0.5**7)
    assert fit.facts["censored"] is True


def test_divergence_is_a_fact_and_ends_the_run(small_images):
    fit, told = told_by(training(lr=1e8, momentum=0.0), small_images.train)
    assert (fit.facts["ended"], fit.facts["diverged"], fit.facts["censored"]) == ("diverged", True, False)
    assert told[-1].last and not math.isfinite(told[-1].train_loss)


# Training: randomness


def test_initial_weights_follow_init_and_batches_follow_order(small_images):
    base, init, order = (told_by(training(epochs=1), small_images.train, seeds) for seeds in (sl.Seeds(), sl.Seeds(init=1), sl.Seeds(order=1)))
    assert all(torch.equal(base[0].initial[name], value) for name, value in order[0].initial.items())
    assert not all(torch.equal(base[0].initial[name], value) for name, value in init[0].initial.items())
    assert torch.equal(base[1][0].batch.indices, init[1][0].batch.indices)
    assert not torch.equal(base[1][0].batch.indices, order[1][0].batch.indices)


def test_initial_weights_are_those_that_the_architecture_builds(small_images):
    fit, _ = told_by(training(epochs=1), small_images.train, sl.Seeds(init=4))
    with seeded(sl.Seeds(init=4).integer("init"), CPU):
        network = sl.MLP((32,)).build((3, 6, 6), 5)
    for value, initial in zip(network.parameters(), fit.initial.values(), strict=True):
        assert torch.equal(value, initial)
    assert fit.facts["parameters"] == sum(value.numel() for value in network.parameters())
    moved = dict(fit.model.named_parameters())
    assert not any(torch.equal(moved[name], value) for name, value in fit.initial.items())


def dropping(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 16), nn.Dropout(0.5), nn.Linear(16, classes))


def test_dropout_is_drawn_from_the_order_stream_and_no_observer_shifts_it(small_images):
    learner, unseen = training(sl.Imported(dropping), epochs=3, stop="budget"), small_images.test.inputs

    def busy(progress):
        progress.scores(unseen)
        torch.rand(5)

    torch_before = torch.get_rng_state()
    quiet, watched, other = learner.fit(small_images.train), learner.fit(small_images.train, observe=busy), learner.fit(small_images.train, sl.Seeds(order=1))
    assert torch.equal(quiet.scores(unseen), watched.scores(unseen))
    assert not torch.equal(quiet.scores(unseen), other.scores(unseen))
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_the_generator_is_restored_when_something_fails_inside():
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(3, CPU):
        _ = torch.rand(2) / (1 // 0)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(3, CPU):
        first = torch.rand(4)
    with seeded(3, CPU):
        assert torch.equal(torch.rand(4), first)


# Training: what it reports


def test_the_first_and_the_last_epoch_report_a_batch_of_the_sample(small_images):
    train = small_images.train
    _, told = told_by(training(epochs=4, stop="budget"), train)
    assert [each.batch is not None for each in told] == [True, False, False, True]
    for batch in (told[0].batch, told[-1].batch):
        assert isinstance(batch, Batch) and len(batch.indices) in (16 + 12, 16 + 16 + 12) and torch.equal(batch.targets, batch.labels)  # first, random, last
        assert torch.equal(batch.inputs, train.inputs[batch.indices])
        assert torch.equal(batch.labels, train.labels[batch.indices])


def test_losses_are_means_in_evaluation_mode_and_the_online_ones_as_they_went_by(small_images):
    train = small_images.train
    learner = training(epochs=2, stop="budget", batch_size=None)
    before = losses(learner_scores(learner, train), train.labels, "logits").mean().item()
    _, told = told_by(learner, train)
    assert told[0].online_loss == pytest.approx(before, rel=1e-5)  # the only batch of the first epoch met the initial weights
    assert told[1].online_loss == pytest.approx(told[0].train_loss, rel=1e-5)
    assert told[1].online_accuracy == pytest.approx(told[0].train_accuracy)


def learner_scores(learner, train):
    with seeded(sl.Seeds().integer("init"), CPU):
        network = learner.architecture.build(train.shape, train.classes)
    return nn.Sequential(preparation(train.inputs, True), network)(train.inputs).detach()


def test_the_fitted_model_takes_inputs_as_the_data_set_gives_them(small_images, table):
    for splits in (small_images, table):
        fit, _ = told_by(training(epochs=2), splits.train)
        fit.model.eval()
        with torch.no_grad():
            assert torch.equal(fit.model(splits.test.inputs), fit.scores(splits.test.inputs))


# Memory layout, and the sample that is prepared once


def viewing(shape, classes):
    """A network as users write it: `view` needs the usual memory layout."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(shape[0], 4, 3, padding=1)
            self.scores = nn.Linear(4 * shape[1] * shape[2], classes)

        def forward(self, images):
            maps = self.convolution(images).relu()
            return self.scores(maps.view(len(maps), -1))

    return Net()


def brightest(shape, classes):
    """A network that depends on the layout without an error: it reads memory as it lies."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(shape[0], 4, 3, padding=1)
            self.scores = nn.Linear(4 * shape[1] * shape[2], classes)

        def forward(self, images):
            maps = self.convolution(images).relu()
            return self.scores(maps.as_strided((len(maps), maps[0].numel()), (maps[0].numel(), 1)))

    return Net()


def layout(model):
    return next(each for each in model.modules() if isinstance(each, nn.Conv2d)).weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("architecture", "faster"),
    [(sl.SmallAlexNet(4), True), (sl.SmallInception(width=0.1), True), (sl.MLP((8,)), None), (sl.Imported(viewing), False), (sl.Imported(brightest), False)],
)
def test_channels_are_last_where_that_changes_no_score(architecture, faster):
    train = sl.Examples(torch.rand(40, 3, 8, 8), torch.arange(40) % 4, 4)
    learner = training(architecture, lr=0.01, epochs=2, stop="budget")
    model = learner.build(train)
    with seeded(sl.Seeds().integer("init"), CPU):
        plain = nn.Sequential(preparation(train.inputs, True), architecture.build(train.shape, 4)).eval()
    assert torch.allclose(model(train.inputs), plain(train.inputs), atol=1e-5)  # sums in another order
    if faster is not None:
        assert layout(model) == faster
    fit = learner.fit(train)
    assert all(value.is_contiguous() for value in fit.initial.values())
    assert torch.allclose(fit.scores(train.inputs[:5]), fit.scores(train.inputs)[:5], atol=1e-5)


@pytest.mark.parametrize("architecture", [sl.MLP((8,)), sl.SmallAlexNet(4)], ids=["mlp", "alexnet"])
def test_the_self_check_notices_a_prepared_sample_that_is_not_the_samples(architecture, small_images, monkeypatch):
    """Planted: the copy that batches are gathered from has two examples exchanged, or one made darker."""
    honest = MemoryFeed._prepare_all
    learner = training(architecture, epochs=1, stop="budget", batch_size=None)
    for spoil in (lambda kept: kept.flip(0), lambda kept: kept * 0.99):
        monkeypatch.setattr(MemoryFeed, "_prepare_all", lambda feed, spoil=spoil: spoil(honest(feed)))
        _, (told,) = told_by(learner, small_images.train)
        assert told.batch.inputs.isnan().all()  # equal to nothing
    monkeypatch.setattr(MemoryFeed, "_prepare_all", honest)
    _, (told,) = told_by(learner, small_images.train)
    assert torch.equal(told.batch.inputs, small_images.train.inputs[told.batch.indices])


def darkening(shape, classes):
    """A network that works on its input in place."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scores = nn.Linear(shape[0] * shape[1] * shape[2], classes)

        def forward(self, images):
            return self.scores(images.mul_(0.5).flatten(1))

    return Net()


@pytest.mark.parametrize("whiten", [True, False])
def test_a_network_that_works_in_place_spoils_no_sample(whiten, small_images):
    before = small_images.train.inputs.clone()
    learner = training(sl.Imported(darkening), epochs=4, stop="budget", whiten=whiten)
    fit, told = told_by(learner, small_images.train)
    assert torch.equal(small_images.train.inputs, before)
    assert torch.equal(told[-1].batch.inputs, before[told[-1].batch.indices])
    assert told[-1].train_loss == pytest.approx(losses(fit.scores(before), small_images.train.labels, "logits").mean().item(), rel=1e-5)


# Preparation of inputs


@given(st.integers(0, 10_000))
def test_whitening_is_the_formula(seed):
    images = torch.from_numpy(np.random.default_rng(seed).random((5, 3, 4, 4))).float() * 10.0 ** float(seed % 7 - 4)
    rows = images.flatten(1).double()
    deviation = rows.std(1, correction=0, keepdim=True).clamp(min=1 / math.sqrt(48))
    wanted = ((rows - rows.mean(1, keepdim=True)) / deviation).view(images.shape)
    assert torch.allclose(Whitening()(images).double(), wanted, atol=1e-5)


def test_a_constant_image_is_whitened_to_zero():
    assert torch.equal(Whitening()(torch.full((2, 1, 3, 3), 0.25)), torch.zeros(2, 1, 3, 3))


def test_features_of_a_table_are_standardized_over_the_training_sample():
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(np.column_stack([rng.normal(1000, 3, 50), rng.random(50) * 1e-4, np.full(50, 0.1)])).float()
    layer = Standardization(rows)
    new = layer(rows).double()
    assert new.mean(0).abs().max() < 1e-3  # 1000 / 3 times a float32 rounding
    assert torch.allclose(new.std(0, correction=0)[:2], torch.ones(2, dtype=torch.float64), atol=1e-4)
    assert torch.equal(new[:, 2], torch.zeros(50, dtype=torch.float64))
    assert torch.allclose(layer(rows[:1]), layer(rows)[:1])  # nothing of the batch


def test_preparation_follows_the_form_of_the_input():
    images, rows = torch.rand(4, 1, 2, 2), torch.rand(4, 3)
    kinds = [type(preparation(each, wanted)) for each, wanted in ((images, True), (rows, True), (images, False))]
    assert kinds == [Whitening, Standardization, nn.Identity]


# Losses


def test_losses_of_each_kind_of_score():
    scores = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    labels = torch.tensor([0, 1])
    assert losses(scores, labels, "logits").tolist() == pytest.approx([math.log(1 + math.exp(-1) + math.exp(-2)), math.log(2 + math.exp(3))])
    assert losses(scores.softmax(1), labels, "probabilities").tolist() == pytest.approx(losses(scores, labels, "logits").tolist())
    assert losses(scores, labels, "values").tolist() == [1 + 1, 1 + 9]
    assert losses(torch.tensor([[1.0, 0.0]]), torch.tensor([1]), "probabilities").item() == math.inf


def test_accuracy_takes_the_highest_score_and_the_lowest_class_of_a_tie():
    inputs = torch.tensor([[1.0, 1.0], [0.0, 1.0], [2.0, 1.0]])
    examples = sl.Examples(inputs, torch.tensor([0, 1, 1]), 2)
    loss, accuracy = evaluate(lambda rows: rows, examples, "values")
    assert accuracy == pytest.approx(2 / 3)
    assert loss == pytest.approx((1 + 0 + 4) / 3)


def test_scores_of_another_shape_are_refused():
    examples = sl.Examples(torch.zeros(4, 2), torch.tensor([0, 1, 2, 0]), 3)
    with pytest.raises(UserCodeError, match=r"^scores: examples x classes, \(4, 3\), are required, got \(4, 2\)\. Give the model one output a class\.$"):
        evaluate(lambda rows: rows, examples, "logits")


# Precision


def test_bfloat16_is_close_to_float32_and_not_the_same(small_images, monkeypatch):
    monkeypatch.setattr(_precision, "_has_bfloat16", lambda: True)
    exact, coarse = (
        training(epochs=3, stop="budget", precision=each).fit(small_images.train).scores(small_images.test.inputs) for each in ("float32", "bfloat16")
    )
    assert coarse.dtype == torch.float32
    assert not torch.equal(exact, coarse)
    assert (exact - coarse).abs().max() < 0.1 * exact.abs().max()  # 8 bits of mantissa, 2^-8, through two layers and 12 steps


def test_a_processor_without_bfloat16_is_told_what_it_costs(monkeypatch):
    monkeypatch.setattr(_precision, "_has_bfloat16", lambda: False)
    monkeypatch.setattr(_precision, "_seconds", lambda square: 3.0 if square.dtype == torch.bfloat16 else 1.5)
    _precision._warn_of_cost.cache_clear()
    with pytest.warns(
        RuntimeWarning,
        match=r"^Training: this processor has no bfloat16 instructions; a matrix product takes 2\.0 times as long as in float32\. Use precision=",
    ) as told:
        _precision.autocast("bfloat16", CPU)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _precision.autocast("bfloat16", CPU)  # once a process
        _precision.autocast("float32", CPU)
    _precision._warn_of_cost.cache_clear()


# Refusals


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"decay": 0}, "Training: decay is a factor in (0, 1], got 0.0"),
        ({"decay": 1.1}, "Training: decay is a factor in (0, 1], got 1.1"),
        ({"decay_steps": 0}, "Training: decay_steps is a whole number >= 1, got 0"),
        ({"batch_size": 0}, "Training: batch_size is a whole number >= 1, or None, got 0"),
        ({"epochs": 0}, "Training: epochs is a whole number >= 1, got 0"),
        ({"stop": -1.0}, 'Training: stop is "interpolation", "overfit", "budget" or a training loss > 0, got -1.0'),
        ({"stop": "never"}, "Training: stop is a number or one of 'interpolation', 'overfit', 'budget', got 'never'"),
        ({"precision": "float16"}, "Training: precision is one of 'float32', 'bfloat16', got 'float16'"),
        ({"architecture": sl.SGD()}, None),
    ],
)
def test_a_field_out_of_range_is_refused(fields, text):
    with pytest.raises(InvalidPart) as refused:
        sl.Training(**{"architecture": sl.MLP(), **fields})
    assert text is None or str(refused.value) == text


def test_a_network_with_another_number_of_scores_is_refused_before_it_is_trained(small_images):
    learner = training(sl.Imported(lambda shape, classes: nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 7))))
    with pytest.raises(InvalidPart, match=r"^Training: the model gives one score for each of 5 classes, shape \(2, 5\), got \(2, 7\)\. Change its last layer"):
        learner.fit(small_images.train)


@dataclass(frozen=True)
class Frozen(sl.Architecture):
    """A network whose weights cannot move."""

    def build(self, shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes)).requires_grad_(False)


def test_a_network_with_nothing_to_train_is_refused(small_images):
    with pytest.raises(InvalidPart, match=r"^Training: the model has at least one trainable parameter, got 'none'$"):
        training(Frozen()).fit(small_images.train)


class Broken(nn.Linear):
    def forward(self, inputs):
        return inputs @ torch.zeros(3, 2)


def test_a_network_that_fails_shows_its_own_frames(small_images):
    with pytest.raises(UserCodeError, match=r"^Training: the forward pass of Broken failed with RuntimeError: ") as failed:
        training(sl.Imported(lambda shape, classes: Broken(3, 2))).fit(small_images.train)
    assert "return inputs @ torch.zeros(3, 2)" in failed.value.trace
    assert "learners/training.py" not in failed.value.trace


# Estimators


@pytest.mark.parametrize(
    "learner",
    [
        sl.Estimator("sklearn.ensemble:RandomForestClassifier", {"n_estimators": 20, "bootstrap": False}),
        sl.Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}),
        sl.Estimator("sklearn.tree:DecisionTreeClassifier"),
    ],
    ids=lambda learner: learner.estimator,
)
def test_learners_that_interpolate_fit_random_labels_exactly(learner, images):
    train = randomized(images)
    fit = learner.fit(train)
    assert evaluate(fit.scores, train, fit.output)[1] == 1.0
    unseen = evaluate(fit.scores, images.test, fit.output)[1]
    assert abs(unseen - 1 / 5) < 4.9 * math.sqrt(0.16 / len(images.test)) + 0.05  # labels are random, classes unequal


def test_a_forest_is_drawn_from_init_and_from_nothing_else(small_images):
    forest = sl.Estimator("sklearn.ensemble:RandomForestClassifier", {"n_estimators": 5})
    base, order, init = (
        forest.fit(small_images.train, seeds).scores(small_images.test.inputs) for seeds in (sl.Seeds(), sl.Seeds(1, 1, 0, 1), sl.Seeds(init=1))
    )
    assert torch.equal(base, order)
    assert not torch.equal(base, init)


def test_every_random_state_at_any_depth_is_set(small_images):
    bagging = sl.Estimator(
        "sklearn.ensemble:BaggingClassifier",
        {"estimator": {"estimator": "sklearn.tree:DecisionTreeClassifier", "arguments": {"splitter": "random"}}, "n_estimators": 2},
    )
    made = bagging.fit(small_images.train).model
    states = {name: value for name, value in made.get_params().items() if name.endswith("random_state")}
    assert set(states) == {"random_state", "estimator__random_state"}
    assert len(set(states.values())) == 2 and None not in states.values()


def test_a_pipeline_is_described_and_made_again(small_images):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    learner = sl.Estimator.of(make_pipeline(StandardScaler(copy=False), LogisticRegression(C=0.5, max_iter=500)))
    again = sl.Estimator(**{name: value for name, value in learner.describe().items() if name != "kind"})
    assert again == learner
    sample = small_images.train.inputs.clone()
    fit, told = told_by(again, small_images.train)
    assert fit.model.steps[1][1].C == 0.5
    assert torch.equal(small_images.train.inputs, sample)  # though the scaler works in place
    assert torch.equal(told[0].batch.inputs, sample)


def estimators():
    """Configurations whose arguments JSON has no word for, and the number of parameters by which they are told apart."""
    from scipy.stats import loguniform
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

    trees = RandomForestClassifier(3, class_weight={0: 2.0})
    words = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression())
    return {
        "NaN": make_pipeline(SimpleImputer(), trees),
        "another NaN": make_pipeline(SimpleImputer(fill_value=math.inf, strategy="constant"), FunctionTransformer(np.log1p), trees),
        "grid": GridSearchCV(trees, [{"max_depth": np.arange(1, 3), "class_weight": [None, {0: 1.0, 1: 2.0}]}], cv=StratifiedKFold(2)),
        "random": RandomizedSearchCV(LogisticRegression(), {"C": loguniform(0.01, 1)}, n_iter=2, cv=2),
        "words": GridSearchCV(words, {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)]}),
        "columns": make_pipeline(make_column_transformer((OneHotEncoder(), make_column_selector(dtype_include=object))), trees),
    }


@pytest.mark.parametrize("case", estimators())
def test_an_estimator_of_any_arguments_is_plain_data_and_built_again(case):
    from shatterlab.core import catalog
    from shatterlab.learners._arguments import built

    estimator = estimators()[case]
    learner = sl.Estimator.of(estimator)
    again = catalog.build(json.loads(canonical(learner.describe())))
    assert again == learner
    one, other = estimator, built({"estimator": again.estimator, "arguments": again.arguments})
    assert sl.Estimator.of(other) == learner and canonical(sl.Estimator.of(other).identity()) == canonical(learner.identity())
    plain = {name: value for name, value in one.get_params().items() if isinstance(value, str | int | float | dict) and not isinstance(value, bool)}
    restored = other.get_params()
    assert all(repr(restored[name]) == repr(value) or name.startswith("param") for name, value in plain.items())


@pytest.mark.parametrize("case", ["NaN", "another NaN", "grid", "random"])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
def test_searches_and_imputers_fit(case, small_images):
    fit = sl.Estimator.of(estimators()[case]).fit(small_images.train)
    assert fit.scores(small_images.test.inputs).shape == (40, 5)


def test_keys_of_estimators_whose_arguments_json_knows_are_what_they_were():
    learner = sl.Estimator("sklearn.svm:SVC", {"C": 1e6, "kernel": "rbf"})
    assert learner.describe() == {"kind": "Estimator", "estimator": "sklearn.svm:SVC", "arguments": {"C": 1e6, "kernel": "rbf"}}
    assert sl.Estimator("sklearn.svm:SVC", {"C": math.nan}).describe()["arguments"] == {"C": {"float": "nan"}}


def test_an_edited_class_inside_a_pipeline_changes_the_key(tmp_path):
    file = tmp_path / "mine.py"
    learner = sl.Estimator("sklearn.pipeline:Pipeline", {"steps": [["mine", {"estimator": f"{file}:Mine", "arguments": {}}]]})
    prints = [learner.fingerprints() for text in ("a = 1", "a = 2") if file.write_text(text)]
    assert prints[0] != prints[1] and all("sklearn.pipeline:Pipeline@" in each["estimator"] for each in prints)


def test_an_estimator_without_probabilities_gives_its_prediction_a_one(small_images):
    fit = sl.Estimator("sklearn.linear_model:RidgeClassifier").fit(small_images.train)
    scores = fit.scores(small_images.test.inputs)
    assert set(scores.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(scores.sum(1), torch.ones(len(scores), dtype=scores.dtype))
    assert scores.argmax(1).tolist() == fit.model.predict(small_images.test.inputs.flatten(1).numpy()).tolist()


@pytest.mark.parametrize(
    ("learner", "error", "text"),
    [
        (
            sl.Estimator("math:sqrt"),
            InvalidPart,
            "Estimator: a class with fit, predict and get_params is required, got 'math:sqrt'. Name a classifier or a regressor.",
        ),
        (sl.Estimator("sklearn.tree:DecisionTree"), UnknownName, "Estimator: sklearn.tree: a known name is required, got 'DecisionTree'. Did you mean "),
        (
            sl.Estimator("sklearn.tree:DecisionTreeClassifier", {"depth": 3}),
            UserCodeError,
            "Estimator: sklearn.tree:DecisionTreeClassifier failed with TypeError: ",
        ),
        (
            sl.Estimator("sklearn.tree:DecisionTreeClassifier", {"max_depth": -3}),
            UserCodeError,
            "Estimator: sklearn.tree:DecisionTreeClassifier failed with Invalid",
        ),
    ],
)
def test_an_estimator_that_cannot_be_used_is_refused(learner, error, text, small_images):
    with pytest.raises(error) as refused:
        learner.fit(small_images.train)
    assert str(refused.value).startswith(text)


def test_an_estimator_with_a_function_inside_is_refused():
    from sklearn.neighbors import KNeighborsClassifier

    with pytest.raises(InvalidPart, match=r"^Estimator: parameters of plain data are required, got <function .*\. Wrap the estimator in a Recipe\.$"):
        sl.Estimator.of(KNeighborsClassifier(metric=lambda a, b: 0))


# Recipes


@pytest.fixture
def recipe(tmp_path):
    def write(text, **fields):
        (tmp_path / "mine.py").write_text("import numpy as np\nimport torch\n\n\n" + text)
        return sl.Recipe(f"{tmp_path / 'mine.py'}:train", **fields)

    return write


def test_a_recipe_is_given_a_sample_of_its_own_and_a_seed(recipe, small_images):
    learner = recipe(
        "def train(inputs, labels, classes, seed):\n"
        "    assert inputs.shape == (60, 3, 6, 6) and labels.dtype == torch.int64 and classes == 5 and 0 <= seed < 2**31\n"
        "    inputs.zero_(), labels.zero_()\n"
        "    bias = torch.rand(classes)\n"
        "    return lambda rows: (rows.mul_(0).flatten(1)[:, :5] + bias).numpy()\n"
    )
    before, unseen = small_images.train.inputs.clone(), small_images.test.inputs.clone()
    fit, told = told_by(learner, small_images.train)
    assert torch.equal(told[0].batch.inputs, before) and torch.equal(small_images.train.inputs, before)
    assert torch.equal(fit.scores(small_images.test.inputs), learner.fit(small_images.train).scores(small_images.test.inputs))
    assert not torch.equal(fit.scores(unseen), learner.fit(small_images.train, sl.Seeds(init=1)).scores(unseen))
    assert torch.equal(small_images.test.inputs, unseen)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "def train(inputs, labels, classes, seed):\n    return 3\n",
            "or a function from inputs to scores, got int. Return predict.",
        ),
        (
            "def train(inputs, labels, classes, seed):\n    return lambda rows: [1]\n",
            "gives a tensor or an array, got list. Return n x k scores, or n whole",
        ),
        ("def train(inputs, labels, classes, seed):\n    raise KeyError('lost')\n", "failed with KeyError: 'lost'"),
        ("def train(inputs, labels, classes, seed):\n    return lambda rows: rows @ torch.zeros(7)\n", "failed with RuntimeError: "),
        ("def train(X, y):\n    return lambda X: [5] * len(X)\n", "gives a tensor or an array, got list."),
        ("def train(X, y):\n    return lambda X: np.full(len(X), 5)\n", "gives labels in 0 .. 4, got 5 to 5. Predict the labels of the training sample."),
    ],
)
def test_a_recipe_that_fails_says_so_in_one_line(text, message, recipe, small_images):
    learner = recipe(text)
    with pytest.raises(UserCodeError) as failed:
        learner.fit(small_images.train).scores(small_images.test.inputs)
    assert str(failed.value).startswith("Recipe: ") and message in str(failed.value)
    assert "\n" not in str(failed.value)


def test_the_key_of_a_recipe_follows_its_code(recipe):
    one = recipe("def train(inputs, labels, classes, seed):\n    return None\n")
    before = one.identity()["function"]
    recipe("def train(inputs, labels, classes, seed):\n    return 0\n")
    assert one.identity()["function"] != before
    assert one.describe()["function"].endswith("mine.py:train")


def test_the_recipe_to_copy_from_knows_what_it_should(images):
    """On noise around class means the nearest mean is hard to beat; on random labels it is at chance."""
    learner = sl.Recipe.specimens()[0]
    fit = learner.fit(images.train)
    assert evaluate(fit.scores, images.test, fit.output)[1] > 0.95
    lost = learner.fit(randomized(images))
    assert evaluate(lost.scores, images.test, lost.output)[1] < 0.6


def test_a_last_batch_of_one_example_joins_the_one_before():
    sizes = [len(batch) for batch in split(torch.arange(65), 32, 2)]
    assert sizes == [32, 33]  # batch norm has no variance of a single example
    assert [len(batch) for batch in split(torch.arange(64), 32, 2)] == [32, 32]
    assert [len(batch) for batch in split(torch.arange(3), 1, 2)] == [1, 1, 1]
    assert torch.equal(torch.cat(split(torch.arange(65), 32, 2)), torch.arange(65))
