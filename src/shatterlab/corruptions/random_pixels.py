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

    Sorting words of random high bits whose low bits are the position is faster than an argsort, and in 32 bits twice
    as fast as in 64. High bits then tie now and then: two that tie are put in order by a coin; an example where three
    do is drawn anew in 64 bits. Neither prefers a position, so the permutation stays uniform.
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
    crowded = row[1:][np.diff(at) == 1]
    if len(crowded):
        order[crowded] = random_bits(seed, f"{split} anew", np.asarray(indices)[crowded], count).argsort(axis=1)
    return order
