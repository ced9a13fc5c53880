"""The spectrally normalized margin of a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._fitted import device_of, evaluated, network
from shatterlab.measures._networks import affine_layers, without_preparation
from shatterlab.measures.margins import Margins


@dataclass(frozen=True)
class SpectralMargin(Measure):
    """R_A / margin, with R_A = prod_i s(A_i) (sum_i (|A_i' - M_i'|_{2,1} / s(A_i))^(2/3))^(3/2).

    s is the largest singular value of a layer, |.|_{2,1} the sum over outputs of the Euclidean norms of their weights, and M_i the layer
    at initialization. Confident answers (a large margin) of a net whose scores can change little with the input (a small R_A) are
    what the bound rewards. It holds for chains of layers; with branches the same formula is taken over all layers and bounds nothing.
    Batch norm is folded into its layer; at initialization its running variance is taken as 1.

    Args:
        quantile: which quantile of the training margins stands for the margin, in [0, 1); 0 is the smallest.

    Returns:
        `complexity` (R_A), `margin`, `ratio` (R_A / margin), `log_ratio`, and `bound_term`, |X|_F R_A / (margin n), the leading term of the
        bound on the excess error without constants and logarithms: above 1 it says nothing. X are the inputs as the first layer with weights meets them.

    Raises:
        NotApplicable: no torch module, a layer that is neither linear, convolution nor batch norm, unknown initial weights, or a margin
            that is not positive (the fit does not interpolate up to that quantile).
        InvalidPart: the quantile is out of range.

    Source:
        Bartlett, Foster, Telgarsky 2017, "Spectrally-normalized margin bounds for neural networks", equation 1.2 and theorem 1.1.
    """

    quantile: float = 0.1

    def validate(self) -> None:
        self.require(0 <= self.quantile < 1, "quantile is in [0, 1)", self.quantile)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        model = network(fit, self.kind)
        layers = affine_layers(fit, train, self.kind)
        with evaluated(model):
            margins = Margins().of(fit, train)["margins"].astype(np.float64)
        margin = float(np.quantile(margins, self.quantile))
        if not margin > 0:
            raise NotApplicable(
                f"{self.kind}: a positive margin at quantile {self.quantile:g} is required, got {margin:.3g}: the fit does not interpolate there"
            )
        spectral = np.array([layer.spectral_norm() for layer in layers])
        moved = []
        for layer in layers:
            if layer.initial is None:
                raise NotApplicable(f"{self.kind}: initial weights are required, those of {layer.name} are not known")
            moved.append(layer.row_norms(layer.weight - layer.initial).sum().item())
        log_complexity = float(np.log(spectral).sum() + 1.5 * np.log(((np.array(moved) / spectral) ** (2 / 3)).sum()))
        with np.errstate(over="ignore"):
            complexity = float(np.exp(log_complexity))
        scale = _data_norm(model, train) / len(train)
        log_ratio = log_complexity - float(np.log(margin))
        return {"complexity": complexity, "margin": margin, "ratio": complexity / margin, "log_ratio": log_ratio, "bound_term": complexity / margin * scale}


def _data_norm(model: torch.nn.Module, train: Examples) -> float:
    """|X|_F of the inputs after the layers without weights that the model begins with."""
    first, _ = without_preparation(model)
    with evaluated(model), torch.no_grad():
        squares = [first(few.to(device_of(model)).clone()).double().square().sum().item() for few in train.inputs.split(2048)]
    return math.sqrt(sum(squares))
