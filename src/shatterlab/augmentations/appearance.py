"""Augmentations that change what is seen: light and colours, a covered square."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shatterlab.core import Augmentation, Drawn

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue look
_YIQ = (_GREY, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class ColorJitter(Augmentation):
    """Changes brightness, contrast, saturation and hue of each image by random amounts.

    Brightness multiplies the image, contrast its distance from its mean grey, saturation that of each pixel from its own grey, each by a factor uniform in [1 -
    amount, 1 + amount]; hue turns colours about the grey axis. In this order, as one linear map of colours an image, cut to [0, 1].

    Args:
        brightness: amount, in [0, 1].
        contrast: amount, in [0, 1].
        saturation: amount, in [0, 1]; for images of 3 colours.
        hue: share of a full turn, in [0, 0.5]; for images of 3 colours.

    Source:
        Howard 2013, "Some improvements on deep convolutional neural network based image classification" (the first three).

    Example:
        >>> image = torch.full((1, 1, 2, 2), 0.5)
        >>> drawn = {"brightness": torch.tensor([1.2]), "contrast": torch.tensor([0.7])}
        >>> round(ColorJitter(0.3, 0.3, 0.0).images(image, drawn).mean().item(), 6)  # contrast leaves an even image as it is
        0.6
    """

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.0

    @classmethod
    def specimens(cls) -> tuple[ColorJitter, ...]:
        return (cls(), cls(0.4, 0.0, 0.0, 0.1))

    def validate(self) -> None:
        for name, most in (("brightness", 1), ("contrast", 1), ("saturation", 1), ("hue", 0.5)):
            self.require(0 <= getattr(self, name) <= most, f"{name} is an amount in [0, {most}]", getattr(self, name))
        amounts = (self.brightness, self.contrast, self.saturation, self.hue)
        self.require(any(amounts), "one amount at least is > 0", amounts, "Leave the augmentation out")

    def draw(self, n: int, shape: tuple[int, ...], rng: np.random.Generator) -> Mapping[str, np.ndarray[Any, Any]]:
        if shape[0] != 3:
            self.require(not (self.saturation or self.hue), "images of 3 colours are required for saturation and hue", shape, "Set both to 0")
        drawn = {name: rng.uniform(1 - amount, 1 + amount, n) for name in ("brightness", "contrast", "saturation") if (amount := getattr(self, name))}
        drawn |= {"hue": rng.uniform(-self.hue, self.hue, n)} if self.hue else {}
        return {name: values.astype(np.float32) for name, values in drawn.items()}

    def images(self, images: Float[Tensor, "m c h w"], drawn: Drawn) -> Float[Tensor, "m c h w"]:
        channels = images.shape[1]
        grey = images.new_tensor(_GREY) if channels == 3 else images.new_full((channels,), 1 / channels)
        light, shade = (drawn[name][:, None, None, None] if name in drawn else 1.0 for name in ("brightness", "contrast"))
        jittered = images * (light * shade)
        if "contrast" in drawn:
            mean_grey = torch.einsum("mchw,c->m", images, grey) / math.prod(images.shape[2:])
            jittered = jittered + light * (1 - shade) * mean_grey[:, None, None, None]
        if "saturation" in drawn or "hue" in drawn:
            jittered = torch.einsum("mdc,mchw->mdhw", self._colors(images, grey, drawn), jittered)
        return jittered.clamp(0, 1)

    @staticmethod
    def _colors(images: Tensor, grey: Tensor, drawn: Drawn) -> Float[Tensor, "m 3 3"]:
        identity = torch.eye(3, device=images.device, dtype=images.dtype)
        colors = identity.expand(len(images), 3, 3)
        if "saturation" in drawn:
            factor = drawn["saturation"][:, None, None]
            colors = factor * identity + (1 - factor) * grey.expand(3, 3)
        if "hue" in drawn:
            angle, yiq = 2 * math.pi * drawn["hue"], images.new_tensor(_YIQ)
            cosine, sine, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
            turn = torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], 1).view(-1, 3, 3)
            colors = torch.linalg.inv(yiq) @ turn @ yiq @ colors
        return colors


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Covers a square of each image, centred on any of its pixels, by the image's own mean.

    A square near the border is cut off there. The mean becomes about 0 when the image is whitened, as the authors cover after their normalization.

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
