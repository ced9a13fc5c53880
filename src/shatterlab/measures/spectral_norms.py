"""The product of the spectral norms of a network's layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.core import Examples, Fit, Measure
from shatterlab.measures._networks import affine_layers


@dataclass(frozen=True)
class SpectralNorms(Measure):
    """prod_i s(A_i), the product of the largest singular values of all layers.

    s(A) is the largest factor by which a layer stretches any difference of two inputs, so along a chain of layers with 1-Lipschitz
    activations the product bounds how much the scores can change with the input. A convolution counts as the whole linear map of an
    image of its real size, with its stride and zero padding, not as its small kernel. Batch norm counts as it stands in evaluation mode, folded into the
    layer it follows. Layers without parameters count as 1-Lipschitz. With branches the product still runs over all layers,
    as in the published comparisons; it then bounds nothing.

    Returns:
        `log_product` (natural), `product` (infinite beyond 1e308), `largest` (norm of a layer), `layers` (how many), and `norms`, an
        array of one a layer in order of use.

    Raises:
        NotApplicable: the fitted model is no torch module, or has a layer that is neither linear, convolution nor batch norm.

    Source:
        Jiang et al. 2020, appendix C (product of spectral norms, squared there); Sedghi, Gupta, Long 2019 for norms of the operator.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        norms = np.array([layer.spectral_norm() for layer in affine_layers(fit, train, self.kind)])
        with np.errstate(divide="ignore", over="ignore"):
            log_product = float(np.log(norms).sum())
            product = float(np.exp(log_product))
        return {"log_product": log_product, "product": product, "largest": float(norms.max()), "layers": len(norms), "norms": norms}
