"""A linear classifier."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from torch import nn

from shatterlab.architectures._layers import initialize
from shatterlab.core import Architecture


def linear_network(shape: tuple[int, ...], classes: int, bias: bool = True) -> nn.Sequential:
    """Flattens an input of this shape and maps it to k scores by one linear layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), classes, bias=bias))


@dataclass(frozen=True)
class Linear(Architecture):
    """One linear layer from the flattened input to the scores.

    scores = W x + b. Without bias and from zero, descent on squared loss reaches the minimum-norm interpolant. Takes images and tables.

    Args:
        bias: learn b; without it the scores are W x.
        init: "default" (torch's: uniform within 1/sqrt(d)) or "zero".

    Source:
        Zhang et al. 2017, section 5.

    Example:
        >>> network = Linear().build((3, 28, 28), 10)
        >>> sum(parameter.numel() for parameter in network.parameters())  # 2352 * 10 + 10
        23530
    """

    bias: bool = True
    init: Literal["default", "zero"] = "default"

    @classmethod
    def specimens(cls) -> tuple[Linear, ...]:
        return (cls(), cls(bias=False, init="zero"))

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        network = linear_network(shape, classes, self.bias)
        initialize(network, self.init)
        return network
