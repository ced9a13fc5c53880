"""What the constructed networks share: plain arithmetic that no batch changes, exact sums of hinges, and the layers written out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shatterlab.constructions._double_double import Pair, pair
from shatterlab.constructions._exact import Dyadic, columns, dyadic, furthest, sums_at, upper
from shatterlab.constructions._hinges import Pieces, PlainSums
from shatterlab.constructions._points import require_moderate, table, targets
from shatterlab.constructions._projections import as_pairs, as_whole, plainly
from shatterlab.core.errors import DataError, InvalidPart

Array = np.ndarray[Any, Any]
Arithmetic = Literal["double_double", "float64", "float32"]

_AT_ONCE = 2**19  # hidden units of all points that are evaluated together


def tree_sum(terms: Float[Tensor, "*m n"]) -> Float[Tensor, "*m"]:
    """The sum over the last axis, halves added to halves: one order of summation, whatever the batch and the machine.

    Matrix products and reductions of libraries choose their order by the shape of the batch. An exported graph has one
    reduction in its place.
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
    found: Array = parameter.detach().cpu().double().numpy()
    return found


class Levels(nn.Module):
    """Reads inputs in [0, 1] of an 8-bit source as the whole numbers 0 .. 255 that they were; any other as the nearest of them."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, inputs: Float[Tensor, "m *shape"]) -> Float[Tensor, "m *shape"]:
        return (inputs.double() * self.levels).round()


class Network(nn.Module, ABC):
    """A network through a sample on a line. Its parameters are float64; `net.float()` shows what float32 makes of them.

    Attributes:
        widths: units of each hidden layer.
        depth: layers of weights, >= 2.
        outputs: k; None for one value a point, without an axis of its own.
    """

    widths: tuple[int, ...]
    depth: int
    outputs: int | None
    w: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        """Values of points (m x d, or m x any shape of d numbers) in plain ReLU arithmetic, (m,) or (m, k); some points at a time."""
        rows = max(1, _AT_ONCE // self.width)
        if torch.compiler.is_compiling() or torch.compiler.is_exporting() or len(inputs) <= rows:
            return self.plain(inputs)
        return torch.cat([self.plain(few) for few in inputs.split(rows)])

    @abstractmethod
    def plain(self, inputs: Tensor) -> Tensor:
        """The values of a few points, all hidden units in memory."""

    @abstractmethod
    def evaluator(self, arithmetic: Arithmetic = "double_double") -> Callable[[Array], Array]:
        """What `values` does, n log n of it done beforehand: points (m x d) -> (m, outputs), float64."""

    def values(self, z: Any, arithmetic: Arithmetic = "double_double") -> Array:
        """The values at m points by sorting and prefix sums, in O(md + (n + m) log(n + m)).

        Args:
            z: points, m x d.
            arithmetic: "double_double" projects and adds with some 30 digits, and no batch changes a bit; "float64" and "float32"
                show what plain arithmetic makes of the weights.

        Returns:
            (m,) or (m, k), float64.
        """
        points = table(type(self).__name__, z)
        found = self.evaluator(arithmetic)(points)
        return found[:, 0] if self.outputs is None else found

    @abstractmethod
    def certified_error(self, z: Any, y: Any) -> float:
        """The largest |c(z_i) - y_i| over points and outputs, from the float64 weights in exact arithmetic, rounded up.

        It says how far the network, as the mathematical object that its weights define, is from the values: nothing is
        rounded, projections included. Plain evaluation is further off, see `values`.
        """

    @abstractmethod
    def layers(self) -> Iterator[tuple[Array, Array | None]]:
        """The matrix and the bias of each layer, written out as an ordinary fully connected network has them."""

    @property
    def width(self) -> int:
        """Units of the widest hidden layer."""
        return max(self.widths)

    @property
    def weights(self) -> int:
        """How many numbers the network consists of."""
        return sum(each.numel() for each in self.parameters())

    @abstractmethod
    def connections(self) -> int:
        """How many weights and biases the layers written out have, the direction that the first layer's units share counted once."""

    def written_out(self) -> nn.Sequential:
        """The same function as an ordinary nn.Sequential of Linear and ReLU; memory O(width^2), so for small n."""
        modules: list[nn.Module] = []
        for matrix, bias in self.layers():
            linear = nn.utils.skip_init(nn.Linear, matrix.shape[1], matrix.shape[0], bias=bias is not None, dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(matrix))
                if bias is not None:
                    linear.bias.copy_(torch.from_numpy(bias))
            modules += [linear, nn.ReLU()]
        return nn.Sequential(nn.Flatten(), *modules[:-1])

    def fill(self, **given: Array) -> None:
        """Copies arrays into the parameters of these names."""
        with torch.no_grad():
            for name, array in given.items():
                getattr(self, name).copy_(torch.from_numpy(np.ascontiguousarray(array)))


class HingeNetwork(Network):
    """A network that is one sum of hinges, c(z) = sum_j w_j max(<a, z> - b_j, 0), however its layers share the work."""

    a: Tensor
    w: Tensor

    @abstractmethod
    def knots(self) -> Array:
        """b_1 < ... < b_n, float64."""

    def evaluator(self, arithmetic: Arithmetic = "double_double") -> Callable[[Array], Array]:
        a, b = numbers(self.a), self.knots()
        weights = numbers(self.w).reshape(-1, len(b)).T
        if arithmetic == "double_double":
            pieces = Pieces(pair(b), weights)
            return lambda points: pieces.at(exact_pairs(type(self).__name__, points, a))[0]
        plain = np.dtype(arithmetic)
        sums = PlainSums(b.astype(plain), weights.astype(plain))
        return lambda points: sums.at(plainly(points, a.astype(plain))).astype(np.float64)

    def certified_error(self, z: Any, y: Any) -> float:
        x, wanted = projected(type(self).__name__, z, y, numbers(self.a))
        b = dyadic(self.knots())
        found = (sums_at(x, b, row) for row in numbers(self.w).reshape(-1, len(b)))
        return upper(max(furthest(sums, column) for sums, column in zip(found, columns(wanted), strict=True)))


def projected(owner: str, z: Any, y: Any, a: Array) -> tuple[Dyadic, Array]:
    """Exact projections in ascending order, and the values in that order."""
    points = table(owner, z)
    wanted = targets(owner, y, len(points))
    if points.shape[1] != len(a):
        raise DataError(f"{owner}: points of {len(a)} coordinates are required, got {points.shape[1]}. Score points like those it was built for.")
    require_moderate(owner, points)
    x = as_whole(points, a)
    order = np.array(sorted(range(len(points)), key=x.whole.__getitem__))
    return Dyadic([x.whole[place] for place in order], x.unit), wanted[order]


def exact_pairs(owner: str, points: Array, a: Array) -> Pair:
    """Projections as pairs, of numbers that exact arithmetic can hold."""
    if points.shape[1] != len(a):
        raise DataError(f"{owner}: points of {len(a)} coordinates are required, got {points.shape[1]}. Score points like those it was built for.")
    require_moderate(owner, points)
    return as_pairs(points, a)


def shares(n: int, parts: int) -> list[int]:
    """Splits n into so many parts, as even as they can be, the larger ones first."""
    return [n // parts + (part < n % parts) for part in range(parts)]


def require_depth(owner: str, depth: int, least: int, n: int) -> None:
    """Refuses a depth that n distinct points do not allow.

    Raises:
        InvalidPart: the depth is below the least one or above n.
    """
    if not least <= depth <= max(least, n):
        raise InvalidPart(f"{owner}: depth is {least} .. {max(least, n)} for n = {n} distinct points, got {depth}. Each layer holds a point at least.")
