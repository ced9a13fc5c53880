"""The curvature of the training loss, summed over all directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.measures._curvature import TrainingLoss, flat, require_examples


@dataclass(frozen=True)
class HessianTrace(Measure):
    """tr H of the mean training loss, estimated without bias by v'Hv for random signs v.

    E v'Hv = tr H, with variance 2 (|H|_F^2 - sum_i H_ii^2) a probe. Noise of small variance s^2 on every parameter raises the loss by
    s^2 / 2 tr H on average: the trace is what flatness means to second order.

    Args:
        probes: sign vectors, >= 2; each costs about four passes over the examples.
        examples: how many training examples, evenly spread, make up the loss, >= 1; None: all.
        seed: of the sign vectors, >= 0.

    Returns:
        `trace`, its `standard_error`, and `mean`, the trace over p: the mean eigenvalue.

    Raises:
        NotApplicable: the fitted model is no torch module.
        InvalidPart: a field is out of range.

    Source:
        Hutchinson 1989, "A stochastic estimator of the trace".
    """

    probes: int = 20
    examples: int | None = None
    seed: int = 0

    def validate(self) -> None:
        self.require(self.probes >= 2, "probes is a whole number >= 2", self.probes)
        self.require(self.seed >= 0, "seed is a whole number >= 0", self.seed)
        require_examples(self, self.examples)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind, self.examples)
        rng = np.random.default_rng(self.seed)
        found = []
        for _ in range(self.probes):
            signs = torch.from_numpy(rng.choice([-1.0, 1.0], size=loss.count))
            found.append(float(signs @ flat(loss.hessian_times(loss.shaped(signs)))))
        trace = float(np.mean(found))
        return {"trace": trace, "standard_error": float(np.std(found, ddof=1)) / self.probes**0.5, "mean": trace / loss.count}
