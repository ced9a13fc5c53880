"""Corollary 1 made simple: depth k and width O(n/k) by cutting the sum of hinges into chunks and carrying it on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shatterlab.constructions._line import Line, on_a_line
from shatterlab.constructions._network import HingeNetwork, numbers, require_depth, shares, weighted
from shatterlab.constructions._points import table, targets
from shatterlab.constructions.two_layer import hinge_weights

Array = np.ndarray[Any, Any]


class Carry(HingeNetwork):
    """The sum of hinges of Theorem 1 in k - 1 hidden layers of n/(k - 1) hinges each, same values.

    The first hidden layer has max(<a, z> - b_j, 0) for its share of the knots; its first unit u = max(<a, z> - b_1, 0) is the
    coordinate that goes on, since all other hinges are max(u - c_j, 0) with c_j = b_j - b_1. Each further layer carries u,
    and the sum so far as max(S, 0) and max(-S, 0). The numbers are 2n + d as before.

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
        hinges = sum(1 + 2 * size for size in self.sizes[1:])  # each a weight and a bias, and the coordinate
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
    points = table("carry", z)
    values = targets("carry", y, len(points))
    require_depth("carry", depth, 2, len(points))
    line = on_a_line("carry", points, values, rng, directions, direction, certified)
    return carry_along(line, values[line.order], depth)


def carry_along(line: Line, values: Array, depth: int) -> Carry:
    """The network through values of the points of a line, in its order."""
    require_depth("carry", depth, 2, len(line.floats))
    network = Carry(len(line.direction), len(line.floats), depth, None if values.ndim == 1 else values.shape[1])
    own = network.sizes[0]
    network.fill(a=line.direction, b=line.knots[:own], c=line.knots[own:] - line.knots[0], w=hinge_weights("carry", line, values).T)
    return network
