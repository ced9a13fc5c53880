"""A folder of photos that is too large for memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shatterlab.core import Dataset, Examples, Part, Seeds, Splits
from shatterlab.core.errors import DataError
from shatterlab.readers.class_folders import Classes, folder_at, folder_fingerprint, labelled_files, sources
from shatterlab.readers.examples import three_quarters
from shatterlab.readers.photos import MOST_PIXELS, PhotoStream, usable
from shatterlab.readers.published_files import data_root

_UNDER_ROOT = "data:"
_READ = 1000  # files whose content enters the fingerprint


@dataclass(frozen=True)
class StreamedFolder(Dataset):
    """Photos in class folders, decoded when they are needed: ImageNet's ILSVRC layout, or any folder of class folders.

    `PATH/train/CLASS/*` with `PATH/val/CLASS/*` or `PATH/test/CLASS/*`, or `PATH/CLASS/*`, which the data stream splits 3 to 1. The middle of each photo is
    scaled to size x size as TensorFlow's Inception does at evaluation: bilinear, aspect not kept, no antialiasing. Grey and CMYK JPEGs become RGB; Pillow reads
    other formats. `inputs[indices]` decodes those photos, for learners that read batches (`StreamedTraining`). Loading looks at the first and last two bytes of
    each file; damage between them raises an error when the photo is read. The key holds a fingerprint of all names and sizes and of the bytes of up to 1,000
    files. A path that begins with "data:" lies below the data root and is known by that name alone: the key then does not follow its content.

    Args:
        path: the folder; a relative path starts at the working folder, "data:imagenet" at the data root.
        size: side of the square images, >= 1 pixels.
        fraction: of each side of a photo, kept in the middle, in (0, 1].
        held_out_labels: a text file, its path relative to the folder, with the classes of the files of `val` or `test` where these have no class folders
            (ILSVRC's validation photos): a line is "FILE CLASS", or CLASS alone for the files in sorted order.
        max_pixels: of one photo, >= 1; a photo of more is refused before it is decoded, as a broken one.
        follow_links: accept files that are links to files outside of the folder. The folder itself and class folders may be links in any case.
        skip_broken: decode every file once and leave out broken ones, counted in the log `shatterlab.data`; otherwise they are refused.
        examples: how many training examples to keep (None: all).
        test_examples: how many test examples to keep (None: all).

    Raises:
        InvalidPart: a field is out of range.

    Source:
        Russakovsky et al. 2015 (ILSVRC); the preprocessing of Zhang et al. 2017, appendix A, which reuses TensorFlow's.
    """

    path: str
    size: int = 299
    fraction: float = 0.875
    held_out_labels: str | None = None
    skip_broken: bool = False
    max_pixels: int = MOST_PIXELS
    follow_links: bool = False

    def validate(self) -> None:
        super().validate()
        self.require(self.path.removeprefix(_UNDER_ROOT), "path is the path of a folder", self.path)
        self.require(self.size >= 1, "size is a whole number >= 1", self.size)
        self.require(self.max_pixels >= 1, "max_pixels is a whole number >= 1", self.max_pixels)
        self.require(0 < self.fraction <= 1, "fraction is in (0, 1]", self.fraction)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()  # a user's folder is not everywhere

    def fingerprints(self) -> Mapping[str, str]:
        if self.path.startswith(_UNDER_ROOT):
            return {}
        folder = folder_at(self.path, self.kind)
        files = sorted(file for classes in self._sources(None).values() for file in labelled_files(classes)[0])
        if self.held_out_labels is not None:
            files.append(folder / Path(self.held_out_labels).expanduser())
        return {"path": folder_fingerprint(folder, files, self.kind, _READ)}

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        splits = [self._split(classes, name or "only") for name, classes in self._sources(root).items()]
        if len(splits) == 1:
            splits = [splits[0].at(positions) for positions in three_quarters(splits[0].labels.numpy(), seeds)]
        train, test = splits
        return Splits(train, test)

    def _sources(self, root: Path | None) -> dict[str, Classes]:
        below = self.path.startswith(_UNDER_ROOT)
        path = data_root(root) / self.path.removeprefix(_UNDER_ROOT) if below else self.path
        if below and not Path(path).is_dir():
            get = "Put the photos there, or name the folder that holds it by --data FOLDER or SHATTERLAB_DATA."
            raise DataError(f"{self.kind}: a folder of class folders is required, nothing is at {path}. {get}")
        return sources(str(path), self.kind, self.held_out_labels, self.follow_links)

    def _split(self, classes: Classes, name: str) -> Examples:
        files, labels = labelled_files(classes)
        positions = usable(files, self.skip_broken, self.kind, name, self.max_pixels)
        counts = np.bincount(labels[positions], minlength=len(classes))
        if counts.min() == 0:
            empty = next(iter(classes.values())) if counts[0] == 0 else list(classes.values())[int(counts.argmin())]
            raise DataError(f"{self.kind}: at least one whole image a class is required, {empty[0].parent} has none. Fill or remove it.")
        stream: Any = PhotoStream([files[position] for position in positions], self.size, self.fraction, self.kind, self.max_pixels)
        return Examples(stream, torch.from_numpy(labels[positions].astype(np.int64)), len(classes), 255)
