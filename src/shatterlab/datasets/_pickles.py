"""Pickles of arrays and plain containers, read without the power to run anything else."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np

from shatterlab.core.errors import DataError

_reconstruct = np.empty(0).__reduce__()[0]  # a built-in function, whose home differs between numpy 1 and 2


def read_pickle(path: Path, owner: str) -> Any:
    """What a pickle of numpy arrays and plain containers holds; text of Python 2 arrives as bytes.

    Args:
        path: the file.
        owner: who asks, for the message.

    Raises:
        DataError: the pickle names anything but what rebuilds an array (nothing of it is run), or it is damaged.
    """
    try:
        with path.open("rb") as stream:
            return _ArraysOnly(stream, path, owner).load()
    except DataError:
        raise
    except Exception as problem:  # a damaged pickle can fail in any way that its opcodes can
        reason = f"{type(problem).__name__}: {problem}"
        raise DataError(f"{owner}: a whole pickle is required, got {reason} at {path}. Delete it and get it again.") from problem


class _ArraysOnly(pickle.Unpickler):
    def __init__(self, stream: IO[bytes], path: Path, owner: str) -> None:
        super().__init__(stream, encoding="bytes")
        self._path, self._owner = path, owner

    def find_class(self, module: str, name: str) -> Any:
        admitted = {
            ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): lambda code, *_alignment: np.dtype(code),  # old pickles hold 0 where numpy now wants False
            ("_codecs", "encode"): lambda text, _encoding: text.encode("latin1"),  # how protocol 2 holds bytes
        }
        if (module, name) in admitted:
            return admitted[module, name]
        raise DataError(
            f"{self._owner}: a pickle of arrays and plain containers is required, got one that names {module}.{name} at {self._path}. "
            "It could run code, so nothing of it was run: delete it and get it again from the data set's own page."
        )
