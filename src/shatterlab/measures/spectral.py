"""Spectral norms of the layers of a network, and the spectrally normalized margin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._fitted import device_of, evaluated, network, without_preparation
from shatterlab.measures._layers import affine_layers, layers_and_pools
from shatterlab.measures.margins import Margins


@dataclass(frozen=True)
class SpectralNorms(Measure):
    """prod_i rho_i s(A_i), the product of the largest singular values of all layers and of the Lipschitz constants of all pools.

    Along a chain of layers with 1-Lipschitz activations it bounds how much the scores can change with the input; with branches it bounds nothing. A convolution
    counts as the whole linear map of an image of its real size; batch norm in evaluation mode is folded into the layer that it follows. A max pool counts the
    root of the largest number of its windows that share an input: 2 for 3 x 3 windows with stride 2, 1 where windows do not overlap.

    Returns:
        `log_product` (natural), `product` (infinite beyond 1e308), `largest` (norm of a layer), `layers` (how many), `norms` (an array in order of use) and
        `pools` (the product of the constants of the pools, >= 1).

    Raises:
        NotApplicable: the fitted model is no torch module, or has a layer that is neither linear, convolution nor batch norm.

    Source:
        Jiang et al. 2020, appendix C (product of spectral norms, squared there); Sedghi, Gupta, Long 2019 for norms of the operator.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        layers, pools = layers_and_pools(fit, train, self.kind)
        norms = np.array([layer.spectral_norm() for layer in layers])
        with np.errstate(divide="ignore", over="ignore"):
            log_product = float(np.log(norms).sum() + np.log(pools))
            product = float(np.exp(log_product))
        return {"log_product": log_product, "product": product, "largest": float(norms.max()), "layers": len(norms), "norms": norms, "pools": pools}


@dataclass(frozen=True)
class FrobeniusOverSpectral(Measure):
    """sum_i |A_i|_F^2 / s(A_i)^2, the sum over layers of their stable ranks.

    The stable rank of a layer lies between 1 (it stretches one direction only) and its rank (all alike); layers count as in `SpectralNorms`.

    Returns:
        `sum` and `mean` over layers, `log_product_frobenius` (ln prod_i |A_i|_F), and `stable_ranks`, an array of one a layer in order of use, each >= 1.

    Raises:
        NotApplicable: the fitted model is no torch module, has a layer that is neither linear, convolution nor batch norm, or one that is 0.

    Source:
        Jiang et al. 2020, appendix C (Frobenius over spectral norm); Neyshabur, Bhojanapalli, Srebro 2018.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        layers = affine_layers(fit, train, self.kind)
        frobenius = np.array([layer.frobenius_norm() for layer in layers])
        if not frobenius.all():
            raise NotApplicable(f"{self.kind}: layers other than 0 are required, all weights of {layers[int(frobenius.argmin())].name} are 0")
        ranks = (frobenius / [layer.spectral_norm() for layer in layers]) ** 2
        return {"sum": float(ranks.sum()), "mean": float(ranks.mean()), "log_product_frobenius": float(np.log(frobenius).sum()), "stable_ranks": ranks}


@dataclass(frozen=True)
class SpectralMargin(Measure):
    """R_A / margin, with R_A = prod_i rho_i s(A_i) (sum_i (|A_i' - M_i'|_{2,1} / s(A_i))^(2/3))^(3/2).

    s is the largest singular value of a layer, rho the Lipschitz constant of the pools after it, as in `SpectralNorms`, |.|_{2,1} the sum over outputs of the
    norms of their weights, M_i the layer at initialization (batch norm folded in, with running variance 1). It holds for chains of layers; with branches the
    formula bounds nothing.

    Args:
        quantile: which quantile of the training margins stands for the margin, in [0, 1); 0 is the smallest.

    Returns:
        `complexity` (R_A), `margin`, `ratio` (R_A / margin), `log_ratio`, and `bound_term`, |X|_F R_A / (margin n), the leading term of the bound on the excess
        error; X are the inputs of the first layer with weights.

    Raises:
        NotApplicable: no torch module, a layer that is neither linear, convolution nor batch norm, unknown initial weights, or a margin that is not positive.

    Source:
        Bartlett, Foster, Telgarsky 2017, "Spectrally-normalized margin bounds for neural networks", equation 1.2 and theorem 1.1.
    """

    quantile: float = 0.1

    def validate(self) -> None:
        self.require(0 <= self.quantile < 1, "quantile is in [0, 1)", self.quantile)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        model = network(fit, self.kind)
        layers, pools = layers_and_pools(fit, train, self.kind)
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
        log_complexity = float(np.log(spectral).sum() + np.log(pools) + 1.5 * np.log(((np.array(moved) / spectral) ** (2 / 3)).sum()))
        with np.errstate(over="ignore"):
            complexity = float(np.exp(log_complexity))
        first, _ = without_preparation(model)
        with evaluated(model), torch.no_grad():
            squares = [first(batch.to(device_of(model)).clone()).double().square().sum().item() for batch in train.inputs.split(2048)]
        scale = math.sqrt(sum(squares)) / len(train)
        log_ratio = log_complexity - float(np.log(margin))
        return {"complexity": complexity, "margin": margin, "ratio": complexity / margin, "log_ratio": log_ratio, "bound_term": complexity / margin * scale}
