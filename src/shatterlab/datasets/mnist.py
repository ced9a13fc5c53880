"""MNIST, and Fashion-MNIST in its form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from shatterlab.core import Dataset, Part, Seeds, Splits
from shatterlab.readers.idx import idx_files, read_splits
from shatterlab.readers.published_files import CanonicalFile

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
        return read_splits(self.FILES, root)


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
