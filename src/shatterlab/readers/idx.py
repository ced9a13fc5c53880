"""The IDX files of MNIST and of the sets published in its form."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shatterlab.core import Splits
from shatterlab.core.errors import DataError
from shatterlab.readers.examples import as_examples
from shatterlab.readers.published_files import CanonicalFile

_UNSIGNED_BYTES = 8  # the type code of IDX, third byte of a file


def idx_files(dataset: str, source: str, published: Mapping[str, tuple[int, str, int, str]]) -> tuple[CanonicalFile, ...]:
    """The files of a data set in torchvision's layout, `DATASET/raw/NAME` and `.gz`.

    Args:
        dataset: the data set's name.
        source: the address of the folder that holds the `.gz` files.
        published: name -> size and md5 of the plain file, size and md5 of the `.gz`; training images, training
            labels, test images, test labels in this order.
    """
    files = []
    for name, (size, md5, gz_size, gz_md5) in published.items():
        path, address = f"{dataset}/raw/{name}", f"{source}/{name}.gz"
        packed = CanonicalFile(dataset, f"{path}.gz", gz_md5, address, gz_size)
        files.append(CanonicalFile(dataset, path, md5, address, size, packed))
    return tuple(files)


def read_splits(files: tuple[CanonicalFile, ...], root: Path | None) -> Splits:
    """Ten classes of grey images from the four files of `idx_files`.

    Raises:
        DataError: a file is missing, damaged or no IDX file of the right form.
    """
    images, labels, test_images, test_labels = (
        read_idx(file.find(root), dimensions, file.dataset) for file, dimensions in zip(files, (3, 1, 3, 1), strict=True)
    )
    return Splits(as_examples(images[:, None], labels, 10, 255), as_examples(test_images[:, None], test_labels, 10, 255))


def read_idx(path: Path, dimensions: int, owner: str) -> np.ndarray[Any, Any]:
    """The array of bytes in an IDX file, plain or `.gz`.

    Args:
        path: the file.
        dimensions: how many the array must have.
        owner: name used in errors.

    Raises:
        DataError: the file cannot be unpacked, or it is no IDX file of bytes with so many dimensions.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{owner}: a whole .gz file is required, got {problem} at {path}. Delete it and get it again.") from problem
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes((0, 0, _UNSIGNED_BYTES, dimensions)):
        required = f"an IDX file of bytes with {dimensions} dimension{'s' if dimensions > 1 else ''}"
        raise DataError(f"{owner}: {required} is required, got the first bytes {content[:4].hex(' ')!r} at {path}. Delete it and get it again.")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if math.prod(shape) != len(content) - start:
        raise DataError(f"{owner}: {math.prod(shape)} bytes after the header are required, got {len(content) - start} at {path}. Delete it and get it again.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
