"""Exact arithmetic on float64 numbers as whole numbers times a power of two."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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

    def at(self, unit: int) -> list[int]:
        """The same numbers in a finer unit."""
        shift = self.unit - unit
        assert shift >= 0
        return [each << shift for each in self.whole] if shift else list(self.whole)

    def rounded(self) -> Array:
        """The nearest float64 numbers."""
        if self.unit >= 0:
            return np.array([float(each << self.unit) for each in self.whole])
        below = 1 << -self.unit
        return np.array([each / below for each in self.whole])  # Python divides whole numbers with one rounding


def dyadic(values: Array) -> Dyadic:
    """Float64 numbers exactly."""
    known = {value: value.as_integer_ratio() for value in set(values.tolist())}
    unit = -max((below.bit_length() - 1 for _, below in known.values()), default=0)
    scaled = {value: above << (-unit - below.bit_length() + 1) for value, (above, below) in known.items()}
    return Dyadic([scaled[value] for value in values.tolist()], unit)


def grid_above(points: Dyadic, exponent: int) -> Array:
    """The least multiples of 2^exponent at or above the points, float64: where knots may lie and have exact differences."""
    shift = max(exponent - points.unit, 0)
    unit = max(exponent, points.unit)
    found: Array = np.ldexp(np.array([float(-(-each >> shift)) for each in points.whole]), unit)
    return found


def fed_back(points: Dyadic, knots: Array, values: Array) -> Array:
    """Hinge weights whose sum takes the values at the points, each chosen from the exact sum of those before it.

    w_i is the float64 number nearest to (y_i - c(x_i)) / (x_i - b_i), where c is the exact sum of the hinges so far,
    rounded weights included: what rounding does to one weight the next one mends, and nothing accumulates.

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
    widest = max(each - knot for each, knot in zip(x, b, strict=True))
    fine = unit + widest.bit_length() + 100 - targets.unit  # weights are multiples of 2^-fine: 2^-100 of the last place of a value
    weights, value, slope, previous = [], 0, 0, x[0]
    for point, knot, target in zip(x, b, targets.at(unit - fine), strict=True):
        value += slope * (point - previous)
        rise = round((target - value) / (point - knot))
        weights.append(math.ldexp(float(rise), -fine))
        rise = int(math.ldexp(weights[-1], fine))
        value += rise * (point - knot)
        slope += rise
        previous = point
    return np.array(weights)


def sums_at(points: Dyadic, knots: Dyadic, weights: Array) -> Dyadic:
    """The exact values of sum_j w_j max(x - b_j, 0) at each point, by one walk along both; x and b ascend."""
    steep = dyadic(weights)
    unit = min(points.unit, knots.unit)
    found, value, slope, place, here = [], 0, 0, 0, 0
    b, w = knots.at(unit), steep.whole
    for point in points.at(unit):
        while place < len(b) and b[place] < point:
            value += slope * (b[place] - here)
            here = b[place]
            slope += w[place]
            place += 1
        value += slope * (point - here)
        here = point
        found.append(value)
    return Dyadic(found, unit + steep.unit)


def furthest(found: Dyadic, wanted: Array) -> Fraction:
    """The largest distance, exactly."""
    exact = dyadic(wanted)
    unit = min(found.unit, exact.unit)
    most = max(abs(a - b) for a, b in zip(found.at(unit), exact.at(unit), strict=True))
    return Fraction(most) * Fraction(2) ** unit


def upper(bound: Fraction) -> float:
    """The least float64 number that is not below the bound."""
    near = float(bound)
    return near if Fraction(near) >= bound else math.nextafter(near, math.inf)


def any_not_below(low: Array, points: Dyadic) -> Array:
    """The positions at which a float64 number is not below its point."""
    exact = dyadic(low)
    unit = min(exact.unit, points.unit)
    return np.array([one >= other for one, other in zip(exact.at(unit), points.at(unit), strict=True)], dtype=bool).nonzero()[0]


def columns(values: Array) -> Iterator[Array]:
    """One output after the other of (n,) or (n, k)."""
    yield from (values[:, None] if values.ndim == 1 else values).T
