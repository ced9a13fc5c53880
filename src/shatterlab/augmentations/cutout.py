"""A square of the image, covered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shatterlab.core import Augmentation, Drawn


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Covers a square of each image, centred on any of its pixels, by the image's own mean.

    A square near the border is cut off there, so that it covers less. The mean becomes about 0 when the image is
    whitened, which is what the authors cover with after their normalization.

    Args:
        side: of the square in pixels, >= 1.

    Source:
        DeVries and Taylor 2017, "Improved regularization of convolutional neural networks with cutout" (16 of 32 for CIFAR-10).

    Example:
        >>> image = torch.arange(9.0).view(1, 1, 3, 3) / 8
        >>> covered = Cutout(1).images(image, {"row": torch.tensor([0]), "column": torch.tensor([2])})
        >>> covered[0, 0].tolist()  # the mean is 4 / 8
        [[0.0, 0.125, 0.5], [0.375, 0.5, 0.625], [0.75, 0.875, 1.0]]
    """

    side: int = 16

    @classmethod
    def specimens(cls) -> tuple[Cutout, ...]:
        return (cls(3), cls(2))

    def validate(self) -> None:
        self.require(self.side >= 1, "side is a whole number of pixels >= 1", self.side)

    def draw(self, n: int, shape: tuple[int, ...], rng: np.random.Generator) -> Mapping[str, np.ndarray[Any, Any]]:
        return {"row": rng.integers(0, shape[1], n), "column": rng.integers(0, shape[2], n)}

    def images(self, images: Float[Tensor, "m c h w"], drawn: Drawn) -> Float[Tensor, "m c h w"]:
        rows, columns = (self._covered(drawn[name], length) for name, length in zip(("row", "column"), images.shape[2:], strict=True))
        covered = rows[:, None, :, None] & columns[:, None, None, :]
        return torch.where(covered, images.mean((1, 2, 3), keepdim=True), images)

    def _covered(self, centres: Tensor, length: int) -> Tensor:
        """Which rows (or columns) each square covers; an even side reaches further before its centre."""
        first = centres[:, None] - self.side // 2
        places = torch.arange(length, device=centres.device)
        return (places >= first) & (places < first + self.side)
