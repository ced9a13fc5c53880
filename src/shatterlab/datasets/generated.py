"""Data sets that a program draws: Gaussian points, and JPEG photos in memory."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from shatterlab.core import Dataset, Examples, Seeds, Splits
from shatterlab.readers.photos import PhotoStream


@dataclass(frozen=True)
class GaussianCloud(Dataset):
    """Standard Gaussian points in d dimensions, labelled by a random linear teacher through 0.

    Inputs are a table, n x d, each value drawn from N(0, 1) by the data stream; with probability 1 no d of them lie in a plane through 0. The true
    label is the class with the largest of k random linear scores, so a linear model without bias can fit it at any n; random labels are
    the corruption's (`RandomLabels`). The test split has a quarter as many points, at least 20.

    Args:
        d: dimensions, >= 1.
        n: training points that there are, of which `examples` keeps some, >= 20, so that one class alone is as good as impossible.
        classes: k, >= 2.
        examples: how many training points to keep (None: all).
        test_examples: how many test points to keep (None: all).

    Raises:
        InvalidPart: a number is out of range.

    Source:
        Cover 1965 (points in general position).

    Example:
        >>> splits = GaussianCloud(d=5, n=100).load()
        >>> splits.train.shape, len(splits.train), len(splits.test), splits.train.classes
        ((5,), 100, 25, 2)
    """

    d: int = 20
    n: int = 1000
    classes: int = 2

    def validate(self) -> None:
        super().validate()
        self.require(self.d >= 1, "d is a whole number >= 1", self.d)
        self.require(self.n >= 20, "n is a whole number >= 20", self.n, "Keep fewer by examples")
        self.require(self.classes >= 2, "classes is a whole number >= 2", self.classes)

    @classmethod
    def specimens(cls) -> tuple[GaussianCloud, ...]:
        return cls(d=5, n=200), cls(d=3, n=120, classes=3)

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        teacher = seeds.rng("data", "teacher").standard_normal((self.d, self.classes))
        return Splits(self._points("train", self.n, teacher, seeds), self._points("test", max(20, self.n // 4), teacher, seeds))

    def _points(self, split: str, count: int, teacher: np.ndarray[tuple[int, int], np.dtype[np.float64]], seeds: Seeds) -> Examples:
        points = seeds.rng("data", "points", split).standard_normal((count, self.d)).astype(np.float32)
        labels = (points.astype(np.float64) @ teacher).argmax(1)
        return Examples(torch.from_numpy(points), torch.from_numpy(labels.astype(np.int64)), self.classes)


@dataclass(frozen=True)
class GeneratedPhotos(Dataset):
    """JPEG photos made from the data stream: gratings, each class with its own direction and colour, under noise; streamed like a folder.

    Sides differ from photo to photo, and every tenth photo is grey. Nothing is downloaded or written.

    Args:
        classes: k, >= 2.
        per_class: training photos of each class, >= 1; a third as many (at least one) for testing.
        side: shorter side of a photo, >= 8 pixels.
        noise: deviation of the pixels' noise, >= 0; the grating has amplitude 0.25.
        size: side of the square inputs, >= 1 pixels.
        fraction: of each side of a photo, kept in the middle, in (0, 1].
    """

    classes: int = 4
    per_class: int = 12
    side: int = 40
    noise: float = 0.1
    size: int = 32
    fraction: float = 0.875

    def validate(self) -> None:
        super().validate()
        self.require(self.classes >= 2, "classes is a whole number >= 2", self.classes)
        self.require(self.per_class >= 1, "per_class is a whole number >= 1", self.per_class)
        self.require(self.side >= 8, "side is a whole number >= 8", self.side)
        self.require(self.noise >= 0, "noise is a deviation >= 0", self.noise)
        self.require(self.size >= 1, "size is a whole number >= 1", self.size)
        self.require(0 < self.fraction <= 1, "fraction is in (0, 1]", self.fraction)

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        sizes = {"train": self.per_class, "test": max(1, self.per_class // 3)}
        train, test = (self._split(count, seeds.rng("data", "generated photos", name)) for name, count in sizes.items())
        return Splits(train, test)

    def _split(self, count: int, rng: np.random.Generator) -> Examples:
        labels = np.repeat(np.arange(self.classes), count)
        photos = [self._photo(int(label), grey=position % 10 == 9, rng=rng) for position, label in enumerate(labels)]
        stream: Any = PhotoStream(photos, self.size, self.fraction, self.kind)
        return Examples(stream, torch.from_numpy(labels), self.classes, 255)

    def _photo(self, label: int, grey: bool, rng: np.random.Generator) -> bytes:
        height, width = self.side + rng.integers(0, self.side // 2, 2)
        rows, columns = np.mgrid[0:height, 0:width]
        angle, phase = np.pi * label / self.classes, rng.uniform(0, 2 * np.pi)
        wave = np.sin(2 * np.pi * (rows * np.sin(angle) + columns * np.cos(angle)) / (self.side / 4) + phase)
        colour = 0.5 + 0.5 * np.cos(2 * np.pi * (label / self.classes + np.arange(3) / 3))
        values = 0.5 + 0.25 * wave[:, :, None] * colour + self.noise * rng.standard_normal((height, width, 3))
        image = Image.fromarray((255 * values.clip(0, 1)).astype(np.uint8))
        written = io.BytesIO()
        (image.convert("L") if grey else image).save(written, "JPEG", quality=90)
        return written.getvalue()
