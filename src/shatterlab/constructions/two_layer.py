"""Theorem 1: depth 2 and 2n + d weights take any values at any n points of d dimensions; and the same sum of hinges carried through k layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shatterlab.constructions._exact import Array, Dyadic, fed_back
from shatterlab.constructions.line import Line, on_a_line
from shatterlab.constructions.network import HingeNetwork, numbers, require_depth, shares, weighted
from shatterlab.core.errors import DataError


class TwoLayer(HingeNetwork):
    """c(z) = sum_j w_j max(<a, z> - b_j, 0), an ordinary module of three parameters: a (d), b (n) and w (n, or k x n).

    The units share the direction a: 2n + d numbers, with k outputs (k + 1) n + d. `forward` takes n operations a point; `values` sorts and takes prefix sums.

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


class Carry(HingeNetwork):
    """The sum of hinges of Theorem 1 in k - 1 hidden layers of n/(k - 1) hinges each, same values.

    The first hidden layer has max(<a, z> - b_j, 0) for its share of the knots; its first unit u = max(<a, z> - b_1, 0) is the coordinate that goes on, since
    all other hinges are max(u - c_j, 0) with c_j = b_j - b_1. Each further layer carries u, and the sum so far as max(S, 0) and max(-S, 0).

    Args:
        d: coordinates of a point.
        n: hinges, one a distinct point.
        depth: k, layers of weights, 2 .. n + 1.
        outputs: as of `TwoLayer`.
    """

    def __init__(self, d: int, n: int, depth: int, outputs: int | None = None) -> None:
        super().__init__()
        self.sizes = shares(n, depth - 1)
        self.depth, self.outputs = depth, outputs
        self.widths = (self.sizes[0], *(size + 1 + 2 * (outputs or 1) for size in self.sizes[1:]))
        self.a = nn.Parameter(torch.zeros(d, dtype=torch.float64))
        self.b = nn.Parameter(torch.zeros(self.sizes[0], dtype=torch.float64))
        self.c = nn.Parameter(torch.zeros(n - self.sizes[0], dtype=torch.float64))
        self.w = nn.Parameter(torch.zeros(n if outputs is None else (outputs, n), dtype=torch.float64))

    def plain(self, inputs: Tensor) -> Tensor:
        x = weighted(inputs.to(self.a.dtype).flatten(1), self.a)
        hinges = torch.relu(x[:, None] - self.b)
        u, shared = hinges[:, 0], self.w.split(self.sizes, dim=-1)
        total = weighted(hinges, shared[0])
        for knots, weights in zip(self.c.split(self.sizes[1:]), shared[1:], strict=True):
            u, positive, negative = torch.relu(u), torch.relu(total), torch.relu(-total)
            total = (positive - negative) + weighted(torch.relu(u[:, None] - knots), weights)
        return total

    def knots(self) -> Array:
        b = numbers(self.b)
        return np.concatenate([b, b[0] + numbers(self.c)])

    def connections(self) -> int:
        k, last = self.outputs or 1, len(self.sizes) - 1
        first = len(self.a) + self.sizes[0]
        hinges = sum(1 + 2 * size for size in self.sizes[1:])  # a weight and a bias a hinge, and the coordinate
        sums = 2 * k * sum(self.sizes[:-1]) + 4 * k * max(last - 1, 0)  # into both signs of the sum
        return first + hinges + sums + k * self.sizes[-1] + (2 * k if last else 0)

    def layers(self) -> Iterator[tuple[Array, Array | None]]:
        b, w = numbers(self.b), numbers(self.w).reshape(self.outputs or 1, -1)
        yield np.tile(numbers(self.a), (len(b), 1)), -b
        k, done, reading = len(w), len(b), w[:, : len(b)]
        for size in self.sizes[1:]:
            along = np.zeros((1 + size, reading.shape[1]))
            along[:, 0] = 1.0
            bias = np.concatenate([[0.0], -numbers(self.c)[done - len(b) : done - len(b) + size], np.zeros(2 * k)])
            yield np.concatenate([along, reading, -reading]), bias
            reading = np.concatenate([np.zeros((k, 1)), w[:, done : done + size], np.eye(k), -np.eye(k)], axis=1)
            done += size
        yield reading, None


def two_layer(z: Any, y: Any, *, rng: np.random.Generator | None = None, directions: int = 8, direction: Any = None, certified: bool = True) -> TwoLayer:
    """The network of Theorem 1 through (z_i, y_i), for any real values of any distinct points, in O(nd + n log n) time.

    The points are projected on one direction and sorted; every unit has its knot at the previous point, so that each weight is a change of slope of c.

    Args:
        z: points, n x d (or n x any shape of d numbers). Whole numbers, pixels of 8 bits say, have exact projections in float64.
        y: values, (n,) for one output and exactly 2n + d weights, or (n, k). Equal points with equal values count once.
        rng: draws the directions (None: seed 0).
        directions: how many to try, >= 1; the one whose smallest gap is the largest part of its range is taken.
        direction: a to take instead, (d,).
        certified: choose every weight from the exact value of the net so far; otherwise build in plain vectorized float64.

    Raises:
        DataError: equal points have different values, no direction separates the points, or numbers are not usable.

    Source:
        Zhang et al. 2017, Theorem 1 and appendix C.

    Example:
        >>> net = two_layer([[0, 0], [1, 0], [0, 1]], [3.0, -1.0, 4.0])
        >>> net.weights, net.certified_error([[0, 0], [1, 0], [0, 1]], [3.0, -1.0, 4.0]) < 1e-12  # 2 * 3 + 2 numbers
        (8, True)
    """
    return two_layer_along(on_a_line("two_layer", z, y, rng, directions, direction, certified))


def two_layer_along(line: Line) -> TwoLayer:
    """The network through the values of a line."""
    network = TwoLayer(len(line.direction), len(line.floats), line.outputs)
    network.fill(a=line.direction, b=line.knots, w=hinge_weights("two_layer", line).T)
    return network


def carry(z: Any, y: Any, depth: int, *, rng: np.random.Generator | None = None, directions: int = 8, direction: Any = None, certified: bool = True) -> Carry:
    """The network of depth k through (z_i, y_i) by chunks of the sum of hinges: width n/(k - 1) + 3, about 4n + d + 5k connections.

    Args:
        z: as `two_layer` takes them.
        y: likewise.
        depth: k, layers of weights, 2 .. n; 2 is `two_layer`.
        rng: draws the directions (None: seed 0).
        directions: as `two_layer` takes them.
        direction: likewise.
        certified: likewise.

    Raises:
        DataError: as `two_layer`.
        InvalidPart: the depth is below 2 or above the number of distinct points.

    Source:
        Zhang et al. 2017, Corollary 1; the chunks in place of intervals are ours.

    Example:
        >>> net = carry([[0], [1], [2], [3]], [1.0, 0.0, 0.0, 1.0], depth=3)
        >>> net.width, net.weights, net.connections()  # 2 hinges, coordinate, two signs; 2n + d; counted layer by layer
        (5, 9, 16)
    """
    return carry_along(on_a_line("carry", z, y, rng, directions, direction, certified), depth)


def carry_along(line: Line, depth: int) -> Carry:
    """The network of this depth through the values of a line."""
    require_depth("carry", depth, 2, len(line.floats))
    network = Carry(len(line.direction), len(line.floats), depth, line.outputs)
    own = network.sizes[0]
    network.fill(a=line.direction, b=line.knots[:own], c=line.knots[own:] - line.knots[0], w=hinge_weights("carry", line).T)
    return network


def hinge_weights(owner: str, line: Line, part: slice = slice(None)) -> Array:
    """The weights of the hinges at the knots of a part of a line, (n,) or (n, k) as its values: with error feedback where projections are exact.

    Raises:
        DataError: a weight is beyond float64.
    """
    knots, values = line.knots[part], line.values[part]
    if line.whole is None:
        return telescoped(line.floats[part], knots, values)
    points = Dyadic(line.whole.whole[part], line.whole.unit)
    try:
        weights = [fed_back(points, knots, column) for column in values.reshape(len(values), -1).T]
    except OverflowError as problem:
        raise DataError(f"{owner}: weights within float64 are required, a jump of values over a gap of projections is beyond. Rescale the values.") from problem
    return np.stack(weights, axis=1).reshape(values.shape)


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
