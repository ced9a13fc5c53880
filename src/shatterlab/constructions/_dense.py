"""Dense ReLU networks with given weights, and what is counted of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Matrix = NDArray[np.float64]

_ROWS = 2048  # points evaluated at a time


def dense(layers: Sequence[tuple[Matrix, Matrix | None]]) -> nn.Sequential:
    """Linear maps with ReLU between them, in float64; no random number is drawn.

    Args:
        layers: weights (out x in) and biases (out, or None for a map without) of each.
    """
    modules: list[nn.Module] = []
    for weights, biases in layers:
        linear = nn.utils.skip_init(nn.Linear, weights.shape[1], weights.shape[0], bias=biases is not None, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights)))
            if biases is not None:
                linear.bias.copy_(torch.from_numpy(np.ascontiguousarray(biases)))
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def evaluated(network: nn.Module, z: Any) -> Tensor:
    """The network's values at n x d points (or images, flattened), n x k, float64, some rows at a time."""
    inputs = torch.as_tensor(z).flatten(1)
    with torch.no_grad():
        return torch.cat([network(some.double()) for some in inputs.split(_ROWS)])


def dense_facts(network: nn.Sequential, z: Any, y: Any) -> dict[str, int | float]:
    """The size of a dense network and how well it takes the labels.

    Args:
        network: linear maps with ReLU between them.
        z: n x d points.
        y: n or n x k labels.

    Returns:
        `weights` (all numbers in it, biases included), `distinct_weights` (how many of these differ), `neurons` (hidden ReLUs),
        `width` (of the widest hidden layer), `depth` (linear maps), `largest_weight`, `bits` (that its weights take as they are
        stored) and `float64_error`, the largest difference from a label in plain float64.
    """
    numbers = torch.cat([each.detach().flatten() for each in network.parameters()])
    hidden = [each.out_features for each in network if isinstance(each, nn.Linear)][:-1]
    targets = torch.as_tensor(y).double().reshape(len(y), -1)
    return {
        "weights": numbers.numel(),
        "distinct_weights": len(numbers.unique()),
        "neurons": sum(hidden),
        "width": max(hidden),
        "depth": len(hidden) + 1,
        "largest_weight": numbers.abs().max().item(),
        "bits": 8 * numbers.numel() * numbers.element_size(),
        "float64_error": (evaluated(network, z) - targets).abs().max().item(),
    }
