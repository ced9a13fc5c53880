"""Published curves behind ours: which of their points are drawn, and how far they may stretch the frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shatterlab.analysis.naming import is_fraction, number

Points = Sequence[Mapping[str, Any]]
NAME = "published"
_SHORTEST = 10.0  # epochs that the frame may show at least, where there are published ones


def published(points: Points | None, column: str, scale: str) -> list[dict[str, Any]]:
    """The points that can be drawn, each with a name and its value as printed: finite, and on a log axis positive.

    Args:
        points: {"x": .., "y": .., "name": ..} each.
        column: of y; "" where y is a ratio.
        scale: "linear" or "log", of y.
    """
    return [
        {"name": NAME, "told": number(point["y"], column), **point}
        for point in points or ()
        if point["y"] is not None and math.isfinite(point["y"]) and (point["y"] > 0 or scale == "linear")
    ]


def last_epoch(ours: Iterable[float], theirs: Iterable[float]) -> float:
    """Where the frame ends: published curves may take it half beyond our longest run, or to epoch 10 where that is more."""
    longest = max(ours)
    return max(longest, min(max(theirs, default=longest), max(1.5 * longest, _SHORTEST)))


def framing(ours: Sequence[float], theirs: Sequence[float], column: str, scale: str) -> list[float]:
    """The values that set the frame: ours, and published ones as far as they do not squeeze ours.

    Errors and accuracies all count, since their axis ends at 0 and 1 anyway. Else the published may stretch the frame
    by a factor of 10 on either side of a log axis, and by half our range (from 0) on a linear one.
    """
    if not theirs or is_fraction(column):
        return [*ours, *theirs]
    low, high = min(ours), max(ours)
    room = (high - min(low, 0.0)) / 2
    lowest, highest = (low / 10, high * 10) if scale == "log" else (low - room, high + room)
    return [*ours, max(min(theirs), lowest), min(max(theirs), highest)]
