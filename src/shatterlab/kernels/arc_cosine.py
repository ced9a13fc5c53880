"""The arc-cosine kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from shatterlab.core import Kernel
from shatterlab.kernels._distances import angles, sizes_multiplied


@dataclass(frozen=True)
class ArcCosine(Kernel):
    """The inner product of infinitely wide random layers of step (degree 0) or ReLU (degree 1) units.

    At depth 1, with theta the angle between x and z: degree 0 is 1 - theta / pi; degree 1 is
    |x| |z| (sin theta + (pi - theta) cos theta) / pi. A further layer applies the same map to what the layer below
    gives. There are no biases, so inputs that are multiples of each other are told apart by length alone (degree 1)
    or not at all (degree 0). The input 0 has no angle: k(0, z) = 0.

    Args:
        degree: 0 (step units) or 1 (ReLU units).
        depth: how many random layers, >= 1.

    Source:
        Cho, Saul 2009, equations 3 to 6 and section 2.3.

    Example:
        >>> import torch
        >>> x, z = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
        >>> [round(ArcCosine(degree).gram(x, z).item(), 4) for degree in (0, 1)]  # 1 / 2 and 2 / pi
        [0.5, 0.6366]
    """

    degree: int = 1
    depth: int = 1

    def validate(self) -> None:
        self.require(self.degree in (0, 1), "degree is 0 or 1", self.degree)
        self.require(self.depth >= 1, "depth is a whole number >= 1", self.depth)

    @classmethod
    def specimens(cls) -> tuple[ArcCosine, ...]:
        return cls(), cls(0), cls(1, 3), cls(0, 2)

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        x, z = x.flatten(1), z.flatten(1).to(x.dtype)
        theta, sizes = angles(x, z), sizes_multiplied(x, z)
        for _ in range(self.depth - 1):
            theta = relu_angle(theta) if self.degree else 2 * (theta / (2 * math.pi)).sqrt().asin()  # cos theta' = 1 - theta / pi
        similarity = 1 - theta / math.pi
        return sizes * relu_cosine(theta) if self.degree else torch.where(sizes == 0, torch.zeros_like(sizes), similarity)

    def diagonal(self, x: Tensor) -> Tensor:
        squares = x.flatten(1).square().sum(1)
        return squares if self.degree else (squares > 0).to(x.dtype)


def relu_cosine(theta: Tensor) -> Tensor:
    """The cosine after a ReLU layer: (sin theta + (pi - theta) cos theta) / pi."""
    return (theta.sin() + (math.pi - theta) * theta.cos()) / math.pi


def relu_angle(theta: Tensor) -> Tensor:
    """The angle after a ReLU layer, from 1 - cosine, which does not cancel at small angles as the cosine itself would."""
    versine = 2 * (theta / 2).sin().square() - (theta.sin() - theta * theta.cos()) / math.pi
    return 2 * (versine / 2).clamp_min_(0).sqrt().asin()  # rounds around 0 at angles of order eps
