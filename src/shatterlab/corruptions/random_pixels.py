"""A permutation of its own for every image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shatterlab.core import PixelCorruption, random_bits


@dataclass(frozen=True)
class RandomPixels(PixelCorruption):
    """Every training and test image has its pixels rearranged by its own random permutation; of a table, each row.

    The histogram of an image survives, and with it some information about the class, so test accuracy need not
    fall to chance.

    Args:
        unit: "position" moves the channels of a pixel together, "value" permutes all d values. The paper does not
            say which.

    Source:
        Zhang et al. 2017, section 2.1.
    """

    unit: Literal["position", "value"] = "position"

    @classmethod
    def specimens(cls) -> tuple[RandomPixels, ...]:
        return (cls("position"), cls("value"))

    def inputs(self, images: Float[Tensor, "m *shape"], indices: np.ndarray[Any, Any], split: str, seed: int) -> Float[Tensor, "m *shape"]:
        rows = images.flatten(2) if images.ndim > 2 and self.unit == "position" else images.flatten(1)
        order = torch.from_numpy(_permutations(seed, split, indices, rows.shape[-1]))
        return rows.gather(-1, order[:, None].expand(rows.shape) if rows.ndim > 2 else order).view(images.shape)


def _permutations(seed: int, split: str, indices: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """One uniform permutation of 0 .. count - 1 an example, int64, shape (m, count).

    Sorting words of random high bits whose low bits are the position orders the positions at random and is
    faster than an argsort. With b high bits two of them agree in an image with probability below count^2 / 2^(b+1)
    (1e-10 for 1,024 positions); such a pair keeps its order.
    """
    low = np.uint64(max(1, (count - 1).bit_length()))
    words = random_bits(seed, split, indices, count)
    words >>= low
    words <<= low
    words |= np.arange(count, dtype=np.uint64)
    words.sort(axis=1)
    words &= (np.uint64(1) << low) - np.uint64(1)
    return words.view(np.int64)
