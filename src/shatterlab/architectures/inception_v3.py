"""Inception v3, the network of the paper's ImageNet experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Literal

import torch  # noqa: F401 (for the example)
from torch import Tensor, nn
from torch.nn import functional

from shatterlab.architectures._layers import initialize
from shatterlab.architectures.small_inception import Concatenation, ShiftNorm2d
from shatterlab.core import Architecture
from shatterlab.core.errors import InvalidPart

_LEAST = 75  # pixels a side: below, the last grid vanishes
_AUXILIARY = 5  # side of the grid that the auxiliary classifier's convolution needs
_Kernel = int | tuple[int, int]
_Layer = tuple[int, _Kernel] | tuple[int, _Kernel, int]  # filters, kernel, stride


@dataclass(frozen=True)
class InceptionV3(Architecture):
    """Inception v3 with its auxiliary classifier: 23.8 million weights for 1,000 classes, 27.2 million with the auxiliary one.

    A stem of five convolutions and two poolings; three blocks at 35 x 35, four with 7x7 filters factorized at 17 x 17, two at 8 x 8 (of a 299 x 299 image), a
    reduction between each; global mean, dropout, one linear layer. Every convolution is without bias and followed by batch norm and ReLU;
    a mean at the border is over the places inside the image, as TensorFlow's.

    `forward` gives the scores, `with_auxiliary(images)` the auxiliary scores too, from the last 17 x 17 grid (smaller ones are pooled to 5 x 5).

    Args:
        auxiliary: with the auxiliary classifier (3,326,696 weights for 1,000 classes).
        dropout: probability that a feature is dropped before the last layer, in [0, 1); the paper keeps 0.8.
        convention: what batch norm learns: "scale_shift" (the published count, 23,834,568) or "shift" alone (TF-Slim's, 23,817,352), without the auxiliary one.
        width: factor on every number of filters, > 0; the products are rounded, to at least 1.
        init: "truncated" (normal, deviation 0.1, cut at two deviations; 0.01 and 0.001 in the last two auxiliary layers), or "he".
        norm_momentum: weight of the newest batch in the running mean and variance, in (0, 1]; TensorFlow's Inception had 0.0003.
        norm_eps: added to the variance, > 0.

    Source:
        Szegedy et al. 2015, "Rethinking the Inception architecture", table 1 and figures 5 to 8; filters as in the authors' published TensorFlow model.

    Example:
        >>> with torch.device("meta"):
        ...     network = InceptionV3(auxiliary=False).build((3, 299, 299), 1000)
        >>> sum(parameter.numel() for parameter in network.parameters())
        23834568
    """

    version: ClassVar[int] = 2  # 1 counted padded zeros in its averages

    auxiliary: bool = True
    dropout: float = 0.2
    convention: Literal["scale_shift", "shift"] = "scale_shift"
    width: float = 1.0
    init: Literal["truncated", "he"] = "truncated"
    norm_momentum: float = 0.1
    norm_eps: float = 0.001

    @classmethod
    def specimens(cls) -> tuple[InceptionV3, ...]:
        return (cls(width=0.05, init="he"), cls(auxiliary=False, width=0.05, convention="shift"))

    def validate(self) -> None:
        self.require(0 <= self.dropout < 1, "dropout is a probability in [0, 1)", self.dropout)
        self.require(isfinite(self.width) and self.width > 0, "width is a finite factor > 0", self.width)
        self.require(0 < self.norm_momentum <= 1, "norm_momentum is a weight in (0, 1]", self.norm_momentum)
        self.require(isfinite(self.norm_eps) and self.norm_eps > 0, "norm_eps is a finite number > 0", self.norm_eps)

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        if len(shape) != 3:
            raise InvalidPart(f"{self.kind}: images are required, got inputs of shape {tuple(shape)}. Use MLP or Linear for tables.")
        if min(shape[1:]) < _LEAST:
            got = f"{shape[1]}x{shape[2]}"
            raise InvalidPart(f"{self.kind}: inputs of at least {_LEAST}x{_LEAST} are required, got {got}. Use larger images or SmallInception.")
        network = Network(self, shape[0], classes)
        initialize(network, "he" if self.init == "he" else "default")
        if self.init == "truncated":
            network.truncate()
        return network


class Network(nn.Module):
    """Inception v3 as a module: `grid17` up to the last 17 x 17 grid, `grid8` from there to the features, one or two classifiers."""

    def __init__(self, plan: InceptionV3, channels: int, classes: int) -> None:
        super().__init__()
        blocks = Blocks(plan, channels)
        self.grid17 = nn.Sequential(
            *blocks.stem(),
            *(blocks.square(pooled) for pooled in (32, 64, 64)),
            blocks.side_by_side([(384, 3, 2)], [(64, 1), (96, 3), (96, 3, 2)], pool="max"),
            *(blocks.factorized(inner) for inner in (128, 160, 160, 192)),
        )
        between = blocks.channels
        seven: list[_Layer] = [(192, (1, 7)), (192, (7, 1))]
        self.grid8 = nn.Sequential(
            blocks.side_by_side([(192, 1), (320, 3, 2)], [(192, 1), *seven, (192, 3, 2)], pool="max"), *(blocks.expanded() for _ in range(2))
        )
        self.features = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(plan.dropout))
        self.scores = nn.Linear(blocks.channels, classes)
        self.auxiliary = Auxiliary(blocks, between, classes) if plan.auxiliary else None

    def forward(self, images: Tensor) -> Tensor:
        """The scores, m x k."""
        scores: Tensor = self.scores(self.features(self.grid8(self.grid17(images))))
        return scores

    def with_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The scores and those of the auxiliary classifier, None where there is none."""
        grid = self.grid17(images)
        return self.scores(self.features(self.grid8(grid))), self.auxiliary(grid) if self.auxiliary is not None else None

    def truncate(self) -> None:
        """Draws all weights from truncated normal distributions; biases become 0."""
        special = {} if self.auxiliary is None else {self.auxiliary.reduce[0]: 0.01, self.auxiliary.scores: 0.001}
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                deviation = special.get(layer, 0.1)
                nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


class Auxiliary(nn.Module):
    """The auxiliary classifier: mean-pool 5x5 with stride 3, 1x1 convolution of 128, 5x5 convolution of 768, linear."""

    def __init__(self, blocks: Blocks, channels: int, classes: int) -> None:
        super().__init__()
        narrow, wide = blocks.filters(128), blocks.filters(768)
        self.narrow = blocks.normalized(nn.Conv2d(channels, narrow, 1, bias=False))
        self.reduce = blocks.normalized(nn.Conv2d(narrow, wide, _AUXILIARY, bias=False))
        self.scores = nn.Linear(wide, classes)

    def forward(self, grid: Tensor) -> Tensor:
        """Scores from the grid, m x k."""
        roomy = min(grid.shape[-2:]) >= 17
        pooled = functional.avg_pool2d(grid, 5, stride=3) if roomy else functional.adaptive_avg_pool2d(grid, _AUXILIARY)
        scores: Tensor = self.scores(self.reduce(self.narrow(pooled)).mean((2, 3)))
        return scores


class Blocks:
    """Builds one block after the other and counts the channels."""

    def __init__(self, plan: InceptionV3, channels: int) -> None:
        self.plan, self.channels = plan, channels

    def filters(self, count: int) -> int:
        """This count of filters, scaled by the width."""
        return max(1, round(count * self.plan.width))

    def normalized(self, convolution: nn.Conv2d) -> nn.Sequential:
        """The convolution, batch norm, ReLU."""
        norm = nn.BatchNorm2d if self.plan.convention == "scale_shift" else ShiftNorm2d
        return nn.Sequential(convolution, norm(convolution.out_channels, self.plan.norm_eps, self.plan.norm_momentum), nn.ReLU())

    def stem(self) -> list[nn.Module]:
        """From the image to the 35 x 35 grid."""
        modules: list[nn.Module] = []
        for layer in ((32, 3, 2, 0), (32, 3, 1, 0), (64, 3, 1, 1), None, (80, 1, 1, 0), (192, 3, 1, 0), None):
            if layer is None:
                modules.append(nn.MaxPool2d(3, stride=2))
                continue
            outputs = self.filters(layer[0])
            modules.append(self.normalized(nn.Conv2d(self.channels, outputs, layer[1], layer[2], layer[3], bias=False)))
            self.channels = outputs
        return modules

    def square(self, pooled: int) -> nn.Module:
        """A block of 1x1, 5x5 and twice 3x3 filters beside a pooling."""
        return self.side_by_side([(64, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)], pool=pooled)

    def factorized(self, inner: int) -> nn.Module:
        """A block whose 7x7 filters are rows and columns, one after the other."""
        row: _Kernel = (1, 7)
        column: _Kernel = (7, 1)
        long: list[_Layer] = [(inner, 1), (inner, column), (inner, row), (inner, column), (192, row)]
        return self.side_by_side([(192, 1)], [(inner, 1), (inner, row), (192, column)], long, pool=192)

    def expanded(self) -> nn.Module:
        """A block whose 3x3 filters split into rows and columns, side by side."""
        before = self.channels
        branches = [self._chain(before, [(320, 1)]), self._split(before, [(384, 1)]), self._split(before, [(448, 1), (384, 3)]), self._pooled(before, 192)]
        self.channels = self.filters(320) + 4 * self.filters(384) + self.filters(192)
        return Concatenation(branches)

    def side_by_side(self, *chains: Sequence[_Layer], pool: int | Literal["max"]) -> nn.Module:
        """Chains of convolutions and a pooling, concatenated: "max" halves the grid, a number is followed by so many 1x1 filters."""
        before = self.channels
        branches: list[nn.Module] = [self._chain(before, chain) for chain in chains]
        branches.append(nn.MaxPool2d(3, stride=2) if pool == "max" else self._pooled(before, pool))
        self.channels = sum(self.filters(chain[-1][0]) for chain in chains) + (before if pool == "max" else self.filters(pool))
        return Concatenation(branches)

    def _chain(self, channels: int, layers: Sequence[_Layer]) -> nn.Sequential:
        convolutions: list[nn.Module] = []
        for outputs, kernel, *stride in layers:
            sides = (kernel, kernel) if isinstance(kernel, int) else kernel
            step = stride[0] if stride else 1
            padding = (0, 0) if step == 2 else (sides[0] // 2, sides[1] // 2)
            convolutions.append(self.normalized(nn.Conv2d(channels, self.filters(outputs), sides, step, padding, bias=False)))
            channels = self.filters(outputs)
        return nn.Sequential(*convolutions)

    def _split(self, channels: int, layers: Sequence[_Layer]) -> nn.Sequential:
        last = self.filters(layers[-1][0])
        ends = Concatenation([self._chain(last, [(384, (1, 3))]), self._chain(last, [(384, (3, 1))])])
        return nn.Sequential(*self._chain(channels, layers), ends)

    def _pooled(self, channels: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), *self._chain(channels, [(outputs, 1)]))
