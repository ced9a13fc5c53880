"""Files that tests write and readers read, and the text of a refusal."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from shatterlab.core.errors import DataError
from shatterlab.readers.published_files import CanonicalFile


def refusal(action) -> str:
    with pytest.raises(DataError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def made_file(folder: Path, content: bytes, name: str = "made/file", dataset: str = "Made") -> CanonicalFile:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return CanonicalFile(dataset, name, hashlib.md5(content).hexdigest(), "https://example.org/made", len(content))


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
