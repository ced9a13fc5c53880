"""Two layers, four ReLUs for d points: a slab around a hyperplane through them, and their labels inside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import qr, solve_triangular
from torch import nn

from shatterlab.constructions._points import Array, Distinct, distinct_points
from shatterlab.constructions.network import dense
from shatterlab.core.errors import DataError, InvalidPart

_OWNER = "baum"
_TRIES = 8  # partitions of the points
_PLANES = 64  # hyperplanes through points that leave a choice
_HALF = 1 / 2  # of the distance to the nearest other point, half the width of a slab
_EPS = float(np.finfo(np.float64).eps)
_CLEAR = 2.0**10  # times rounding: how far from a hyperplane a point must be to be off it


def baum(z: Any, y: Any, plane: int | None = None, seed: int = 0) -> nn.Sequential:
    """A network of depth 2 with 4 ceil(n / d) ReLUs for each label that takes the value y at every z, for points in general position.

    The points are cut into ceil(n / d) groups. For each, u(x) = 0 is a hyperplane through its points and no other, and v is affine with their labels as values.
    With t and e small, the four ReLUs (max(u + t v + e, 0) - max(u - t v + e, 0) - max(u + t v - e, 0) + max(u - t v - e, 0)) / 2t give v where |u| + t |v| <
    e, at the group's points, and 0 where |u| > e + t |v|, at all others. Half the distance of the nearest other point is e.

    Where the points span a smaller affine space (constant pixels), its dimension r takes the place of d. No hyperplane of that space holds more than r of them.

    Args:
        z: n x d points (equal points with equal labels count once).
        y: n or n x k labels, real.
        plane: points a hyperplane at most, 1 .. r; None: r. With fewer it is enough that no other point lies in the affine span of a group.
        seed: of the partition into groups.

    Returns:
        Linear with 4 k ceil(n / plane) outputs, ReLU, Linear without bias, in float64.

    Raises:
        DataError: equal points have different labels, a number is not finite, or points are not in general position.
        InvalidPart: `plane` is out of range.

    Source:
        Baum 1988 (threshold units, n/d of them); Bubeck, Eldan, Lee, Mikulincer 2020 (four times as many ReLUs, real labels).

    Example:
        >>> network = baum([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 3.0]], [1.0, -2.0, 5.0, 0.0])
        >>> [each.out_features for each in network if isinstance(each, nn.Linear)]  # 4 ceil(4 / 2), and the label
        [8, 1]
    """
    points = distinct_points(_OWNER, z, y)
    space = _Space.spanned(points)
    if plane is not None and not 1 <= plane <= max(1, space.rank):
        raise InvalidPart(f"{_OWNER}: plane is a number of points in 1..{max(1, space.rank)}, got {plane}. The points span that dimension.")
    quads = [quad for slab in _slabs(points, space, plane, np.random.default_rng(seed)) for quad in slab.quads()]
    outputs = points.targets.shape[1]
    outer = np.zeros((outputs, 4 * len(quads)))
    for number, (_, _, after) in enumerate(quads):
        outer[number % outputs, 4 * number : 4 * number + 4] = after
    return dense([(np.concatenate([weights for weights, _, _ in quads]), np.concatenate([biases for _, biases, _ in quads])), (outer, None)])


@dataclass(frozen=True)
class _Affine:
    """x -> weights x + constant; weights k x d."""

    weights: Array
    constant: Array

    def at(self, inputs: Array) -> Array:
        values: Array = inputs @ self.weights.T + self.constant
        return values


@dataclass(frozen=True)
class _Space:
    """The affine space that the points span, and their coordinates in it, of covariance 1, with a last one that is 1."""

    centre: Array
    basis: Array
    scales: Array
    coordinates: Array

    @property
    def rank(self) -> int:
        return len(self.scales)

    @classmethod
    def spanned(cls, points: Distinct) -> _Space:
        centre = points.inputs.mean(0)
        arms = points.inputs - centre
        small = qr(arms, mode="r")[0][: min(arms.shape)] if len(arms) > arms.shape[1] else arms
        _, scales, basis = np.linalg.svd(small, full_matrices=False)
        used = scales > scales[:1] * max(arms.shape) * _EPS
        basis, scales = basis[used].T, scales[used] / math.sqrt(len(arms))
        return cls(centre, basis, scales, np.column_stack([arms @ basis / scales, np.ones(len(arms))]))

    def lifted(self, functions: Array) -> _Affine:
        """Affine functions of the coordinates (k x (r + 1)) as functions of the inputs."""
        weights = (self.basis @ (functions[:, :-1] / self.scales).T).T
        return _Affine(weights, functions[:, -1] - weights @ self.centre)

    def across(self, rng: np.random.Generator) -> _Affine:
        """A function that is 0 on the whole space, where that is smaller than the space of the inputs."""
        start = rng.standard_normal(len(self.centre))
        normal = start - self.basis @ (self.basis.T @ start)
        normal = (normal - self.basis @ (self.basis.T @ normal)) / np.linalg.norm(normal)
        return _Affine(normal[None], -normal[None] @ self.centre)


@dataclass(frozen=True)
class _Slab:
    """A group's hyperplane u = 0 with half its width e, the labels v, and the step t of the difference quotient for each label."""

    plane: _Affine
    labels: _Affine
    half: float
    steps: Array

    def quads(self) -> list[tuple[Array, Array, Array]]:
        """Weights, biases and outer weights of the four ReLUs of each label."""
        signs, sides = np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0, -1.0])
        quads = []
        for weights, constant, step in zip(self.labels.weights, self.labels.constant, self.steps, strict=True):
            inner = self.plane.weights + signs[:, None] * step * weights
            quads.append((inner, self.plane.constant + signs * step * constant + sides * self.half, signs * sides / (2 * step)))
        return quads


def _slabs(points: Distinct, space: _Space, plane: int | None, rng: np.random.Generator) -> list[_Slab]:
    n, dimension = len(points), points.inputs.shape[1]
    if n == space.rank + 1 and space.rank < dimension and plane is None:  # n <= d points, affinely independent: one hyperplane holds them all
        return [_slab(points, space, np.arange(n), space.across(rng))]
    problem: DataError | None = None
    for attempt in range(_TRIES):
        shuffled = rng.permutation(n)
        keys = points.targets[shuffled].T if attempt < _TRIES // 2 else np.zeros((1, n))
        order = shuffled[np.lexsort(keys)]
        groups = np.array_split(order, math.ceil(n / (plane or max(1, space.rank))))
        try:
            return [_slab(points, space, group, _through(points, space, group, rng)) for group in groups]
        except DataError as refusal:
            problem = refusal
    assert problem is not None
    raise problem


def _through(points: Distinct, space: _Space, group: Array, rng: np.random.Generator) -> _Affine:
    q, triangle, _ = qr(space.coordinates[group].T, pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    if not diagonal[-1] > diagonal[0] * _CLEAR * _EPS:
        raise _not_general(points, group, f"{len(group)} points", f" lie in fewer than {len(group) - 1} dimensions")
    free = q[:, len(group) :]
    candidates = rng.standard_normal((_PLANES, free.shape[1])) if free.shape[1] > 1 else np.ones((1, 1))
    lifted = space.lifted(candidates @ free.T)
    norms = np.linalg.norm(lifted.weights, axis=1)
    unit = _Affine(lifted.weights / norms[:, None], lifted.constant / norms)
    others = np.delete(np.arange(len(points)), group)
    best = int(np.abs(unit.at(points.inputs[others])).min(0, initial=np.inf).argmax())
    return _Affine(unit.weights[best : best + 1], unit.constant[best : best + 1])


def _not_general(points: Distinct, group: Array, subject: str, rest: str = "") -> DataError:
    names = ", ".join(map(str, np.sort(points.positions[group])[:5])) + (", ..." if len(group) > 5 else "")
    got = f"{subject} ({names}){rest}"
    return DataError(f"{_OWNER}: points in general position are required, got {got}. Set plane below {len(group)}, or drop points.")


def _slab(points: Distinct, space: _Space, group: Array, plane: _Affine) -> _Slab:
    heights = plane.at(points.inputs)[:, 0]
    noise = _EPS * float((np.abs(points.inputs) @ np.abs(plane.weights[0]) + np.abs(plane.constant[0])).max())
    others = np.delete(np.arange(len(points)), group)
    gap = float(np.abs(heights[others]).min(initial=np.inf))
    within = float(np.abs(heights[group]).max())
    if not gap > max(_CLEAR * noise, 16 * within):
        nearest = int(points.positions[others[np.abs(heights[others]).argmin()]])
        raise _not_general(points, group, f"point {nearest} on the hyperplane through {len(group)} others")
    labels = _labels(points, space, group)
    half = _HALF * gap if math.isfinite(gap) else 1.0
    values = np.abs(labels.at(points.inputs))
    room = np.abs(heights[others]) - half
    with np.errstate(divide="ignore"):
        inside = half / (2 * values[group].max(0))
        outside = (room[:, None] / (2 * values[others])).min(0, initial=np.inf)
    steps = np.minimum(np.minimum(inside, outside), half)
    return _Slab(plane, labels, half, steps)


def _labels(points: Distinct, space: _Space, group: Array) -> _Affine:
    targets = points.targets[group]
    q, triangle, pivots = qr(space.coordinates[group].T, mode="economic", pivoting=True)
    functions = np.zeros((targets.shape[1], space.coordinates.shape[1]))
    functions[:, -1] = targets.mean(0)
    left = targets - targets.mean(0)
    for _ in range(2):
        functions += (q @ solve_triangular(triangle, left[pivots], trans="T")).T
        left = targets - space.lifted(functions).at(points.inputs[group])
    return space.lifted(functions)
