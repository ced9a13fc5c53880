"""Gradient descent on a network: the recipe of the paper, every choice of it a field."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Architecture, Batch, Examples, Fit, Learner, Observer, Optimizer, Progress, Runtime, Scalar, Seeds
from shatterlab.evaluation import evaluate, losses
from shatterlab.learners._device import usable_device
from shatterlab.learners._layers import preparation
from shatterlab.learners._precision import autocast
from shatterlab.learners._seeded import seeded
from shatterlab.optimizers.sgd import SGD
from shatterlab.outside import user_code

LOSS_THRESHOLDS = (1.0, 0.5, 0.1, 0.05, 0.01)
_SPENT = 0.01  # share of the schedule's whole learning-rate sum below which nothing more can be learned


@dataclass(frozen=True)
class Training(Learner):
    """Minimizes the training loss of a network by gradient steps, with no regularizer unless a field adds one.

    The learning rate at step t is lr * decay^(t / decay_steps): the paper's factor 0.95 an epoch means 391 steps of
    128 examples. A run ends as `stop` says, at `epochs`, or when less than 1 % of the schedule's whole
    learning-rate sum is left: it can then move no further, and ends as "budget".

    Args:
        architecture: the network.
        optimizer: the rule of a step and the initial learning rate.
        decay: factor on the learning rate every `decay_steps` steps, in (0, 1].
        decay_steps: steps, >= 1.
        batch_size: examples a step, >= 1; None takes the full sample. A last batch of one example joins the one before.
        epochs: the budget, >= 1.
        stop: "interpolation" ends at zero training error, a number when the training loss is at or below it,
            "budget" never before `epochs`. Both are measured after each epoch in evaluation mode on the full sample.
        whiten: prepare inputs by the model's first layer: images are whitened one by one, features of a table
            standardized over the training sample.
        precision: "float32", or "bfloat16" for the matrix products and convolutions of training and scoring.
        loss: "cross_entropy" of logits, or "squared" error of k values to the one-hot label, summed over classes.

    Raises:
        InvalidPart: a field is out of range, or the network does not give k scores or has nothing to train.
        UserCodeError: the network fails in its forward pass.

    Source:
        Zhang et al. 2017, appendix A.
    """

    architecture: Architecture
    optimizer: Optimizer = SGD(lr=0.01, momentum=0.9)
    decay: float = 0.95
    decay_steps: int = 391
    batch_size: int | None = 128
    epochs: int = 100
    stop: float | Literal["interpolation", "budget"] = "interpolation"
    whiten: bool = True
    precision: Literal["float32", "bfloat16"] = "float32"
    loss: Literal["cross_entropy", "squared"] = "cross_entropy"

    def validate(self) -> None:
        self.require(0 < self.decay <= 1, "decay is a factor in (0, 1]", self.decay)
        self.require(self.decay_steps >= 1, "decay_steps is a whole number >= 1", self.decay_steps)
        self.require(self.batch_size is None or self.batch_size >= 1, "batch_size is a whole number >= 1, or None", self.batch_size)
        self.require(self.epochs >= 1, "epochs is a whole number >= 1", self.epochs)
        positive = isinstance(self.stop, str) or (self.stop > 0 and math.isfinite(self.stop))
        self.require(positive, 'stop is "interpolation", "budget" or a training loss > 0', self.stop)

    @classmethod
    def specimens(cls) -> tuple[Training, ...]:
        small = MLP(hidden=(16,))
        return (cls(small, SGD(lr=0.05), epochs=3, batch_size=32), cls(small, SGD(lr=0.05), epochs=2, batch_size=None, loss="squared"))

    @property
    def output(self) -> Literal["logits", "values"]:
        """What the scores are, which follows from the loss."""
        return "logits" if self.loss == "cross_entropy" else "values"

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        device = usable_device(runtime)
        model = self.build(train, seeds, runtime)
        initial = {name: value.detach().cpu().clone() for name, value in model.named_parameters()}
        descent = _Descent(self, model, Examples(train.inputs.to(device), train.labels.to(device), train.classes, train.levels), device)
        with seeded(seeds.integer("order", "dropout"), device):
            for progress in descent.epochs(seeds):
                if observe is not None:
                    with seeded(None, device):
                        observe(progress)
        facts = descent.facts | {"parameters": sum(value.numel() for value in model.parameters() if value.requires_grad)}
        return Fit(descent.scores, self.output, model, initial, facts)

    def build(self, train: Examples, seeds: Seeds = Seeds(), runtime: Runtime = Runtime()) -> nn.Sequential:
        """The model as training will start from it: input layer and network, tried on two examples.

        Raises:
            InvalidPart: it does not give k scores, or has nothing to train.
            UserCodeError: it cannot be built, or its forward pass fails.
        """
        device = usable_device(runtime)
        with seeded(seeds.integer("init"), device):
            network = self.architecture.build(train.shape, train.classes)
        model = nn.Sequential(preparation(train.inputs, self.whiten), network).to(device)
        self._probe(model, train, device)
        return model

    def rate(self, step: int) -> float:
        """The learning rate of step 0, 1, ..."""
        return float(self.optimizer.lr * self.decay ** (step / self.decay_steps))

    def _probe(self, model: nn.Sequential, train: Examples, device: torch.device) -> None:
        few = train.inputs[:2].to(device)
        model.eval()
        with user_code(f"Training: the forward pass of {type(model[1]).__name__}"), torch.no_grad():
            scores = model(few)
        shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        wanted = f"the model gives one score for each of {train.classes} classes, shape {(len(few), train.classes)}"
        self.require(shape == (len(few), train.classes), wanted, shape, "Change its last layer")
        trainable = any(value.requires_grad for value in model.parameters())
        self.require(trainable, "the model has at least one trainable parameter", "none")


class _Descent:
    """One run: the model as it changes, and the facts about it as they become known."""

    def __init__(self, recipe: Training, model: nn.Module, train: Examples, device: torch.device) -> None:
        self.recipe, self.model, self.train, self.device = recipe, model, train, device
        self.step = 0
        self.facts: dict[str, Scalar] = {}
        self.optimizer = recipe.optimizer.build([value for value in model.parameters() if value.requires_grad], fused=True)

    def scores(self, inputs: Tensor) -> Tensor:
        """Scores on the CPU, in evaluation mode; the model is left in the mode it was in."""
        return torch.cat([self._forward(few.to(self.device)).cpu() for few in inputs.split(2048)])

    def _forward(self, inputs: Tensor) -> Tensor:
        mode = self.model.training
        self.model.eval()
        with torch.no_grad(), autocast(self.recipe.precision, self.device):
            scores: Tensor = self.model(inputs)
        self.model.train(mode)
        return scores.float()

    def epochs(self, seeds: Seeds) -> Iterator[Progress]:
        """Trains, and reports after each epoch; the last report says that it is the last."""
        generator = torch.Generator().manual_seed(seeds.integer("order"))
        reached: dict[str, tuple[int, int]] = {}
        for epoch in range(1, self.recipe.epochs + 1):
            rate = self.recipe.rate(self.step)
            order = torch.randperm(len(self.train), generator=generator).to(self.device)
            batch, online_loss, online_accuracy = self._epoch(order)
            loss, accuracy = evaluate(self._forward, self.train, self.recipe.output)
            for target in _targets(loss, accuracy):
                reached.setdefault(target, (epoch, self.step))
            ended = self._ended(epoch, loss, accuracy)
            if ended:
                self._conclude(epoch, ended, reached)
            keep = batch if epoch == 1 or ended else None
            last = bool(ended)
            yield Progress(epoch, self.step, self.scores, self.recipe.output, loss, accuracy, online_loss, online_accuracy, rate, last, keep)
            if ended:
                return

    def _epoch(self, order: Tensor) -> tuple[Batch, float, float]:
        """One pass over the sample in this order; its first batch and the means as the batches went by."""
        self.model.train()
        size = self.recipe.batch_size or len(order)
        total, correct = torch.zeros(2, dtype=torch.float64, device=self.device)
        first: Batch | None = None
        for indices in _batches(order, size):
            inputs, labels = self.train.inputs[indices], self.train.labels[indices]
            first = first or Batch(indices, inputs, labels)
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate(self.step)
            with autocast(self.recipe.precision, self.device):
                scores = self.model(inputs)
            loss = losses(scores.float(), labels, self.recipe.output).mean()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.step += 1
            total += loss.detach() * len(indices)
            correct += (scores.detach().argmax(1) == labels).sum()
        assert first is not None
        return first, total.item() / len(order), correct.item() / len(order)

    def _ended(self, epoch: int, loss: float, accuracy: float) -> str:
        if not math.isfinite(loss):
            return "diverged"
        if self.recipe.stop == "interpolation" and accuracy == 1:
            return "interpolation"
        if not isinstance(self.recipe.stop, str) and loss <= self.recipe.stop:
            return "loss"
        spent = self.recipe.decay < 1 and self.recipe.decay ** (self.step / self.recipe.decay_steps) < _SPENT
        return "budget" if spent or epoch == self.recipe.epochs else ""

    def _conclude(self, epoch: int, ended: str, reached: dict[str, tuple[int, int]]) -> None:
        for target in ("interpolation", *(f"loss_{threshold}" for threshold in LOSS_THRESHOLDS)):
            epochs, steps = reached.get(target, (None, None))
            self.facts |= {f"epochs_to_{target}": epochs, f"steps_to_{target}": steps}
        wanted = isinstance(self.recipe.stop, str) and "interpolation" in reached
        self.facts |= {"epochs": epoch, "steps": self.step, "ended": ended}
        self.facts |= {"censored": ended == "budget" and not wanted, "diverged": ended == "diverged"}
        self.facts["learning_rate_left"] = self.recipe.decay ** (self.step / self.recipe.decay_steps)


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """The order in batches; a last one of a single example, of which batch norm has no variance, joins the one before."""
    batches = list(order.split(size))
    if len(batches) > 1 and size > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _targets(loss: float, accuracy: float) -> Iterator[str]:
    if accuracy == 1:
        yield "interpolation"
    yield from (f"loss_{threshold}" for threshold in LOSS_THRESHOLDS if loss <= threshold)
