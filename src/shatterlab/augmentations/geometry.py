"""Augmentations that move pixels: crops, flips, rotations."""

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
class RandomCrop(Augmentation):
    """Cuts a window out of each image at a random place, another one in every epoch.

    The paper cuts 28 x 28 of 32 x 32: take `RandomCrop(28)` with `crop=28` of the training, which cuts the centre at evaluation. `RandomCrop(None, padding=4)`
    shifts images by up to 4 pixels.

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


@dataclass(frozen=True)
class RandomResizedCrop(Augmentation):
    """Cuts a window of random area, aspect and place out of each image and scales it back (bilinear): Inception's distortion.

    The share of the area is uniform, the aspect (width / height, of a square image) log-uniform; a side that would be longer than the image is as long as the
    image. As the first augmentation of streamed photos it cuts windows of the whole photo while it is decoded.

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


@dataclass(frozen=True)
class HorizontalFlip(Augmentation):
    """Exchanges left and right of random images, other ones in every epoch.

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


@dataclass(frozen=True)
class Rotation(Augmentation):
    """Turns each image about its centre by a random angle, uniform between -degrees and degrees.

    Pixels are interpolated bilinearly; pixels from outside the image are 0.

    Args:
        degrees: the largest angle, in (0, 180].

    Source:
        Zhang et al. 2017, appendix E (25 degrees, with flips).

    Example:
        >>> image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> turned = Rotation(90).images(image, {"radians": torch.tensor([math.pi / 2])})
        >>> [round(value, 4) for value in turned.flatten().tolist()]  # a quarter turn to the left
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
