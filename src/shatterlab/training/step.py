"""What one step of training is fed, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Drawn

_ROUNDING = 1e-4  # of a loss computed twice, in float32 and in float64


@dataclass(frozen=True)
class Read:
    """This process's share of a streamed batch, on its way to the device.

    Args:
        positions: in the training split.
        size: of the whole batch.
        inputs: in 8 bits, or float32 in [0, 1].
        labels: of these positions.
        drawn: what each augmentation drew for them.
        cut: the first augmentation's windows were cut while the photos were decoded.
    """

    positions: Tensor
    size: int
    inputs: Tensor
    labels: Tensor
    drawn: tuple[Drawn, ...]
    cut: bool


@dataclass(frozen=True)
class Step:
    """What one step is fed.

    Args:
        positions: in the training split.
        inputs: as the network takes them.
        labels: that count as hits.
        targets: of the loss: labels, or a distribution for each example.
        weight: times the loss, that is the sum of losses over this process's share of the batch.
        share: times the loss, that is what this process differentiates.
        read: as the examples were read, where they were streamed.
        scores: of the network for these inputs, once the step is done.
        loss: that came of them, likewise.
    """

    positions: Tensor
    inputs: Tensor
    labels: Tensor
    targets: Tensor
    weight: int = 1
    share: float = 1.0
    read: Read | None = None
    scores: Tensor | None = None
    loss: Tensor | None = None

    def loss_is_of_targets(self, output: str, smoothing: float) -> bool:
        """Whether the loss, summed over the examples, is that of the scores and targets by the formula written out; true where it is not finite or not known.

        Args:
            output: what the scores are, "logits" or "values".
            smoothing: label smoothing that the loss does, not the targets.
        """
        if self.scores is None or self.loss is None or not self.loss.isfinite():
            return True
        k, scores = self.scores.shape[1], self.scores.double()
        soft = self.targets.double() if self.targets.is_floating_point() else functional.one_hot(self.targets, k).double()
        soft = soft * (1 - smoothing) + smoothing / k
        losses = -(soft * scores.log_softmax(1)).sum(1) if output == "logits" else (scores - soft).square().sum(1)
        return torch.isclose(losses.sum(), self.loss.double() * self.weight, rtol=_ROUNDING, atol=_ROUNDING).item() is True
