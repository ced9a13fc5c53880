"""From arrays of pixels to examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from shatterlab.core import Examples


def as_examples(values: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], classes: int, levels: int | None = None) -> Examples:
    """Examples with float32 inputs, divided by `levels` where the values are counts 0 .. levels.

    Args:
        values: n x channels x height x width, or n x d; left unchanged.
        labels: whole numbers, shape (n,); left unchanged.
        classes: k.
        levels: the largest value that the source can hold, 255 for 8-bit pixels (None: the values are taken as they are).
    """
    import torch

    with np.errstate(over="ignore"):  # too large for float32 becomes infinity, which `Dataset.load` reports with its position
        inputs = torch.from_numpy(values.astype(np.float32, order="C"))
    if levels is not None:
        inputs.div_(levels)
    return Examples(inputs, torch.from_numpy(labels.astype(np.int64)), classes, levels)
