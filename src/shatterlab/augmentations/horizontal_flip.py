"""Left and right exchanged."""

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
class HorizontalFlip(Augmentation):
    """Exchanges left and right of some images, chosen anew in every epoch.

    Args:
        probability: with which an image is flipped, in (0, 1].

    Source:
        Zhang et al. 2017, appendix E; Krizhevsky et al. 2012, section 4.1.

    Example:
        >>> image = torch.tensor([[[[1.0, 2.0, 3.0]]]])
        >>> HorizontalFlip().images(image, {"flipped": torch.tensor([True])}).flatten().tolist()
        [3.0, 2.0, 1.0]
    """

    probability: float = 0.5

    def validate(self) -> None:
        self.require(0 < self.probability <= 1, "probability is in (0, 1]", self.probability)

    def draw(self, n: int, shape: tuple[int, ...], rng: np.random.Generator) -> Mapping[str, np.ndarray[Any, Any]]:
        return {"flipped": rng.random(n) < self.probability}

    def images(self, images: Float[Tensor, "m c h w"], drawn: Drawn) -> Float[Tensor, "m c h w"]:
        return torch.where(drawn["flipped"][:, None, None, None], images.flip(3), images)
