"""Fully connected networks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

from torch import nn

from shatterlab.architectures._layers import dropping, initialize, require_probability
from shatterlab.core import Architecture


@dataclass(frozen=True)
class MLP(Architecture):
    """A fully connected ReLU network: flatten, hidden layers, scores.

    x -> relu(W_1 x + b_1) -> ... -> W_last h + b_last. The paper's are `MLP()` and `MLP((512, 512, 512))`. Takes images and tables.

    Args:
        hidden: widths of the hidden layers, each >= 1; at least one (none is `Linear`).
        init: "default" (torch's: uniform within 1/sqrt(fan-in)), "he" or "glorot" (both with zero biases). The paper does not state its own.
        dropout: share of the activations of every hidden layer that is set to 0 in a step of training, in [0, 1).

    Source:
        Zhang et al. 2017, appendix A.

    Example:
        >>> network = MLP((512,)).build((3, 28, 28), 10)
        >>> sum(parameter.numel() for parameter in network.parameters())  # (2352 + 1) * 512 + (512 + 1) * 10
        1209866
    """

    hidden: tuple[int, ...] = (512,)
    init: Literal["default", "he", "glorot"] = "default"
    dropout: float = 0.0

    @classmethod
    def specimens(cls) -> tuple[MLP, ...]:
        return (cls((16,)), cls((8, 8), init="he"), cls((8,), dropout=0.5))

    def validate(self) -> None:
        self.require(self.hidden, "at least one hidden layer is required", self.hidden, "Use Linear for none.")
        self.require(min(self.hidden) >= 1, "hidden widths are whole numbers >= 1", self.hidden)
        require_probability(self, self.dropout)

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        widths = (prod(shape), *self.hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in, fan_out in pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU(), *dropping(self.dropout)]
        network = nn.Sequential(*layers, nn.Linear(widths[-1], classes))
        initialize(network, self.init)
        return network
