"""CIFAR-10 and CIFAR-100, whose Python batches are read without the power to run anything that a pickle names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from shatterlab.core import Dataset, Examples, Part, Seeds, Splits
from shatterlab.core.errors import DataError
from shatterlab.readers.array_pickles import read_pickle, read_torch_file
from shatterlab.readers.examples import as_examples
from shatterlab.readers.published_files import CanonicalFile

SIDE = 32
SOURCE = "https://www.cs.toronto.edu/~kriz/cifar.html"


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


_BATCHES = {
    "data_batch_1": (31035704, "c99cafc152244af753f735de768cd75f"),
    "data_batch_2": (31035320, "d4bba439e000b95fd0a9bffe97cbabec"),
    "data_batch_3": (31035999, "54ebc095f3ab1f0389bbae665268c751"),
    "data_batch_4": (31035696, "634d18415352ddfa80567beed471001a"),
    "data_batch_5": (31035623, "482c414d41f54cd18b22e5b47cb7c3cb"),
    "test_batch": (31035526, "40351d587109b95175f43aff81a1287e"),
}
_CIFAR10 = tuple(CanonicalFile("CIFAR10", f"cifar-10-batches-py/{name}", md5, SOURCE, size) for name, (size, md5) in _BATCHES.items())
_HUMAN = CanonicalFile(
    "CIFAR10N", "CIFAR-N/CIFAR-10_human.pt", "96644db5574813cae939af5f7f2a0aec", "https://github.com/UCSC-REAL/cifar-10-100n (folder data)", 2401007
)
_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_COLUMNS = {"aggregate": "aggre_label", "random1": "random_label1", "random2": "random_label2", "random3": "random_label3", "worst": "worse_label"}
_CIFAR100 = (
    CanonicalFile("CIFAR100", "cifar-100-python/train", "16019d7e3df5f24257cddd939b257f8d", SOURCE),
    CanonicalFile("CIFAR100", "cifar-100-python/test", "f0ef6b0ae62326f3e7ffdfab6717acfc", SOURCE),
)


@dataclass(frozen=True)
class _CIFAR(Dataset):
    """The crop and the checks of CIFAR-10 and CIFAR-100.

    Args:
        crop: side of the centre square to keep, 1 .. 32 pixels (None: all 32).
    """

    crop: int | None = None

    def validate(self) -> None:
        super().validate()
        self.require(self.crop is None or 1 <= self.crop <= SIDE, f"crop is a whole number in 1..{SIDE} or None", self.crop)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()  # its files are not everywhere

    def _examples(self, files: tuple[CanonicalFile, ...], key: str, classes: int, root: Path | None) -> Examples:
        batches = [_read_batch(file, key, root) for file in files]
        side = self.crop or SIDE
        middle = slice((SIDE - side) // 2, (SIDE - side) // 2 + side)
        pixels = np.concatenate([batch[:, :, middle, middle] for batch, _ in batches])
        return as_examples(pixels, np.concatenate([labels for _, labels in batches]), classes, 255)


@dataclass(frozen=True)
class CIFAR10(_CIFAR):
    """60,000 colour photos of 32 x 32 pixels in ten classes, 50,000 of them for training.

    Reads `cifar-10-batches-py/data_batch_1` .. `5` and `test_batch` below the data root; sizes and checksums are verified. Inputs are n x 3 x 32 x 32.

    Args:
        crop: side of the centre square to keep, 1 .. 32 pixels; the paper's networks see 28 (None: all 32).
        examples: how many training examples to keep, 1 .. 50,000 (None: all).
        test_examples: how many test examples to keep, 1 .. 10,000 (None: all).

    Raises:
        InvalidPart: crop lies outside 1 .. 32.

    Source:
        Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """

    FILES: ClassVar[tuple[CanonicalFile, ...]] = _CIFAR10

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        train, test = (self._examples(files, "labels", 10, root) for files in (self.FILES[:-1], self.FILES[-1:]))
        return Splits(train, test)


@dataclass(frozen=True)
class CIFAR100(_CIFAR):
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

    FILES: ClassVar[tuple[CanonicalFile, ...]] = _CIFAR100

    labels: Literal["fine", "coarse"] = "fine"

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        classes = 100 if self.labels == "fine" else 20
        train, test = (self._examples(files, f"{self.labels}_labels", classes, root) for files in (self.FILES[:1], self.FILES[1:]))
        return Splits(train, test)


@dataclass(frozen=True)
class CIFAR10N(_CIFAR):
    """CIFAR-10 with the training labels that people gave, who err: 9 to 40 % differ from the published ones. The test split is that of CIFAR-10.

    Reads `CIFAR-N/CIFAR-10_human.pt` below the data root beside the files of CIFAR-10; sizes and checksums are verified. The file has its authors'
    licence, CC BY-NC 4.0: get it from them.

    Args:
        noise: whose labels: "aggregate" (the majority of three people, ties drawn: 9.01 % noise), "random1", "random2", "random3" (one person each,
            17.23 %, 18.12 %, 17.64 %), "worst" (a wrong one of the three where there is one, 40.21 %).
        crop: side of the centre square to keep, 1 .. 32 pixels (None: all 32).
        examples: how many training examples to keep, 1 .. 50,000 (None: all).
        test_examples: how many test examples to keep, 1 .. 10,000 (None: all).

    Raises:
        InvalidPart: crop lies outside 1 .. 32, or noise is none of these.

    Source:
        Wei, Zhu, Cheng, Liu, Niu, Liu 2022, "Learning with noisy labels revisited: a study using real-world human annotations".

    Example:
        >>> CIFAR10N(noise="worst").noise
        'worst'
    """

    FILES: ClassVar[tuple[CanonicalFile, ...]] = (_HUMAN,)  # besides those of CIFAR10

    noise: Literal["aggregate", "random1", "random2", "random3", "worst"] = "aggregate"

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        [file] = self.FILES
        path = file.find(root)
        splits = CIFAR10(self.crop).read(root, seeds)
        content = read_torch_file(path, file.dataset)
        clean, given = (content.get(name) if isinstance(content, dict) else None for name in ("clean_label", _COLUMNS[self.noise]))
        fitting = all(isinstance(labels, np.ndarray) and labels.shape == (len(splits.train),) and labels.dtype.kind == "i" for labels in (clean, given))
        if not fitting or not np.array_equal(clean, splits.train.labels.numpy()):  # type: ignore[arg-type]
            required = f"clean_label, equal to the labels of CIFAR-10, and {_COLUMNS[self.noise]}, one whole number for each training image"
            raise DataError(f"{self.kind}: {required} are required, got others at {path}. Delete it and get it again from {file.source}.")
        return replace(
            splits, train=replace(splits.train, labels=torch.from_numpy(np.array(given, np.int64)), names=_NAMES), test=replace(splits.test, names=_NAMES)
        )
