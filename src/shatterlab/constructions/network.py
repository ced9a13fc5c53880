"""What constructed networks share: sizes, plain arithmetic that no batch changes, exact values and errors, and dense networks with given weights."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shatterlab.constructions._exact import Array, Dyadic, Hinges, upper
from shatterlab.constructions._points import require_moderate, table, targets
from shatterlab.constructions.line import plain_projections, projections
from shatterlab.core.errors import DataError, InvalidPart

Arithmetic = Literal["exact", "float64", "float32"]

_AT_ONCE = 2**19  # hidden units of all points that are evaluated together


def tree_sum(terms: Float[Tensor, "*m n"]) -> Float[Tensor, "*m"]:
    """The sum over the last axis, halves added to halves: one order of summation, whatever the batch and the machine.

    Libraries choose their order by the shape of the batch. An exported graph has one reduction in its place.
    """
    if torch.compiler.is_exporting():
        return terms.sum(-1)
    while terms.shape[-1] > 1:
        half = terms.shape[-1] // 2
        paired = terms[..., :half] + terms[..., half : 2 * half]
        terms = torch.cat([paired, terms[..., 2 * half :]], dim=-1) if terms.shape[-1] % 2 else paired
    return terms.squeeze(-1)


def weighted(units: Float[Tensor, "m n"], weights: Tensor) -> Tensor:
    """sum_j w_j h_j for weights (n,), or of each row of weights (k, n): (m,) or (m, k)."""
    if weights.ndim == 1:
        return tree_sum(units * weights)
    return torch.stack([tree_sum(units * row) for row in weights], dim=-1)


def numbers(parameter: Tensor) -> Array:
    """A parameter as a float64 array."""
    return np.asarray(parameter.detach().cpu().double().numpy())


class Network(nn.Module, ABC):
    """A network through a sample on a line. Its parameters are float64; `net.float()` shows the effect of float32.

    Attributes:
        widths: units of each hidden layer.
        depth: layers of weights, >= 2.
        outputs: k; None for one value a point, without an axis of its own.
    """

    widths: tuple[int, ...]
    depth: int
    outputs: int | None
    a: Tensor
    w: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        """Values of points (m x d, or m x any shape of d numbers) in plain ReLU arithmetic, (m,) or (m, k), a block of points at a time."""
        rows = max(1, _AT_ONCE // self.width)
        if torch.compiler.is_compiling() or torch.compiler.is_exporting() or len(inputs) <= rows:
            return self.plain(inputs)
        return torch.cat([self.plain(block) for block in inputs.split(rows)])

    @abstractmethod
    def plain(self, inputs: Tensor) -> Tensor:
        """The values of a block of points, all hidden units in memory."""

    @abstractmethod
    def evaluator(self, arithmetic: Arithmetic = "exact") -> Callable[[Array], Array]:
        """The function behind `values`, with the n log n part done: points (m x d) -> (m, outputs), float64."""

    def values(self, z: Any, arithmetic: Arithmetic = "exact") -> Array:
        """The values at m points by sorting and prefix sums, in O(md + (n + m) log(n + m)).

        Args:
            z: points, m x d.
            arithmetic: "exact" adds in whole numbers and rounds once; "float64" and "float32" show the error of plain arithmetic with the same weights.

        Returns:
            (m,) or (m, k), float64.
        """
        result = self.evaluator(arithmetic)(table(type(self).__name__, z))
        return result[:, 0] if self.outputs is None else result

    @abstractmethod
    def certified_error(self, z: Any, y: Any) -> float:
        """The largest |c(z_i) - y_i| over points and outputs, from the float64 weights in exact arithmetic, rounded up.

        Nothing is rounded, projections included. Plain evaluation is further off, see `values`.
        """

    @abstractmethod
    def layers(self) -> Iterator[tuple[Array, Array | None]]:
        """The matrix and the bias of each layer, as an ordinary fully connected network has them."""

    @property
    def width(self) -> int:
        """Units of the widest hidden layer."""
        return max(self.widths)

    @property
    def weights(self) -> int:
        """How many numbers the network consists of."""
        return sum(parameter.numel() for parameter in self.parameters())

    @abstractmethod
    def connections(self) -> int:
        """How many weights and biases `layers` has, the direction that the units of the first layer share counted once."""

    def written_out(self) -> nn.Sequential:
        """The same function as an ordinary nn.Sequential of Linear and ReLU; memory O(width^2), so for small n."""
        return nn.Sequential(nn.Flatten(), *dense(self.layers()))

    def fill(self, **arrays: Array) -> None:
        """Copies arrays into the parameters of these names."""
        with torch.no_grad():
            for name, array in arrays.items():
                getattr(self, name).copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def projections(self, points: Array) -> Dyadic:
        """The exact projections of points on the network's direction.

        Raises:
            DataError: they have another number of coordinates, or numbers that exact arithmetic cannot hold.
        """
        owner, a = type(self).__name__, numbers(self.a)
        if points.shape[1] != len(a):
            raise DataError(f"{owner}: points of {len(a)} coordinates are required, got {points.shape[1]}. Score points like those it was built for.")
        require_moderate(owner, points)
        return projections(points, a)

    def sample(self, z: Any, y: Any) -> tuple[Dyadic, Array]:
        """The exact projections of a sample, and its values, n x k."""
        points = table(type(self).__name__, z)
        values = targets(type(self).__name__, y, len(points))
        return self.projections(points), values.reshape(len(points), -1)


class HingeNetwork(Network):
    """A network that is one sum of hinges, c(z) = sum_j w_j max(<a, z> - b_j, 0), however its layers share the work."""

    @abstractmethod
    def knots(self) -> Array:
        """b_1 < ... < b_n, float64."""

    def evaluator(self, arithmetic: Arithmetic = "exact") -> Callable[[Array], Array]:
        if arithmetic == "exact":
            hinges = self._hinges()
            return lambda points: hinges.values(self.projections(points))
        sums = PlainSums(self.knots().astype(arithmetic), self._weights().astype(arithmetic))
        a = numbers(self.a).astype(arithmetic)
        return lambda points: sums.at(plain_projections(points, a)).astype(np.float64)

    def certified_error(self, z: Any, y: Any) -> float:
        x, values = self.sample(z, y)
        return upper(max(output.furthest(column) for output, column in zip(self._hinges().at(x), values.T, strict=True)))

    def _weights(self) -> Array:
        return numbers(self.w).reshape(self.outputs or 1, -1).T

    def _hinges(self) -> Hinges:
        return Hinges(self.knots(), self._weights())


@dataclass(frozen=True)
class PlainSums:
    """Sums of hinges as x S_1 - S_0, with the sums of w_j and w_j b_j over the knots below x, all in the type of the arrays.

    Args:
        knots: ascending, (n,).
        weights: (n, k).
    """

    knots: Array
    weights: Array

    @functools.cached_property
    def _sums(self) -> tuple[Array, Array]:
        nothing, kind = np.zeros_like(self.weights[:1]), self.weights.dtype
        parts = self.weights, self.weights * self.knots[:, None]
        slopes, offsets = (np.concatenate([nothing, np.cumsum(part, axis=0, dtype=kind)]) for part in parts)
        return slopes, offsets

    def at(self, x: Array, since: Array | int = 0, until: Array | int | None = None) -> Array:
        """The values at m points, (m, k); of the hinges from `since` to `until` only, numbers for each point."""
        slopes, offsets = self._sums
        end = np.searchsorted(self.knots, x, side="left")
        end = end if until is None else np.clip(end, since, until)
        return np.asarray(x[:, None] * (slopes[end] - slopes[since]) - (offsets[end] - offsets[since]))


def shares(n: int, parts: int) -> list[int]:
    """Splits n into so many parts, as even as possible, the larger ones first."""
    return [n // parts + (part < n % parts) for part in range(parts)]


def require_depth(owner: str, depth: int, least: int, n: int) -> None:
    """Refuses a depth that n distinct points do not allow.

    Raises:
        InvalidPart: the depth is below the least one or above n.
    """
    if not least <= depth <= max(least, n):
        raise InvalidPart(f"{owner}: depth is {least} .. {max(least, n)} for n = {n} distinct points, got {depth}. Each layer holds a point at least.")


def dense(layers: Iterable[tuple[Array, Array | None]]) -> nn.Sequential:
    """Linear maps with ReLU between them, in float64; no random number is drawn.

    Args:
        layers: weights (out x in) and biases (out, or None for a map without) of each.
    """
    modules: list[nn.Module] = []
    for weights, biases in layers:
        linear = nn.utils.skip_init(nn.Linear, weights.shape[1], weights.shape[0], bias=biases is not None, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights)))
            if biases is not None:
                linear.bias.copy_(torch.from_numpy(np.ascontiguousarray(biases)))
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])
