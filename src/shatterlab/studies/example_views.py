"""Examples for a report: thumbnails of images, values of rows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from shatterlab.core import Examples
from shatterlab.core.errors import printable
from shatterlab.views import Grid
from shatterlab.views.listed import Listed, Picture

_SIDE = 64  # pixels of a thumbnail, or more where the image is larger
_LARGEST = 160
_VALUES = 6  # of a row
_LETTERS = 24  # of a value
_Array = np.ndarray[Any, Any]


def example_list(examples: Examples, places: _Array, index: _Array, suggested: _Array, scores: Mapping[str, _Array], names: Sequence[str]) -> Listed:
    """The examples at these places with their label, the suggested one, their scores, and what they are.

    Args:
        examples: the sample.
        places: positions in it, in the order of the list.
        index: what each example of the sample is called.
        suggested: class of each example of the sample.
        scores: by name, of each example of the sample.
        names: of the classes, safe to print.
    """
    images = len(examples.shape) == 3
    inputs = shown_images(examples, places) if images else shown_rows(examples, places)
    labels, headers = examples.labels.numpy(), ("index", "label", "suggested", *(name.replace("_", " ") for name in scores), "image" if images else "values")
    lines = tuple(
        (str(index[place]), names[labels[place]], names[suggested[place]], *(_number(values[place]) for values in scores.values()), cell)
        for place, cell in zip(places.tolist(), inputs, strict=True)
    )
    title = "The labels, the most suspicious first"
    return Listed(Grid(headers, lines, 1, (f"{len(lines):,} of {len(labels):,} examples are shown.",)) if lines else None, title=title, empty="no example")


def confusion_list(pairs: Sequence[tuple[int, int, int]], names: Sequence[str]) -> Listed:
    """Which label was said in place of which class, among those that look wrong."""
    lines = tuple((names[label], names[other], str(count)) for label, other, count in pairs[:100])
    return Listed(Grid(("label", "suggested", "examples"), lines, 2) if lines else None, title="Confused classes", empty="no label looks wrong")


def shown_images(examples: Examples, places: _Array) -> list[Picture]:
    """A thumbnail of each image: values below 0 are black, above 1 white; of more than three channels the first is shown."""
    pictures = []
    for place in places.tolist():
        image = examples.inputs[[place]][0].numpy()
        image = image[:3] if len(image) in (3, 4) else np.repeat(image[:1], 3, 0)
        pixels = Image.fromarray((image.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))
        factor = max(1, _SIDE // max(pixels.size))
        pixels = pixels.resize((pixels.width * factor, pixels.height * factor), Image.Resampling.NEAREST)
        pixels.thumbnail((_LARGEST, _LARGEST))
        written = io.BytesIO()
        pixels.save(written, "png", optimize=True)
        pictures.append(Picture("image", written.getvalue()))
    return pictures


def shown_rows(examples: Examples, places: _Array) -> list[str]:
    """The first values of each row with the names of their columns; both are data of the user's."""
    chosen = examples.inputs[places]
    if examples.columns is None:
        names, values = [str(j) for j in range(min(_VALUES, chosen.shape[1]))], [[f"{value:.4g}" for value in row[:_VALUES]] for row in chosen.tolist()]
    else:
        columns = examples.columns.columns[:_VALUES]
        names, restored = [str(column.name) for column in columns], [column.restored(chosen[:, j].numpy()) for j, column in enumerate(columns)]
        values = [[str(column[i]) for column in restored] for i in range(len(places))]
    more = ", ..." if len(examples.shape) == 1 and examples.shape[0] > _VALUES else ""
    return [printable(", ".join(f"{_short(name)} = {_short(value)}" for name, value in zip(names, row, strict=True))) + more for row in values]


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 3]}..."


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"
