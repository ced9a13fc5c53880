"""MNIST, and Fashion-MNIST in its form: IDX files."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from shatterlab.core import Dataset, Part, Seeds, Splits
from shatterlab.core.errors import DataError
from shatterlab.readers.examples import as_examples
from shatterlab.readers.published_files import CanonicalFile
from shatterlab.readers.sizes import require_plausible

_UNSIGNED_BYTES = 8  # the type code of IDX, third byte of a file


def idx_files(dataset: str, source: str, published: Mapping[str, tuple[int, str, int, str]]) -> tuple[CanonicalFile, ...]:
    """The files of a data set in torchvision's layout, `DATASET/raw/NAME` and `.gz`.

    Args:
        dataset: the data set's name.
        source: the address of the folder that holds the `.gz` files.
        published: name -> size and md5 of the plain file, size and md5 of the `.gz`; training images, training labels, test images, test labels in this order.
    """
    files = []
    for name, (size, md5, gz_size, gz_md5) in published.items():
        path, address = f"{dataset}/raw/{name}", f"{source}/{name}.gz"
        packed = CanonicalFile(dataset, f"{path}.gz", gz_md5, address, gz_size)
        files.append(CanonicalFile(dataset, path, md5, address, size, packed))
    return tuple(files)


def read_idx(path: Path, dimensions: int, owner: str) -> np.ndarray[Any, Any]:
    """The array of bytes in an IDX file, plain or `.gz`.

    Args:
        path: the file.
        dimensions: how many the array must have.
        owner: name used in errors.

    Raises:
        DataError: the file cannot be unpacked, it is no IDX file of bytes with so many dimensions, or it holds more or less than its header says.
    """
    start = 4 + 4 * dimensions
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            header = stream.read(start)
            if len(header) < start or header[:4] != bytes((0, 0, _UNSIGNED_BYTES, dimensions)):
                required = f"an IDX file of bytes with {dimensions} dimension{'s' if dimensions > 1 else ''}"
                raise DataError(f"{owner}: {required} is required, got the first bytes {header[:4].hex(' ')!r} at {path}. Delete it and get it again.")
            shape = struct.unpack(f">{dimensions}I", header[4:])
            declared, size = math.prod(shape), path.stat().st_size
            if path.suffix == ".gz":
                require_plausible(size, declared, str(path), owner)
            content = stream.read(declared + 1) if path.suffix == ".gz" or declared <= size else b""
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{owner}: a whole .gz file is required, got {problem} at {path}. Delete it and get it again.") from problem
    if len(content) != declared:
        got = "more" if len(content) > declared else len(content) if path.suffix == ".gz" else size - start
        raise DataError(f"{owner}: {declared} bytes after the header are required, got {got} at {path}. Delete it and get it again.")
    return np.frombuffer(content, np.uint8).reshape(shape)


_MNIST = idx_files(
    "MNIST",
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    {
        "train-images-idx3-ubyte": (47040016, "6bbc9ace898e44ae57da46a324031adb", 9912422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        "train-labels-idx1-ubyte": (60008, "a25bea736e30d166cdddb491f175f624", 28881, "d53e105ee54ea40749a09fcbcd1e9432"),
        "t10k-images-idx3-ubyte": (7840016, "2646ac647ad5339dbf082846283269ea", 1648877, "9fb629c4189551a2d022fa330f9573f3"),
        "t10k-labels-idx1-ubyte": (10008, "27ae3e4e09519cfbb04c329615203637", 4542, "ec29112dd5afa0611ce80d1b7f02629c"),
    },
)
_FASHION_MNIST = idx_files(
    "FashionMNIST",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    {
        "train-images-idx3-ubyte": (47040016, "f4a8712d7a061bf5bd6d2ca38dc4d50a", 26421880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        "train-labels-idx1-ubyte": (60008, "9018921c3c673c538a1fc5bad174d6f9", 29515, "25c81989df183df01b3e8a0aad5dffbe"),
        "t10k-images-idx3-ubyte": (7840016, "8181f5470baa50b63fa0f6fddb340f0a", 4422102, "bef4ecab320f06d8554ea6380940ec79"),
        "t10k-labels-idx1-ubyte": (10008, "15d484375f8d13e6eb1aabb0c3f46965", 5148, "bb300cfdad3c16e7a12a480ee83cd310"),
    },
)


@dataclass(frozen=True)
class _IDX(Dataset):
    """Ten classes of grey images in four IDX files."""

    FILES: ClassVar[tuple[CanonicalFile, ...]] = ()

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()  # its files are not everywhere

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        dimensions = (3, 1, 3, 1)
        images, labels, test_images, test_labels = (read_idx(file.find(root), d, file.dataset) for file, d in zip(self.FILES, dimensions, strict=True))
        return Splits(as_examples(images[:, None], labels, 10, 255), as_examples(test_images[:, None], test_labels, 10, 255))


@dataclass(frozen=True)
class MNIST(_IDX):
    """70,000 handwritten digits of 28 x 28 grey pixels, 60,000 of them for training.

    Reads `MNIST/raw/train-images-idx3-ubyte` and its three siblings, plain or `.gz`, below the data root; sizes and
    checksums are verified. Inputs are n x 1 x 28 x 28.

    Args:
        examples: how many training examples to keep, 1 .. 60,000 (None: all).
        test_examples: how many test examples to keep, 1 .. 10,000 (None: all).

    Source:
        LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition".
    """

    FILES: ClassVar[tuple[CanonicalFile, ...]] = _MNIST


@dataclass(frozen=True)
class FashionMNIST(_IDX):
    """70,000 pictures of clothes in MNIST's form, 60,000 of them for training.

    Reads `FashionMNIST/raw/train-images-idx3-ubyte` and its three siblings, plain or `.gz`, below the data root; sizes
    and checksums are verified. Inputs are n x 1 x 28 x 28.

    Args:
        examples: how many training examples to keep, 1 .. 60,000 (None: all).
        test_examples: how many test examples to keep, 1 .. 10,000 (None: all).

    Source:
        Xiao, Rasul, Vollgraf 2017, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms".
    """

    FILES: ClassVar[tuple[CanonicalFile, ...]] = _FASHION_MNIST
