"""Photos that are drawn by a program: JPEG files in memory, for trying what reads photos."""

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
