"""Points without structure, for what theory knows of points in general position."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from shatterlab.core import Dataset, Examples, Seeds, Splits


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
