"""How large a kernel's function is in the norm of its own space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable


@dataclass(frozen=True)
class RKHSNorm(Measure):
    """|f| = sqrt(sum_c W_c' K W_c) of f(x) = sum_i k(x, x_i) W_i, all classes together.

    Of an interpolant of least norm it is sqrt(y'K^-1 y), the number that kernel theory bounds the risk with. It is read off the
    fit: no Gram matrix is made.

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
