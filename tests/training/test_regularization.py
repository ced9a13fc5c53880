"""Weight decay on named parameters, dropout, label smoothing, early stopping, and the oracle that looks at the test split."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import shatterlab as sl
from shatterlab.core.errors import InvalidPart
from shatterlab.core.losses import evaluate, losses, soft_losses

FAST = {"batch_size": 20, "epochs": 4, "stop": "budget"}


def training(architecture=None, optimizer=None, **fields):
    return sl.Training(architecture or sl.MLP((16,)), optimizer or sl.SGD(lr=0.05), **{**FAST, **fields})


def told_by(learner, train, seeds=sl.Seeds()):
    told = []
    return learner.fit(train, seeds, told.append), told


def weights(fit):
    return {name.removeprefix("1."): value.detach().clone() for name, value in fit.model.named_parameters()}


# Weight decay


def test_decay_on_named_parameters_is_the_loop_written_out(small_images):
    """Full batch, no momentum: theta <- theta - lr (gradient + w theta) for weights, without w theta for biases."""
    w, lr = 0.3, 0.1
    learner = training(optimizer=sl.SGD(lr=lr, momentum=0.0, weight_decay=w), batch_size=None, epochs=3, decay=1.0, weight_decay_on=("*.weight",))
    fit, _ = told_by(learner, small_images.train)
    model = learner.build(small_images.train)
    for _ in range(3):
        loss = functional.cross_entropy(model(small_images.train.inputs), small_images.train.labels)
        named = dict(model.named_parameters())
        for (name, value), gradient in zip(named.items(), torch.autograd.grad(loss, list(named.values())), strict=True):
            value.data -= lr * (gradient + (w * value.data if name.endswith("weight") else 0))
    for name, value in fit.model.named_parameters():
        assert torch.allclose(value, dict(model.named_parameters())[name], atol=1e-5), name


def test_naming_everything_is_naming_nothing(small_images):
    decaying = sl.SGD(lr=0.05, weight_decay=0.1)
    all_of_them, _ = told_by(training(optimizer=decaying), small_images.train)
    named, _ = told_by(training(optimizer=decaying, weight_decay_on=("*",)), small_images.train)
    assert all(torch.equal(weights(all_of_them)[name], value) for name, value in weights(named).items())


@pytest.mark.parametrize("optimizer", [sl.SGD(lr=0.05, weight_decay=0.5), sl.Adam(weight_decay=0.5), sl.RMSProp(weight_decay=0.5)])
def test_what_is_not_named_does_not_decay_and_follows_the_rate_all_the_same(optimizer, small_images):
    """A parameter without gradient moves by decay alone: its layer is not in the forward pass."""
    from shatterlab.training.loop import build_optimizer

    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    built = build_optimizer(optimizer, network, ("1.*",))
    assert [len(group["params"]) for group in built.param_groups] == [2, 2]
    assert [group["weight_decay"] for group in built.param_groups] == [0.5, 0.0]
    assert {group["lr"] for group in built.param_groups} == {optimizer.lr}
    before = [value.detach().clone() for value in network.parameters()]
    for value in network.parameters():
        value.grad = torch.zeros_like(value)
    built.step()
    moved = [not torch.equal(value, was) for value, was in zip(network.parameters(), before, strict=True)]
    assert moved == [False, False, True, True]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"optimizer": sl.SGD(weight_decay=0.1), "weight_decay_on": ("full*",)},
            "Training: weight_decay_on names parameters of the network, got 'full*', which matches none. It has 1.weight, 1.bias, 3.weight, 3.bias.",
        ),
        ({"weight_decay_on": ("*",)}, "Training: an optimizer with weight_decay > 0 is required for weight_decay_on, got 0.0. Set its weight_decay."),
        ({"label_smoothing": 1.0}, "Training: label_smoothing is in [0, 1), got 1.0"),
        ({"validation": 1.5}, "Training: validation is a share of the training sample in [0, 1), got 1.5. Leave examples to train on."),
        (
            {"validation": 0.001},
            "Training: a validation split of 1 to 59 of the 60 training examples is required, got 0 for validation = 0.001. "
            "Take another share, or more examples.",
        ),
        ({"patience": 0}, "Training: patience is a whole number of epochs >= 1, got 0"),
    ],
)
def test_what_cannot_be_is_refused(fields, text, small_images):
    with pytest.raises(InvalidPart) as refusal:
        training(**fields).fit(small_images.train)
    assert str(refusal.value) == text


# Dropout


@pytest.mark.parametrize("make", [sl.MLP, sl.SmallAlexNet, sl.SmallInception])
@pytest.mark.parametrize("dropout", [-0.1, 1.0, math.nan])
def test_dropout_outside_its_range_is_refused(make, dropout):
    with pytest.raises(InvalidPart, match=rf"^{make.__name__}: dropout is a probability in \[0, 1\), got .*\. 0 leaves dropout out\.$"):
        make(dropout=dropout)


@pytest.mark.parametrize(
    ("make", "layers"),
    [(lambda p: sl.MLP((8, 8, 8), dropout=p), 3), (lambda p: sl.SmallAlexNet(4, dropout=p), 2), (lambda p: sl.SmallInception(width=0.1, dropout=p), 1)],
    ids=["mlp", "alexnet", "inception"],
)
def test_dropout_is_absent_where_it_is_0_and_changes_no_name_but_in_the_mlp(make, layers):
    def dropping(network):
        return [each.p for each in network.modules() if isinstance(each, nn.Dropout)]

    without, with_it = make(0.0).build((3, 8, 8), 10), make(0.3).build((3, 8, 8), 10)
    assert dropping(without) == [] and dropping(with_it) == [0.3] * layers
    assert [tuple(value.shape) for value in without.state_dict().values()] == [tuple(value.shape) for value in with_it.state_dict().values()]


def test_dropout_acts_in_training_only_and_draws_from_the_order_stream(small_images):
    recipe = training(sl.MLP((64,), dropout=0.5))
    fit, told = told_by(recipe, small_images.train, sl.Seeds(order=1))
    same, _ = told_by(recipe, small_images.train, sl.Seeds(order=1))
    assert all(torch.equal(weights(same)[name], value) for name, value in weights(fit).items())
    assert torch.equal(fit.scores(small_images.test.inputs), fit.scores(small_images.test.inputs))
    assert told[-1].train_accuracy >= told[-1].online_accuracy


# Label smoothing


@pytest.mark.parametrize("output", ["logits", "values"])
def test_the_loss_of_one_hot_targets_is_the_loss_of_labels(output):
    scores, labels = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    hard = functional.one_hot(labels, 4).float()
    assert torch.allclose(soft_losses(scores, hard, output), losses(scores, labels, output), atol=1e-6)


def test_label_smoothing_is_torchs(small_images):
    learner = training(batch_size=None, epochs=1, label_smoothing=0.2)
    _, [told] = told_by(learner, small_images.train)
    model = learner.build(small_images.train)
    wanted = functional.cross_entropy(model(small_images.train.inputs), small_images.train.labels, label_smoothing=0.2)
    assert told.online_loss == pytest.approx(wanted.item(), rel=1e-5)
    assert told.train_loss != pytest.approx(told.online_loss, rel=0.01)  # the training figure is of the labels themselves


def test_smoothed_scores_stay_finite_where_plain_ones_grow(small_images):
    """With targets s / k and 1 - s + s / k the best logits differ by log((1 - s + s / k) / (s / k)), here log 46."""
    settings = {"architecture": sl.MLP((64,)), "optimizer": sl.SGD(lr=0.2), "epochs": 300, "decay": 1.0}
    smooth, _ = told_by(training(label_smoothing=0.1, **settings), small_images.train)
    scores = smooth.scores(small_images.train.inputs)
    own = scores.gather(1, small_images.train.labels[:, None])
    gaps = (own - scores).masked_fill(functional.one_hot(small_images.train.labels, 5).bool(), torch.nan)
    assert gaps.nanmedian().item() == pytest.approx(math.log(0.92 / 0.02), rel=0.05)  # descent has come near, not arrived


# Early stopping


def stopping(**fields):
    settings = {"optimizer": sl.SGD(lr=0.1), "epochs": 60, "validation": 0.25, "patience": 3} | fields
    return training(sl.MLP((32,)), **settings)


def randomized(splits, seed=0):
    return sl.RandomLabels().apply(splits, sl.Seeds(corruption=seed)).train


def test_the_best_epoch_is_restored_and_a_run_ends_when_patience_is_out(small_images):
    train = randomized(small_images)
    fit, told = told_by(stopping(), train)
    accuracies = [(each.validation_accuracy, -each.validation_loss) for each in told[:-1]]
    best = 1 + max(range(len(accuracies)), key=lambda i: accuracies[i])
    assert fit.facts["ended"] == "validation" and fit.facts["best_epoch"] == best and told[-1].epoch == best + 3
    assert fit.facts["censored"] is True
    assert told[-1].validation_accuracy == told[best - 1].validation_accuracy == fit.facts["validation_accuracy"]
    assert told[-1].train_loss == pytest.approx(told[best - 1].train_loss, rel=1e-6)
    assert told[-1].train_loss == pytest.approx(evaluate(fit.scores, train, "logits")[0], rel=1e-5)
    again, _ = told_by(stopping(epochs=best, patience=60), train)
    assert all(torch.equal(weights(again)[name], value) for name, value in weights(fit).items())


def test_what_is_held_out_is_never_trained_on_and_carries_corrupted_labels(small_images):
    """Other labels on the held-out examples change no weight, and change the validation figures."""
    train = randomized(small_images)
    fit, told = told_by(stopping(epochs=1, batch_size=None), train)
    trained = told[0].batch.indices
    held = torch.tensor(sorted(set(range(60)) - set(trained.tolist())))
    assert len(held) == 15
    loss, accuracy = evaluate(fit.scores, train.at(held), "logits")
    assert (told[0].validation_loss, told[0].validation_accuracy) == pytest.approx((loss, accuracy), rel=1e-5)
    assert not torch.equal(train.labels[held], small_images.train.labels[held])
    inputs = train.inputs.clone()
    inputs[held] = 0.5
    other = sl.Examples(inputs, train.labels, train.classes, train.levels)
    blind, _ = told_by(stopping(epochs=1, batch_size=None), other)
    assert all(torch.equal(weights(blind)[name], value) for name, value in weights(fit).items())


def test_what_is_held_out_is_stratified_and_follows_the_data_stream(small_images):
    def held(seeds):
        _, told = told_by(stopping(epochs=1, batch_size=None), small_images.train, seeds)
        return set(range(60)) - set(told[0].batch.indices.tolist())

    assert held(sl.Seeds()) == held(sl.Seeds(order=4, init=2)) != held(sl.Seeds(data=1))
    counts = np.bincount(small_images.train.labels[sorted(held(sl.Seeds()))].numpy(), minlength=5)
    assert np.abs(counts - np.bincount(small_images.train.labels.numpy(), minlength=5) / 4).max() < 1


def test_interpolation_is_of_the_part_that_is_trained_on():
    row = sl.run(sl.Trial(sl.Digits(examples=80, test_examples=40), sl.RandomLabels(), stopping(stop="interpolation", epochs=200, patience=200)))
    assert row["fit.ended"] == "interpolation" and row["status"] == "ok"
    assert row["train.accuracy"] < 1  # the sample includes what was held out, under random labels
    assert [name for _, _, name, _ in row.curves].count("validation.accuracy") == row["fit.epochs"]


# The oracle


def test_the_oracle_is_the_best_of_the_test_curve_and_belongs_to_the_row():
    row = sl.run(sl.Trial(sl.Digits(examples=100, test_examples=60), sl.TrueLabels(), training(epochs=8)))
    curve = {epoch: value for epoch, _, value in row.curve("test.accuracy")}
    assert row["oracle.test.accuracy"] == max(curve.values()) >= row["test.accuracy"]
    assert curve[row["oracle.test.epoch"]] == row["oracle.test.accuracy"]
    assert row["oracle.test.epoch"] == min(epoch for epoch, value in curve.items() if value == max(curve.values()))
    assert not any(name.startswith("fit.oracle") for name in row)


def test_of_a_learner_without_epochs_the_oracle_knows_no_more():
    row = sl.run(sl.Trial(sl.Digits(examples=40, test_examples=20), sl.TrueLabels(), sl.LinearMinimumNorm()))
    assert (row["oracle.test.accuracy"], row["oracle.test.epoch"]) == (row["test.accuracy"], 1)
