"""A sample on a line: exact projections on a direction that separates the points, in order, equal points merged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.constructions._exact import Array, Dyadic, dyadic, grid_above
from shatterlab.constructions._points import blocks, require_moderate, table, targets
from shatterlab.core.errors import DataError, InvalidPart

MANTISSA = 53  # bits of a float64: whole numbers below 2^53 add up exactly in any order
_FINEST = 34  # bits of a whole-number direction: more make no gap wider
_COARSEST = 20  # with fewer, different points may project alike
_REAL = 24  # bits of a direction for points that need more than one limb
_LIMB = 22  # bits of one limb of a direction that has real entries
_NARROWEST = 5  # bits of a point's limb, at least


@dataclass(frozen=True)
class Line:
    """Distinct points in the order of their projections.

    Args:
        direction: a, float64, shape (d,).
        exact: float64 gives every <a, z_i> exactly, in any order of summation.
        order: the position in the sample of each distinct point (of equal ones, of the first), shape (n_distinct,).
        values: of these points, in that order, (n_distinct,) or (n_distinct, k).
        floats: the projections x in that order, float64: exact, nearest, or plainly summed where not certified.
        knots: b_1 a typical gap before x_1, then b_i at x_{i-1}, or the next number above it for which float64 holds b_i and b_i - b_1.
        whole: the projections exactly; None where not certified.
        grid: knots of inexact projections are multiples of 2^grid.
    """

    direction: Array
    exact: bool
    order: Array
    values: Array
    floats: Array
    knots: Array
    whole: Dyadic | None
    grid: int = 0

    @property
    def outputs(self) -> int | None:
        """k; None for one value a point, without an axis of its own."""
        return None if self.values.ndim == 1 else self.values.shape[1]

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
        return min(later - place for place, later in itertools.pairwise(ascending)) / (ascending[-1] - ascending[0])


def on_a_line(owner: str, z: Any, y: Any, rng: np.random.Generator | None, directions: int, direction: Any = None, certified: bool = True) -> Line:
    """The sample along the best of several directions: the one whose smallest gap is the largest part of its range.

    Args:
        owner: name used in errors.
        z: points, n x d (or n x any shape of d numbers).
        y: their values, (n,) or (n, k): equal points must have equal ones.
        rng: draws the directions (None: seed 0).
        directions: how many to try, >= 1.
        direction: the one to take instead.
        certified: compute projections exactly; otherwise by one plain product, float64.

    Raises:
        DataError: numbers are unusable, equal points have different values, or no direction separates the points.
    """
    z = table(owner, z)
    y = targets(owner, y, len(z))
    if certified:
        require_moderate(owner, z)
    if direction is not None:
        column = np.asarray(direction, dtype=np.float64)
        if column.shape != (d := z.shape[1],):
            raise DataError(f"{owner}: a direction of {d} numbers, one a coordinate, is required, got shape {column.shape}. Give one for these points.")
        require_moderate(owner, column[None])
        candidates = column[:, None]
    elif directions < 1:
        raise InvalidPart(f"{owner}: directions is a whole number >= 1, got {directions}. Try at least one.")
    else:
        rng = np.random.default_rng(0) if rng is None else rng
        size = rng.integers(1, 2 ** direction_bits(z), (z.shape[1], directions))
        candidates = np.where(rng.integers(0, 2, size.shape) == 1, size, -size).astype(np.float64)
    floats = plain_projections(z, candidates)
    if not np.isfinite(floats).all():
        require_moderate(owner, z)
        raise DataError(f"{owner}: projections within float64 are required, they overflow. Rescale the points or the direction.")
    best = max(range(candidates.shape[1]), key=lambda place: _smallest_gap(z, floats[:, place])) if candidates.shape[1] > 1 else 0
    a = np.ascontiguousarray(candidates[:, best])
    exact = certified and is_exact(z, a)
    if certified and not exact:
        return _exactly_ordered(owner, z, y, a)
    return _plainly_ordered(owner, z, y, a, floats[:, best], exact)


def _smallest_gap(z: Array, floats: Array) -> float:
    order = np.argsort(floats)
    gaps = np.diff(floats[order])
    near = _near(gaps, floats, z.shape[1])
    gaps[near[_equal_rows(z, order[near], order[near + 1])]] = np.inf
    reach = floats[order[-1]] - floats[order[0]]
    return float(gaps.min(initial=np.inf) / reach) if reach else (np.inf if np.isinf(gaps).all() else 0.0)


def _near(gaps: Array, floats: Array, d: int) -> Array:
    return np.asarray((gaps <= d * np.finfo(np.float64).eps * np.abs(floats).max()).nonzero()[0])


def _equal_rows(z: Array, ones: Array, others: Array) -> Array:
    same = np.zeros(len(ones), dtype=bool)
    for start in range(0, len(ones), 1024):
        rows = slice(start, start + 1024)
        same[rows] = (z[ones[rows]] == z[others[rows]]).all(1)
    return same


def _plainly_ordered(owner: str, z: Array, y: Array, a: Array, floats: Array, exact: bool) -> Line:
    order = np.argsort(floats)
    gaps = np.diff(floats[order])
    kept = _merged(owner, z, y, order, _near(gaps, floats, z.shape[1]), gaps == 0)
    ascending = floats[kept]
    whole = Dyadic([int(number) for number in ascending.tolist()], 0) if exact else None
    return Line(a, exact, kept, y[kept], ascending, np.concatenate([[_first_knot(ascending)], ascending[:-1]]), whole)


def _exactly_ordered(owner: str, z: Array, y: Array, a: Array) -> Line:
    projected = projections(z, a)
    order = projected.order()
    alike = np.array([one == other for one, other in itertools.pairwise(projected.take(order).whole)], dtype=bool)
    kept = _merged(owner, z, y, order, alike.nonzero()[0], alike)
    whole = projected.take(kept)
    floats = whole.rounded()
    first = _first_knot(floats)
    exponent = math.frexp(max(abs(first), abs(floats[-1]), floats[-1] - first))[1] - MANTISSA
    knots = np.concatenate([[math.ldexp(math.floor(math.ldexp(first, -exponent)), exponent)], grid_above(Dyadic(whole.whole[:-1], whole.unit), exponent)])
    for place, gap in enumerate(whole.minus(dyadic(knots)).whole):
        if gap <= 0:
            _refuse(owner, "are nearer to each other than float64 can tell", kept[place - 1], kept[place])
    return Line(a, False, kept, y[kept], floats, knots, whole, exponent)


def _first_knot(floats: Array) -> float:
    least, most = float(floats[0]), float(floats[-1])
    if len(floats) == 1:
        return least - max(1.0, abs(least))
    gap = (most - least) / (len(floats) - 1) or max(1.0, abs(least))
    room = 2.0**MANTISSA - 1 - (most - least)  # differences of whole numbers stay exact below it
    return least - (max(1.0, min(float(round(gap)), room)) if room > 1 and (floats == np.trunc(floats)).all() else gap)


def _merged(owner: str, z: Array, y: Array, order: Array, near: Array, alike: Array) -> Array:
    equal = np.zeros(len(order), dtype=bool)  # to the one before
    equal[near[_equal_rows(z, order[near], order[near + 1])] + 1] = True
    for place in (alike & ~equal[1:]).nonzero()[0]:
        _refuse(owner, "project alike", order[place], order[place + 1])
    kept = np.minimum.reduceat(order, (~equal).nonzero()[0])
    firsts = kept[np.cumsum(~equal) - 1]
    differ = (y[order] != y[firsts]).reshape(len(order), -1).any(1)
    if differ.any():
        one, other = min((int(first), int(place)) for first, place in zip(firsts[differ], order[differ], strict=True))
        first, second = (str(y[place].tolist()).removesuffix(".0") for place in (one, other))
        same = f"points {one} and {other} are equal and have values {first} and {second}"
        raise DataError(f"{owner}: one value a point is required, {same}. Drop one.")
    return kept


def _refuse(owner: str, what: str, one: int, other: int) -> None:
    first, second = sorted((int(one), int(other)))
    raise DataError(f"{owner}: a direction that tells the points apart is required, points {first} and {second} differ and {what}. Try more directions.")


def projections(z: Array, a: Array) -> Dyadic:
    """All <a, z_i>, exactly, for any finite a and z."""
    products = [(terms, rows.stop - rows.start) for rows, terms in _products(z, a)]
    unit = min((power for terms, _ in products for power, _ in terms), default=0)
    whole: list[int] = []
    for terms, count in products:
        totals = [0] * count
        for power, product in terms:
            totals = [total + (int(more) << (power - unit)) for total, more in zip(totals, product.tolist(), strict=True)]
        whole += totals
    return Dyadic(whole, unit)


def _products(z: Array, a: Array) -> Iterator[tuple[slice, list[tuple[int, Array]]]]:
    """Yields rows and terms (exponent, whole numbers below 2^53): <a, z_i> = sum of whole_i * 2^exponent, exactly.

    Limbs are so short that every partial sum of d products is a whole number below 2^53, exact in any order. Pixels of 8 bits take one limb.
    """
    carry = (len(a) - 1).bit_length()  # bits by which a sum of d numbers may outgrow them
    bits = _whole_bits(a)
    single = bits is not None and bits + carry <= MANTISSA - _NARROWEST
    parts = [(0, a)] if single else list(_limbs(a, _LIMB))
    width = MANTISSA - carry - (bits if single and bits is not None else _LIMB)
    matrix = np.stack([whole for _, whole in parts], axis=1)
    for rows in blocks(z):
        points = z[rows].astype(np.float64, copy=False)
        size = _whole_bits(z[rows])
        limbs = [(0, points)] if size is not None and size <= width else _limbs(points, width)
        yield rows, [(exponent + power, product) for exponent, whole in limbs for (power, _), product in zip(parts, (whole @ matrix).T, strict=True)]


def _limbs(values: Array, width: int) -> Iterator[tuple[int, Array]]:
    rest = values
    while (largest := np.abs(rest).max()) > 0:
        exponent = width * (-(-math.frexp(largest)[1] // width) - 1)
        whole = np.trunc(np.ldexp(rest, -exponent))
        rest = rest - np.ldexp(whole, exponent)
        yield exponent, whole


def _whole_bits(values: Array) -> int | None:
    least, most = values.min(), values.max()
    if values.dtype.kind == "f" and not (np.isfinite(least) and np.isfinite(most) and (values == np.trunc(values)).all()):
        return None
    return max(int(most), -int(least)).bit_length()


def plain_projections(z: Array, a: Array) -> Array:
    """All projections by plain products in the type of a (float32 or float64), (n,) or (n, c); exact only where all partial sums are."""
    if a.ndim == 2 and a.shape[1] == 1:
        return plain_projections(z, np.ascontiguousarray(a[:, 0]))[:, None]
    return np.concatenate([z[rows].astype(a.dtype, copy=False) @ a for rows in blocks(z)])


def is_exact(z: Array, a: Array) -> bool:
    """Whether every partial sum of every <a, z_i> is a whole number below 2^53, so that float64 is exact in any order."""
    extremes = _extremes(z)
    if _whole_bits(a) is None or extremes is None:
        return False
    return bool(len(a) * max(-extremes[0], extremes[1]) * int(np.abs(a).max()) < 2**MANTISSA)


def direction_bits(z: Array) -> int:
    """How many bits a direction of whole numbers may have on these points: exact in float64 where the points are whole numbers.

    The most for which d max|z| max|a| < 2^53, at most 34, one less with negative points. Where fewer than 20 are left, or a point is not whole, 24.
    """
    extremes = _extremes(z)
    if extremes is None:
        return _REAL
    low, high = extremes
    allowed = (2**MANTISSA // (z.shape[1] * max(-low, high, 1))).bit_length() - 1 - (low < 0)
    return min(allowed, _FINEST) if allowed >= _COARSEST else _REAL


def _extremes(z: Array) -> tuple[int, int] | None:
    ends = []
    for rows in blocks(z):
        if _whole_bits(z[rows]) is None:
            return None
        ends += [int(z[rows].min()), int(z[rows].max())]
    return min(ends), max(ends)
