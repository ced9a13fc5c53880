"""The user's own photos in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shatterlab.core import Dataset, Part, Seeds, Splits
from shatterlab.core.errors import DataError
from shatterlab.datasets._class_folders import Classes, folder_at, sources
from shatterlab.datasets._digest import file_digest
from shatterlab.datasets._images import as_examples
from shatterlab.datasets._photos import decode
from shatterlab.datasets._split import three_quarters

_LIMIT = 4 * 2**30  # bytes of float32 that one folder may take in memory


@dataclass(frozen=True)
class ImageFolder(Dataset):
    """Your own photos, one folder a class, small enough to hold in memory.

    Either `PATH/train/CLASS/*` and `PATH/val/CLASS/*` (or `test` where there is no `val`), or `PATH/CLASS/*`, which the
    data stream parts 3 to 1 with class shares kept. Classes are numbered in sorted order of their names. Every file in a
    class folder must be an image that Pillow reads; names that begin with a dot are passed over, and so are files
    beside the class folders. Grey, palette and CMYK images become RGB, transparency is dropped, and of an animation the
    first frame counts. The shorter side is scaled to `size` (bilinear, antialiased), then the centre is kept.

    Args:
        path: the folder; a relative path starts at the working folder.
        size: side of the square images, >= 1 pixels.
        examples: how many training examples to keep (None: all).
        test_examples: how many test examples to keep (None: all).

    Raises:
        InvalidPart: size is below 1.
    """

    path: str
    size: int = 32

    def validate(self) -> None:
        super().validate()
        self.require(self.path, "path is the path of a folder", self.path)
        self.require(self.size >= 1, "size is a whole number >= 1", self.size)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()  # a user's folder is not everywhere

    def fingerprints(self) -> Mapping[str, str]:
        folder, content = folder_at(self.path, self.kind), hashlib.sha256()
        for file in sorted(each for files in sources(self.path, self.kind).values() for images in files.values() for each in images):
            line = (file.relative_to(folder).as_posix(), str(file.stat().st_size), file_digest(file, "sha256", self.kind))
            content.update("\0".join(line).encode() + b"\n")
        return {"path": f"sha256:{content.hexdigest()[:32]}"}

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        found = sources(self.path, self.kind)
        n = sum(len(images) for files in found.values() for images in files.values())
        needed = n * 3 * self.size * self.size * 4
        if needed > _LIMIT:
            got = f"{n} images of {self.size} x {self.size} pixels take {needed / 2**30:.1f} GiB"
            wanted, folder = f"at most {_LIMIT / 2**30:.0f} GiB in memory is required", folder_at(self.path, self.kind)
            raise DataError(f"{self.kind}: {wanted}, {got}. Lower size, or keep fewer files in {folder}.")
        parts = [self._decoded(files) for files in found.values()]
        if len(parts) == 1:
            pixels, labels = parts[0]
            parts = [(pixels[some], labels[some]) for some in three_quarters(labels, seeds)]
        classes = len(next(iter(found.values())))
        train, test = (as_examples(pixels, labels, classes, 255) for pixels, labels in parts)
        return Splits(train, test)

    def _decoded(self, files: Classes) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        images = [file for inside in files.values() for file in inside]
        labels = np.repeat(np.arange(len(files)), [len(inside) for inside in files.values()])
        pixels = np.empty((len(images), 3, self.size, self.size), np.uint8)
        for position, file in enumerate(images):
            pixels[position] = decode(file, self.size, self.kind)
        return pixels, labels
