"""How many directions the layers of a network use: Frobenius over spectral norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._networks import affine_layers


@dataclass(frozen=True)
class FrobeniusOverSpectral(Measure):
    """sum_i |A_i|_F^2 / s(A_i)^2, the sum over layers of their stable ranks.

    The stable rank of a layer lies between 1 (it stretches one direction only) and its rank (all alike). Both norms are of the
    layer as a linear map of inputs of their real size, convolutions included, batch norm folded in.

    Returns:
        `sum` and `mean` over layers, `log_product_frobenius` (the natural logarithm of prod_i |A_i|_F), and `stable_ranks`, an array of
        one a layer in order of use, each >= 1.

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
