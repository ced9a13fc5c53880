"""Small samples on which the laws try parts: new tensors at each call, with the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Splits

CLASSES = 5
IMAGE = (3, 6, 6)
FEATURES = 7


def images(n: int = 400, test: int = 150) -> Splits:
    """8-bit images of 5 classes with shares 1 to 5 in 15: the pattern of the class and as much noise."""
    rng = np.random.default_rng(3)
    patterns = rng.integers(0, 256, (CLASSES, *IMAGE))

    def split(size: int) -> Examples:
        labels = _unequal(size, rng)
        pixels = (patterns[labels] + rng.integers(0, 256, (size, *IMAGE))) // 2
        return Examples(torch.from_numpy(pixels.astype(np.float32) / np.float32(255)), torch.from_numpy(labels), CLASSES, 255)

    return Splits(split(n), split(test))


def table(n: int = 400, test: int = 150) -> Splits:
    """Rows of 7 features of unlike scales and signs, 5 classes of shares 1 to 5 in 15 around one centre each."""
    rng = np.random.default_rng(4)
    centres, scales = 3 * rng.standard_normal((CLASSES, FEATURES)), 10.0 ** np.arange(-3, FEATURES - 3)

    def split(size: int) -> Examples:
        labels = _unequal(size, rng)
        rows = (centres[labels] + rng.standard_normal((size, FEATURES))) * scales
        return Examples(torch.from_numpy(rows.astype(np.float32)), torch.from_numpy(labels), CLASSES)

    return Splits(split(n), split(test))


def many_labels(n: int = 20_000) -> Splits:
    """A sample large enough for statistics of labels; its inputs are a single number each."""
    labels = torch.from_numpy(_unequal(n, np.random.default_rng(5)))
    return Splits(Examples(torch.zeros(n, 1), labels, CLASSES), Examples(torch.zeros(10, 1), torch.arange(10) % CLASSES, CLASSES))


def copies(n: int = 200) -> Splits:
    """The same image n times in both splits, no two of its values equal."""
    values = np.random.default_rng(6).permutation(np.prod(IMAGE)).reshape(IMAGE) / np.prod(IMAGE)
    inputs = torch.from_numpy(values.astype(np.float32)).repeat(n, 1, 1, 1)
    labels = torch.arange(n) % CLASSES
    return Splits(Examples(inputs, labels, CLASSES), Examples(inputs.clone(), labels.clone(), CLASSES))


def _unequal(n: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    shares = np.arange(1, CLASSES + 1) / np.arange(1, CLASSES + 1).sum()
    return rng.permutation(np.searchsorted(shares.cumsum(), (np.arange(n) + 0.5) / n)).astype(np.int64)
