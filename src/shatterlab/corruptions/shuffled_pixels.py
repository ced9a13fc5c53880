"""One permutation of the pixels, shared by all images of both splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shatterlab.core import PixelCorruption


@dataclass(frozen=True)
class ShuffledPixels(PixelCorruption):
    """The same random permutation rearranges the pixels of every training and test image; of a table, its features.

    Nothing about the labels is lost, only the neighbourhood of pixels: what a fully connected net or an isotropic
    kernel can learn is unchanged in law, what a convolution is built for is gone.

    Args:
        unit: "position" moves the channels of a pixel together, "value" permutes all d values. The paper does not
            say which.

    Source:
        Zhang et al. 2017, section 2.1.
    """

    unit: Literal["position", "value"] = "position"

    @classmethod
    def specimens(cls) -> tuple[ShuffledPixels, ...]:
        return (cls("position"), cls("value"))

    def inputs(self, images: Float[Tensor, "m *shape"], indices: np.ndarray[Any, Any], split: str, seed: int) -> Float[Tensor, "m *shape"]:
        rows = images.flatten(2) if images.ndim > 2 and self.unit == "position" else images.flatten(1)
        order = torch.from_numpy(np.random.default_rng(seed).permutation(rows.shape[-1]))
        return rows.gather(-1, order.expand(rows.shape)).view(images.shape)
