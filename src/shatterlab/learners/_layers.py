"""Preparation of inputs as layers of the fitted model, so that it takes inputs as `Examples` gives them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Whitening(nn.Module):
    """(x - mean) / max(deviation, 1/sqrt(d)) of each image over all its pixels and channels, population deviation.

    Source: the per-image whitening that Zhang et al. 2017, appendix A, name (TensorFlow's definition).
    """

    def forward(self, images: Float[Tensor, "m *shape"]) -> Float[Tensor, "m *shape"]:
        rows = images.flatten(1)
        rows = rows - rows.mean(1, keepdim=True)
        variance = rows.square().mean(1, keepdim=True)
        return (rows * variance.clamp(min=1 / rows.shape[1]).rsqrt()).view(images.shape)


class Standardization(nn.Module):
    """(x - mean) / deviation of each feature over the training sample; constant features become 0."""

    mean: Tensor
    scale: Tensor

    def __init__(self, rows: Float[Tensor, "n d"]) -> None:
        super().__init__()
        deviation, mean = torch.std_mean(rows.double(), 0, correction=0)
        constant = deviation <= 1e-12 * mean.abs().clamp(min=1)  # float64 rounding of a constant column
        self.register_buffer("mean", mean.float())
        self.register_buffer("scale", torch.where(constant, 0.0, 1 / deviation.masked_fill(constant, 1)).float())

    def forward(self, rows: Float[Tensor, "m d"]) -> Float[Tensor, "m d"]:
        return (rows - self.mean) * self.scale


def preparation(inputs: Tensor, whiten: bool) -> nn.Module:
    """Whitening for images, standardization for tables, nothing where it is not wanted."""
    if not whiten:
        return nn.Identity()
    return Whitening() if inputs.ndim > 2 else Standardization(inputs)
