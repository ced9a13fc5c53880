"""What every gradient training says of itself: its fields, its schedule, how it is fed and when it ends."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from shatterlab.core import Architecture, Augmentation, Examples, Learner, Optimizer, Runtime, Seeds
from shatterlab.training.distributed import Ranks
from shatterlab.training.feeds import Feed
from shatterlab.training.stopping import Stopping


@dataclass(frozen=True)
class GradientTraining(Learner):
    """Minimizes the training loss of a network by gradient steps; a subclass says how batches are fed and when training ends.

    Args:
        architecture: the network.
        optimizer: the rule of a step and the initial learning rate.
        decay: factor on the learning rate, in (0, 1]; the subclass says how often it applies.
        batch_size: examples a step; None takes the full sample.
        epochs: the budget, >= 1.
        augmentation: random changes of the training images, applied in this order.
        precision: number format of the products of training and scoring.
    """

    architecture: Architecture
    optimizer: Optimizer
    decay: float = 1.0
    batch_size: int | None = 128
    epochs: int = 100
    augmentation: tuple[Augmentation, ...] = ()
    precision: Literal["float32", "bfloat16", "float16"] = "float32"

    stores_checkpoints: ClassVar[bool] = True
    distributed: ClassVar[bool] = False  # whether the processes that torchrun starts train one model

    @property
    def output(self) -> Literal["logits", "values"]:
        """What the scores are."""
        return "logits"

    @property
    def auxiliary_weight(self) -> float:
        """Weight of the loss of a network's auxiliary scores; 0 leaves them out."""
        return 0.0

    @property
    def decaying_parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the optimizer's weight decay acts on, as shell patterns; none: all."""
        return ()

    @abstractmethod
    def learning_rate(self, epoch: int, step: int) -> float:
        """The learning rate of epoch 1, 2, ... and step 0, 1, ..."""

    @abstractmethod
    def input_layer(self, train: Examples) -> nn.Module:
        """The first layer of the model, from inputs as the sample has them to inputs of the network."""

    @abstractmethod
    def feed_and_stopping(self, model: nn.Sequential, train: Examples, seeds: Seeds, ranks: Ranks, runtime: Runtime) -> tuple[Feed, Stopping]:
        """What makes the batches of each epoch, and what decides after each epoch whether training ends."""

    def input_shape(self, train: Examples) -> tuple[int, ...]:
        """Shape of one input of the network."""
        return train.shape

    def is_measured(self, epoch: int) -> bool:
        """Whether the training split is measured in evaluation mode after this epoch."""
        return True
