"""Photos decoded when they are asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shatterlab.core.errors import DataError
from shatterlab.core.lazy_inputs import Positions, Streamed, ahead
from shatterlab.datasets._decoding import Broken, framed, middle, pixels, resized, window

Photo = Path | bytes
_CHECKERS = 8  # threads that look at files: they wait for the disk
_log = logging.getLogger("shatterlab.data")


class PhotoStream(Streamed):
    """Photos as 3 x size x size inputs in [0, 1], read and decoded whenever they are asked for.

    Args:
        photos: files, or their contents.
        size: side of the squares, in pixels.
        fraction: of each side of a photo, kept in the middle.
        owner: for messages.
    """

    def __init__(self, photos: Sequence[Photo], size: int, fraction: float, owner: str) -> None:
        super().__init__(len(photos), (3, size, size), owner)
        self._photos, self._size, self._fraction = photos, size, fraction

    def read(self, positions: Positions) -> Tensor:
        return self.codes(positions).float().div_(255)

    def codes(self, positions: Positions, boxes: np.ndarray[Any, Any] | None = None) -> Tensor:
        """The photos in 8 bits, channels last in memory."""
        squares = np.empty((len(positions), self._size, self._size, 3), np.uint8)
        for row, position in enumerate(positions):
            picture = self._picture(self._photos[position])
            resized(middle(picture, self._fraction) if boxes is None else window(picture, boxes[row]), squares[row])
        return torch.from_numpy(squares).permute(0, 3, 1, 2)

    def _picture(self, photo: Photo) -> np.ndarray[Any, Any]:
        try:
            return pixels(_content(photo))
        except (Broken, OSError) as problem:
            raise DataError(f"{self.owner}: whole image files are required, got {problem} at {_named(photo)}. Replace or remove it.") from problem


def broken(photos: Sequence[Photo], thoroughly: bool) -> Iterator[tuple[int, str]]:
    """Position and fault of each photo that cannot be used.

    Args:
        photos: files, or their contents.
        thoroughly: decode each one; else only those that do not begin and end as a JPEG does.
    """

    def fault(photo: Photo) -> str:
        try:
            content = _content(photo) if thoroughly or isinstance(photo, bytes) else _ends(photo)
            if thoroughly or not framed(content):
                pixels(_content(photo))
        except (Broken, OSError) as problem:
            return str(problem)
        return ""

    for position, found in enumerate(ahead(fault, photos, _CHECKERS)):
        if found:
            yield position, found


def sound(photos: Sequence[Photo], skip: bool, owner: str, split: str) -> np.ndarray[Any, Any]:
    """Positions of the photos that can be used; the others are named and counted.

    Args:
        photos: files, or their contents.
        skip: leave the others out with a warning in the log `shatterlab.data`; else they are refused.
        owner: for messages.
        split: its name, for messages.

    Raises:
        DataError: there are others, and they are not to be skipped.
    """
    faults = dict(broken(photos, skip))
    if faults:
        first = next(iter(faults))
        named = f"{len(faults)} of {len(photos)} in the {split} split that cannot be read, the first {_named(photos[first])} ({faults[first]})"
        if not skip:
            raise DataError(f"{owner}: whole image files are required, got {named}. Replace or remove them, or set skip_broken=True.")
        for position, reason in faults.items():
            _log.warning("%s: skipped %s (%s)", owner, _named(photos[position]), reason)
        _log.warning("%s: skipped %d of %d files of the %s split", owner, len(faults), len(photos), split)
    return np.setdiff1d(np.arange(len(photos)), np.fromiter(faults, int, len(faults)))


def _content(photo: Photo) -> bytes:
    return photo if isinstance(photo, bytes) else photo.read_bytes()


def _ends(file: Path) -> bytes:
    """The first and last two bytes of a file: all that tells whether it was cut short."""
    with file.open("rb") as stream:
        first = stream.read(2)
        stream.seek(max(2, file.stat().st_size - 2))
        return first + stream.read(2)


def _named(photo: Photo) -> str:
    return "a photo in memory" if isinstance(photo, bytes) else str(photo)
