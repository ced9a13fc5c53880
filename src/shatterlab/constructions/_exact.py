"""Exact arithmetic on float64 numbers, as whole numbers times a power of two, and sums of hinges in it."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Dyadic:
    """Exact numbers: whole[i] * 2^unit."""

    whole: Sequence[int]
    unit: int

    def __len__(self) -> int:
        return len(self.whole)

    def take(self, places: Array) -> Dyadic:
        """The numbers at these positions."""
        return Dyadic([self.whole[place] for place in places.tolist()], self.unit)

    def order(self) -> Array:
        """The positions in ascending order of the numbers, ties by position."""
        return np.array(sorted(range(len(self)), key=self.whole.__getitem__))

    def at(self, unit: int) -> Sequence[int]:
        """The same numbers in a finer unit."""
        shift = self.unit - unit
        assert shift >= 0
        return [number << shift for number in self.whole] if shift else self.whole

    def fraction(self, place: int) -> Fraction:
        """One of the numbers."""
        return Fraction(self.whole[place]) * Fraction(2) ** self.unit

    def rounded(self) -> Array:
        """The nearest float64 numbers, infinite beyond their range."""
        above, below = 1 << max(self.unit, 0), 1 << max(-self.unit, 0)
        try:
            return np.array([number * above / below for number in self.whole])  # Python divides whole numbers with one rounding
        except OverflowError:
            return np.array([_nearest(number * above, below) for number in self.whole])

    def minus(self, others: Dyadic) -> Dyadic:
        """The differences, number by number."""
        unit = min(self.unit, others.unit)
        return Dyadic([one - other for one, other in zip(self.at(unit), others.at(unit), strict=True)], unit)

    def furthest(self, values: Array) -> Fraction:
        """The largest distance from float64 values, exactly."""
        distances = self.minus(dyadic(values))
        return Fraction(max(map(abs, distances.whole))) * Fraction(2) ** distances.unit


def _nearest(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


def dyadic(values: Array) -> Dyadic:
    """Float64 numbers exactly."""
    ratios = {value: value.as_integer_ratio() for value in set(values.tolist())}
    unit = -max((below.bit_length() - 1 for _, below in ratios.values()), default=0)
    scaled = {value: above << (-unit - below.bit_length() + 1) for value, (above, below) in ratios.items()}
    return Dyadic([scaled[value] for value in values.tolist()], unit)


def grid_above(points: Dyadic, exponent: int) -> Array:
    """The smallest multiples of 2^exponent at or above the points, float64: knots there have exact differences."""
    shift = max(exponent - points.unit, 0)
    return np.asarray(np.ldexp([float(-(-number >> shift)) for number in points.whole], max(exponent, points.unit)))


def upper(bound: Fraction) -> float:
    """The smallest float64 number that is not below the bound."""
    near = float(bound)
    return near if Fraction(near) >= bound else math.nextafter(near, math.inf)


def fed_back(points: Dyadic, knots: Array, values: Array) -> Array:
    """Hinge weights whose sum takes the values at the points, each computed from the exact sum of those before it.

    w_i is the float64 number nearest to (y_i - c(x_i)) / (x_i - b_i), c the exact sum of the hinges so far with rounded weights: no error accumulates.

    Args:
        points: x_1 < x_2 < ... < x_n.
        knots: x_{i-1} <= b_i < x_i, shape (n,).
        values: y, shape (n,), float64.

    Raises:
        OverflowError: a weight is beyond float64.
    """
    at_knots, targets = dyadic(knots), dyadic(values)
    unit = min(points.unit, at_knots.unit)
    x, b = points.at(unit), at_knots.at(unit)
    widest = max(point - knot for point, knot in zip(x, b, strict=True))
    fine = unit + widest.bit_length() + 100 - targets.unit  # weights are multiples of 2^-fine: 2^-100 of the last place of a value
    weights, value, slope, previous = [], 0, 0, x[0]
    for point, knot, target in zip(x, b, targets.at(unit - fine), strict=True):
        value += slope * (point - previous)
        weights.append(math.ldexp(float(round((target - value) / (point - knot))), -fine))
        rise = int(math.ldexp(weights[-1], fine))
        value += rise * (point - knot)
        slope += rise
        previous = point
    return np.array(weights)


class Hinges:
    """Sums of hinges sum_j w_j max(x - b_j, 0), exactly: the slope and the start of each linear piece, once.

    Args:
        knots: b, ascending, (n,).
        weights: (n, k), float64.
    """

    def __init__(self, knots: Array, weights: Array) -> None:
        self._knots = dyadic(knots)
        ends = self._knots.whole
        gaps = [later - knot for knot, later in itertools.pairwise(ends)]
        self._starts_at = [ends[0], *ends]  # piece 0 is left of all knots
        self._pieces = []
        for steep in map(dyadic, weights.T):
            slopes = [0, *itertools.accumulate(steep.whole)]
            rises = (slope * gap for slope, gap in zip(slopes[1:-1], gaps, strict=True))
            self._pieces.append((slopes, [0, *itertools.accumulate(rises, initial=0)], steep.unit))

    def at(self, x: Dyadic) -> list[Dyadic]:
        """The values of each output at some points, log n operations a point."""
        unit = min(x.unit, self._knots.unit)
        shift = self._knots.unit - unit
        points = x.at(unit)
        pieces = [bisect_right(self._knots.whole, point >> shift) for point in points]
        ways = [point - (self._starts_at[piece] << shift) for point, piece in zip(points, pieces, strict=True)]
        return [
            Dyadic([(starts[piece] << shift) + slopes[piece] * way for piece, way in zip(pieces, ways, strict=True)], unit + fine)
            for slopes, starts, fine in self._pieces
        ]

    def values(self, x: Dyadic) -> Array:
        """The same, rounded to float64: (m, k)."""
        return np.stack([output.rounded() for output in self.at(x)], axis=1)
