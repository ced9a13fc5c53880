"""The bytes of a photo as RGB pixels, and a window of them as a square: libjpeg-turbo's decoder, OpenCV's bilinear resize."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from PIL import Image

from shatterlab.core.errors import DataError
from shatterlab.datasets._photos import rgb

Pixels = np.ndarray[Any, Any]
_THREE_CHANNELS = ("Gray", "YCbCr", "RGB")  # JPEGs that turn into RGB without a colour profile


class Broken(Exception):
    """A photo that cannot be decoded; the text is the reason."""


def pixels(content: bytes) -> Pixels:
    """The photo as height x width x 3 bytes: RGB; grey, CMYK and other formats than JPEG are converted, transparency is dropped.

    Raises:
        Broken: it is no image, is cut short, or holds more than 8 bits a pixel and channel.
    """
    fast = _simplejpeg()
    if fast is not None and content.startswith(b"\xff\xd8"):
        try:
            if fast.decode_jpeg_header(content)[2] in _THREE_CHANNELS:
                decoded: Pixels = fast.decode_jpeg(content)
                return decoded
        except ValueError as problem:  # Pillow reads some that are not quite in order, and has the better words for most of the rest
            if "premature end" in str(problem):  # an end before the picture is complete, which Pillow fills with grey
                raise Broken(str(problem)) from problem
    return _by_pillow(content)


def framed(content: bytes) -> bool:
    """Whether it begins and ends as a JPEG does; damage between is seen by decoding only."""
    return content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9")


def middle(picture: Pixels, fraction: float) -> Pixels:
    """The central window with this fraction of each side; a view."""
    top, left = (int((side - side * fraction) / 2) for side in picture.shape[:2])
    return picture[top : picture.shape[0] - top, left : picture.shape[1] - left]


def window(picture: Pixels, box: np.ndarray[Any, Any]) -> Pixels:
    """The window (top, left, height, width), in fractions of the sides, at least one pixel; a view."""
    rows, columns = picture.shape[:2]
    top, left = min(int(box[0] * rows), rows - 1), min(int(box[1] * columns), columns - 1)
    return picture[top : top + max(1, round(box[2] * rows)), left : left + max(1, round(box[3] * columns))]


def resized(picture: Pixels, out: Pixels) -> None:
    """Writes the picture scaled to the shape of `out`: bilinear, aspect not kept, not antialiased, as TensorFlow's Inception does."""
    cv2 = _opencv()
    cv2.resize(picture, (out.shape[1], out.shape[0]), dst=out, interpolation=cv2.INTER_LINEAR)


def _by_pillow(content: bytes) -> Pixels:
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.mode.startswith(("I", "F")):
                raise Broken(f"Pillow's mode {image.mode}, more than 8 bits a channel")
            return np.asarray(rgb(image))
    except Broken:
        raise
    except Exception as problem:  # Pillow's decoders fail in their own ways, SyntaxError among them
        told = str(problem).replace("<_io.BytesIO object at 0x", "<").partition("<")[0].strip()
        raise Broken(f"{type(problem).__name__}: {told}".splitlines()[0].rstrip(": ")) from problem


@functools.cache
def _simplejpeg() -> Any:
    """The quicker way to libjpeg-turbo, if installed; Pillow's gives the same pixels in twice the time."""
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg


@functools.cache
def _opencv() -> Any:
    try:
        import cv2
    except ImportError as problem:
        raise DataError("StreamedFolder: OpenCV is required to scale photos, it is not installed. Run pip install 'shatterlab[photos]'.") from problem
    cv2.setNumThreads(1)  # the readers are the threads
    return cv2
