"""One photo file as a small square of RGB pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shatterlab.core.errors import DataError

_DEEP = ("I", "F")  # more than 8 bits a pixel: Pillow would cut them off at 255


def decode(path: Path, size: int, owner: str) -> np.ndarray[Any, Any]:
    """The image as 3 x size x size bytes: RGB, shorter side scaled to `size`, centre kept.

    Args:
        path: an image file that Pillow reads.
        size: side of the square, >= 1 pixels.
        owner: who asks, for the message.

    Raises:
        DataError: the file is no image, is cut short, or holds more than 8 bits a pixel and channel.
    """
    try:
        with Image.open(path) as image:
            mode = image.mode
            square = None if mode.startswith(_DEEP) else _square(rgb(image), size)
    except Exception as problem:  # Pillow's decoders fail in their own ways, SyntaxError among them
        reason = f"{type(problem).__name__}: {problem}".splitlines()[0]
        raise DataError(f"{owner}: a whole image file is required, got {reason} at {path}. Replace or remove it.") from problem
    if square is None:
        raise DataError(f"{owner}: images of 8 bits a channel are required, got Pillow's mode {mode} at {path}. Convert it.")
    return np.asarray(square).transpose(2, 0, 1)


def rgb(image: Image.Image) -> Image.Image:
    """The image in RGB; transparency is dropped."""
    transparent_palette = image.mode == "P" and "transparency" in image.info
    return (image.convert("RGBA") if transparent_palette else image).convert("RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    width, height = (size * side // min(image.size) for side in image.size)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return resized.crop((left, top, left + size, top + size))
