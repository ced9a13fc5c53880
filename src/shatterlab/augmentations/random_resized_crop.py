"""A window of random size, shape and place, scaled to the size of the image."""

from __future__ import annotations

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
class RandomResizedCrop(Augmentation):
    """Cuts a window of random area, aspect and place out of each image and scales it back (bilinear): Inception's distortion.

    The share of the area is uniform, the aspect (width / height, of a square image) log-uniform; a side that would be longer than the image
    is as long as the image. As the first augmentation of streamed photos it cuts windows of the whole photo while it is decoded.

    Args:
        area: smallest and largest share of the image, 0 < smallest <= largest <= 1.
        aspect: smallest and largest width / height, > 0.

    Source:
        Szegedy et al. 2015, "Going deeper with convolutions", section 6; TensorFlow's Inception has area 0.05 to 1, aspect 3/4 to 4/3.

    Example:
        >>> drawn = RandomResizedCrop(area=(0.25, 0.25), aspect=(1.0, 1.0)).draw(2, (3, 8, 8), np.random.default_rng(0))
        >>> drawn["box"][:, 2:].tolist()  # height and width: half of each side
        [[0.5, 0.5], [0.5, 0.5]]
    """

    area: tuple[float, float] = (0.05, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    def validate(self) -> None:
        self.require(0 < self.area[0] <= self.area[1] <= 1, "area is two shares, 0 < smallest <= largest <= 1", self.area)
        self.require(0 < self.aspect[0] <= self.aspect[1], "aspect is two ratios, 0 < smallest <= largest", self.aspect)

    def draw(self, n: int, shape: tuple[int, ...], rng: np.random.Generator) -> Mapping[str, np.ndarray[Any, Any]]:
        narrow, wide = (float(np.log(ratio)) for ratio in self.aspect)
        area, ratio = rng.uniform(*self.area, n), np.exp(rng.uniform(narrow, wide, n))
        sides = np.minimum(np.stack([np.sqrt(area / ratio), np.sqrt(area * ratio)], 1), 1)
        return {"box": np.concatenate([rng.uniform(size=(n, 2)) * (1 - sides), sides], 1).astype(np.float32)}

    def boxes(self, drawn: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """The windows (top, left, height, width) in fractions of the sides, m x 4."""
        return np.asarray(drawn["box"])

    def images(self, images: Float[Tensor, "m c h w"], drawn: Drawn) -> Float[Tensor, "m c h w"]:
        top, left, height, width = drawn["box"].to(images.dtype).unbind(1)
        grid = torch.zeros(len(images), 2, 3, dtype=images.dtype, device=images.device)
        grid[:, 0, 0], grid[:, 0, 2] = width, 2 * left + width - 1
        grid[:, 1, 1], grid[:, 1, 2] = height, 2 * top + height - 1
        places = functional.affine_grid(grid, list(images.shape), align_corners=False)
        return functional.grid_sample(images, places, padding_mode="border", align_corners=False)
