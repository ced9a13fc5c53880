"""A window of the image at a random place."""

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
class RandomCrop(Augmentation):
    """Cuts a window out of each image at a place of its own, drawn anew in every epoch.

    Every place at which the window fits into the image, padded by zeros, has the same probability. The paper cuts 28 x 28 of 32 x 32: take
    `RandomCrop(28)` with `crop=28` of the training, which cuts the centre at evaluation. `RandomCrop(None, padding=4)` shifts images
    by up to 4 pixels.

    Args:
        size: side of the window in pixels, >= 1; None keeps height and width, which needs padding.
        padding: zeros added at each border before, in pixels, >= 0.

    Source:
        Zhang et al. 2017, appendix A; Krizhevsky et al. 2012, section 4.1.

    Example:
        >>> drawn = RandomCrop(28).draw(50_000, (3, 32, 32), np.random.default_rng(0))
        >>> sorted(set(drawn["top"].tolist()))  # 32 - 28 + 1 places
        [0, 1, 2, 3, 4]
    """

    size: int | None = 28
    padding: int = 0

    @classmethod
    def specimens(cls) -> tuple[RandomCrop, ...]:
        return (cls(4), cls(None, padding=2), cls(5, padding=1))

    def validate(self) -> None:
        self.require(self.size is None or self.size >= 1, "size is a side in pixels >= 1, or None", self.size)
        self.require(self.padding >= 0, "padding is a whole number of pixels >= 0", self.padding)
        self.require(self.size is not None or self.padding > 0, "a size or a padding is required", None, "Without either there is one place only")

    def draw(self, n: int, shape: tuple[int, ...], rng: np.random.Generator) -> Mapping[str, np.ndarray[Any, Any]]:
        height, width = self._window(shape)
        rows, columns = (side + 2 * self.padding - window for side, window in zip(shape[1:], (height, width), strict=True))
        self.require(min(rows, columns) >= 0, f"images, with padding, of at least {height} x {width} pixels are required", shape)
        return {"top": rng.integers(0, rows, n, endpoint=True), "left": rng.integers(0, columns, n, endpoint=True)}

    def images(self, images: Float[Tensor, "m c h w"], drawn: Drawn) -> Float[Tensor, "m c height width"]:
        height, width = self._window(tuple(images.shape[1:]))
        padded = functional.pad(images, (self.padding,) * 4) if self.padding else images
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # views of every window: nothing is copied
        return windows[torch.arange(len(images), device=images.device), :, drawn["top"], drawn["left"]]

    def _window(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return (shape[1], shape[2]) if self.size is None else (self.size, self.size)
