"""The Python batches of CIFAR-10 and CIFAR-100, read without the power to run anything that a pickle names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from shatterlab.core import Examples
from shatterlab.core.errors import DataError
from shatterlab.readers.array_pickles import read_pickle
from shatterlab.readers.examples import as_examples
from shatterlab.readers.published_files import CanonicalFile

SIDE = 32
SOURCE = "https://www.cs.toronto.edu/~kriz/cifar.html"


def read_batches(files: tuple[CanonicalFile, ...], key: str, classes: int, crop: int | None, root: Path | None) -> Examples:
    """The examples of these batches, one after the other.

    Args:
        files: the batches.
        key: under which a batch holds its labels.
        classes: k.
        crop: side of the centre to keep (None: all 32 pixels).
        root: the data root.

    Raises:
        DataError: a file is missing, damaged or no batch of this form.
    """
    batches = [_read_batch(file, key, root) for file in files]
    pixels = np.concatenate([_centre(batch, crop or SIDE) for batch, _ in batches])
    return as_examples(pixels, np.concatenate([labels for _, labels in batches]), classes, 255)


def _read_batch(file: CanonicalFile, key: str, root: Path | None) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    path = file.find(root)
    batch = read_pickle(path, file.dataset)
    content = batch if isinstance(batch, dict) else {}
    pixels, labels = content.get(b"data"), content.get(key.encode())
    fitting = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape[1:] == (3 * SIDE * SIDE,)
    if not fitting or not isinstance(labels, list) or not all(isinstance(label, int) for label in labels):
        keys = ", ".join(sorted(str(name, "latin1") for name in content if isinstance(name, bytes))) or "none"
        required = f"a batch with data (n x 3072 bytes) and {key} (a list of whole numbers)"
        raise DataError(f"{file.dataset}: {required} is required, got the keys {keys} at {path}. Delete it and get it again from {file.source}.")
    assert isinstance(pixels, np.ndarray)
    return pixels.reshape(-1, 3, SIDE, SIDE), np.array(labels, dtype=np.int64)


def _centre(pixels: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    start = (SIDE - side) // 2
    return pixels[:, :, start : start + side, start : start + side]
