"""Choices of training without an explicit regularizer: batch size, momentum, learning rate, optimizer, early stopping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shatterlab import SGD, Adam, Claim, Effect, Effects, Experiment, Scale, Table, Training, Trial, TrueLabels, difference, grid
from shatterlab.experiments._networks import nets

_BASE = "as in the paper"
_DIFFERING = (
    "learner.batch_size", "learner.optimizer.kind", "learner.optimizer.momentum", "learner.decay", "learner.validation", "learner.epochs",
)  # fmt: skip


def experiment(scale: Scale) -> Experiment:
    """The MLP 1x512 of `table1`, one choice changed at a time, until it overfits. Full-batch descent has ten times the epochs."""
    net = nets(scale)["mlp_1x512"]
    choices = _choices(net.learner)
    trials = grid(Trial, seeds=scale.seeds, dataset=[net.dataset], corruption=[TrueLabels()], learner=list(choices.values()))
    columns = {name: _columns(trial) for name, trial in zip(choices, trials, strict=False)}
    changed = tuple(Effect(name, (where,), (columns[_BASE],)) for name, where in columns.items() if name != _BASE)
    source = "Zhang et al. 2017, section 5: stochastic gradient descent as an implicit regularizer"
    question = "With no explicit regularizer: what does the way a network is trained do to its test accuracy?"
    views = (
        Effects(changed, ("test.accuracy", "fit.steps"), title=f"Each choice against {_BASE}"),
        Table(_DIFFERING, ("train.accuracy", "test.accuracy", "oracle.test.accuracy", "fit.epochs"), title="The choices"),
    )
    return Experiment("implicit_regularizers", source, question, trials, views, tuple(_claims(columns)), scale.name)


def _choices(recipe: Training) -> dict[str, Training]:
    assert isinstance(recipe.optimizer, SGD)
    return {
        _BASE: recipe,
        "batches of 16": replace(recipe, batch_size=16),
        "the full batch": replace(recipe, batch_size=None, epochs=10 * recipe.epochs),
        "no momentum": replace(recipe, optimizer=replace(recipe.optimizer, momentum=0.0)),
        "a constant rate": replace(recipe, decay=1.0),
        "Adam": replace(recipe, optimizer=Adam(lr=0.001)),
        "early stopping": replace(recipe, validation=0.1),
    }


def _columns(trial: Trial) -> dict[str, Any]:
    columns = trial.specification()
    return {column: columns.get(column) for column in _DIFFERING}


def _claims(columns: Mapping[str, dict[str, Any]]) -> Iterator[Claim]:
    for name in ("batches of 16", "the full batch", "no momentum", "Adam"):
        text = f"no special role of one way of training: with {name} the test accuracy stays within 5 points"
        yield difference(text, "test.accuracy", columns[name], columns[_BASE], low=-0.05, high=0.05)
    text = "early stopping helps no more than 5 points where labels are true"
    yield difference(text, "test.accuracy", columns["early stopping"], columns[_BASE], high=0.05)
