"""MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shatterlab.core import Dataset, Part, Seeds, Splits
from shatterlab.datasets._idx import idx_files, read_splits

FILES = idx_files(
    "MNIST",
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    {
        "train-images-idx3-ubyte": (47040016, "6bbc9ace898e44ae57da46a324031adb", 9912422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        "train-labels-idx1-ubyte": (60008, "a25bea736e30d166cdddb491f175f624", 28881, "d53e105ee54ea40749a09fcbcd1e9432"),
        "t10k-images-idx3-ubyte": (7840016, "2646ac647ad5339dbf082846283269ea", 1648877, "9fb629c4189551a2d022fa330f9573f3"),
        "t10k-labels-idx1-ubyte": (10008, "27ae3e4e09519cfbb04c329615203637", 4542, "ec29112dd5afa0611ce80d1b7f02629c"),
    },
)


@dataclass(frozen=True)
class MNIST(Dataset):
    """70,000 handwritten digits of 28 x 28 grey pixels, 60,000 of them for training.

    Reads `MNIST/raw/train-images-idx3-ubyte` and its three siblings, plain or `.gz`, below the data root; sizes and
    checksums are verified. Inputs are n x 1 x 28 x 28.

    Args:
        examples: how many training examples to keep, 1 .. 60,000 (None: all).
        test_examples: how many test examples to keep, 1 .. 10,000 (None: all).

    Source:
        LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition".
    """

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()  # its files are not everywhere

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        return read_splits(FILES, root)
