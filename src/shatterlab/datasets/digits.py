"""The embedded data set: real images without a download."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shatterlab.core import Dataset, Seeds, Splits
from shatterlab.readers.examples import as_examples, three_quarters

_LEVELS = 16  # a pixel counts the inked cells of a 4 x 4 block: 0 .. 16


@dataclass(frozen=True)
class Digits(Dataset):
    """1,797 real handwritten digits of 8 x 8 grey pixels, which come with scikit-learn.

    Inputs are n x 1 x 8 x 8, a pixel's 0 .. 16 divided by 16. The data stream splits the images 1,347 for training and
    450 for testing, class shares matched to within one image.

    Args:
        examples: how many training examples to keep, 1 .. 1,347 (None: all).
        test_examples: how many test examples to keep, 1 .. 450 (None: all).

    Source:
        Alpaydin and Kaynak 1998, "Optical recognition of handwritten digits", UCI repository (its test part).

    Example:
        >>> splits = Digits().load()
        >>> splits.train.shape, len(splits.train), len(splits.test)
        ((1, 8, 8), 1347, 450)
    """

    @classmethod
    def specimens(cls) -> tuple[Digits, ...]:
        return cls(), cls(examples=100, test_examples=50)

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        pixels, labels = _arrays()
        train, test = (as_examples(pixels[positions], labels[positions], 10, _LEVELS) for positions in three_quarters(labels, seeds))
        return Splits(train, test)


@functools.cache
def _arrays() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return pixels.reshape(-1, 1, 8, 8), labels
