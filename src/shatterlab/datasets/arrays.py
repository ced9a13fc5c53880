"""The user's own data as arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shatterlab.core import Dataset, Part, Seeds, Splits, live_code
from shatterlab.core.errors import DataError
from shatterlab.readers.array_archives import read_npz
from shatterlab.readers.examples import Task, target_of
from shatterlab.readers.published_files import file_digest

_PARTED = ("x_train", "y_train", "x_test", "y_test")
_WHOLE = ("x", "y")
_CHANNELS = (1, 3, 4)
_KEYS = f"{' '.join(_PARTED)} (or {' '.join(_WHOLE)})"


@dataclass(frozen=True)
class Arrays(Dataset):
    """Your own images or table rows in an .npz file, saved with `numpy.savez`.

    The file holds `x_train y_train x_test y_test`, or `x y`, which the data stream splits 3 to 1 with class shares kept (the only example of a class is for
    training; of two or more, at least one goes to each side). Inputs are a table (n x d), grey images (n x height x width) or images with channels first, or
    last where the last axis is 1, 3 or 4 and the first is not. uint8 is divided by 255; floats are taken as they are, so bring images to [0, 1] yourself; other
    whole numbers and true/false are for tables only. Labels are whole numbers of any numeric type, or text; what is not 0 .. k - 1 is numbered in sorted order.
    What the free memory does not hold, and an array of more than 100 times its packed size (from 64 MiB on), is refused before it is unpacked.

    Args:
        path: the .npz file; a relative path starts at the working folder. A name that begins with "live:" stands for arrays of this process (`Arrays.of`).
        classes: k, >= 2, where numbers are 0 .. k - 1 and some may be missing (None: the number of distinct labels).
        task: "classes", or "numbers" where labels are numbers that a regressor predicts.
        examples: how many training examples to keep (None: all).
        test_examples: how many test examples to keep (None: all).

    Raises:
        InvalidPart: classes is below 2, or given for a task of numbers.
    """

    path: str
    classes: int | None = None
    task: Task = "classes"

    def validate(self) -> None:
        super().validate()
        self.require(self.path, "path is the path of an .npz file", self.path)
        self.require(self.classes is None or self.classes >= 2, "classes is a whole number >= 2 or None", self.classes)
        self.require(self.classes is None or self.task == "classes", "classes go with a task of classes", self.classes)

    @classmethod
    def of(cls, inputs: Any, labels: Any, test: tuple[Any, Any] | None = None, **fields: Any) -> Arrays:
        """The data set of arrays that this process holds, parted 3 to 1 like `x` and `y` of a file where there is no test split.

        Args:
            inputs: what `numpy.asarray` takes, copied.
            labels: likewise; text may be objects.
            test: inputs and labels of the test split.
            fields: `classes`, `task`, `examples`, `test_examples`.

        Example:
            >>> Arrays.of([[0.0], [1.0], [2.0], [3.0]] * 4, ["a", "b", "c", "a"] * 4).load().train.names
            ('a', 'b', 'c')
        """
        pairs = [(inputs, labels), *([test] if test is not None else [])]
        names = _WHOLE if test is None else _PARTED
        arrays = {name: np.array(array) for name, array in zip(names, (array for pair in pairs for array in pair), strict=True)}
        content = hashlib.sha256()
        for array in arrays.values():
            content.update(f"{array.dtype} {array.shape}".encode())
            content.update(repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes())
        return cls(live_code.hold(arrays, f"arrays#{content.hexdigest()[:32]}"), **fields)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()  # a user's file is not everywhere

    def fingerprints(self) -> Mapping[str, str]:
        if live_code.is_live(self.path):
            return {"path": self.path}
        return {"path": f"sha256:{file_digest(self._file(), 'sha256', self.kind)[:32]}"}

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        arrays, owner = self._arrays()
        pairs = (_WHOLE,) if "x" in arrays else (_PARTED[:2], _PARTED[2:])
        for x, y in pairs:
            arrays[x] = _inputs(arrays[x], x, owner)
            _paired(arrays[x], arrays[y], x, y, owner)
        target, text = target_of({y: arrays[y] for _, y in pairs}, self.task, self.classes, owner), ""
        samples, parts = [(arrays[x], target.labels[y]) for x, y in pairs], None
        if len(samples) == 1:
            [(inputs, labels)] = samples
            parts, text = target.parted(labels, seeds)
            samples = [(inputs[positions], labels[positions]) for positions in parts]
        else:
            _alike(arrays["x_train"], arrays["x_test"], owner)
        levels = 255 if samples[0][0].dtype == np.uint8 else None
        examples = [target.examples(inputs, labels, levels) for inputs, labels in samples]
        if parts is not None:
            examples = [replace(each, rows=torch.from_numpy(rows)) for each, rows in zip(examples, parts, strict=True)]
        return Splits(*examples, split_text=text)

    def _arrays(self) -> tuple[dict[str, np.ndarray[Any, Any]], str]:
        """The arrays by name, and the name used in errors."""
        if live_code.is_live(self.path):
            return dict(live_code.held(self.path, "data", self.kind)), self.kind
        return read_npz(self._file(), (_PARTED, _WHOLE), _KEYS, self.kind), f"{self.kind}: {Path(self.path).name}"

    def _file(self) -> Path:
        path = Path(self.path).expanduser().absolute()
        if not path.is_file():
            raise DataError(f"{self.kind}: an .npz file is required, {'a folder' if path.is_dir() else 'nothing'} is at {path}. Check the path.")
        return path


def _inputs(x: np.ndarray[Any, Any], name: str, owner: str) -> np.ndarray[Any, Any]:
    if x.dtype.kind in "US":
        remedy = "Turn every column into numbers (a text column into one column of 0 and 1 for each of its values)."
        raise DataError(f"{owner}: numbers are required, {name} holds text, such as {x.flat[0] if x.size else ''!s:.40}. {remedy}")
    if x.dtype.kind not in "uifb":
        raise DataError(f"{owner}: numbers are required, {name} holds {x.dtype}. Turn them into floats.")
    if x.ndim not in (2, 3, 4) or 0 in x.shape[1:]:
        required = "n x d, n x height x width, n x channels x height x width or n x height x width x channels"
        raise DataError(f"{owner}: {required} is required, {name} has shape {x.shape}. Reshape it.")
    if x.ndim > 2 and x.dtype.kind in "uib" and x.dtype != np.uint8:
        remedy = "Save 8-bit pixels with .astype(numpy.uint8), others as floats in [0, 1]."
        raise DataError(f"{owner}: images are uint8 in 0..255 or floats in [0, 1], {name} holds {x.dtype}. {remedy}")
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[-1] in _CHANNELS and x.shape[1] not in _CHANNELS:
        return x.transpose(0, 3, 1, 2)
    return x


def _paired(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], x_name: str, y_name: str, owner: str) -> None:
    if y.ndim != 1:
        remedy = f"Use {y_name}.argmax(1) for one-hot rows, {y_name}.ravel() for a single column."
        raise DataError(f"{owner}: one label an example, shape ({len(x)},), is required, {y_name} has shape {y.shape}. {remedy}")
    if len(x) != len(y):
        raise DataError(f"{owner}: as many labels as inputs are required, {x_name} has {len(x)} examples and {y_name} has {len(y)}. Save matching arrays.")
    if len(y) == 0:
        raise DataError(f"{owner}: at least one example is required, {x_name} is empty. Check how the file was made.")


def _alike(train: np.ndarray[Any, Any], test: np.ndarray[Any, Any], owner: str) -> None:
    if train.shape[1:] != test.shape[1:]:
        got = f"x_train has {train.shape[1:]} and x_test has {test.shape[1:]}"
        raise DataError(f"{owner}: inputs of one shape (channels first) are required, {got} an example. Save both alike.")
    if (train.dtype == np.uint8) != (test.dtype == np.uint8):
        raise DataError(f"{owner}: both splits as uint8 or both as floats are required, x_train is {train.dtype} and x_test {test.dtype}. Save both alike.")
