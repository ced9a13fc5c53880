"""The paper's small AlexNet."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from shatterlab.architectures._layers import SameMaxPool2d, dropping, image_shape, initialize, require_probability
from shatterlab.core import Architecture

_TUTORIAL = (("conv1", 0.05, 0.0), ("conv2", 0.05, 0.1), ("full1", 0.04, 0.1), ("full2", 0.04, 0.1), ("scores", 1 / 192, 0.0))


@dataclass(frozen=True)
class SmallAlexNet(Architecture):
    """The paper's small AlexNet: two blocks of convolution, pooling and response normalization, three linear layers.

    (5x5 convolution, ReLU, 3x3 max-pool with stride 2, `LocalResponseNorm`) twice, then 384 and 192 ReLU units and the scores; TensorFlow's SAME padding. With
    64 channels at 3x28x28 and 10 classes: 1,387,786 parameters, the published count.

    Args:
        channels: filters of both convolutions, >= 1.
        init: "tutorial" (TensorFlow's CIFAR10: normal, truncated at 2 deviations of 0.05 in the convolutions, 0.04 in the hidden and 1/192 in the last layer;
            biases 0, 0.1, 0.1, 0.1, 0), "he", "glorot", or "default" (torch's). The paper does not state its own.
        dropout: share of the activations of both hidden linear layers that is set to 0 in a step of training, in [0, 1).

    Source:
        Zhang et al. 2017, appendix A; Krizhevsky et al. 2012. The number of filters is inferred from the published count, other constants are the tutorial's.

    Example:
        >>> network = SmallAlexNet().build((3, 28, 28), 10)
        >>> sum(parameter.numel() for parameter in network.parameters())
        1387786
    """

    channels: int = 64
    init: Literal["tutorial", "he", "glorot", "default"] = "tutorial"
    dropout: float = 0.0

    @classmethod
    def specimens(cls) -> tuple[SmallAlexNet, ...]:
        return (cls(8), cls(4, init="default"), cls(4, dropout=0.5))

    def validate(self) -> None:
        self.require(self.channels >= 1, "channels is a whole number >= 1", self.channels)
        require_probability(self, self.dropout)

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        colors, height, width = image_shape(self, shape, halvings=2)
        features = self.channels * -(-height // 4) * -(-width // 4)  # ceil(ceil(s / 2) / 2) = ceil(s / 4)
        layers: list[tuple[str, nn.Module]] = []
        for block, inputs in enumerate((colors, self.channels), 1):
            layers += [
                (f"conv{block}", nn.Conv2d(inputs, self.channels, 5, padding=2)),
                (f"pool{block}", SameMaxPool2d()),
                (f"relu{block}", nn.ReLU()),  # after the pool, which it commutes with, on a quarter of the numbers
                (f"norm{block}", LocalResponseNorm(self.channels)),
            ]
        layers += [("flatten", nn.Flatten()), ("full1", nn.Linear(features, 384)), ("relu3", nn.ReLU())]
        layers += [("dropout1", layer) for layer in dropping(self.dropout)]
        layers += [("full2", nn.Linear(384, 192)), ("relu4", nn.ReLU())]
        layers += [("dropout2", layer) for layer in dropping(self.dropout)]
        layers += [("scores", nn.Linear(192, classes))]
        network = nn.Sequential(OrderedDict(layers))
        if self.init == "tutorial":
            _draw_as_tutorial(network)
        else:
            initialize(network, self.init)
        return network


class LocalResponseNorm(nn.Module):
    """Divides each activation by (1 + 0.001/9 * sum of squares over 9 neighbouring channels)^0.75.

    `functional.local_response_norm(x, 9, 0.001, 0.75, 1)`, with the sum as a 1x1 convolution by a banded matrix: faster on a CPU, and good for bfloat16.

    Source:
        Krizhevsky et al. 2012, section 3.3; constants of the TensorFlow CIFAR10 tutorial (radius 4).
    """

    band: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        positions = torch.arange(channels)
        band = ((positions[:, None] - positions).abs() <= 4) * (0.001 / 9)
        self.register_buffer("band", band[:, :, None, None], persistent=False)

    def forward(self, activations: Tensor) -> Tensor:
        """The normalized activations; n x channels x height x width."""
        # r sqrt(r) with r = s^(-1/2) is s^(-3/4), at a fraction of the cost of a general power
        root = torch.rsqrt(1 + functional.conv2d(activations.square(), self.band))
        return activations * (root * root.sqrt())


def _draw_as_tutorial(network: nn.Sequential) -> None:
    for name, deviation, bias in _TUTORIAL:
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None
        nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        nn.init.constant_(layer.bias, bias)
