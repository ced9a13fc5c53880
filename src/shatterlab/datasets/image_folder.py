"""The user's own photos in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shatterlab.core import Dataset, Part, Seeds, Splits
from shatterlab.core.errors import DataError
from shatterlab.readers.class_folders import Classes, folder_at, folder_fingerprint, labelled_files, sources
from shatterlab.readers.examples import as_examples, three_quarters
from shatterlab.readers.photos import MOST_PIXELS, antialiased_square

_LIMIT = 4 * 2**30  # bytes of float32 that one folder may take in memory; the same on every machine, as data sets have keys


@dataclass(frozen=True)
class ImageFolder(Dataset):
    """Your own photos, one folder a class, small enough to hold in memory.

    Either `PATH/train/CLASS/*` and `PATH/val/CLASS/*` (or `test` where there is no `val`), or `PATH/CLASS/*`, which the data stream splits 3 to 1 with class
    shares kept. Classes are numbered in sorted order of their names. Every file in a class folder must be an image that Pillow reads; names that begin with a
    dot are ignored, and so are files beside the class folders. Grey, palette and CMYK images become RGB, transparency is dropped, and of an animation the first
    frame counts. The shorter side is scaled to `size` (bilinear, antialiased), then the centre is kept. The folder itself and class folders may be links.

    Args:
        path: the folder; a relative path starts at the working folder.
        size: side of the square images, >= 1 pixels.
        max_pixels: of one image, >= 1; an image of more is refused before it is decoded.
        follow_links: accept files that are links to files outside of the folder.
        examples: how many training examples to keep (None: all).
        test_examples: how many test examples to keep (None: all).

    Raises:
        InvalidPart: size or max_pixels is below 1.
    """

    path: str
    size: int = 32
    max_pixels: int = MOST_PIXELS
    follow_links: bool = False

    def validate(self) -> None:
        super().validate()
        self.require(self.path, "path is the path of a folder", self.path)
        self.require(self.size >= 1, "size is a whole number >= 1", self.size)
        self.require(self.max_pixels >= 1, "max_pixels is a whole number >= 1", self.max_pixels)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()  # a user's folder is not everywhere

    def fingerprints(self) -> Mapping[str, str]:
        files = sorted(file for classes in self._sources().values() for file in labelled_files(classes)[0])
        return {"path": folder_fingerprint(folder_at(self.path, self.kind), files, self.kind)}

    @property
    def fits(self) -> bool:
        """Whether all images take at most 4 GiB as float32; more go through a `StreamedFolder`."""
        return self._bytes()[1] <= _LIMIT

    def _bytes(self) -> tuple[int, int]:
        """How many images there are, and the bytes that they take."""
        n = sum(len(images) for classes in self._sources().values() for images in classes.values())
        return n, n * 3 * self.size * self.size * 4

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        splits, (n, needed) = self._sources(), self._bytes()
        if needed > _LIMIT:
            got = f"{n} images of {self.size} x {self.size} pixels take {needed / 2**30:.1f} GiB"
            required, folder = f"at most {_LIMIT / 2**30:.0f} GiB in memory is required", folder_at(self.path, self.kind)
            raise DataError(f"{self.kind}: {required}, {got}. Lower size, keep fewer files in {folder}, or use StreamedFolder.")
        parts = [self._decoded(classes) for classes in splits.values()]
        if len(parts) == 1:
            pixels, labels = parts[0]
            parts = [(pixels[positions], labels[positions]) for positions in three_quarters(labels, seeds)]
        classes = len(next(iter(splits.values())))
        train, test = (as_examples(pixels, labels, classes, 255) for pixels, labels in parts)
        return Splits(train, test)

    def _sources(self) -> dict[str, Classes]:
        return sources(self.path, self.kind, follow_links=self.follow_links)

    def _decoded(self, classes: Classes) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        images, labels = labelled_files(classes)
        pixels = np.empty((len(images), 3, self.size, self.size), np.uint8)
        for position, file in enumerate(images):
            pixels[position] = antialiased_square(file, self.size, self.kind, self.max_pixels)
        return pixels, labels
