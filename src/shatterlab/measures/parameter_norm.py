"""How large the weights of a network are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shatterlab.core import Examples, Fit, Measure
from shatterlab.measures._fitted import network


@dataclass(frozen=True)
class ParameterNorm(Measure):
    """|theta|, the Euclidean length of all trainable parameters, biases and normalization included.

    Weight decay shrinks it, and for linear models it bounds the Rademacher complexity. Of a ReLU net it means less: the same function has
    any norm above some least one, since a layer may be doubled where the next is halved (`PathNorm` is blind to that).

    Returns:
        `norm` (>= 0) and `squared`.

    Raises:
        NotApplicable: the fitted model is no torch module.

    Source:
        Jiang et al. 2020, "Fantastic generalization measures and where to find them", appendix C (parameter norm).
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        model = network(fit, self.kind)
        squared = sum(value.detach().double().square().sum().item() for value in model.parameters() if value.requires_grad)
        return {"norm": squared**0.5, "squared": squared}
