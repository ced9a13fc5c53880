"""Training by batches that are read as they are needed: ImageNet's size, several devices, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Literal

from torch import nn

from shatterlab.architectures.small_inception import SmallInception
from shatterlab.core import Architecture, Augmentation, Examples, Fit, Observer, Optimizer, Runtime, Seeds
from shatterlab.optimizers.descent import RMSProp
from shatterlab.training.distributed import Ranks
from shatterlab.training.feeds import Feed, StreamFeed
from shatterlab.training.fit import build_model, fit_network
from shatterlab.training.preprocessing import Symmetric
from shatterlab.training.recipe import GradientTraining
from shatterlab.training.stopping import AccuracyGoal, Stopping


@dataclass(frozen=True)
class StreamedTraining(GradientTraining):
    """Minimizes the training loss of a network over batches that are read as they are needed: the recipe of the paper's ImageNet runs.

    The learning rate of epoch e is lr * decay^floor((e - 1) / decay_epochs). Inputs in [0, 1] are scaled to [-1, 1] by the model's first layer. The loss is the
    cross-entropy to smoothed labels, plus `auxiliary` times that of the auxiliary scores where a network has them. A run stopped anywhere goes on from its
    checkpoint (`Runtime.checkpoints`) to the same weights, on a processor bit for bit.

    Started by torchrun, all processes train one model on shares of every batch; but for dropout, losses are those of a single process up to rounding.

    Args:
        architecture: the network; its `with_auxiliary` is used where it has one.
        optimizer: the rule of a step and the initial learning rate. TensorFlow's RMSProp adds eps inside the root, torch's outside.
        decay: factor on the learning rate every `decay_epochs` epochs, in (0, 1].
        decay_epochs: epochs, >= 1.
        batch_size: examples a step over all processes, >= 2. A last batch of less than half the size joins the one before.
        epochs: the budget, >= 1.
        stop: training accuracy in evaluation mode, in (0, 1], at which it ends; None: at `epochs`.
        check_every: epochs between measurements of the training split in evaluation mode, >= 1; the last epoch is always measured.
        smoothing: share of each label spread evenly over the classes, in [0, 1).
        auxiliary: weight of the auxiliary loss, >= 0.
        augmentation: random changes of the training images, applied in this order.
        precision: "float32"; "bfloat16" or "float16" for the products of training and scoring (float16 with scaled gradients).

    Raises:
        InvalidPart: a field is out of range, the network does not give k scores, or there are too many processes for the batch.
        UserCodeError: the network fails in its forward pass.

    Source:
        Zhang et al. 2017, appendix A, which reuses TensorFlow's Inception; Szegedy et al. 2015, "Rethinking the Inception architecture".
    """

    architecture: Architecture
    optimizer: Optimizer = RMSProp(lr=0.045, alpha=0.9, momentum=0.9, eps=1.0)
    decay: float = 0.94
    decay_epochs: int = 2
    batch_size: int = 32
    epochs: int = 100
    stop: float | None = None
    check_every: int = 1
    smoothing: float = 0.0
    auxiliary: float = 0.4
    augmentation: tuple[Augmentation, ...] = ()
    precision: Literal["float32", "bfloat16", "float16"] = "float32"

    distributed: ClassVar[bool] = True

    def validate(self) -> None:
        self.require(0 < self.decay <= 1, "decay is a factor in (0, 1]", self.decay)
        for name, least in (("decay_epochs", 1), ("batch_size", 2), ("epochs", 1), ("check_every", 1)):
            self.require(getattr(self, name) >= least, f"{name} is a whole number >= {least}", getattr(self, name))
        self.require(self.stop is None or 0 < self.stop <= 1, "stop is a training accuracy in (0, 1], or None", self.stop)
        self.require(0 <= self.smoothing < 1, "smoothing is a share in [0, 1)", self.smoothing)
        self.require(isfinite(self.auxiliary) and self.auxiliary >= 0, "auxiliary is a finite weight >= 0", self.auxiliary)

    @classmethod
    def specimens(cls) -> tuple[StreamedTraining, ...]:
        return (cls(SmallInception(width=0.04), RMSProp(lr=0.01, eps=1.0), epochs=2, batch_size=30, smoothing=0.1),)

    @property
    def auxiliary_weight(self) -> float:
        return self.auxiliary

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        return fit_network(self, train, seeds, observe, runtime)

    def build(self, train: Examples, seeds: Seeds = Seeds(), runtime: Runtime = Runtime()) -> nn.Sequential:
        """The model as training will start from it: scaling and network, tried on two examples.

        Raises:
            InvalidPart: it does not give k scores, has nothing to train, or memory cannot hold it.
            UserCodeError: it cannot be built, or its forward pass fails.
        """
        return build_model(self, train, seeds, runtime)

    def rate(self, epoch: int) -> float:
        """The learning rate of epoch 1, 2, ..."""
        return float(self.optimizer.lr * self.decay ** ((epoch - 1) // self.decay_epochs))

    def learning_rate(self, epoch: int, step: int) -> float:
        return self.rate(epoch)

    def input_layer(self, train: Examples) -> nn.Module:
        return Symmetric()

    def is_measured(self, epoch: int) -> bool:
        return epoch % self.check_every == 0 or epoch >= self.epochs

    def goals(self) -> Mapping[str, float]:
        return {} if self.stop is None else {"train.accuracy": self.stop}

    def feed_and_stopping(self, model: nn.Sequential, train: Examples, seeds: Seeds, ranks: Ranks, runtime: Runtime) -> tuple[Feed, Stopping]:
        readers = runtime.readers or runtime.threads
        feed = StreamFeed(model, self.augmentation, train, seeds, ranks, batch_size=self.batch_size, smoothing=self.smoothing, readers=readers)
        return feed, AccuracyGoal(self.stop, self.epochs)
