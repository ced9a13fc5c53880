"""Sums of hinges on a line, sum_j w_j max(x - b_j, 0): built by recurrence, evaluated by sorting and prefix sums."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.constructions._double_double import Pair, add, multiply, negative, pair, running_sum, take
from shatterlab.constructions._exact import Dyadic, columns, fed_back
from shatterlab.core.errors import DataError

Array = np.ndarray[Any, Any]


def telescoped(points: Array, knots: Array, values: Array) -> Array:
    """Weights of hinges at the previous points, vectorized in float64: w_i is the change of slope, and slopes are differences.

    Args:
        points: x_1 < ... < x_n.
        knots: b_1 < x_1, then b_i = x_{i-1}.
        values: y, (n,) or (n, k).
    """
    gaps = points - knots
    rises = np.diff(values, axis=0, prepend=np.zeros_like(values[:1]))
    slopes = rises / (gaps if values.ndim == 1 else gaps[:, None])
    return np.diff(slopes, axis=0, prepend=np.zeros_like(slopes[:1]))


def certain(owner: str, points: Dyadic, knots: Array, values: Array) -> Array:
    """Weights with error feedback for each output: (n,) or (n, k), as the values.

    Raises:
        DataError: a weight is beyond float64.
    """
    try:
        found = [fed_back(points, knots, column) for column in columns(values)]
    except OverflowError as problem:
        raise DataError(f"{owner}: weights within float64 are required, a jump of values over a gap of projections is beyond. Rescale the values.") from problem
    return np.stack(found, axis=1).reshape(values.shape)


@dataclass(frozen=True)
class PlainSums:
    """x S_1 - S_0 with the sums of w_j and w_j b_j over the knots below x, all in the type of the arrays.

    Args:
        knots: ascending, (n,).
        weights: (n, k).
    """

    knots: Array
    weights: Array

    @functools.cached_property
    def _sums(self) -> tuple[Array, Array]:
        nothing, kind = np.zeros_like(self.weights[:1]), self.weights.dtype
        parts = self.weights, self.weights * self.knots[:, None]
        slopes, offsets = (np.concatenate([nothing, np.cumsum(part, axis=0, dtype=kind)]) for part in parts)
        return slopes, offsets

    def at(self, x: Array, since: Array | int = 0, until: Array | int | None = None) -> Array:
        """The values at some places, (m, k); of the hinges from `since` to `until` only, numbers for each place."""
        slopes, offsets = self._sums
        end = np.searchsorted(self.knots, x, side="left")
        end = end if until is None else np.clip(end, since, until)
        found: Array = x[:, None] * (slopes[end] - slopes[since]) - (offsets[end] - offsets[since])
        return found


@dataclass(frozen=True)
class Pieces:
    """A sum of hinges as the linear pieces that it has, value and slope of each in double-double.

    Args:
        knots: ascending, as pairs, (n,).
        weights: (n, k), float64.
    """

    knots: Pair
    weights: Array

    @functools.cached_property
    def _slopes(self) -> Pair:
        return running_sum(pair(self.weights))

    @functools.cached_property
    def _starts(self) -> Pair:
        """The value at each knot."""
        gaps = add(take(self.knots, slice(1, None)), negative(take(self.knots, slice(-1))))
        rises = multiply(take(self._slopes, slice(-1)), (gaps[0][:, None], gaps[1][:, None]))
        first = np.zeros_like(self.weights[:1])
        return running_sum((np.concatenate([first, rises[0]]), np.concatenate([first, rises[1]])))

    def at(self, x: Pair, since: Array | None = None, until: Array | None = None) -> Pair:
        """The values at some places, (m, k) as pairs.

        Args:
            x: places as pairs, (m,).
            since: leave out the knots before this one, a number for each place (None: none).
            until: and those from this one on (None: none).
        """
        piece = self._last_below(x)
        piece = piece if until is None else np.minimum(piece, until - 1)
        lowest = np.zeros_like(piece) if since is None else since
        here = np.maximum(piece, 0)
        slopes, values = take(self._slopes, here), take(self._starts, here)
        if since is not None:
            slopes, values = self._without_earlier(slopes, values, here, since)
        way = add(x, negative(take(self.knots, here)))
        high, low = add(values, multiply(slopes, (way[0][:, None], way[1][:, None])))
        reached = (piece >= lowest)[:, None]
        return np.where(reached, high, 0.0), np.where(reached, low, 0.0)

    def _without_earlier(self, slopes: Pair, values: Pair, here: Array, since: Array) -> tuple[Pair, Pair]:
        """What remains of slope and value at the knot `here` when the hinges before `since` are taken away."""
        before = np.maximum(since - 1, 0)
        mask = (since > 0)[:, None]
        steep, start = ((np.where(mask, each[0], 0.0), np.where(mask, each[1], 0.0)) for each in (take(self._slopes, before), take(self._starts, before)))
        way = add(take(self.knots, here), negative(take(self.knots, before)))
        earlier = add(start, multiply(steep, (way[0][:, None], way[1][:, None])))
        return add(slopes, negative(steep)), add(values, negative(earlier))

    def _last_below(self, x: Pair) -> Array:
        """The last knot at or below each place, -1 where there is none, by high parts and then by low parts."""
        place = np.searchsorted(self.knots[0], x[0], side="right") - 1
        tied = (place >= 0) & (self.knots[0][np.maximum(place, 0)] == x[0]) & (self.knots[1][np.maximum(place, 0)] > x[1])
        while tied.any():  # knots that share a high part are few
            place = np.where(tied, place - 1, place)
            here = np.maximum(place, 0)
            tied = (place >= 0) & (self.knots[0][here] == x[0]) & (self.knots[1][here] > x[1])
        return place
