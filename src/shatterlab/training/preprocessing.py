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


class Symmetric(nn.Module):
    """Values in [0, 1] scaled to [-1, 1]."""

    def forward(self, inputs: Float[Tensor, "m *shape"]) -> Float[Tensor, "m *shape"]:
        return inputs * 2 - 1


class CenterCrop(nn.Module):
    """The middle of each image, `side` x `side` pixels; an odd rest is cut off at the end."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Float[Tensor, "m c h w"]) -> Float[Tensor, "m c side side"]:
        top, left = ((length - self.side) // 2 for length in images.shape[-2:])
        return images[:, :, top : top + self.side, left : left + self.side]


def preparation(inputs: Tensor, whiten: bool, crop: int | None = None) -> nn.Module:
    """The crop, if any, then whitening of images or standardization of a table where it is wanted."""
    whitening: nn.Module = (Whitening() if inputs.ndim > 2 else Standardization(inputs)) if whiten else nn.Identity()
    return whitening if crop is None else nn.Sequential(CenterCrop(crop), whitening)


class ChannelsLast(nn.Module):
    """The images as they are, with the channels of a pixel side by side in memory, as convolutions like them best."""

    def forward(self, images: Float[Tensor, "m c h w"]) -> Float[Tensor, "m c h w"]:
        return images.contiguous(memory_format=torch.channels_last)


def laid_out(model: nn.Sequential, few: Tensor) -> nn.Sequential:
    """The model with channels last in memory where it convolves and gives the same scores that way; else as it is.

    Convolutions are faster so. A network of the user's may depend on
    the usual layout (`x.view(len(x), -1)` does); it keeps that.

    Args:
        model: input layer and network, in evaluation mode.
        few: examples to try it on.
    """
    if few.ndim != 4 or not any(isinstance(layer, nn.Conv2d) for layer in model.modules()):
        return model
    with torch.no_grad():
        wanted = model(few.clone())
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        faster = nn.Sequential(nn.Sequential(model[0], ChannelsLast()), model[1])
        try:
            scores = faster(few.clone())
        except Exception:  # whatever the user's network raises: it is shown to work in the usual layout
            scores = None
    if isinstance(scores, Tensor) and torch.allclose(scores, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max())):
        return faster.eval()
    return model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, no-any-return]
