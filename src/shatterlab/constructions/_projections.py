"""Projections <a, z> of many points on a direction, exact for every finite a and z, and directions that tell points apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from shatterlab.constructions._double_double import Pair, add, pair
from shatterlab.constructions._exact import Dyadic
from shatterlab.constructions._points import blocks

Array = np.ndarray[Any, Any]

MANTISSA = 53  # bits of a float64: whole numbers below 2^53 add up exactly in any order
_FINEST = 34  # bits of a whole-number direction: more make no gap wider
_COARSEST = 20  # with fewer, different points may project alike
_REAL = 24  # bits of a direction for points that need more than one limb
_LIMB = 22  # bits of one limb of a direction that has real entries
_NARROWEST = 5  # bits of a point's limb, at least


def _limbs_of(points: Array, width: int) -> list[tuple[int, Array]]:
    """Limbs of points of any number type; whole numbers of one limb are that limb."""
    wide, bits = points.astype(np.float64, copy=False), whole_bits(points)
    return [(0, wide)] if bits is not None and bits <= width else list(limbs(wide, width))


def limbs(values: Array, width: int) -> Iterator[tuple[int, Array]]:
    """Float64 numbers as a sum of (exponent, whole numbers below 2^width): sum whole * 2^exponent, exactly.

    Exponents are multiples of the width whatever else is among the values, so a number has the same limbs in any company.
    """
    rest = values
    while (largest := np.abs(rest).max()) > 0:
        exponent = width * (-(-math.frexp(largest)[1] // width) - 1)
        whole = np.trunc(np.ldexp(rest, -exponent))
        rest = rest - np.ldexp(whole, exponent)
        yield exponent, whole


def whole_bits(values: Array) -> int | None:
    """How many bits the whole numbers take, None where one is not whole."""
    least, most = values.min(), values.max()
    if values.dtype.kind == "f" and not (np.isfinite(least) and np.isfinite(most) and (values == np.trunc(values)).all()):
        return None
    return max(int(most), -int(least)).bit_length()


def exactly(z: Array, a: Array) -> Iterator[tuple[slice, list[tuple[int, Array]]]]:
    """For some points at a time, terms (exponent, whole numbers below 2^53): <a, z_i> = sum of whole_i * 2^exponent, exactly.

    Both are split into limbs so short that every partial sum of d products is a whole number below 2^53: no order of
    summation, no fused multiplication and no company of other points changes a bit of it. Pixels of 8 bits on a direction
    of whole numbers take one limb each, and this is one plain product. Terms come with the largest exponent first.
    """
    bits = whole_bits(a)
    single = bits is not None and bits + _carry(a) <= MANTISSA - _NARROWEST
    parts = [(0, a)] if single else list(limbs(a, _LIMB))
    width = MANTISSA - _carry(a) - (bits if single and bits is not None else _LIMB)
    matrix = np.stack([whole for _, whole in parts], axis=1)
    for some in blocks(z):
        terms = [
            (exponent + power, product) for exponent, whole in _limbs_of(z[some], width) for (power, _), product in zip(parts, (whole @ matrix).T, strict=True)
        ]
        yield some, sorted(terms, key=lambda term: -term[0])


def _carry(a: Array) -> int:
    """Bits by which a sum of d numbers may outgrow them."""
    return (len(a) - 1).bit_length()


def as_whole(z: Array, a: Array) -> Dyadic:
    """All projections, exactly."""
    found = [(terms, some.stop - some.start) for some, terms in exactly(z, a)]
    unit = min((power for terms, _ in found for power, _ in terms), default=0)
    whole: list[int] = []
    for terms, count in found:
        total = [0] * count
        for power, part in terms:
            total = [each + (int(more) << (power - unit)) for each, more in zip(total, part.tolist(), strict=True)]
        whole += total
    return Dyadic(whole, unit)


def as_pairs(z: Array, a: Array) -> Pair:
    """All projections to some 104 bits of their largest term."""
    high, low = np.zeros(len(z)), np.zeros(len(z))
    for some, terms in exactly(z, a):
        total = pair(np.zeros(some.stop - some.start))
        for power, part in terms:
            total = add(total, pair(np.ldexp(part, power)))
        high[some], low[some] = total
    return high, low


def plainly(z: Array, a: Array) -> Array:
    """All projections by plain products in the type of a (float32 or float64), (n,) or (n, c); exact only where all partial sums are."""
    if a.ndim == 2 and a.shape[1] == 1:
        return plainly(z, np.ascontiguousarray(a[:, 0]))[:, None]
    return np.concatenate([z[some].astype(a.dtype, copy=False) @ a for some in blocks(z)])


def is_exact(z: Array, a: Array) -> bool:
    """Whether every partial sum of every <a, z_i> is a whole number below 2^53, so that float64 is exact in any order."""
    bits = whole_bits(a)
    if bits is None:
        return False
    largest = 0
    for some in blocks(z):
        if whole_bits(z[some]) is None:
            return False
        largest = max(largest, abs(int(z[some].max())), abs(int(z[some].min())))
    return bool(len(a) * largest * int(np.abs(a).max()) < 2**MANTISSA)


def direction_bits(z: Array) -> int:
    """How many bits a direction of whole numbers may have on these points: exact in float64 where the points are whole numbers.

    The most for which d max|z| max|a| < 2^53, at most 34 (784 pixels of 8 bits: 34; 3,072: 33); with negative points one
    less, for differences. Where that leaves fewer than 20, or a point is not whole, 24, and projections take several limbs.
    """
    largest, signed = 0, 0
    for some in blocks(z):
        if whole_bits(z[some]) is None:
            return _REAL
        low, high = int(z[some].min()), int(z[some].max())
        largest, signed = max(largest, -low, high), max(signed, low < 0)
    allowed = (2**MANTISSA // (z.shape[1] * max(largest, 1))).bit_length() - 1 - signed
    return min(allowed, _FINEST) if allowed >= _COARSEST else _REAL


def drawn(rng: np.random.Generator, d: int, count: int, bits: int) -> Array:
    """Directions of whole numbers other than 0, uniform and of either sign below 2^bits; d x count, float64."""
    size = rng.integers(1, 2**bits, (d, count))
    return np.where(rng.integers(0, 2, (d, count)) == 1, size, -size).astype(np.float64)
