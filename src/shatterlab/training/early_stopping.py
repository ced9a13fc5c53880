"""Early stopping: examples that are never trained on, and the model that did best on them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from shatterlab.core import Examples, Scalar, Seeds, stratified
from shatterlab.core.errors import InvalidPart


class HeldOut:
    """A share of the sample, by whose accuracy a run is ended.

    The sample is what the corruption left, so what is held out carries corrupted labels as well. The best epoch is the first of highest
    accuracy here; of equal ones, that of lower loss.

    Args:
        train: the sample.
        share: of it that is held out, in (0, 1).
        patience: epochs without a better one after which the run ends, >= 1.
        seeds: whose data stream says which examples.

    Raises:
        InvalidPart: the sample is too small to be parted so.
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
        self.best = (-1.0, 0.0)
        self.epoch = self.step = 0
        self.state: dict[str, Tensor] = {}

    def see(self, epoch: int, step: int, loss: float, accuracy: float, model: nn.Module) -> bool:
        """Keeps the model where it is the best so far; whether patience is out."""
        if (accuracy, -loss) > self.best:
            self.best, self.epoch, self.step = (accuracy, -loss), epoch, step
            self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return epoch - self.epoch >= self.patience

    def restore(self, model: nn.Module) -> None:
        """Gives the model the weights of the best epoch."""
        model.load_state_dict(self.state)

    def facts(self) -> dict[str, Scalar]:
        """Which epoch was the best, and how well it did."""
        accuracy, negative_loss = self.best
        return {"best_epoch": self.epoch, "best_step": self.step, "validation_accuracy": accuracy, "validation_loss": -negative_loss}
