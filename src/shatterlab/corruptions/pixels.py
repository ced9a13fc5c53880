"""Corruptions of pixels: one permutation for all images, one for each image, Gaussian noise."""

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

_BLOCK = 64  # inputs at a time: they stay in the cache


@dataclass(frozen=True)
class _PixelPermutation(PixelCorruption):
    """Rearranges pixels; subclasses say by which permutation.

    Args:
        unit: "position" moves the channels of a pixel together, "value" permutes all d values.
    """

    unit: Literal["position", "value"] = "position"

    @classmethod
    def specimens(cls) -> tuple[_PixelPermutation, ...]:
        return (cls("position"), cls("value"))

    def rows(self, images: Float[Tensor, "m *shape"]) -> Tensor:
        """The images with the values to permute in the last axis."""
        return images.flatten(2) if images.ndim > 2 and self.unit == "position" else images.flatten(1)


@dataclass(frozen=True)
class ShuffledPixels(_PixelPermutation):
    """The same random permutation rearranges the pixels of every training and test image; in a table, its features.

    Only the neighbourhood of pixels is lost: a fully connected network or an isotropic kernel learns as before in law, a convolution loses its structure.

    Args:
        unit: "position" moves the channels of a pixel together, "value" permutes all d values. The paper does not say which.

    Source:
        Zhang et al. 2017, section 2.1.
    """

    effect = "one permutation"

    def inputs(self, images: Float[Tensor, "m *shape"], indices: np.ndarray[Any, Any], split: str, seed: int) -> Float[Tensor, "m *shape"]:
        rows = self.rows(images)
        order = torch.from_numpy(np.random.default_rng(seed).permutation(rows.shape[-1]))
        return rows.gather(-1, order.expand(rows.shape)).view(images.shape)


@dataclass(frozen=True)
class RandomPixels(_PixelPermutation):
    """Every training and test image has its pixels rearranged by its own random permutation; in a table, each row.

    The histogram of an image survives, and with it some information about the class, so test accuracy need not fall to chance.

    Args:
        unit: "position" moves the channels of a pixel together, "value" permutes all d values. The paper does not say which.

    Source:
        Zhang et al. 2017, section 2.1.
    """

    effect = "a permutation each"

    def inputs(self, images: Float[Tensor, "m *shape"], indices: np.ndarray[Any, Any], split: str, seed: int) -> Float[Tensor, "m *shape"]:
        rows = self.rows(images)
        order = torch.from_numpy(_permutations(seed, split, indices, rows.shape[-1]))
        return rows.gather(-1, order[:, None].expand(rows.shape) if rows.ndim > 2 else order).view(images.shape)


def _permutations(seed: int, split: str, indices: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """One uniform permutation of 0 .. count - 1 an example, int64, shape (m, count).

    Sorting words of random high bits whose low bits are the position is faster than an argsort, and in 32 bits twice as fast as in 64. High bits sometimes tie:
    a coin orders two that tie; an example where three tie is redrawn in 64 bits. Neither prefers a position, so the permutation stays uniform.
    """
    places = np.uint32((count - 1).bit_length())
    words = random_bits(seed, split, indices, (count + 1) // 2).view(np.uint32)[:, :count]
    words >>= places
    words <<= places
    words |= np.arange(count, dtype=np.uint32)
    words.sort(axis=1)
    flat = words.ravel()
    at = np.flatnonzero((flat[1:] ^ flat[:-1]) < (np.uint32(1) << places))
    at = at[(at + 1) % count != 0]  # the last word of one example and the first of the next are no pair
    words &= (np.uint32(1) << places) - np.uint32(1)
    order = words.astype(np.int64)
    row, column = at // count, at % count
    pairs = np.asarray(indices, dtype=np.uint64)[row] * np.uint64(count) + column.astype(np.uint64)
    swapped = (random_bits(seed, f"{split} ties", pairs, 1)[:, 0] & np.uint64(1)).astype(bool)
    first, last = (row[swapped], column[swapped]), (row[swapped], column[swapped] + 1)
    order[first], order[last] = order[last], order[first]
    crowded = np.unique(row[1:][np.diff(at) == 1])  # a large image has thousands of such places
    if len(crowded):
        order[crowded] = random_bits(seed, f"{split} anew", np.asarray(indices)[crowded], count).argsort(axis=1)
    return order


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

    effect = "noise"

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
        size = self._size(train.shape)
        mean, square = (moment.view(size.numel(), -1).mean(1).view(size) for moment in _moments(train.inputs))
        return replace(self, mean=mean.float(), deviation=(square - mean.square()).clamp_(min=0).sqrt().float())

    def _size(self, shape: tuple[int, ...]) -> torch.Size:
        """The shape of the moments, one for each group of values."""
        return torch.Size({"pixel": shape, "channel": (shape[0], *(1 for _ in shape[1:])), "global": tuple(1 for _ in shape)}[self.moments])

    def normal_law(self, train: Examples) -> tuple[Tensor, Tensor]:
        """The fitted moments of a stream, which is too long to read twice; those of a sample in memory by another route, around the mean of a few inputs."""
        if isinstance(train.inputs, Streamed):
            return self.mean, self.deviation
        size, rows = self._size(train.shape), train.inputs.flatten(1)
        centre, (total, squares) = rows[:_BLOCK].mean(0), torch.zeros(2, rows.shape[1])
        for block in rows.split(_BLOCK):
            around = block - centre
            total += around.sum(0)
            squares += around.square_().sum(0)
        shift = total / len(rows)
        means, variances = ((centre + shift).view(size.numel(), -1), (squares / len(rows) - shift.square()).view(size.numel(), -1))
        mean = means.mean(1, keepdim=True)
        return mean.view(size), (variances + (means - mean).square()).mean(1).clamp(min=0).sqrt().view(size)

    def inputs(self, images: Float[Tensor, "m *shape"], indices: np.ndarray[Any, Any], split: str, seed: int) -> Float[Tensor, "m *shape"]:
        noise = _normal(seed, split, indices, images[0].numel()).view(images.shape)
        return noise.mul_(self.deviation).add_(self.mean)


def _moments(inputs: Float[Tensor, "n *shape"] | Streamed) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Mean of each value and of its square, accumulated in float64 over blocks that stay in the cache; one pass, also over a stream."""
    total, squares = torch.zeros(2, math.prod(inputs.shape[1:]), dtype=torch.float64)
    for _, block in chunks(inputs, _BLOCK, torch.get_num_threads()):
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
