"""Noise in place of images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shatterlab.core import Examples, PixelCorruption, Seeds, fitted_field, random_bits
from shatterlab.core.lazy_inputs import Streamed, chunks


@dataclass(frozen=True)
class GaussianPixels(PixelCorruption):
    """Every training and test image is replaced by Gaussian noise with the training set's mean and variance.

    The values may leave [0, 1] and are never clipped: clipping would change the moments.

    Args:
        moments: "channel" matches mean and variance of each channel (of each feature of a table), "pixel" of each
            of the d values, "global" one mean and one variance. The paper does not say which.

    Source:
        Zhang et al. 2017, section 2.1; the normal deviates by Box and Muller 1958.
    """

    moments: Literal["channel", "pixel", "global"] = "channel"
    mean: Any = fitted_field()
    deviation: Any = fitted_field()

    @classmethod
    def specimens(cls) -> tuple[GaussianPixels, ...]:
        return (cls("channel"), cls("pixel"), cls("global"))

    def fitted(self, train: Examples, seeds: Seeds = Seeds()) -> GaussianPixels:
        """With the mean and the population standard deviation of the training inputs."""
        if self.mean is not None:
            return self
        shape = train.inputs.shape[1:]
        mean, square = _moments(train.inputs)
        groups = {"pixel": (*shape,), "channel": (shape[0], *(1 for _ in shape[1:])), "global": (1 for _ in shape)}
        size = torch.Size(groups[self.moments])
        mean, square = (each.view(size.numel(), -1).mean(1).view(size) for each in (mean, square))
        return replace(self, mean=mean.float(), deviation=(square - mean.square()).clamp_(min=0).sqrt().float())

    def inputs(self, images: Float[Tensor, "m *shape"], indices: np.ndarray[Any, Any], split: str, seed: int) -> Float[Tensor, "m *shape"]:
        noise = _normal(seed, split, indices, images[0].numel()).view(images.shape)
        return noise.mul_(self.deviation).add_(self.mean)


def _moments(inputs: Float[Tensor, "n *shape"] | Streamed) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Mean of each value and of its square, accumulated in float64 over blocks that stay in the cache; one pass, also over a stream."""
    total, squares = torch.zeros(2, math.prod(inputs.shape[1:]), dtype=torch.float64)
    for _, block in chunks(inputs, 64, torch.get_num_threads()):
        wide = block.flatten(1).double()
        total += wide.sum(0)
        squares += wide.square_().sum(0)
    return total / len(inputs), squares / len(inputs)


def _normal(seed: int, split: str, indices: np.ndarray[Any, Any], count: int) -> Float[Tensor, "m count"]:
    """Standard normal deviates: each 64-bit word gives a radius (32 bits) and an angle (32 bits), hence two."""
    half = (count + 1) // 2
    words = random_bits(seed, split, indices, half).view(np.uint32)
    uniform = torch.from_numpy(words.astype(np.float32)).mul_(2.0**-32)
    radius = uniform[:, :half].add(2.0**-33).clamp_(max=1.0).log_().mul_(-2).sqrt_()
    angle = uniform[:, half:].mul(2 * math.pi)
    return torch.cat([radius * angle.cos(), radius.mul_(angle.sin_())], 1)[:, :count]
