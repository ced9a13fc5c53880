"""A sample on a line: its projections on one direction, in order, equal points merged."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.constructions._exact import Dyadic, any_not_below, grid_above
from shatterlab.constructions._points import require_moderate
from shatterlab.constructions._projections import MANTISSA, as_whole, direction_bits, drawn, is_exact, plainly
from shatterlab.core.errors import DataError, InvalidPart

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Line:
    """Distinct points in the order of their projections.

    Args:
        direction: a, float64, shape (d,).
        exact: float64 gives every <a, z_i> exactly, in any order of summation.
        order: the position in the sample of each distinct point (of equal ones, of the first), shape (n_distinct,).
        floats: the projections x in that order, float64: exact, nearest, or plainly summed where not certified.
        knots: b_1 a typical gap before x_1, then b_i at x_{i-1}, or as little above it as lets float64 hold b_i and b_i - b_1.
        whole: the projections exactly; None where not certified.
        grid: knots of inexact projections are multiples of 2^grid.
    """

    direction: Array
    exact: bool
    order: Array
    floats: Array
    knots: Array
    whole: Dyadic | None
    grid: int = 0

    @property
    def reach(self) -> float:
        """The range of the projections; 1 for a single point."""
        return float(self.floats[-1] - self.floats[0]) or 1.0

    @property
    def smallest_gap(self) -> float:
        """Between neighbours, as a fraction of the range; 1 for a single point."""
        if self.whole is None or len(self.whole) == 1:
            return float(np.diff(self.floats).min(initial=self.reach)) / self.reach
        ascending = self.whole.whole
        return min(later - each for each, later in itertools.pairwise(ascending)) / (ascending[-1] - ascending[0])


def on_a_line(owner: str, z: Array, y: Array, rng: np.random.Generator | None, directions: int, direction: Any = None, certified: bool = True) -> Line:
    """The sample along the best of some directions: the one whose smallest gap is the largest part of its range.

    Args:
        owner: whose errors these are.
        z: points, n x d.
        y: their values, (n,) or (n, k): equal points must have equal ones.
        rng: draws the directions (None: seed 0).
        directions: how many to try, >= 1.
        direction: the one to take instead.
        certified: find projections exactly; otherwise by one plain product, float64.

    Raises:
        DataError: numbers are unusable, equal points have different values, or no direction tells the points apart.
    """
    if certified:
        require_moderate(owner, z)
    if direction is None:
        if directions < 1:
            raise InvalidPart(f"{owner}: directions is a whole number >= 1, got {directions}. Try at least one.")
        tried = drawn(np.random.default_rng(0) if rng is None else rng, z.shape[1], directions, direction_bits(z))
    else:
        tried = _given(owner, direction, z.shape[1])
    floats = plainly(z, tried)
    if not np.isfinite(floats).all():
        require_moderate(owner, z)
        raise DataError(f"{owner}: projections within float64 are required, they overflow. Rescale the points or the direction.")
    best = max(range(tried.shape[1]), key=lambda each: _smallest_gap(z, floats[:, each])) if tried.shape[1] > 1 else 0
    a = np.ascontiguousarray(tried[:, best])
    exact = certified and is_exact(z, a)
    if certified and not exact:
        return _exactly_ordered(owner, z, y, a)
    return _plainly_ordered(owner, z, y, a, floats[:, best], exact)


def _given(owner: str, direction: Any, d: int) -> Array:
    given = np.asarray(direction, dtype=np.float64)
    if given.shape != (d,):
        raise DataError(f"{owner}: a direction of {d} numbers, one a coordinate, is required, got shape {given.shape}. Give one for these points.")
    require_moderate(owner, given[None])
    return given[:, None]


def _smallest_gap(z: Array, floats: Array) -> float:
    """As a fraction of the range; 0 where different points project alike, infinite where all points are equal."""
    order = np.argsort(floats)
    gaps = np.diff(floats[order])
    gaps[_equal_neighbours(z, order, gaps, floats)] = np.inf
    reach = floats[order[-1]] - floats[order[0]]
    return float(gaps.min(initial=np.inf) / reach) if reach else (np.inf if np.isinf(gaps).all() else 0.0)


def _equal_neighbours(z: Array, order: Array, gaps: Array, floats: Array) -> Array:
    """Positions i for which the points order[i] and order[i + 1] are equal; only those that project alike up to rounding are compared."""
    near = (gaps <= z.shape[1] * np.finfo(np.float64).eps * max(abs(floats[order[0]]), abs(floats[order[-1]]))).nonzero()[0]
    found: Array = near[_equal_rows(z, order[near], order[near + 1])]
    return found


def _equal_rows(z: Array, some: Array, others: Array) -> Array:
    same = np.zeros(len(some), dtype=bool)
    for start in range(0, len(some), 1024):
        few = slice(start, start + 1024)
        same[few] = (z[some[few]] == z[others[few]]).all(1)
    return same


def _plainly_ordered(owner: str, z: Array, y: Array, a: Array, floats: Array, exact: bool) -> Line:
    order = np.argsort(floats)
    gaps = np.diff(floats[order])
    equal = np.zeros(len(order), dtype=bool)  # to the one before
    equal[_equal_neighbours(z, order, gaps, floats) + 1] = True
    for place in (~equal[1:] & (gaps == 0)).nonzero()[0]:
        _refuse(owner, "project alike", order[place], order[place + 1])
    kept = _merged(owner, y, order, equal)
    ascending = floats[kept]
    whole = Dyadic([int(each) for each in ascending.tolist()], 0) if exact else None
    return Line(a, exact, kept, ascending, np.concatenate([[_first_knot(ascending)], ascending[:-1]]), whole)


def _first_knot(floats: Array) -> float:
    """One typical gap before the first point, to whole numbers where the points are: a nearer one makes large weights and costs digits."""
    least, most = float(floats[0]), float(floats[-1])
    if len(floats) == 1:
        return least - max(1.0, abs(least))
    gap = (most - least) / (len(floats) - 1) or max(1.0, abs(least))
    room = 2.0**MANTISSA - 1 - (most - least)  # differences of whole numbers stay exact below it
    return least - (max(1.0, min(float(round(gap)), room)) if room > 1 and (floats == np.trunc(floats)).all() else gap)


def _exactly_ordered(owner: str, z: Array, y: Array, a: Array) -> Line:
    projected = as_whole(z, a)
    order = np.array(sorted(range(len(z)), key=projected.whole.__getitem__))
    ascending = [projected.whole[place] for place in order]
    equal = np.array([False, *(one == other for one, other in itertools.pairwise(ascending))])
    later = equal.nonzero()[0]
    for place in later[~_equal_rows(z, order[later - 1], order[later])]:
        _refuse(owner, "project alike", order[place - 1], order[place])
    kept = _merged(owner, y, order, equal)
    whole = Dyadic([projected.whole[place] for place in kept], projected.unit)
    floats = whole.rounded()
    first = _first_knot(floats)
    exponent = math.frexp(max(abs(first), abs(floats[-1]), floats[-1] - first))[1] - MANTISSA
    knots = np.concatenate([[math.ldexp(math.floor(math.ldexp(first, -exponent)), exponent)], grid_above(Dyadic(whole.whole[:-1], whole.unit), exponent)])
    for place in any_not_below(knots, whole):
        _refuse(owner, "are nearer to each other than float64 can tell", kept[place - 1], kept[place])
    return Line(a, False, kept, floats, knots, whole, exponent)


def _merged(owner: str, y: Array, order: Array, equal: Array) -> Array:
    """The first of each group of equal points; refuses groups of different values."""
    starts = (~equal).nonzero()[0]
    groups = np.cumsum(~equal) - 1
    kept = np.minimum.reduceat(order, starts)
    firsts = kept[groups]
    differ = (y[order] != y[firsts]).reshape(len(order), -1).any(1)
    if differ.any():
        pairs = sorted((int(first), int(place)) for first, place in zip(firsts[differ], order[differ], strict=True))
        one, other = pairs[0]
        same = f"points {one} and {other} are equal and have values {y[one].tolist()} and {y[other].tolist()}"
        raise DataError(f"{owner}: one value a point is required, {same}. Drop one.")
    return kept


def _refuse(owner: str, what: str, one: int, other: int) -> None:
    some, others = sorted((int(one), int(other)))
    raise DataError(f"{owner}: a direction that tells the points apart is required, points {some} and {others} differ and {what}. Try more directions.")
