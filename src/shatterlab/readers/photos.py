"""Photos as RGB pixels: a whole file as a small square (Pillow), or a stream decoded on demand (libjpeg-turbo, OpenCV's bilinear resize)."""

from __future__ import annotations

import functools
import io
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shatterlab.core.errors import DataError, printable
from shatterlab.core.lazy_inputs import Positions, Streamed, ahead

Pixels = np.ndarray[Any, Any]
Photo = Path | bytes
MOST_PIXELS = 2**30 // 12  # of one photo: a quarter of a GiB in RGB, Pillow's own limit for its warning
_HEADERS = 2**20  # bytes of a file beyond those of its pixels
_DRAWN = ("EPS", "WMF")  # formats that Pillow gives to a program that draws them
_PILLOW = threading.Lock()
_DEEP = ("I", "F")  # Pillow's modes of more than 8 bits a pixel, which it would cut off at 255
_THREE_CHANNELS = ("Gray", "YCbCr", "RGB")  # JPEGs that turn into RGB without a colour profile
_CHECKING_THREADS = 8  # they wait for the disk
_log = logging.getLogger("shatterlab.data")


class BrokenPhoto(Exception):
    """A photo that cannot be decoded; the text is the reason."""


class PhotoStream(Streamed):
    """Photos as 3 x size x size inputs in [0, 1], read and decoded on each use.

    Args:
        photos: files, or their contents.
        size: side of the squares, in pixels.
        fraction: of each side of a photo, kept in the middle.
        owner: name used in errors.
        most: pixels of one photo; one of more is refused before it is decoded.
    """

    def __init__(self, photos: Sequence[Photo], size: int, fraction: float, owner: str, most: int = MOST_PIXELS) -> None:
        super().__init__(len(photos), (3, size, size), owner)
        self._photos, self._size, self._fraction, self._most = photos, size, fraction, most

    def read(self, positions: Positions) -> Tensor:
        return self.codes(positions).float().div_(255)

    def codes(self, positions: Positions, boxes: np.ndarray[Any, Any] | None = None) -> Tensor:
        """The photos in 8 bits, channels last in memory."""
        squares = np.empty((len(positions), self._size, self._size, 3), np.uint8)
        for row, position in enumerate(positions):
            picture = self._picture(self._photos[position])
            resize_into(middle(picture, self._fraction) if boxes is None else window(picture, boxes[row]), squares[row])
        return torch.from_numpy(squares).permute(0, 3, 1, 2)

    def _picture(self, photo: Photo) -> Pixels:
        try:
            return pixels(_content(photo, self._most), self._most)
        except (BrokenPhoto, OSError) as problem:
            raise DataError(f"{self.owner}: whole image files are required, got {problem} at {_place(photo)}. Replace or remove it.") from problem


def usable(photos: Sequence[Photo], skip: bool, owner: str, split: str, most: int = MOST_PIXELS) -> np.ndarray[Any, Any]:
    """Positions of the photos that can be decoded; the errors or the log name and count the others.

    Args:
        photos: files, or their contents.
        skip: decode every photo and leave broken ones out with a warning in the log `shatterlab.data`. Otherwise look at the first
            and last bytes only, and refuse broken ones.
        owner: name used in errors.
        split: name of the split, for errors.
        most: pixels of one photo.

    Raises:
        DataError: a photo is broken, and `skip` is false.
    """
    faults = _faults(photos, most, thoroughly=skip)
    if faults:
        first = next(iter(faults))
        got = f"{len(faults)} of {len(photos)} in the {split} split that cannot be read, the first {_place(photos[first])} ({faults[first]})"
        if not skip:
            raise DataError(f"{owner}: whole image files are required, got {got}. Replace or remove them, or set skip_broken=True.")
        for position, reason in faults.items():
            _log.warning("%s: skipped %s (%s)", owner, printable(_place(photos[position])), printable(reason))
        _log.warning("%s: skipped %d of %d files of the %s split", owner, len(faults), len(photos), split)
    return np.setdiff1d(np.arange(len(photos)), np.fromiter(faults, int, len(faults)))


def _faults(photos: Sequence[Photo], most: int, thoroughly: bool) -> dict[int, str]:
    def fault(photo: Photo) -> str:
        try:
            content = _content(photo, most) if thoroughly or isinstance(photo, bytes) else _ends(photo)
            if thoroughly or not (content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9")):
                pixels(_content(photo, most), most)
        except (BrokenPhoto, OSError) as problem:
            return str(problem)
        return ""

    return {position: reason for position, reason in enumerate(ahead(fault, photos, _CHECKING_THREADS)) if reason}


def pixels(content: bytes, most: int = MOST_PIXELS) -> Pixels:
    """The photo as height x width x 3 bytes: RGB; grey, CMYK and formats other than JPEG are converted, transparency is dropped.

    Args:
        content: of the file.
        most: pixels that it may have by its header, read before anything is decoded.

    Raises:
        BrokenPhoto: it is no image, is cut short, has too many pixels, or holds more than 8 bits a pixel and channel.
    """
    fast = _simplejpeg()
    if fast is not None and content.startswith(b"\xff\xd8"):
        try:
            height, width, colours, *_ = fast.decode_jpeg_header(content)
            _require_few(width, height, most)
            if colours in _THREE_CHANNELS:
                decoded: Pixels = fast.decode_jpeg(content)
                return decoded
        except ValueError as problem:  # Pillow reads some damaged files, and explains most others better
            if "premature end" in str(problem):  # Pillow would fill the rest with grey
                raise BrokenPhoto(str(problem)) from problem
    return _pixels_by_pillow(content, most)


def middle(picture: Pixels, fraction: float) -> Pixels:
    """The central window with this fraction of each side; a view."""
    top, left = (int((side - side * fraction) / 2) for side in picture.shape[:2])
    return picture[top : picture.shape[0] - top, left : picture.shape[1] - left]


def window(picture: Pixels, box: np.ndarray[Any, Any]) -> Pixels:
    """The window (top, left, height, width), in fractions of the sides, at least one pixel; a view."""
    rows, columns = picture.shape[:2]
    top, left = min(int(box[0] * rows), rows - 1), min(int(box[1] * columns), columns - 1)
    return picture[top : top + max(1, round(box[2] * rows)), left : left + max(1, round(box[3] * columns))]


def resize_into(picture: Pixels, out: Pixels) -> None:
    """Writes the picture scaled to the shape of `out`: bilinear, aspect not kept, not antialiased, as TensorFlow's Inception does."""
    cv2 = _opencv()
    cv2.resize(picture, (out.shape[1], out.shape[0]), dst=out, interpolation=cv2.INTER_LINEAR)


def antialiased_square(path: Path | io.BytesIO, size: int, owner: str, most: int = MOST_PIXELS) -> Pixels:
    """The image as 3 x size x size bytes: RGB, shorter side scaled to `size` by Pillow, centre kept.

    Args:
        path: an image file that Pillow reads, or its content.
        size: side of the square, >= 1 pixels.
        owner: name used in errors.
        most: pixels that it may have, before and after it is scaled.

    Raises:
        DataError: the file is no image, is cut short, has too many pixels, or holds more than 8 bits a pixel and channel.
    """
    place = f" at {path}" if isinstance(path, Path) else ""
    try:
        with _opened(path, most) as image:
            mode = image.mode
            _require_few(size * image.width // min(image.size), size * image.height // min(image.size), max(most, size * size))
            square = None if mode.startswith(_DEEP) else _centre_square(_rgb(image), size)
    except Exception as problem:  # Pillow's decoders fail in their own ways, SyntaxError among them
        reason = str(problem) if isinstance(problem, BrokenPhoto) else f"{type(problem).__name__}: {problem}".splitlines()[0]
        raise DataError(f"{owner}: a whole image file is required, got {reason}{place}. Replace or remove it.") from problem
    if square is None:
        raise DataError(f"{owner}: images of 8 bits a channel are required, got Pillow's mode {mode}{place}. Convert it.")
    return np.asarray(square).transpose(2, 0, 1)


def _opened(source: Path | io.BytesIO, most: int) -> Image.Image:
    """The image, of which only the header is read; our own limit stands in for Pillow's, which is one for the whole process."""
    with _PILLOW:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(source)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    try:
        _require_few(*image.size, most)
        if image.format in _DRAWN:
            raise BrokenPhoto(f"a drawing ({image.format}), not pixels")
    except BrokenPhoto:
        image.close()
        raise
    return image


def _require_few(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise BrokenPhoto(f"{width} x {height} pixels, more than max_pixels = {most:,}")


def _rgb(image: Image.Image) -> Image.Image:
    transparent_palette = image.mode == "P" and "transparency" in image.info
    return (image.convert("RGBA") if transparent_palette else image).convert("RGB")


def _centre_square(image: Image.Image, size: int) -> Image.Image:
    width, height = (size * side // min(image.size) for side in image.size)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return resized.crop((left, top, left + size, top + size))


def _pixels_by_pillow(content: bytes, most: int) -> Pixels:
    try:
        with _opened(io.BytesIO(content), most) as image:
            if image.mode.startswith(_DEEP):
                raise BrokenPhoto(f"Pillow's mode {image.mode}, more than 8 bits a channel")
            return np.asarray(_rgb(image))
    except BrokenPhoto:
        raise
    except Exception as problem:  # Pillow's decoders fail in their own ways, SyntaxError among them
        reason = str(problem).replace("<_io.BytesIO object at 0x", "<").partition("<")[0].strip()
        raise BrokenPhoto(f"{type(problem).__name__}: {reason}".splitlines()[0].rstrip(": ")) from problem


@functools.cache
def _simplejpeg() -> Any:
    try:
        import simplejpeg
    except ImportError:
        return None  # Pillow gives the same pixels in twice the time
    return simplejpeg


@functools.cache
def _opencv() -> Any:
    try:
        import cv2
    except ImportError as problem:
        raise DataError("StreamedFolder: OpenCV is required to scale photos, it is not installed. Run pip install 'shatterlab[photos]'.") from problem
    cv2.setNumThreads(1)  # the readers are the threads
    return cv2


def _content(photo: Photo, most: int) -> bytes:
    if isinstance(photo, bytes):
        return photo
    size = photo.stat().st_size
    if size > 8 * most + _HEADERS:
        raise BrokenPhoto(f"{size:,} bytes, more than max_pixels = {most:,} take")
    return photo.read_bytes()


def _ends(file: Path) -> bytes:
    with file.open("rb") as stream:
        first = stream.read(2)
        stream.seek(max(2, file.stat().st_size - 2))
        return first + stream.read(2)


def _place(photo: Photo) -> str:
    return "a photo in memory" if isinstance(photo, bytes) else str(photo)
