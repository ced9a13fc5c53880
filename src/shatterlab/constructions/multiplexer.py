"""Corollary 1 as the paper has it: depth k, one interval of the line a layer, and a multiplexer that picks the right one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shatterlab.constructions._exact import Array, Dyadic, Hinges, dyadic, grid_above, upper
from shatterlab.constructions.line import Line, on_a_line, plain_projections
from shatterlab.constructions.network import Arithmetic, Network, PlainSums, numbers, require_depth, shares, weighted
from shatterlab.constructions.two_layer import hinge_weights
from shatterlab.core.errors import DataError


class Multiplexer(Network):
    """Theorem 1 on each of B = k - 2 intervals of n/B points, o_1 .. o_B, and sum_j f_j o_j with indicators f_j of the intervals.

    o_j starts at 0 at the last point of the interval before; one more hinge keeps its value from its own last point on, so that |o_j| <= M/2. f_j = s_j -
    s_{j+1}, where the step s_j = g_j (max(u - r_j, 0) - max(u - l_j, 0)) rises from 0 at r_j, the last point before interval j, to 1 at l_j, its first (s_1 =
    1, s_{B+1} = 0). With indicators 0 or 1, f o = max(o - M (1 - f), 0) - max(-o - M (1 - f), 0). Layer j has the hinges of o_j and of the two steps, layer j +
    1 its two gates an output; from layer j + 2 on the sum of the gates is carried as max(S, 0) and max(-S, 0).

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
        start = self.c[sum(self.sizes[1:part])] + origin
        return (torch.relu(u - start) - torch.relu(u - (self.plateaus[part - 1] + origin))) * self.gains[part - 1]

    def connections(self) -> int:
        k, last = self.outputs or 1, len(self.sizes) - 1
        count = len(self.a) + self.sizes[0] + 3 * (last > 0)
        for part, size in enumerate(self.sizes[1:], 1):
            count += 1 + 2 * (size + 2 + 3 * (part < last))
        for part, size in enumerate(self.sizes):  # two gates an output, each with its steps and M
            count += 2 * k * (size + (part < last) + 2 * (part > 0) + 2 * (part < last) + (part > 0))
        carried = max(last, 0)  # layers that carry a sum: from the third on, and the last one reads it
        return count + sum(2 * k * (2 if stage == 0 else 4) for stage in range(carried)) + k * (2 if last == 0 else 4)

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

    def evaluator(self, arithmetic: Arithmetic = "exact") -> Callable[[Array], Array]:
        intervals, a = self._intervals(), numbers(self.a)
        if arithmetic == "exact":
            return lambda points: intervals.at(self.projections(points))
        return lambda points: intervals.plainly_at(plain_projections(points, a.astype(arithmetic)))

    def certified_error(self, z: Any, y: Any) -> float:
        return upper(self._intervals().error(*self.sample(z, y)))

    def _intervals(self) -> _Intervals:
        b, c, w = numbers(self.b), numbers(self.c), numbers(self.w).reshape(self.outputs or 1, -1)
        ends = np.cumsum(self.sizes)
        knots = np.concatenate([b, b[0] + c])
        feet = knots[ends[:-1]]
        closing = numbers(self.closing).reshape(len(w), -1)
        until = ends + np.arange(1, len(ends) + 1) - (np.arange(len(ends)) == len(ends) - 1)  # the last interval stays open
        since = np.concatenate([[0], until[:-1]])
        return _Intervals(
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
    return multiplexer_along(on_a_line("multiplexer", z, y, rng, directions, direction, certified), depth)


def multiplexer_along(line: Line, depth: int) -> Multiplexer:
    """The network of this depth through the values of a line."""
    n, values = len(line.floats), line.values
    require_depth("multiplexer", depth, 3, n)
    network = Multiplexer(len(line.direction), n, depth, line.outputs)
    starts = np.cumsum([0, *network.sizes])
    parts = [slice(start, end) for start, end in itertools.pairwise(starts.tolist())]
    weights = np.concatenate([hinge_weights("multiplexer", line, part) for part in parts])
    closing = [-np.array([math.fsum(column) for column in weights[part].reshape(part.stop - part.start, -1).T]) for part in parts[:-1]]
    inner = starts[1:-1]
    feet, plateaus = line.knots[inner], line.floats[inner]
    if line.whole is not None and not line.exact:  # the next numbers below for which float64 holds them and their distance from the first knot
        plateaus = -grid_above(Dyadic([-line.whole.whole[place] for place in inner.tolist()], line.whole.unit), line.grid)
    if (feet >= plateaus).any():
        place = int(inner[(feet >= plateaus).argmax()])
        one, other = sorted(line.order[place - 1 : place + 1].tolist())
        raise DataError(f"multiplexer: intervals that float64 tells apart are required, points {one} and {other} are too near. Take another depth.")
    most = float(np.abs(values).max())
    network.fill(
        a=line.direction, b=line.knots[: starts[1]], c=line.knots[starts[1] :] - line.knots[0], w=weights.T,
        closing=np.array(closing).reshape(len(closing), *values.shape[1:]).T, plateaus=plateaus - line.knots[0],
        gains=1 / (plateaus - feet), bound=np.array([2.0 ** (math.frexp(most)[1] + 1) if most else 1.0]),
    )  # fmt: skip
    return network


@dataclass(frozen=True)
class _Intervals:
    """The numbers of a `Multiplexer`, knots counted from the origin of the projections."""

    knots: Array  # of all N hinges of the values, interval after interval, the closing one last in each
    weights: Array  # of these, N x k
    since: Array  # where the hinges of each interval begin, shape (B,)
    until: Array  # where they end
    feet: Array  # r_2 .. r_B
    plateaus: Array  # l_2 .. l_B
    gains: Array  # g_2 .. g_B
    bound: float  # M

    def at(self, x: Dyadic) -> Array:
        """The values at m points, (m, k), each interval's sum exact and rounded once."""
        hinges = [self._hinges(part) for part in range(len(self.since))]

        def values(part: Array) -> Array:
            result = np.zeros((len(x), self.weights.shape[1]))
            for number in np.unique(part):
                here = (part == number).nonzero()[0]
                result[here] = hinges[number].values(x.take(here))
            return result

        return self._gated(x.rounded(), lambda feet: x.minus(dyadic(feet)).rounded(), values)

    def plainly_at(self, x: Array) -> Array:
        """The same, sums in the type of x, float32 or float64."""
        sums = PlainSums(self.knots.astype(x.dtype), self.weights.astype(x.dtype))
        places = x.astype(np.float64)
        return self._gated(places, lambda feet: places - feet, lambda part: sums.at(x, self.since[part], self.until[part]).astype(np.float64))

    def _gated(self, x: Array, above: Callable[[Array], Array], values: Callable[[Array], Array]) -> Array:
        own = np.searchsorted(self.knots[self.since], x, side="right") - 1
        part, earlier = np.maximum(own, 0), np.maximum(own - 1, 0)
        step = np.ones(len(part))
        if len(self.gains):
            index = np.maximum(part - 1, 0)
            rising = self.gains[index] * np.clip(above(self.feet[index]), 0.0, (self.plateaus - self.feet)[index])
            step = np.where(part > 0, rising, 1.0)
        full = np.concatenate([[1.0], self.gains * (self.plateaus - self.feet)])[earlier]  # on a plateau: 1 up to rounding
        passed, before = self._passed(values(part), step), self._passed(values(earlier), full - step)
        return np.where((own >= 0)[:, None], passed, 0.0) + np.where((own >= 1)[:, None], before, 0.0)

    def _passed(self, value: Array, share: Array) -> Array:
        closed = (self.bound * (1 - share))[:, None]
        return np.maximum(value - closed, 0) - np.maximum(-value - closed, 0)

    def error(self, x: Dyadic, values: Array) -> Fraction:
        """A bound on the largest distance from n x k values at points that lie on the plateaus, exactly.

        On the plateau of interval j its gate changes o_j by |M (1 - f_j)|. That every gate before is shut is checked at both ends, between which all is linear.
        """
        part = np.maximum(np.searchsorted(self.knots[self.since], x.rounded(), side="left") - 1, 0)
        worst = Fraction(0)
        for number in np.unique(part).tolist():
            here = (part == number).nonzero()[0]
            worst = max(worst, self._error_in(number, x.take(here), values[here]))
        for number in range(len(self.since) - 1):
            self._require_shut(number, x.take(x.order()[-1:]))
        return worst

    def _error_in(self, part: int, points: Dyadic, values: Array) -> Fraction:
        low, high = (Fraction(end(points.whole)) * Fraction(2) ** points.unit for end in (min, max))
        last = len(self.since) - 1
        if (part > 0 and low < Fraction(self.plateaus[part - 1])) or (part < last and high > Fraction(self.feet[part])):
            raise DataError("Multiplexer: the points that it was built for are required, got one between two intervals. Certify it on its own sample.")
        distances = (output.furthest(column) for output, column in zip(self._hinges(part).at(points), values.T, strict=True))
        return max(distances) + abs(Fraction(self.bound) * (1 - self._exact_step(part)))

    def _exact_step(self, part: int) -> Fraction:
        if part == 0:
            return Fraction(1)
        return Fraction(self.gains[part - 1]) * (Fraction(self.plateaus[part - 1]) - Fraction(self.feet[part - 1]))

    def _require_shut(self, part: int, last: Dyadic) -> None:
        room = Fraction(self.bound) * (1 - self._exact_step(part) + self._exact_step(part + 1))
        for point in (dyadic(self.plateaus[part : part + 1]), last):
            if any(abs(output.fraction(0)) > room for output in self._hinges(part).at(point)):
                raise DataError(f"Multiplexer: closed gates beyond each interval are required, that of interval {part} is open. Build it certified.")

    def _hinges(self, part: int) -> Hinges:
        part_of = slice(self.since[part], self.until[part])
        return Hinges(self.knots[part_of], self.weights[part_of])
