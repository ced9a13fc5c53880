"""How large a fitted function is: norm of the weights, distance from initialization, RKHS norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._fitted import network


@dataclass(frozen=True)
class ParameterNorm(Measure):
    """|theta|, the Euclidean length of all trainable parameters, biases and normalization included.

    Weight decay shrinks it, and for linear models it bounds the Rademacher complexity. For a ReLU net it means less: the same function has
    any norm above a minimum, since a layer may be doubled where the next is halved (`PathNorm` does not change then).

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


@dataclass(frozen=True)
class DistanceFromInitialization(Measure):
    """|theta - theta_0|, the Euclidean distance of the trainable parameters from their initial values.

    A network that must memorize moves farther. Unlike a norm it does not count the initial draw.

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


@dataclass(frozen=True)
class RKHSNorm(Measure):
    """|f| = sqrt(sum_c W_c' K W_c) of f(x) = sum_i k(x, x_i) W_i, all classes together.

    For the minimum-norm interpolant it is sqrt(y'K^-1 y), the number that kernel theory bounds the risk with. It is read from the
    fit: no Gram matrix is formed.

    Returns:
        `norm`; `complexity`, sqrt(|f|^2 / n), which interpolants of labels that the kernel finds simple keep small; `largest_class`, the largest
        norm of one class's function; `norm_over_margin`, norm over the least training margin (None where the fit does not
        interpolate with a positive margin).

    Raises:
        NotApplicable: the fitted model is no kernel expansion.

    Source:
        Aronszajn 1950; as a measure of a fit: Belkin, Ma, Mandal 2018; Zhang et al. 2017, section 5.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        weights, fitted = (getattr(fit.model, name, None) for name in ("weights", "fitted"))
        if not isinstance(weights, torch.Tensor) or not isinstance(fitted, torch.Tensor):
            raise NotApplicable(f"{self.kind}: a kernel expansion is required, got {type(fit.model).__name__}. Fit KernelInterpolation")
        squares = (weights.double() * fitted.double()).sum(0).cpu()
        norm = squares.sum().clamp(min=0).sqrt().item()
        scores, label = fitted.double().cpu(), train.labels[:, None]
        margin = (scores.gather(1, label) - scores.scatter(1, label, -torch.inf).amax(1, keepdim=True)).min().item()
        return {
            "norm": norm,
            "complexity": norm / len(train) ** 0.5,
            "largest_class": squares.max().clamp(min=0).sqrt().item(),
            "norm_over_margin": norm / margin if margin > 0 else None,
        }
