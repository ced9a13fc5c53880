"""The linear kernel."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from shatterlab.core import Kernel


@dataclass(frozen=True)
class LinearKernel(Kernel):
    """The inner product of two inputs, x'z.

    Its minimum-norm interpolant is the minimum-norm linear map. Its Gram matrix has rank d at most, so n > d examples cannot be interpolated in general.

    Source:
        Zhang et al. 2017, section 5, equation 3.

    Example:
        >>> import torch
        >>> LinearKernel().gram(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])).item()
        11.0
    """

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        return x.flatten(1) @ z.flatten(1).to(x.dtype).T

    def diagonal(self, x: Tensor) -> Tensor:
        return x.flatten(1).square().sum(1)
