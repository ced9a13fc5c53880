"""The norm of a network that counts its paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.measures._fitted import device_of, evaluated, network
from shatterlab.measures._networks import without_preparation
from shatterlab.measures._paths import Paths


@dataclass(frozen=True)
class PathNorm(Measure):
    """Sums over all paths from an input, or from a bias, to an output: sqrt(sum_paths prod w^2) and sum_paths prod |w|.

    A path multiplies the weights it passes. If a hidden ReLU unit's incoming weights are doubled and its outgoing ones halved, the
    function stays as it is, and so do all path products: the path norm sees the function, where a norm of the weights sees how it is written. It
    costs one forward pass of one image of ones. Batch norm counts as the fixed scale and shift of evaluation mode; max-pooling passes paths
    through every input of its window; an average over m inputs has the weight 1/m on each.

    Returns:
        `l2` and `l1` (>= 0).

    Raises:
        NotApplicable: the fitted model is no torch module, or has a layer that is not positively homogeneous (response
            normalization, sigmoid, attention, say); it is named.

    Source:
        Neyshabur, Tomioka, Srebro 2015, "Norm-based capacity control in neural networks"; with branches and pools: Gonon et al. 2024,
        "A path-norm toolkit for modern networks".
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        model = network(fit, self.kind)
        preparation, rest = without_preparation(model)
        device = device_of(model)
        with evaluated(model), torch.no_grad():
            shape = tuple(preparation(train.inputs[:1].to(device).clone()).shape[1:])
            squared, absolute = (Paths(rest, power, self.kind).total(shape, device) for power in (2, 1))
        return {"l2": squared**0.5, "l1": absolute}
