"""How much the gradients of single examples differ from their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.measures._curvature import TrainingLoss


@dataclass(frozen=True)
class GradientNoiseScale(Measure):
    """B = tr S / |G|^2: the batch size below which a step follows noise more than the mean gradient G.

    S is the covariance of the gradients of single examples (divisor n - 1). The variance between the means of batches of b examples, times b,
    estimates it without bias, and is it exactly at b = 1. Where a fit interpolates, G is near 0 and the ratio large; both parts are given.

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
