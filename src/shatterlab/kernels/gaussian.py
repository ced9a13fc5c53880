"""The Gaussian kernel."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from shatterlab.kernels._radial import Radial


@dataclass(frozen=True)
class Gaussian(Radial):
    """Falls with the squared distance: exp(-|x - z|^2 / (2 sigma^2)).

    Strictly positive definite: distinct inputs can be given any labels. The narrower it is, the better conditioned the
    system and the more local the interpolant.

    Source:
        Zhang et al. 2017, section 5; sigma = 5 on MNIST: Belkin, Ma, Mandal 2018.

    Example:
        >>> import torch
        >>> round(Gaussian(1.0).gram(torch.zeros(1, 2), torch.ones(1, 2)).item(), 4)  # exp(-1)
        0.3679
    """

    @staticmethod
    def of_squared_distances(distances: Tensor, sigma: float) -> Tensor:
        return distances.mul_(-1 / (2 * sigma**2)).exp_()
