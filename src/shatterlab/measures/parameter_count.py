"""How many numbers a model can adjust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable


@dataclass(frozen=True)
class ParameterCount(Measure):
    """p, the number of trainable parameters, and p / n.

    The classical count of degrees of freedom. In the paper every net has p > n, on true and on random labels alike,
    so the count cannot tell the net that generalizes from the one that memorizes.

    Returns:
        `count` (p, >= 0) and `per_example` (p / n).

    Raises:
        NotApplicable: the fitted model is no torch module.

    Source:
        Zhang et al. 2017, Table 1.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        if not isinstance(fit.model, nn.Module):
            raise NotApplicable(f"ParameterCount: a torch module is required, got {type(fit.model).__name__}")
        count = sum(value.numel() for value in fit.model.parameters() if value.requires_grad)
        return {"count": count, "per_example": count / len(train)}
