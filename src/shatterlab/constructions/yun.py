"""Three layers with d1 d2 >= 4 n: about 4 sqrt(n) ReLUs take any labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import nn

from shatterlab.constructions._points import Array, Distinct, distinct_points
from shatterlab.constructions.network import dense
from shatterlab.core.errors import DataError, InvalidPart

_OWNER = "yun"
_STEEP = 3.0  # a line rises by this much to the next point, so that one from within [-1, 1] is at least 1 beyond there
_AWAY = 2.0  # height of a line that is clipped everywhere
_DIRECTIONS = 32  # drawn; the one whose smallest gap is largest is kept
_FEWEST_BITS = 6  # of a coefficient; with fewer a rounded direction no longer separates points
_MOST_BITS = 24


def yun_widths(n: int, outputs: int = 1, first: int | None = None) -> tuple[int, int]:
    """The widths for n points: d1 even (None: the smallest even number >= 2 sqrt(n)), and the smallest d2 with d1 d2 >= 4 n k.

    Args:
        n: points, >= 1.
        outputs: k.
        first: d1.

    Returns:
        Both widths, even; d2 is k times the width for one label.

    Raises:
        InvalidPart: d1 is not an even number >= 2.

    Example:
        >>> yun_widths(1000)  # 64 * 64 = 4096 >= 4000
        (64, 64)
    """
    if first is not None and (first < 2 or first % 2):
        raise InvalidPart(f"{_OWNER}: the first width is an even number >= 2, got {first}. Two ReLUs clip once.")
    groups = (math.isqrt(n - 1) + 1) if first is None else first // 2
    return 2 * groups, 2 * math.ceil(n / groups) * outputs


def yun(z: Any, y: Any, first: int | None = None, seed: int = 0) -> nn.Sequential:
    """A network of three layers whose hidden widths have d1 d2 >= 4 n (k labels: 4 n k) and which takes the value y at every z.

    The projections on one direction are cut into d1 / 2 groups of neighbours, d2 / 2 points at most in each. The first layer bends at both ends of every group,
    so a node of the second may follow a line of its own on each group. Line j of a group runs through the label of its j-th point and is beyond [-1, 1] at all
    others; clipped by two ReLUs, the lines of a group, of alternating slopes, add up to that label and a constant.

    Args:
        z: n x d points (equal points with equal labels count once).
        y: n or n x k labels, real.
        first: d1, an even number >= 2; None: about 2 sqrt(n).
        seed: of the direction.

    Returns:
        Three linear maps with biases and ReLU between them, in float64.

    Raises:
        DataError: equal points have different labels, a number is not finite, or no direction separates the points.
        InvalidPart: the first width is not even.

    Source:
        Yun, Sra, Jadbabaie 2019, "Small ReLU networks are powerful memorizers"; here the ends of a group bend apart, so weights do not grow from group to
        group.

    Example:
        >>> network = yun([[0.0], [1.0], [2.0], [3.0]], [1.0, -2.0, 5.0, 0.0])
        >>> [each.out_features for each in network if isinstance(each, nn.Linear)]
        [4, 4, 1]
    """
    points = distinct_points(_OWNER, z, y)
    width, second = yun_widths(len(points), points.targets.shape[1], first)
    direction, projections = separating(points, seed)
    groups = np.array_split(np.argsort(projections), min(width // 2, len(points)))
    low, high = points.targets.min(0), points.targets.max(0)
    half, middle = np.where(high > low, (high - low) / 2, 1.0), (high + low) / 2
    labels = (points.targets - middle) / half
    nodes = second // 2 // points.targets.shape[1]
    ends = np.array([projections[group[place]] for group in groups for place in (0, -1)])  # of each group; further knots lie beyond the last one
    knots = np.concatenate([ends, ends[-1] + max(1.0, float(np.ptp(ends))) * np.arange(1, width - len(ends) + 1)])
    bends, heights = (np.concatenate(arrays) for arrays in zip(*(_nodes(projections, column, groups, nodes, knots) for column in labels.T), strict=True))
    first_layer = np.tile(direction, (width, 1)), -knots
    second_layer = np.repeat(bends, 2, axis=0), np.repeat(heights, 2) + np.tile([1.0, -1.0], len(heights))
    constant = nodes + (1 - nodes % 2)  # a pair of ReLUs is 1 above its clipped line, and the other lines add 1 or 0
    outer = np.kron(np.diag(half), np.tile([1.0, -1.0], nodes))
    return dense([first_layer, second_layer, (outer, middle - constant * half)])


def _nodes(projections: Array, labels: Array, groups: list[Array], nodes: int, knots: Array) -> tuple[Array, Array]:
    heights, slopes = np.empty((nodes, len(groups))), np.zeros((nodes, len(groups)))
    turns = np.where(np.arange(nodes) % 2, -1.0, 1.0)
    for number, group in enumerate(groups):
        at, size = projections[group], len(group)
        steps = np.diff(at)
        nearest = np.minimum(np.append(steps, np.inf), np.append(np.inf, steps))
        slopes[:size, number] = turns[:size] * _STEEP / nearest
        heights[:size, number] = labels[group] - slopes[:size, number] * (at - at[0])
        heights[size:, number] = _AWAY * turns[: nodes - size] * (1.0 if size % 2 or nodes % 2 == 0 else -1.0)
    starts, stops = knots[0 : 2 * len(groups) : 2], knots[1 : 2 * len(groups) : 2]
    ends = heights + slopes * (stops - starts)
    between = (heights[:, 1:] - ends[:, :-1]) / (starts[1:] - stops[:-1])
    left, right = (np.pad(between, ((0, 0), side)) for side in ((1, 0), (0, 1)))
    bends = np.zeros((nodes, len(knots)))
    bends[:, 0 : 2 * len(groups) : 2] = slopes - left
    bends[:, 1 : 2 * len(groups) : 2] = right - slopes
    return bends, heights[:, 0]


def separating(points: Distinct, seed: int) -> tuple[Array, Array]:
    """A direction and the projections of the points on it, no two of them equal.

    Where the inputs have few bits (8-bit pixels, also divided by 255 in float32), so have the coefficients: every partial sum is exact in any order.

    Args:
        points: distinct points.
        seed: of the draw.

    Returns:
        The direction, shape (d,), and the projections, shape (n,).

    Raises:
        DataError: no direction drawn gives different projections.
    """
    rng = np.random.default_rng(seed)
    d, bits = points.inputs.shape[1], exact_bits(points.inputs)
    candidates = []
    for _ in range(_DIRECTIONS):
        direction = rng.integers(1 - 2**bits, 2**bits, d) / 2.0**bits if bits else rng.standard_normal(d) / math.sqrt(d)
        projections = points.inputs @ direction
        gap = float(np.diff(np.sort(projections)).min(initial=np.inf)) / max(1e-300, float(np.abs(direction).max()))
        candidates.append((gap, direction, projections))
    gap, direction, projections = max(candidates, key=lambda candidate: candidate[0])
    if not gap > 0:
        required = f"points whose projections differ in float64 are required, {_DIRECTIONS} directions gave none"
        raise DataError(f"{_OWNER}: {required}. Drop points that nearly coincide.")
    return direction, projections


def exact_bits(inputs: Array) -> int:
    """How many bits a coefficient may have so that every scalar product with a row is exact; 0 if fewer than six."""
    used = inputs[inputs != 0]
    if not len(used):
        return _MOST_BITS
    fraction, exponent = np.frexp(used)
    whole = np.abs(fraction * 2.0**53).astype(np.int64)
    lowest = int((exponent - 53 + np.log2(whole & -whole).astype(int)).min())
    largest = np.ldexp(float(np.abs(inputs).sum(1).max()), -lowest)  # of a scalar product with coefficients 1, in units of the last bit
    bits = min(_MOST_BITS, 53 - int(np.ceil(np.log2(largest))) - 1)
    return bits if bits >= _FEWEST_BITS else 0
