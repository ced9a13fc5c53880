"""Numbers of some 106 bits as unevaluated sums of two float64: no rounding error of a sum or a product is lost.

Source: Dekker 1971; Knuth 1969 (two_sum); Hida, Li, Bailey 2001 (sums and products of pairs).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]  # (high, low), |low| at most half a unit in the last place of high

_SPLITTER = 2.0**27 + 1


def two_sum(a: Array, b: Array) -> Pair:
    """The rounded sum and, exactly, what rounding lost."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: Array, b: Array) -> Pair:
    """The rounded product and, exactly, what rounding lost; factors up to 2^900."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _halves(a: Array) -> Pair:
    spread = _SPLITTER * a
    high = spread - (spread - a)
    return high, a - high


def _tidy(high: Array, low: Array) -> Pair:
    total = high + low
    return total, low - (total - high)


def add(a: Pair, b: Pair) -> Pair:
    """The sum to some 104 bits, also where the two nearly cancel."""
    high, lost = two_sum(a[0], b[0])
    low, lost_low = two_sum(a[1], b[1])
    high, low = _tidy(high, lost + low)
    return _tidy(high, low + lost_low)


def negative(a: Pair) -> Pair:
    """The same number with the other sign."""
    return -a[0], -a[1]


def multiply(a: Pair, b: Pair) -> Pair:
    """The product to some 102 bits."""
    high, low = two_product(a[0], b[0])
    return _tidy(high, low + (a[0] * b[1] + a[1] * b[0]))


def pair(a: Array) -> Pair:
    """A float64 array as pairs."""
    return a, np.zeros_like(a)


def take(a: Pair, index: Any) -> Pair:
    """The pairs at these positions."""
    return a[0][index], a[1][index]


def running_sum(terms: Pair) -> Pair:
    """Sums of the first 1, 2, ... rows, in some 2 sqrt(n) vector steps: within blocks side by side, then over the blocks."""
    n, rest = len(terms[0]), terms[0].shape[1:]
    length = max(1, int(np.sqrt(n)))
    blocks = -(-n // length)
    padded = [np.concatenate([each, np.zeros((blocks * length - n, *rest))]).reshape(blocks, length, *rest) for each in terms]
    inside: Pair = (padded[0], padded[1])
    for column in range(1, length):
        total = add((inside[0][:, column - 1], inside[1][:, column - 1]), (inside[0][:, column], inside[1][:, column]))
        inside[0][:, column], inside[1][:, column] = total
    before = (np.zeros((blocks, *rest)), np.zeros((blocks, *rest)))
    for block in range(1, blocks):
        total = add((before[0][block - 1], before[1][block - 1]), (inside[0][block - 1, -1], inside[1][block - 1, -1]))
        before[0][block], before[1][block] = total
    high, low = add(inside, (np.repeat(before[0][:, None], length, 1), np.repeat(before[1][:, None], length, 1)))
    return high.reshape(-1, *rest)[:n], low.reshape(-1, *rest)[:n]
