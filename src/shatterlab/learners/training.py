"""Gradient descent on a network: the recipe of the paper, every choice of it a field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Architecture, Augmentation, Examples, Fit, Observer, Optimizer, Runtime, Seeds
from shatterlab.optimizers.descent import SGD
from shatterlab.training.distributed import Ranks
from shatterlab.training.feeds import Feed, MemoryFeed
from shatterlab.training.fit import build_model, fit_network
from shatterlab.training.preprocessing import preparation
from shatterlab.training.recipe import GradientTraining
from shatterlab.training.stopping import OVERFIT_LOSS, HeldOut, Milestones, Stopping


@dataclass(frozen=True)
class Training(GradientTraining):
    """Minimizes the training loss of a network by gradient steps, with no regularizer unless a field adds one.

    The learning rate at step t is lr * decay^(t / decay_steps): the paper's factor 0.95 an epoch means 391 steps of 128 examples. A run ends as `stop` says, at
    `epochs`, or, as "budget", when less than 1 % of the schedule's learning-rate sum is left. With `Runtime.checkpoints` a stopped run goes on to the same
    weights, on a processor bit for bit.

    Args:
        architecture: the network.
        optimizer: the rule of a step and the initial learning rate.
        decay: factor on the learning rate every `decay_steps` steps, in (0, 1].
        decay_steps: steps, >= 1.
        batch_size: examples a step, >= 1; None takes the full sample. A last batch of one example joins the one before.
        epochs: the budget, >= 1.
        stop: "interpolation" ends at zero training error, a number when the training loss is at or below it, "overfit" at zero training error with a loss of at
            most 0.05 (as the paper's Figure 1(b) seems to use), "budget" never before `epochs`. Both are measured in evaluation mode on the full sample.
        crop: side in pixels, 1 .. the shorter side of the images, of the centre that the first layer cuts out before whitening; None: the whole images.
        whiten: prepare inputs by the model's first layer: images are whitened one by one, features of a table standardized over the training sample.
        precision: "float32", or "bfloat16" for the matrix products and convolutions of training and scoring.
        loss: "cross_entropy" of logits, or "squared" error of k values to the one-hot label, summed over classes.
        augmentation: random changes of the images of each step, in this order, before crop and whitening. Online figures are those of the augmented batches.
        label_smoothing: s, in [0, 1): the loss of a step is taken to (1 - s) one-hot + s / k; no other figure is.
        weight_decay_on: names of the parameters that the optimizer's weight decay acts on, as shell patterns ("full*.weight"); none: all.
        validation: share of the corrupted sample that is held out, in [0, 1), class-stratified, by the data stream. The run ends once `patience` epochs brought
            no better accuracy on it, with the weights of the best epoch. Training figures stay those of the whole sample; `stop` and times to interpolation
            those of the rest.
        patience: epochs, >= 1; without `validation` it means nothing.

    Raises:
        InvalidPart: a field is out of range, the network does not give k scores or has nothing to train, or augmentation changes the images' shape.
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
    stop: float | Literal["interpolation", "overfit", "budget"] = "interpolation"
    crop: int | None = None
    whiten: bool = True
    precision: Literal["float32", "bfloat16"] = "float32"
    loss: Literal["cross_entropy", "squared"] = "cross_entropy"
    augmentation: tuple[Augmentation, ...] = ()
    label_smoothing: float = 0.0
    weight_decay_on: tuple[str, ...] = ()
    validation: float = 0.0
    patience: int = 10

    def validate(self) -> None:
        self.require(0 < self.decay <= 1, "decay is a factor in (0, 1]", self.decay)
        self.require(self.decay_steps >= 1, "decay_steps is a whole number >= 1", self.decay_steps)
        self.require(self.batch_size is None or self.batch_size >= 1, "batch_size is a whole number >= 1, or None", self.batch_size)
        self.require(self.epochs >= 1, "epochs is a whole number >= 1", self.epochs)
        self.require(self.crop is None or self.crop >= 1, "crop is a side in pixels >= 1, or None", self.crop)
        positive = isinstance(self.stop, str) or (self.stop > 0 and math.isfinite(self.stop))
        self.require(positive, 'stop is "interpolation", "overfit", "budget" or a training loss > 0', self.stop)
        self.require(0 <= self.label_smoothing < 1, "label_smoothing is in [0, 1)", self.label_smoothing)
        self.require(0 <= self.validation < 1, "validation is a share of the training sample in [0, 1)", self.validation, "Leave examples to train on")
        self.require(self.patience >= 1, "patience is a whole number of epochs >= 1", self.patience)
        decays = not self.weight_decay_on or getattr(self.optimizer, "weight_decay", 1.0) > 0
        self.require(decays, "an optimizer with weight_decay > 0 is required for weight_decay_on", 0.0, "Set its weight_decay")

    @classmethod
    def specimens(cls) -> tuple[Training, ...]:
        small = MLP(hidden=(16,))
        full = cls(small, SGD(lr=0.05), epochs=2, batch_size=None, loss="squared")
        stopped = cls(small, SGD(lr=0.05, weight_decay=0.01), epochs=6, label_smoothing=0.1, weight_decay_on=("*.weight",), validation=0.2, patience=2)
        return (cls(small, SGD(lr=0.05), epochs=3, batch_size=32), full, stopped)

    @property
    def output(self) -> Literal["logits", "values"]:
        """What the scores are, which follows from the loss."""
        return "logits" if self.loss == "cross_entropy" else "values"

    @property
    def decaying_parameters(self) -> tuple[str, ...]:
        return self.weight_decay_on

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        return fit_network(self, train, seeds, observe, runtime)

    def build(self, train: Examples, seeds: Seeds = Seeds(), runtime: Runtime = Runtime()) -> nn.Sequential:
        """The model as training will start from it: input layer and network, tried on two examples.

        Raises:
            InvalidPart: it does not give k scores, has nothing to train, or memory cannot hold it.
            UserCodeError: it cannot be built, or its forward pass fails.
        """
        return build_model(self, train, seeds, runtime)

    def rate(self, step: int) -> float:
        """The learning rate of step 0, 1, ..."""
        return float(self.optimizer.lr * self.decay ** (step / self.decay_steps))

    def learning_rate(self, epoch: int, step: int) -> float:
        return self.rate(step)

    def input_layer(self, train: Examples) -> nn.Module:
        return preparation(train.inputs, self.whiten, self.crop)

    def input_shape(self, train: Examples) -> tuple[int, ...]:
        if self.crop is None:
            return train.shape
        fits = len(train.shape) == 3 and self.crop <= min(train.shape[1:])
        self.require(fits, f"images of at least {self.crop} x {self.crop} pixels are required for this crop", train.shape)
        return (train.shape[0], self.crop, self.crop)

    def goals(self) -> Mapping[str, float]:
        if not isinstance(self.stop, str):
            return {"train.loss": float(self.stop)}
        fitted = {"train.accuracy": 1.0} if self.stop in ("interpolation", "overfit") else {}
        return fitted | ({"train.loss": OVERFIT_LOSS} if self.stop == "overfit" else {})

    def feed_and_stopping(self, model: nn.Sequential, train: Examples, seeds: Seeds, ranks: Ranks, runtime: Runtime) -> tuple[Feed, Stopping]:
        held_out = HeldOut(train, self.validation, self.patience, seeds) if self.validation else None
        feed = MemoryFeed(
            model, self.augmentation, train, seeds, ranks.device,
            batch_size=self.batch_size, output=self.output, smoothing=self.label_smoothing, held_out=held_out,
        )  # fmt: skip
        return feed, Milestones(self.stop, self.epochs, self.decay, self.decay_steps, held_out)
