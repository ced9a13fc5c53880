"""Corollary 1 as the paper has it: depth k, one interval of the line a layer, and a multiplexer that picks the right one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shatterlab.constructions._exact import Dyadic, grid_above, upper
from shatterlab.constructions._hinges import certain, telescoped
from shatterlab.constructions._intervals import Intervals
from shatterlab.constructions._line import Line, on_a_line
from shatterlab.constructions._network import Arithmetic, Network, exact_pairs, numbers, projected, require_depth, shares, weighted
from shatterlab.constructions._points import table, targets
from shatterlab.constructions._projections import plainly
from shatterlab.core.errors import DataError

Array = np.ndarray[Any, Any]


class Multiplexer(Network):
    """Theorem 1 on each of B = k - 2 intervals of n/B points, o_1 .. o_B, and sum_j f_j o_j with indicators f_j of the intervals.

    o_j starts at 0 at the last point of the interval before and is closed by one more hinge: from its own last point on it
    keeps its value, so that |o_j| <= M/2 everywhere. f_j = s_j - s_{j+1}, where the step s_j = g_j (max(u - r_j, 0) - max(u - l_j, 0))
    rises from 0 at r_j, the last point before interval j, to 1 at l_j, its first (s_1 = 1, s_{B+1} = 0). With indicators 0 or 1,
    f o = max(o - M (1 - f), 0) - max(-o - M (1 - f), 0). Layer j has the hinges of o_j and of the two steps, layer j + 1 its two
    gates an output, and from layer j + 2 on the sum of what the gates let through is carried as max(S, 0) and max(-S, 0).

    Args:
        d: coordinates of a point.
        n: distinct points.
        depth: k, layers of weights, 3 .. n + 2.
        outputs: as of `TwoLayer`.
    """

    def __init__(self, d: int, n: int, depth: int, outputs: int | None = None) -> None:
        super().__init__()
        self.sizes = shares(n, depth - 2)
        self.depth, self.outputs = depth, outputs
        k, last = outputs or 1, len(self.sizes) - 1
        units = [size + 3 * (part < last) + 3 * (part > 0) + 2 * k * ((part > 0) + (part > 1)) for part, size in enumerate(self.sizes)]
        self.widths = (*units, 2 * k * (1 + (last > 0)))
        shapes = {"a": d, "b": self.sizes[0], "c": n - self.sizes[0], "plateaus": last, "gains": last, "bound": 1}
        for name, size in shapes.items():
            setattr(self, name, nn.Parameter(torch.zeros(size, dtype=torch.float64)))
        for name, size in {"w": n, "closing": last}.items():
            setattr(self, name, nn.Parameter(torch.zeros(size if outputs is None else (outputs, size), dtype=torch.float64)))

    a: Tensor  # direction
    b: Tensor  # knots of the first interval, on <a, z>
    c: Tensor  # knots of the others, on u = max(<a, z> - b_1, 0)
    w: Tensor  # weights of the hinges
    closing: Tensor  # weights of the hinges that keep an interval's last value
    plateaus: Tensor  # l_2 .. l_B on u
    gains: Tensor  # g_2 .. g_B
    bound: Tensor  # M

    def plain(self, inputs: Tensor) -> Tensor:
        x = weighted(inputs.to(self.a.dtype).flatten(1), self.a)
        b_1 = self.b[0]
        knots = [self.b, *self.c.split(self.sizes[1:])]
        total, u = None, x
        for part, weights in enumerate(self.w.split(self.sizes, dim=-1)):
            hinges = torch.relu(u[:, None] - knots[part])
            value = weighted(hinges, weights)
            free = torch.zeros_like(x) if part == 0 else self.bound * (self._step(u, part, 0.0) - 1)  # -M (1 - f)
            if part + 1 < len(self.sizes):
                origin = b_1 if part == 0 else torch.zeros_like(b_1)  # where the next knots are counted from
                closer = torch.relu(u - (knots[part + 1][0] + origin))
                value = value + (closer * self.closing[part] if self.outputs is None else closer[:, None] * self.closing[:, part])
                free = free - self.bound * self._step(u, part + 1, origin)
            room = free if self.outputs is None else free[:, None]
            passed = torch.relu(value + room) - torch.relu(-value + room)
            total = passed if total is None else (torch.relu(total) - torch.relu(-total)) + passed
            u = hinges[:, 0] if part == 0 else torch.relu(u)
        assert total is not None
        return total

    def _step(self, u: Tensor, part: int, origin: Tensor | float) -> Tensor:
        """s_j of interval j = part, counted from 0."""
        start = self.c[sum(self.sizes[1:part])] + origin
        return (torch.relu(u - start) - torch.relu(u - (self.plateaus[part - 1] + origin))) * self.gains[part - 1]

    def connections(self) -> int:
        k, last = self.outputs or 1, len(self.sizes) - 1
        found = len(self.a) + self.sizes[0] + 3 * (last > 0)
        for part, size in enumerate(self.sizes[1:], 1):
            found += 1 + 2 * (size + 2 + 3 * (part < last))
        for part, size in enumerate(self.sizes):  # two gates an output, each with its steps and M
            found += 2 * k * (size + (part < last) + 2 * (part > 0) + 2 * (part < last) + (part > 0))
        carried = max(last, 0)  # layers that carry a sum: from the third on, and the last one reads it
        return found + sum(2 * k * (2 if stage == 0 else 4) for stage in range(carried)) + k * (2 if last == 0 else 4)

    def layers(self) -> Iterator[tuple[Array, Array | None]]:
        k, last = self.outputs or 1, len(self.sizes) - 1
        reading_sum = np.zeros((k, 0))
        reading_gate, free = np.zeros((0, 0)), np.zeros(0)
        for part in range(last + 2):
            carried = 0 if part < 2 else 2 * k
            knots = self._unit_knots(part) if part <= last else np.zeros(0)
            if part == 0:
                matrix, bias = np.tile(numbers(self.a), (len(knots), 1)), -knots
            else:
                along = np.zeros((len(knots) + int(part <= last), reading_gate.shape[1]))
                along[:, 0] = 1.0
                matrix = np.concatenate([along, reading_gate, *([reading_sum, -reading_sum] if carried else [])])
                bias = np.concatenate([np.zeros(int(part <= last)), -knots, free, np.zeros(carried)])
            yield matrix, bias
            reading_sum = np.zeros((k, len(matrix)))
            if part > 0:
                gates = len(knots) + (part <= last)
                both = np.concatenate([np.eye(k), -np.eye(k)] * (1 + (part > 1)), axis=1)
                reading_sum[:, gates : gates + both.shape[1]] = both
            if part <= last:
                reading_gate, free = self._gate(part, len(matrix))
        yield reading_sum, None

    def evaluator(self, arithmetic: Arithmetic = "double_double") -> Callable[[Array], Array]:
        a, intervals = numbers(self.a), self._intervals()
        if arithmetic == "double_double":
            return lambda points: intervals.at(exact_pairs("Multiplexer", points, a))
        return lambda points: intervals.plainly_at(plainly(points, a.astype(arithmetic)))

    def certified_error(self, z: Any, y: Any) -> float:
        x, wanted = projected("Multiplexer", z, y, numbers(self.a))
        return upper(self._intervals().error(x, wanted))

    def _intervals(self) -> Intervals:
        b, c, w = numbers(self.b), numbers(self.c), numbers(self.w).reshape(self.outputs or 1, -1)
        ends = np.cumsum(self.sizes)
        knots = np.concatenate([b, b[0] + c])
        feet = knots[ends[:-1]]
        closing = numbers(self.closing).reshape(len(w), -1)
        until = ends + np.arange(1, len(ends) + 1) - (np.arange(len(ends)) == len(ends) - 1)  # the last interval stays open
        since = np.concatenate([[0], until[:-1]])
        return Intervals(
            knots=np.insert(knots, ends[:-1], feet),
            weights=np.insert(w, ends[:-1], closing, axis=1).T,
            since=since,
            until=until,
            feet=feet,
            plateaus=b[0] + numbers(self.plateaus),
            gains=numbers(self.gains),
            bound=float(numbers(self.bound)[0]),
        )

    def _unit_knots(self, part: int) -> Array:
        """Of the hinges of a layer: of its interval, the one that closes it, its own step's two and the next step's two."""
        b, c, tops = numbers(self.b), numbers(self.c), numbers(self.plateaus)
        done, last = sum(self.sizes[1:part]), len(self.sizes) - 1
        origin = b[0] if part == 0 else 0.0
        own = b if part == 0 else c[done : done + self.sizes[part]]
        following = c[sum(self.sizes[1 : part + 1])] + origin if part < last else 0.0
        closer = [following] if part < last else []
        before = [c[done], tops[part - 1]] if part > 0 else []
        after = [following, tops[part] + origin] if part < last else []
        return np.array([*own, *closer, *before, *after])

    def _gate(self, part: int, units: int) -> tuple[Array, Array]:
        """The rows and biases of the 2k gates of an interval, over the units of the layer that has its hinges."""
        k, last, size = self.outputs or 1, len(self.sizes) - 1, self.sizes[part]
        w, v = numbers(self.w).reshape(k, -1), numbers(self.closing).reshape(k, -1)
        bound, g = float(numbers(self.bound)[0]), numbers(self.gains)
        done = sum(self.sizes[:part])
        value = np.concatenate([w[:, done : done + size], v[:, part : part + 1]], axis=1)
        step = [bound * g[part - 1] * sign for sign in (1, -1)] if part > 0 else []
        step += [bound * g[part] * sign for sign in (-1, 1)] if part < last else []
        rows = np.zeros((2 * k, units))
        first = int(part > 0)  # after the coordinate
        rows[:, first : first + value.shape[1]] = np.concatenate([value, -value])
        rows[:, first + value.shape[1] : first + value.shape[1] + len(step)] = step
        return rows, np.full(2 * k, -bound if part > 0 else 0.0)


def multiplexer(
    z: Any, y: Any, depth: int, *, rng: np.random.Generator | None = None, directions: int = 8, direction: Any = None, certified: bool = True
) -> Multiplexer:
    """The network of depth k through (z_i, y_i) by intervals and a multiplexer: width about n/(k - 2) + 10.

    Args:
        z: as `two_layer` takes them.
        y: likewise.
        depth: k, layers of weights, 3 .. n.
        rng: draws the directions (None: seed 0).
        directions: as `two_layer` takes them.
        direction: likewise.
        certified: likewise.

    Raises:
        DataError: as `two_layer`, and where float64 has no number between the last point of an interval and the next.
        InvalidPart: the depth is below 3 or above the number of distinct points.

    Source:
        Zhang et al. 2017, Corollary 1 and appendix C; the closed constructions and the gates are ours.

    Example:
        >>> net = multiplexer([[0], [1], [2], [3]], [1.0, 0.0, 0.0, 1.0], depth=4)  # two intervals
        >>> net(torch.tensor([[0.0], [1.0], [2.0], [3.0]])).tolist()
        [1.0, 0.0, 0.0, 1.0]
    """
    points = table("multiplexer", z)
    values = targets("multiplexer", y, len(points))
    require_depth("multiplexer", depth, 3, len(points))
    line = on_a_line("multiplexer", points, values, rng, directions, direction, certified)
    return multiplexer_along(line, values[line.order], depth)


def multiplexer_along(line: Line, values: Array, depth: int) -> Multiplexer:
    """The network through values of the points of a line, in its order."""
    n = len(line.floats)
    require_depth("multiplexer", depth, 3, n)
    network = Multiplexer(len(line.direction), n, depth, None if values.ndim == 1 else values.shape[1])
    starts = np.cumsum([0, *network.sizes])
    some = [slice(start, end) for start, end in itertools.pairwise(starts.tolist())]
    weights = np.concatenate([_of_interval(line, values, each) for each in some])
    closing = [-np.array([math.fsum(column) for column in weights[each].reshape(each.stop - each.start, -1).T]) for each in some[:-1]]
    feet, plateaus = line.knots[starts[1:-1]], _below(line, starts[1:-1])
    if (feet >= plateaus).any():
        place = int(starts[1:-1][(feet >= plateaus).argmax()])
        one, other = sorted(line.order[place - 1 : place + 1].tolist())
        raise DataError(f"multiplexer: intervals that float64 tells apart are required, points {one} and {other} are too near. Take another depth.")
    most = float(np.abs(values).max())
    network.fill(
        a=line.direction, b=line.knots[: starts[1]], c=line.knots[starts[1] :] - line.knots[0], w=weights.T,
        closing=np.array(closing).reshape(len(closing), *values.shape[1:]).T, plateaus=plateaus - line.knots[0],
        gains=1 / (plateaus - feet), bound=np.array([2.0 ** (math.frexp(most)[1] + 1) if most else 1.0]),
    )  # fmt: skip
    return network


def _of_interval(line: Line, values: Array, some: slice) -> Array:
    if line.whole is None:
        return telescoped(line.floats[some], line.knots[some], values[some])
    return certain("multiplexer", Dyadic(line.whole.whole[some], line.whole.unit), line.knots[some], values[some])


def _below(line: Line, places: Array) -> Array:
    """These points, or as little below them as lets float64 hold them and their distance from the first knot."""
    if line.whole is None or line.exact:
        return line.floats[places]
    chosen = Dyadic([-line.whole.whole[place] for place in places.tolist()], line.whole.unit)
    return -grid_above(chosen, line.grid)
