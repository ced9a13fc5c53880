"""CIFAR-100."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shatterlab.core import Dataset, Part, Seeds, Splits
from shatterlab.datasets._cifar import SIDE, SOURCE, read_batches
from shatterlab.datasets._root import CanonicalFile

FILES = (
    CanonicalFile("CIFAR100", "cifar-100-python/train", "16019d7e3df5f24257cddd939b257f8d", SOURCE),
    CanonicalFile("CIFAR100", "cifar-100-python/test", "f0ef6b0ae62326f3e7ffdfab6717acfc", SOURCE),
)


@dataclass(frozen=True)
class CIFAR100(Dataset):
    """60,000 colour photos of 32 x 32 pixels in 100 classes or 20 groups of them, 50,000 of them for training.

    Reads `cifar-100-python/train` and `test` below the data root; checksums are verified. Inputs are n x 3 x 32 x 32.

    Args:
        crop: side of the centre square to keep, 1 .. 32 pixels (None: all 32).
        labels: "fine" for the 100 classes, "coarse" for the 20 groups.
        examples: how many training examples to keep, 1 .. 50,000 (None: all).
        test_examples: how many test examples to keep, 1 .. 10,000 (None: all).

    Raises:
        InvalidPart: crop lies outside 1 .. 32, or labels is neither.

    Source:
        Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """

    crop: int | None = None
    labels: Literal["fine", "coarse"] = "fine"

    def validate(self) -> None:
        super().validate()
        self.require(self.crop is None or 1 <= self.crop <= SIDE, f"crop is a whole number in 1..{SIDE} or None", self.crop)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()  # its files are not everywhere

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        classes = 100 if self.labels == "fine" else 20
        train, test = (read_batches(files, f"{self.labels}_labels", classes, self.crop, root) for files in (FILES[:1], FILES[1:]))
        return Splits(train, test)
