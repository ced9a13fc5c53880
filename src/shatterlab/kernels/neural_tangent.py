"""The neural tangent kernel of the fully connected ReLU net."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from shatterlab.core import Kernel
from shatterlab.kernels._distances import angles, sizes_multiplied
from shatterlab.kernels.arc_cosine import relu_angle, relu_cosine


@dataclass(frozen=True)
class NeuralTangent(Kernel):
    """What gradient descent on an infinitely wide fully connected ReLU net without biases comes to: a kernel.

    With s_0 = x'z, s_l = |x| |z| cos theta_l, cos theta_l = (sin theta + (pi - theta) cos theta) / pi at theta = theta_(l-1):
    t_0 = s_0 and t_l = s_l + t_(l-1) (1 - theta_(l-1) / pi), the kernel being t_depth. Weights have variance 2 over the
    width below (1 for the first layer, whose inputs are not divided by their dimension), so k(x, x) = (depth + 1) |x|^2.

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
            tangent = relu_cosine(theta) + tangent * (1 - theta / math.pi)
            theta = relu_angle(theta)
        return torch.mul(sizes_multiplied(x, z), tangent)

    def diagonal(self, x: Tensor) -> Tensor:
        return (self.depth + 1) * x.flatten(1).square().sum(1)
