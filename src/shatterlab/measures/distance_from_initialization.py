"""How far training moved the weights of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._fitted import network


@dataclass(frozen=True)
class DistanceFromInitialization(Measure):
    """|theta - theta_0|, the Euclidean distance of the trainable parameters from where training began.

    A net that must memorize has farther to go. Unlike a norm it does not count what the initial draw put there.

    Returns:
        `distance` (>= 0), and `relative`, the distance over |theta_0| (None where that is 0).

    Raises:
        NotApplicable: the fitted model is no torch module, or its initial weights are not known.

    Source:
        Nagarajan, Kolter 2017, "Generalization in deep networks: the role of distance from initialization".
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        model = network(fit, self.kind)
        if fit.initial is None:
            raise NotApplicable(f"{self.kind}: initial weights are required, this fit has none")
        moved = begun = 0.0
        for name, value in model.named_parameters():
            if value.requires_grad:
                start = fit.initial[name].detach().cpu().double()
                moved += (value.detach().cpu().double() - start).square().sum().item()
                begun += start.square().sum().item()
        return {"distance": moved**0.5, "relative": (moved / begun) ** 0.5 if begun else None}
