"""The Laplacian kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from shatterlab.kernels._radial import Radial


@dataclass(frozen=True)
class Laplacian(Radial):
    """Falls with the Euclidean distance and has a kink at 0: exp(-|x - z| / sigma).

    Its functions are rougher than a Gaussian kernel's and its system far better conditioned: it fits random labels in
    few passes, where the Gaussian needs many more.

    Source:
        Belkin, Ma, Mandal 2018 (sigma = 10 there).

    Example:
        >>> import torch
        >>> round(Laplacian(5.0).gram(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])).item(), 4)  # exp(-1)
        0.3679
    """

    sigma: float | Literal["leave_one_out"] = 10.0

    @staticmethod
    def of_squared_distances(distances: Tensor, sigma: float) -> Tensor:
        return distances.sqrt_().mul_(-1 / sigma).exp_()
