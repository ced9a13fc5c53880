"""A turn by a random angle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Augmentation, Drawn


@dataclass(frozen=True)
class Rotation(Augmentation):
    """Turns each image about its centre by an angle of its own, uniform between -degrees and degrees.

    Pixels are interpolated bilinearly; what turns in from outside is 0.

    Args:
        degrees: the largest angle, in (0, 180].

    Source:
        Zhang et al. 2017, appendix E (25 degrees, with flips).

    Example:
        >>> image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> turned = Rotation(90).images(image, {"radians": torch.tensor([math.pi / 2])})
        >>> [round(each, 4) for each in turned.flatten().tolist()]  # a quarter turn to the left
        [2.0, 4.0, 1.0, 3.0]
    """

    degrees: float = 25.0

    def validate(self) -> None:
        self.require(0 < self.degrees <= 180, "degrees is an angle in (0, 180]", self.degrees)

    def draw(self, n: int, shape: tuple[int, ...], rng: np.random.Generator) -> Mapping[str, np.ndarray[Any, Any]]:
        largest = math.radians(self.degrees)
        return {"radians": rng.uniform(-largest, largest, n).astype(np.float32)}

    def images(self, images: Float[Tensor, "m c h w"], drawn: Drawn) -> Float[Tensor, "m c h w"]:
        cosine, sine = drawn["radians"].cos(), drawn["radians"].sin()
        zero, aspect = torch.zeros_like(sine), images.shape[2] / images.shape[3]
        # where each pixel comes from, in coordinates that run from -1 to 1 over both sides, whatever their lengths
        maps = torch.stack([torch.stack([cosine, -sine * aspect, zero], 1), torch.stack([sine / aspect, cosine, zero], 1)], 1)
        places = functional.affine_grid(maps.to(images.dtype), list(images.shape), align_corners=False)
        return functional.grid_sample(images, places, align_corners=False)
