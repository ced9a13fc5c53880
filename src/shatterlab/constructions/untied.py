"""Two layers, one ReLU a point, each with a direction of its own: n d + 2 n weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from torch import nn

from shatterlab.constructions._points import Array, Distinct, distinct_points
from shatterlab.constructions.network import dense
from shatterlab.core.errors import DataError

_OWNER = "untied"
_BLOCK = 512  # units solved for at a time
_INTO_GAP = 1 / 16  # the place of a knot in its gap: at 0 rounding switches units on, from 1/2 on weights grow from unit to unit
_NOISE = 64 * np.finfo(np.float64).eps  # of a scalar product, relative to the product of the norms


def untied(z: Any, y: Any, seed: int = 0) -> nn.Sequential:
    """A network of depth 2 with n ReLUs, each of its own direction, that takes the value y at every z.

    f(x) = sum_j w_j max(<a_j, x> - b_j, 0). Points are sorted by their distance from a centre m, and a_j = z_j - m. Unit j is then larger at z_j than at any
    point before: of two points with distances r <= r', <z - m, z' - m> is below r'^2 by (r'^2 - r^2 + |z - z'|^2) / 2. So knots b_j exist that switch unit j
    off at all points before j and on at j: the system for w is lower triangular with a positive diagonal. It is solved by blocks; no n x n matrix is held.

    Args:
        z: n x d points (equal points with equal labels count once).
        y: n or n x k labels, real.
        seed: of the centre, the mean of the points plus a draw of their spread.

    Returns:
        Linear, ReLU, Linear in float64: n d + n weights, then n k without bias, together n d + 2 n for k = 1.

    Raises:
        DataError: equal points have different labels, a number is not finite, or two points are too close for float64.

    Source:
        Livni, Shalev-Shwartz, Shamir 2014 (O(n d) weights); the directions and the order are this project's.

    Example:
        >>> network = untied([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1.0, -2.0, 5.0])
        >>> sum(each.numel() for each in network.parameters())  # 3 * 2 + 2 * 3
        12
    """
    points = distinct_points(_OWNER, z, y)
    rng = np.random.default_rng(seed)
    centre = points.inputs.mean(0) + points.inputs.std(0) * rng.standard_normal(points.inputs.shape[1])
    arms = points.inputs - centre
    order = np.argsort(np.square(arms).sum(1), kind="stable")
    directions, values = arms[order], points.inputs[order]
    knots, outer = _solved(points, order, directions, values)
    return dense([(directions, -knots), (outer.T, None)])


def _solved(points: Distinct, order: Array, directions: Array, values: Array) -> tuple[Array, Array]:
    n = len(values)
    knots, outer, left = np.empty(n), np.empty((n, points.targets.shape[1])), points.targets[order].copy()
    reach = np.linalg.norm(values, axis=1).max()
    for start in range(0, n, _BLOCK):
        block = slice(start, min(start + _BLOCK, n))
        products = values @ directions[block].T
        earlier = np.arange(n)[:, None] < np.arange(block.start, block.stop)
        below = np.where(earlier, products, -np.inf).max(0)
        own = products[np.arange(block.start, block.stop), np.arange(block.stop - start)]
        if start == 0:
            below[0] = own[0] - max(1.0, float(np.square(directions[0]).sum()))
        gaps, scale = own - below, reach * np.linalg.norm(directions[block], axis=1)
        tight = np.flatnonzero(~(gaps > _NOISE * scale))
        if len(tight):
            position = int(points.positions[order[start + tight[0]]])
            got = f"point {position} lies {gaps[tight[0]] / scale[tight[0]]:.1e} of the points' extent from another"
            raise DataError(f"{_OWNER}: points further apart than rounding are required, {got}. Centre the points, or drop one of them.")
        knots[block] = below + _INTO_GAP * (own - below)
        hidden = np.maximum(products[start:] - knots[block], 0)
        size = block.stop - start
        outer[block] = solve_triangular(hidden[:size], left[block], lower=True)
        left[block.stop :] -= hidden[size:] @ outer[block]
    return knots, outer
