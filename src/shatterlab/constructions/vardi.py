"""About sqrt(n) weights of about sqrt(n) bits each: a deep narrow network that reads labels out of the digits of its weights."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shatterlab.constructions._direction import separating
from shatterlab.constructions._distinct import Distinct, distinct_points
from shatterlab.constructions._integers import IntegerNetwork, Layers, Sum, finest
from shatterlab.core.errors import DataError

_OWNER = "vardi"


def vardi(z: Any, y: Any, seed: int = 0) -> IntegerNetwork:
    """A network of width at most 10 with O(sqrt(n log n)) weights that takes n labels 0 .. C - 1, in exact arithmetic.

    The points are projected on a line and scaled so that they lie at least 2 apart; let r bits hold the whole part of each. Sorted, they
    are cut into groups of q. A first chain of layers, two ReLUs a group, looks up two long whole numbers by steps along the line: U, the
    whole parts of the group's points, written one after the other, and W, their labels likewise. A second chain takes the digits off
    again, a bit of each a layer (of a whole number U below 2^L, max(U - 2^(L-1) + 1, 0) - max(U - 2^(L-1), 0) is the first bit), and
    adds a label to the output where its whole part is that of the input. With q about sqrt(n / r) both chains have about sqrt(n r) layers.

    Args:
        z: n x d points (equal points with equal labels count once).
        y: n labels, whole numbers >= 0.
        seed: of the direction.

    Returns:
        Not a torch module: no float holds its weights. `values(z)` gives fractions, `facts()` the size; weights that are 0 do not count.

    Raises:
        DataError: a label is no whole number >= 0, equal points have different labels, or no direction tells the points apart.

    Source:
        Vardi, Yehudai, Shamir 2022, "On the optimal memorization power of ReLU neural networks" (width 12, points a distance apart; there
        bits are taken off by iterated triangle functions).

    Example:
        >>> network = vardi([[0.0], [1.0], [2.5]], [4, 0, 9])
        >>> [int(each) for each in network.values([[0.0], [1.0], [2.5]])]
        [4, 0, 9]
    """
    points = distinct_points(_OWNER, z, y)
    labels = _labels(points)
    placed, weights, shift, fine = _placed(points, seed)
    order = np.argsort(placed)
    whole, names = [placed[each] for each in order], [labels[each] for each in order]
    digits = _Digits(max(whole).bit_length(), max(1, *names).bit_length(), max(1, *names))
    size = max(1, round(math.sqrt(len(points) / (digits.layers + 2))))
    layers = Layers()
    (x,) = layers.relu([Sum(shift, tuple((place, weight) for place, weight in enumerate(weights) if weight))])
    x, places, classes = _looked_up(layers, x, whole, names, size, digits)
    return IntegerNetwork(*_read_off(layers, x, places, classes, size, digits), fine)


@dataclass(frozen=True)
class _Digits:
    """Bits of a place on the line, bits of a label, and the largest label."""

    place: int
    label: int
    largest: int

    @property
    def layers(self) -> int:
        """Layers that take one place and one label off."""
        return max(self.place, self.label)


def _labels(points: Distinct) -> list[int]:
    values = points.targets[:, 0]
    wrong = np.flatnonzero((values < 0) | (values != np.trunc(values)))
    if points.targets.shape[1] > 1 or len(wrong):
        got = f"{points.targets.shape[1]} labels a point" if points.targets.shape[1] > 1 else f"{values[wrong[0]]:g} at position {points.positions[wrong[0]]}"
        raise DataError(f"{_OWNER}: one label a point, a whole number >= 0, is required, got {got}. Number the classes.")
    return [int(each) for each in values]


def _placed(points: Distinct, seed: int) -> tuple[list[int], list[int], int, int]:
    """Whole parts of the points' places, at least 2 apart, and the weights, the bias and the unit of the inputs that give the places."""
    direction, _ = separating(_OWNER, points, seed)
    fine, finer = finest(points.inputs), finest(direction)
    if not np.isfinite(np.ldexp(points.inputs, fine)).all():
        extremes = float(np.abs(points.inputs[points.inputs != 0]).min()), float(np.abs(points.inputs).max())
        raise DataError(f"{_OWNER}: points whose sizes span less than 2^900 are required, got {extremes[0]:g} .. {extremes[1]:g}. Rescale them.")
    inputs = np.vectorize(int, otypes=[object])(np.ldexp(points.inputs, fine))
    weights: NDArray[Any] = np.vectorize(int, otypes=[object])(np.ldexp(direction, finer))
    places = inputs @ weights  # exactly, in units of 2^-(fine + finer)
    ordered = sorted(places)
    gap = min((after - before for before, after in itertools.pairwise(ordered)), default=4 * abs(ordered[0]) + 2)
    if gap <= 0:
        raise DataError(f"{_OWNER}: points whose projections differ are required, got two that agree. Try another seed.")
    coarser = max(0, gap.bit_length() - 2)  # 2^coarser is at most half the gap, and is the unit of places
    return _rescaled(places, weights, fine, coarser, gap)


def _rescaled(places: NDArray[Any], weights: NDArray[Any], fine: int, coarser: int, gap: int) -> tuple[list[int], list[int], int, int]:
    """Places in units of 2^coarser, or twice as wide where they are but 1 apart; the unit goes into that of the inputs where it can."""
    factor = 2 if gap < 2 else 1
    scaled = [Fraction(int(place) * factor, 2**coarser) for place in places]
    shift = 1 - math.floor(min(scaled))
    return [math.floor(each) + shift for each in scaled], [int(each) * factor for each in weights], shift, fine - coarser


def _looked_up(layers: Layers, x: Sum, whole: list[int], names: list[int], size: int, digits: _Digits) -> tuple[Sum, Sum, Sum]:
    """The input's place, and its group's places and labels as one whole number each, found by a step a group."""
    starts = range(0, len(whole), size)
    written = [(_written(whole[at : at + size], size, digits.place), _written(names[at : at + size], size, digits.label)) for at in starts]
    places, classes = (Sum(each) for each in written[0])
    for number, at in enumerate(starts[1:], 1):
        x, places, classes, above, beyond = layers.relu([x, places, classes, x - (whole[at] - 1), x - whole[at]])
        step = above - beyond
        places = places + step * (written[number][0] - written[number - 1][0])
        classes = classes + step * (written[number][1] - written[number - 1][1])
    return x, places, classes


def _written(numbers: list[int], size: int, bits: int) -> int:
    """The numbers one after the other, the first in front; zeros where there are fewer than `size`."""
    written = 0
    for each in numbers + [0] * (size - len(numbers)):
        written = (written << bits) + each
    return written


def _read_off(layers: Layers, x: Sum, places: Sum, classes: Sum, size: int, digits: _Digits) -> tuple[tuple[Any, ...], Sum]:
    """Hidden layers and output: of each point in the group the place and the label, and the label where the place is the input's."""
    output = Sum()
    for point in range(size):
        place, label, left = Sum(), Sum(), size - point
        for bit in range(digits.layers):
            top = [1 << (left * length - 1 - bit) if bit < length else 0 for length in (digits.place, digits.label)]
            tests = [number - (each - more) for number, each in zip((places, classes), top, strict=True) if each for more in (1, 0)]
            x, places, classes, place, label, output, *found = layers.relu([x, places, classes, place, label, output, *tests])
            first = [found.pop(0) - found.pop(0) if each else Sum() for each in top]
            places, classes = places - first[0] * top[0], classes - first[1] * top[1]
            place, label = place + first[0] * _worth(digits.place, bit), label + first[1] * _worth(digits.label, bit)
        x, places, classes, label, output, below, above = layers.relu([x, places, classes, label, output, place - x, x - place - 1])
        x, places, classes, output, right = layers.relu([x, places, classes, output, label - (below + above) * digits.largest])
        output = output + right
    return tuple(layers.rows), output


def _worth(length: int, bit: int) -> int:
    return 1 << (length - 1 - bit) if bit < length else 0
