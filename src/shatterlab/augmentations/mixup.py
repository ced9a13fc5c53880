"""Two images in one, and two labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from shatterlab.core import Augmentation, Drawn


@dataclass(frozen=True)
class Mixup(Augmentation):
    """Replaces each example by a mean of it and another of its batch, weighted by w and 1 - w, in the image and in the label.

    w is drawn from Beta(alpha, alpha); the other example is the one before it in the (random) batch. Images are mixed before they are whitened.

    Args:
        alpha: > 0; the smaller, the nearer is w to 0 or 1.

    Source:
        Zhang, Cisse, Dauphin, Lopez-Paz 2018, "mixup: beyond empirical risk minimization" (one w a batch there; one an example here).

    Example:
        >>> import torch
        >>> drawn = {"weight": torch.tensor([0.75, 0.5])}
        >>> Mixup().targets(torch.eye(2), drawn).tolist()
        [[0.75, 0.25], [0.5, 0.5]]
    """

    mixes: ClassVar[bool] = True

    alpha: float = 1.0

    def validate(self) -> None:
        self.require(isfinite(self.alpha) and self.alpha > 0, "alpha is a finite number > 0", self.alpha)

    def draw(self, n: int, shape: tuple[int, ...], rng: np.random.Generator) -> Mapping[str, np.ndarray[Any, Any]]:
        return {"weight": rng.beta(self.alpha, self.alpha, n).astype(np.float32)}

    def images(self, images: Float[Tensor, "m c h w"], drawn: Drawn) -> Float[Tensor, "m c h w"]:
        return images.roll(1, 0).lerp(images, drawn["weight"][:, None, None, None])

    def targets(self, targets: Float[Tensor, "m k"], drawn: Drawn) -> Float[Tensor, "m k"]:
        return targets.roll(1, 0).lerp(targets, drawn["weight"][:, None])
