"""Gradients at the fitted weights: the noise of single examples, the Fisher-Rao norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._training_loss import TrainingLoss


@dataclass(frozen=True)
class GradientNoiseScale(Measure):
    """B = tr S / |G|^2: the batch size below which a step follows noise more than the mean gradient G.

    S is the covariance of the gradients of single examples (divisor n - 1). The variance between the means of batches of b examples, times b,
    estimates it without bias, and is exact at b = 1. Where a fit interpolates, G is near 0 and the ratio large; so both parts are columns.

    Args:
        batch_size: b, >= 1: one pass backward a batch; 1 is exact and slowest.
        seed: of the partition into batches, >= 0.

    Returns:
        `noise_scale` (examples; infinite where G is 0), `trace_of_covariance`, `squared_gradient` (|G|^2 of the full sample).

    Raises:
        NotApplicable: the fitted model is no torch module.
        InvalidPart: a field is out of range.

    Source:
        McCandlish et al. 2018, "An empirical model of large-batch training", equation 2.9 (the simple noise scale).
    """

    batch_size: int = 1
    seed: int = 0

    def validate(self) -> None:
        self.require(self.batch_size >= 1, "batch_size is a whole number >= 1", self.batch_size)
        self.require(self.seed >= 0, "seed is a whole number >= 0", self.seed)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind)
        n = len(train)
        batch = min(self.batch_size, -(-n // 2))  # at least two batches
        order = torch.randperm(n, generator=torch.Generator().manual_seed(self.seed)) if batch > 1 else None
        mean = torch.zeros(loss.count, dtype=torch.float64)
        squares, batches = 0.0, 0
        for inputs, labels in loss.batches(batch, order):
            gradient = loss.gradient(inputs, labels)
            squares += len(labels) * float(gradient @ gradient)
            mean += gradient * (len(labels) / n)
            batches += 1
        squared = float(mean @ mean)
        covariance = max(squares - n * squared, 0.0) / (batches - 1) if batches > 1 else 0.0
        return {"noise_scale": covariance / squared if squared else float("inf"), "trace_of_covariance": covariance, "squared_gradient": squared}


@dataclass(frozen=True)
class FisherRao(Measure):
    """sqrt(theta' F theta), with F the Fisher information of the model's own predictions on the training inputs.

    theta' F theta = mean over x of E_y (theta . gradient of loss(x, y))^2: how much the answers change when all weights grow
    together, so it does not depend on how a function is written. Labels y are the model's own: drawn from the softmax of logits, or
    Gaussian around values (variance 1/2, of which squared error is -log p); `empirical` takes the training labels instead. The change
    of the scores along theta costs three passes: of a ReLU net without biases and with L layers it is L times the scores.

    Returns:
        `norm`, `squared`, and `empirical` (the root, with the training labels).

    Raises:
        NotApplicable: the fitted model is no torch module, or its scores are probabilities.

    Source:
        Liang, Poggio, Rakhlin, Stokes 2019, "Fisher-Rao metric, geometry, and complexity of neural networks", definition 2 and theorem 3.1.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        if fit.output == "probabilities":
            raise NotApplicable(f"{self.kind}: logits or values are required, this fit gives probabilities")
        loss = TrainingLoss(fit, train, self.kind)
        model = empirical = 0.0
        for inputs, labels in loss.batches():
            scores, change = _along_the_weights(loss, inputs)
            if fit.output == "logits":
                shares = scores.softmax(1)
                centred = change - (shares * change).sum(1, keepdim=True)
                model += float((shares * centred.square()).sum())
                empirical += float(centred.gather(1, labels[:, None]).square().sum())
            else:
                gaps = scores - functional.one_hot(labels, scores.shape[1])
                model += 2 * float(change.square().sum())
                empirical += 4 * float((change * gaps).sum(1).square().sum())
        n = len(train)
        return {"norm": (model / n) ** 0.5, "squared": model / n, "empirical": (empirical / n) ** 0.5}


def _along_the_weights(loss: TrainingLoss, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The scores, and J theta: d/dt of the scores at parameters (1 + t) theta, t = 0, as the derivative of theta'J'u by u."""
    held = tuple(value.detach().requires_grad_() for value in loss.parameters)
    with torch.enable_grad():
        scores = loss.scores(held, inputs)
        weights = torch.zeros_like(scores, requires_grad=True)
        slopes = torch.autograd.grad(scores, held, weights, create_graph=True, materialize_grads=True)
        along = sum(((slope * value).sum() for slope, value in zip(slopes, loss.parameters, strict=True)), torch.zeros((), device=scores.device))
        [change] = torch.autograd.grad(along, weights)
    return scores.detach().double(), change.double()
