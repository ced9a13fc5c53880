"""Kernels of infinitely wide fully connected networks without biases: arc-cosine and neural tangent."""

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

    At depth 1, with theta the angle between x and z: degree 0 is 1 - theta / pi; degree 1 is |x| |z| (sin theta + (pi - theta) cos theta) / pi. A further layer
    applies the same map to the output of the layer below. The input 0 has no angle: k(0, z) = 0.

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
            theta = _relu_angle(theta) if self.degree else 2 * (theta / (2 * math.pi)).sqrt().asin()  # cos theta' = 1 - theta / pi
        similarity = 1 - theta / math.pi
        return sizes * _relu_cosine(theta) if self.degree else torch.where(sizes == 0, torch.zeros_like(sizes), similarity)

    def diagonal(self, x: Tensor) -> Tensor:
        squares = x.flatten(1).square().sum(1)
        return squares if self.degree else (squares > 0).to(x.dtype)


@dataclass(frozen=True)
class NeuralTangent(Kernel):
    """The kernel that gradient descent follows on an infinitely wide fully connected ReLU net without biases.

    With s_0 = x'z, s_l = |x| |z| cos theta_l, cos theta_l = (sin theta + (pi - theta) cos theta) / pi at theta = theta_(l-1): t_0 = s_0 and t_l = s_l + t_(l-1)
    (1 - theta_(l-1) / pi), the kernel being t_depth. In this normalization k(x, x) = (depth + 1) |x|^2.

    Args:
        depth: hidden layers, >= 1.

    Source:
        Jacot, Gabriel, Hongler 2018, theorem 1; in this normalization Arora et al. 2019, section 3 (c_sigma = 2).

    Example:
        >>> import torch
        >>> x, z = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
        >>> [round(NeuralTangent(1).gram(x, other).item(), 4) for other in (x, z)]  # 2 and 2 / pi
        [2.0, 0.6366]
    """

    depth: int = 2

    def validate(self) -> None:
        self.require(self.depth >= 1, "depth is a whole number >= 1", self.depth)

    @classmethod
    def specimens(cls) -> tuple[NeuralTangent, ...]:
        return cls(), cls(1), cls(4)

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        x, z = x.flatten(1), z.flatten(1).to(x.dtype)
        theta = angles(x, z)
        tangent = theta.cos()
        for _ in range(self.depth):
            tangent = _relu_cosine(theta) + tangent * (1 - theta / math.pi)
            theta = _relu_angle(theta)
        return torch.mul(sizes_multiplied(x, z), tangent)

    def diagonal(self, x: Tensor) -> Tensor:
        return (self.depth + 1) * x.flatten(1).square().sum(1)


def _relu_cosine(theta: Tensor) -> Tensor:
    return (theta.sin() + (math.pi - theta) * theta.cos()) / math.pi


def _relu_angle(theta: Tensor) -> Tensor:
    """The angle after a ReLU layer, from 1 - cosine, which does not cancel at small angles as the cosine itself would."""
    versine = 2 * (theta / 2).sin().square() - (theta.sin() - theta * theta.cos()) / math.pi
    return 2 * (versine / 2).clamp_min_(0).sqrt().asin()  # rounds around 0 at angles of order eps
