"""Theorem 1: a network of depth 2 with 2n + d weights that takes any values at any n points of d dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shatterlab.constructions._hinges import certain, telescoped
from shatterlab.constructions._line import Line, on_a_line
from shatterlab.constructions._network import HingeNetwork, numbers, weighted
from shatterlab.constructions._points import table, targets

Array = np.ndarray[Any, Any]


class TwoLayer(HingeNetwork):
    """c(z) = sum_j w_j max(<a, z> - b_j, 0), an ordinary module of three parameters: a (d), b (n) and w (n, or k x n).

    All n hidden units share the direction a, so that there are 2n + d numbers; with k outputs (k + 1) n + d. An untied first
    layer would have nd + 2n. `forward` is plain ReLU arithmetic, n operations a point; `values` sorts and takes prefix sums.

    Args:
        d: coordinates of a point.
        n: hidden units, one a distinct point.
        outputs: k; None for one value a point, without an axis of its own.
    """

    def __init__(self, d: int, n: int, outputs: int | None = None) -> None:
        super().__init__()
        self.widths, self.depth, self.outputs = (n,), 2, outputs
        self.a = nn.Parameter(torch.zeros(d, dtype=torch.float64))
        self.b = nn.Parameter(torch.zeros(n, dtype=torch.float64))
        self.w = nn.Parameter(torch.zeros(n if outputs is None else (outputs, n), dtype=torch.float64))

    def plain(self, inputs: Tensor) -> Tensor:
        x = weighted(inputs.to(self.a.dtype).flatten(1), self.a)
        return weighted(torch.relu(x[:, None] - self.b), self.w)

    def knots(self) -> Array:
        return numbers(self.b)

    def connections(self) -> int:
        return self.weights

    def layers(self) -> Iterator[tuple[Array, Array | None]]:
        yield np.tile(numbers(self.a), (self.width, 1)), -numbers(self.b)
        yield numbers(self.w).reshape(-1, self.width), None


def two_layer(z: Any, y: Any, *, rng: np.random.Generator | None = None, directions: int = 8, direction: Any = None, certified: bool = True) -> TwoLayer:
    """The network of Theorem 1 through (z_i, y_i), for any real values of any distinct points, in O(nd + n log n) time.

    The points are projected on one direction and sorted; every hidden unit has its knot at the previous point, so that c runs
    straight from y_{i-1} to y_i and each weight is a change of slope. No system is solved and no n x n matrix made.

    Args:
        z: points, n x d (or n x any shape of d numbers). Whole numbers, pixels of 8 bits say, have exact projections in float64.
        y: values, (n,) for one output and exactly 2n + d weights, or (n, k). Equal points with equal values count once.
        rng: draws the directions (None: seed 0).
        directions: of so many, take the one whose smallest gap is the largest part of its range, >= 1.
        direction: a to take instead, (d,).
        certified: choose every weight from the exact value of the net so far; otherwise build in plain vectorized float64.

    Raises:
        DataError: equal points have different values, no direction tells the points apart, or numbers are not usable.

    Source:
        Zhang et al. 2017, Theorem 1 and appendix C.

    Example:
        >>> net = two_layer([[0, 0], [1, 0], [0, 1]], [3.0, -1.0, 4.0])
        >>> net.weights, net.certified_error([[0, 0], [1, 0], [0, 1]], [3.0, -1.0, 4.0]) < 1e-12  # 2 * 3 + 2 numbers
        (8, True)
    """
    points = table("two_layer", z)
    values = targets("two_layer", y, len(points))
    line = on_a_line("two_layer", points, values, rng, directions, direction, certified)
    return two_layer_along(line, values[line.order])


def two_layer_along(line: Line, values: Array) -> TwoLayer:
    """The network through values of the points of a line, in its order."""
    network = TwoLayer(len(line.direction), len(line.floats), None if values.ndim == 1 else values.shape[1])
    network.fill(a=line.direction, b=line.knots, w=hinge_weights("two_layer", line, values).T)
    return network


def hinge_weights(owner: str, line: Line, values: Array) -> Array:
    """The weights of the hinges at the knots of a line, (n,) or (n, k) as the values: certain where its projections are."""
    return telescoped(line.floats, line.knots, values) if line.whole is None else certain(owner, line.whole, line.knots, values)
