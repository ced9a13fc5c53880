"""The multiplexed sum of hinges interval by interval: by sorting and prefix sums, and exactly."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from shatterlab.constructions._double_double import Pair, add, pair
from shatterlab.constructions._exact import Dyadic, columns, dyadic, furthest, sums_at
from shatterlab.constructions._hinges import Pieces, PlainSums
from shatterlab.core.errors import DataError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Intervals:
    """The numbers of a `Multiplexer`, knots counted from the origin of the projections.

    Args:
        knots: of all hinges of the values, interval after interval, the closing one last in each, (N,).
        weights: of these, (N, k).
        since: where each interval's hinges begin, (B,).
        until: and where they end, (B,).
        feet: r_2 .. r_B, (B - 1,).
        plateaus: l_2 .. l_B.
        gains: g_2 .. g_B.
        bound: M.
    """

    knots: Array
    weights: Array
    since: Array
    until: Array
    feet: Array
    plateaus: Array
    gains: Array
    bound: float

    @functools.cached_property
    def _pieces(self) -> Pieces:
        return Pieces(pair(self.knots), self.weights)

    def at(self, x: Pair) -> Array:
        """The values at some places, (m, k): of the gates, only those of the interval at hand and of the one before can be open."""
        return self._gated(x, lambda part: self._pieces.at(x, self.since[part], self.until[part])[0])

    def plainly_at(self, x: Array) -> Array:
        """The same, sums in the type of x, float32 or float64."""
        sums = PlainSums(self.knots.astype(x.dtype), self.weights.astype(x.dtype))
        return self._gated(pair(x.astype(np.float64)), lambda part: sums.at(x, self.since[part], self.until[part]).astype(np.float64))

    def _gated(self, x: Pair, value: Callable[[Array], Array]) -> Array:
        own = np.searchsorted(self.knots[self.since], x[0], side="right") - 1
        part, earlier = np.maximum(own, 0), np.maximum(own - 1, 0)
        step = self._step(x, part)
        found = self._passed(value(part), step)
        before = self._passed(value(earlier), self._full(earlier) - step)
        return np.where((own >= 0)[:, None], found, 0.0) + np.where((own >= 1)[:, None], before, 0.0)

    def _full(self, part: Array) -> Array:
        """The step of an interval on its plateau: 1 up to rounding."""
        exact = np.concatenate([[1.0], self.gains * (self.plateaus - self.feet)])
        return exact[part]

    def _step(self, x: Pair, part: Array) -> Array:
        if not len(self.gains):
            return np.ones(len(part))
        index = np.maximum(part - 1, 0)
        way = add(x, pair(-self.feet[index]))[0]
        rising = self.gains[index] * np.clip(way, 0.0, (self.plateaus - self.feet)[index])
        return np.where(part > 0, rising, 1.0)

    def _passed(self, value: Array, share: Array) -> Array:
        """What the gate lets through of a value for an indicator f."""
        closed = (self.bound * (1 - share))[:, None]
        return np.maximum(value - closed, 0) - np.maximum(-value - closed, 0)

    def error(self, x: Dyadic, wanted: Array) -> Fraction:
        """A bound on the largest distance at points in ascending order that lie on the plateaus, exactly.

        On the plateau of interval j the gate lets o_j through but for |M (1 - f_j)|, which is rounding; that every gate before
        is shut is checked at both ends of where it must be, between which all is linear.
        """
        part = np.maximum(np.searchsorted(self.knots[self.since], x.rounded(), side="left") - 1, 0)
        part = part - (self.knots[self.since][part] > x.rounded())
        worst = Fraction(0)
        for each in range(len(self.since)):
            here = (part == each).nonzero()[0]
            if len(here):
                points = Dyadic([x.whole[place] for place in here], x.unit)
                worst = max(worst, self._error_in(each, points, wanted[here]))
        for each in range(len(self.since) - 1):
            self._require_shut(each, Fraction(x.whole[-1]) * Fraction(2) ** x.unit)
        return worst

    def _error_in(self, part: int, points: Dyadic, wanted: Array) -> Fraction:
        low, high = (Fraction(points.whole[end]) * Fraction(2) ** points.unit for end in (0, -1))
        last = len(self.since) - 1
        if (part > 0 and low < Fraction(self.plateaus[part - 1])) or (part < last and high > Fraction(self.feet[part])):
            raise DataError("Multiplexer: the points that it was built for are required, got one between two intervals. Certify it on its own sample.")
        some = slice(self.since[part], self.until[part])
        knots, found = dyadic(self.knots[some]), Fraction(0)
        for weights, column in zip(self.weights[some].T, columns(wanted), strict=True):
            found = max(found, furthest(sums_at(points, knots, weights), column))
        return found + abs(Fraction(self.bound) * (1 - self._exact_step(part)))

    def _exact_step(self, part: int) -> Fraction:
        if part == 0:
            return Fraction(1)
        return Fraction(self.gains[part - 1]) * (Fraction(self.plateaus[part - 1]) - Fraction(self.feet[part - 1]))

    def _require_shut(self, part: int, furthest_point: Fraction) -> None:
        some = slice(self.since[part], self.until[part])
        room = Fraction(self.bound) * (1 - self._exact_step(part) + self._exact_step(part + 1))
        for place in (Fraction(self.plateaus[part]), furthest_point):
            there = Dyadic([place.numerator], -(place.denominator.bit_length() - 1))
            for weights in self.weights[some].T:
                value = sums_at(there, dyadic(self.knots[some]), weights)
                if abs(Fraction(value.whole[0])) * Fraction(2) ** value.unit > room:
                    raise DataError(f"Multiplexer: closed gates beyond each interval are required, that of interval {part} is open. Build it certified.")
