"""The paper's small Inception."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal

import torch
from torch import Tensor, nn

from shatterlab.architectures._layers import SameConv2d, SameMaxPool2d, dropping, image_shape, initialize, require_probability
from shatterlab.core import Architecture

_BLOCKS: tuple[int | tuple[int, int], ...] = ((32, 32), (32, 48), 80, (112, 48), (96, 64), (80, 80), (48, 96), 96, (176, 160), (176, 160))


@dataclass(frozen=True)
class SmallInception(Architecture):
    """The paper's small Inception: ten concatenating blocks, two of which halve the image, and a global mean.

    A convolution of 96 filters; Inception 32+32, 32+48; downsample 80; Inception 112+48, 96+64, 80+80, 48+96; downsample 96; Inception 176+160 twice; mean over
    all positions; one linear layer. Inception a+b concatenates a 1x1 and b 3x3 convolutions, downsample c concatenates c 3x3 convolutions and a 3x3 max-pool,
    both with stride 2; batch norm and ReLU follow each convolution. The published count at 3x28x28 and 10 classes is 1,649,402 with and without batch norm.

    Args:
        batch_norm: normalize after each convolution.
        convention: what a filter learns beside its kernel: "shift" (TF-Slim's default of 2016: batch norm's shift, or a bias without batch norm; 1,649,402
            numbers in all), "bias" (of the convolution: 1,649,402); with batch norm also "scale_shift" (1,651,114) and "scale_shift_bias" (1,652,826); "none"
            (1,647,690).
        width: factor on every number of filters, > 0; the products are rounded, to at least 1.
        padding: with stride 2: "symmetric" pads one pixel at each border, as torch does; "tensorflow" an even side at its end only, as the original must have.
        init: "glorot" (TF-Slim's default) or "he", with zero biases, or "default" (torch's: without batch norm the loss stays at ln k). The paper states none.
        norm_momentum: weight of the newest batch in the running mean and variance, in (0, 1]; the paper states none (TensorFlow's 0.0003 would be slow).
        norm_eps: added to the variance, > 0; the paper does not state its own (TensorFlow: 0.001).
        dropout: share of the means over all positions that is set to 0 in a step of training, in [0, 1).

    Source:
        Zhang et al. 2017, appendix A, figure 3; Ioffe and Szegedy 2015 (batch norm). The conventions are inferred from the published counts.

    Example:
        >>> network = SmallInception().build((3, 28, 28), 10)
        >>> sum(parameter.numel() for parameter in network.parameters())
        1649402
    """

    batch_norm: bool = True
    convention: Literal["shift", "bias", "scale_shift", "scale_shift_bias", "none"] = "shift"
    width: float = 1.0
    padding: Literal["symmetric", "tensorflow"] = "symmetric"
    init: Literal["glorot", "he", "default"] = "glorot"
    norm_momentum: float = 0.1
    norm_eps: float = 1e-5
    dropout: float = 0.0

    @classmethod
    def specimens(cls) -> tuple[SmallInception, ...]:
        small = cls(width=0.1)
        return (small, replace(small, batch_norm=False, dropout=0.2), replace(small, convention="scale_shift", padding="tensorflow"))

    def validate(self) -> None:
        self.require(isfinite(self.width) and self.width > 0, "width is a finite factor > 0", self.width)
        self.require(0 < self.norm_momentum <= 1, "norm_momentum is a weight in (0, 1]", self.norm_momentum)
        self.require(isfinite(self.norm_eps) and self.norm_eps > 0, "norm_eps is a finite number > 0", self.norm_eps)
        require_probability(self, self.dropout)
        required = "convention without batch norm is 'shift', 'bias' or 'none'"
        possible = self.batch_norm or not self.convention.startswith("scale")
        self.require(possible, required, self.convention, "Only batch norm has a scale.")

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        inputs, _, _ = image_shape(self, shape, halvings=2)
        filters = self._filters(96)
        layers: list[tuple[str, nn.Module]] = [("stem", self._convolution(inputs, filters, 3))]
        for number, block in enumerate(_BLOCKS, 2):
            if isinstance(block, tuple):
                narrow, wide = self._filters(block[0]), self._filters(block[1])
                branches = [self._convolution(filters, narrow, 1), self._convolution(filters, wide, 3)]
                layers.append((f"inception{number}", Concatenation(branches)))
                filters = narrow + wide
            else:
                added = self._filters(block)
                layers.append((f"downsample{number}", Concatenation([self._halving(filters, added), self._pool()])))
                filters += added
        layers += [("mean", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]
        layers += [("dropout", layer) for layer in dropping(self.dropout)]
        layers += [("scores", nn.Linear(filters, classes))]
        network = nn.Sequential(OrderedDict(layers))
        initialize(network, self.init)
        return network

    def _filters(self, count: int) -> int:
        return max(1, round(count * self.width))

    def _convolution(self, inputs: int, outputs: int, size: int) -> nn.Sequential:
        return self._normalized(nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=self._biased()))

    def _halving(self, inputs: int, outputs: int) -> nn.Sequential:
        if self.padding == "tensorflow":
            return self._normalized(SameConv2d(inputs, outputs, bias=self._biased()))
        return self._normalized(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=self._biased()))

    def _pool(self) -> nn.Module:
        return SameMaxPool2d() if self.padding == "tensorflow" else nn.MaxPool2d(3, stride=2, padding=1)

    def _biased(self) -> bool:
        return self.convention in ("bias", "scale_shift_bias") or (self.convention == "shift" and not self.batch_norm)

    def _normalized(self, convolution: nn.Conv2d) -> nn.Sequential:
        if not self.batch_norm:
            return nn.Sequential(convolution, nn.ReLU())
        norm: nn.Module
        if self.convention == "shift":
            norm = ShiftNorm2d(convolution.out_channels, self.norm_eps, self.norm_momentum)
        else:
            scaled = self.convention.startswith("scale")
            norm = nn.BatchNorm2d(convolution.out_channels, self.norm_eps, self.norm_momentum, affine=scaled)
        return nn.Sequential(convolution, norm, nn.ReLU())


class Concatenation(nn.ModuleList):
    """Every branch of the block on the same input, one after the other along the channels."""

    def forward(self, images: Tensor) -> Tensor:
        """The branches' outputs, concatenated along the channels."""
        return torch.cat([branch(images) for branch in self], 1)


class ShiftNorm2d(nn.BatchNorm2d):
    """Batch norm that learns a shift but no scale: the scale is a constant 1."""

    def __init__(self, channels: int, eps: float, momentum: float) -> None:
        super().__init__(channels, eps, momentum)
        del self.weight
        self.register_buffer("weight", torch.ones(channels), persistent=False)
