"""When training ends: goals, budgets, and early stopping on examples that are never trained on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from shatterlab.core import Examples, Scalar, Seeds, stratified
from shatterlab.core.errors import InvalidPart
from shatterlab.core.losses import Evaluation

LOSS_THRESHOLDS = (1.0, 0.5, 0.1, 0.05, 0.01)
OVERFIT_LOSS = 0.05  # reproduces the published times to overfit from the published curves: any threshold in (0.0466, 0.0580] does
_SPENT = 0.01  # share of the schedule's whole learning-rate sum below which nothing more can be learned


class Stopping(ABC):
    """Decides after each epoch whether training ends, and reports why."""

    @abstractmethod
    def reason(self, epoch: int, step: int, online_loss: float, evaluations: Sequence[Evaluation], model: nn.Module) -> str:
        """Why training ends after this epoch; "" where it goes on.

        Args:
            epoch: 1, 2, ...
            step: steps done.
            online_loss: mean over the batches of this epoch.
            evaluations: of the parts of the sample in evaluation mode; none in an epoch that is not measured.
            model: as it is now.
        """

    @abstractmethod
    def facts(self, reason: str, epoch: int, step: int) -> dict[str, Scalar]:
        """Scalars for the row, once training has ended."""

    def restore_best(self, model: nn.Module) -> bool:
        """Gives the model the weights of its best epoch, where these are kept; whether it did."""
        return False

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` gave."""
        assert not state, f"{type(self).__name__} keeps no state"


class AccuracyGoal(Stopping):
    """Ends at a training accuracy, or at the budget.

    Args:
        goal: accuracy in (0, 1]; None: the budget alone.
        epochs: the budget.
    """

    def __init__(self, goal: float | None, epochs: int) -> None:
        self.goal, self.epochs = goal, epochs

    def reason(self, epoch: int, step: int, online_loss: float, evaluations: Sequence[Evaluation], model: nn.Module) -> str:
        if not math.isfinite(online_loss):
            return "diverged"
        if evaluations and self.goal is not None and evaluations[0].accuracy >= self.goal:
            return "accuracy"
        return "budget" if epoch >= self.epochs else ""

    def facts(self, reason: str, epoch: int, step: int) -> dict[str, Scalar]:
        reached = epoch if reason == "accuracy" else None
        return {"epochs_to_stop": reached, "censored": reason == "budget" and self.goal is not None}


class HeldOut:
    """A share of the sample that is never trained on, by whose accuracy early stopping goes.

    The sample is what the corruption left, so held-out examples carry corrupted labels as well. The best epoch is the first of highest
    accuracy on them; of equal ones, that of lowest loss.

    Args:
        train: the sample.
        share: held out, in (0, 1).
        patience: epochs without a better one after which training ends, >= 1.
        seeds: the data stream chooses the examples.

    Raises:
        InvalidPart: the sample is too small for this share.
    """

    def __init__(self, train: Examples, share: float, patience: int, seeds: Seeds) -> None:
        n, size = len(train), round(share * len(train))
        if not 0 < size < n:
            required = f"a validation split of 1 to {n - 1} of the {n} training examples is required"
            raise InvalidPart(f"Training: {required}, got {size} for validation = {share:g}. Take another share, or more examples.")
        held = stratified(train.labels.numpy(), size, seeds.rng("data", "validation"))
        self.held = torch.from_numpy(held)
        self.fitted = torch.from_numpy(np.setdiff1d(np.arange(n), held))
        self.patience = patience
        self.best = (-1.0, 0.0)  # accuracy, minus loss
        self.epoch = self.step = 0
        self.weights: dict[str, Tensor] = {}

    def update(self, epoch: int, step: int, evaluation: Evaluation, model: nn.Module) -> bool:
        """Keeps the model where it is the best so far; whether patience is exhausted."""
        if (evaluation.accuracy, -evaluation.loss) > self.best:
            self.best, self.epoch, self.step = (evaluation.accuracy, -evaluation.loss), epoch, step
            self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return epoch - self.epoch >= self.patience

    def facts(self) -> dict[str, Scalar]:
        """The best epoch, and its figures."""
        accuracy, negative_loss = self.best
        return {"best_epoch": self.epoch, "best_step": self.step, "validation_accuracy": accuracy, "validation_loss": -negative_loss}


class Milestones(Stopping):
    """Notes when zero training error and each loss threshold is first reached, and ends at the one that is the goal.

    Training ends as "budget" too once less than 1 % of the schedule's whole learning-rate sum is left.

    Args:
        goal: "interpolation", "overfit", "budget", or a training loss.
        epochs: the budget.
        decay: factor on the learning rate every `decay_steps` steps.
        decay_steps: steps.
        held_out: for early stopping; None: the whole sample is trained on.
    """

    def __init__(
        self, goal: float | Literal["interpolation", "overfit", "budget"], epochs: int, decay: float, decay_steps: int, held_out: HeldOut | None
    ) -> None:
        self.goal, self.epochs, self.decay, self.decay_steps, self.held_out = goal, epochs, decay, decay_steps, held_out
        self.reached: dict[str, tuple[int, int]] = {}

    def reason(self, epoch: int, step: int, online_loss: float, evaluations: Sequence[Evaluation], model: nn.Module) -> str:
        fitted = evaluations[0]
        for name in _milestones(fitted):
            self.reached.setdefault(name, (epoch, step))
        exhausted = self.held_out is not None and self.held_out.update(epoch, step, evaluations[1], model)
        return self._goal(epoch, step, fitted) or ("validation" if exhausted else "")

    def facts(self, reason: str, epoch: int, step: int) -> dict[str, Scalar]:
        facts: dict[str, Scalar] = {}
        for name in ("interpolation", *(f"loss_{threshold}" for threshold in LOSS_THRESHOLDS)):
            facts[f"epochs_to_{name}"], facts[f"steps_to_{name}"] = self.reached.get(name, (None, None))
        interpolated = isinstance(self.goal, str) and "interpolation" in self.reached
        facts |= {"censored": reason in ("budget", "validation") and not interpolated, "learning_rate_left": self._rate_left(step)}
        return facts | (self.held_out.facts() if self.held_out is not None and reason != "diverged" else {})

    def restore_best(self, model: nn.Module) -> bool:
        if self.held_out is None:
            return False
        model.load_state_dict(self.held_out.weights)
        return True

    def state(self) -> dict[str, Any]:
        held = self.held_out
        best = {} if held is None else {"best": held.best, "place": (held.epoch, held.step), "weights": held.weights}
        return {"reached": self.reached, "held_out": best}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.reached = {name: tuple(place) for name, place in state["reached"].items()}
        if self.held_out is not None:
            best = state["held_out"]
            self.held_out.best, (self.held_out.epoch, self.held_out.step), self.held_out.weights = tuple(best["best"]), best["place"], best["weights"]

    def _goal(self, epoch: int, step: int, fitted: Evaluation) -> str:
        if not math.isfinite(fitted.loss):
            return "diverged"
        if self.goal == "interpolation" and fitted.accuracy == 1:
            return "interpolation"
        if self.goal == "overfit" and fitted.accuracy == 1 and fitted.loss <= OVERFIT_LOSS:
            return "overfit"
        if not isinstance(self.goal, str) and fitted.loss <= self.goal:
            return "loss"
        spent = self.decay < 1 and self._rate_left(step) < _SPENT
        return "budget" if spent or epoch == self.epochs else ""

    def _rate_left(self, step: int) -> float:
        return float(self.decay ** (step / self.decay_steps))


def _milestones(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.accuracy == 1:
        yield "interpolation"
    yield from (f"loss_{threshold}" for threshold in LOSS_THRESHOLDS if evaluation.loss <= threshold)
