"""The kernel system (K + lambda I) W = Y: the samples that have one, and its solution, checked by a Gram matrix recomputed in float64."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from shatterlab.core import Examples, Kernel
from shatterlab.core.errors import DataError
from shatterlab.solvers.conjugate_gradients import Map
from shatterlab.training.device import free_memory

_ROWS = 2048  # inputs converted to float64 at a time
_log = logging.getLogger("shatterlab.solver")


@dataclass(frozen=True)
class System:
    """Find the n x k weights W with (K + lambda I) W = Y, where K_ij = k(x_i, x_j).

    Args:
        kernel: k, fitted.
        inputs: x_1 .. x_n, on the device that does the work.
        targets: Y, n x k, float64, on that device.
        ridge: lambda >= 0.
        owner: name used in errors.
        seconds: phase -> seconds, written by `phase`.
    """

    kernel: Kernel
    inputs: Tensor
    targets: Tensor
    ridge: float
    owner: str = "KernelInterpolation"
    seconds: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.targets)

    def gram_times(self, weights: Tensor) -> Tensor:
        """K W in float64 by a Gram matrix that is recomputed tile by tile and never held.

        Mapping it over rows, by `kernel.product(inputs[rows], inputs, weights)`, distributes all solvers.
        """
        with self.phase("products"):
            return self.kernel.product(self.inputs, self.inputs, weights)

    def product(self, weights: Tensor) -> Tensor:
        """(K + lambda I) W, by `gram_times`."""
        return self.gram_times(weights) + self.ridge * weights

    def repeated_product(self) -> tuple[Map, bool]:
        """`product` for repeated use, and whether it holds the matrix: it does where the matrix fits half of the free memory."""
        if 8 * len(self) ** 2 > free_memory(self.inputs.device) / 2:
            return self.product, False
        with self.phase("gram"):
            gram = torch.empty((len(self), len(self)), dtype=torch.float64, device=self.inputs.device)
            self.kernel.gram_into(gram, self.inputs, self.inputs)
        return lambda weights: gram @ weights + self.ridge * weights, True

    def relative(self, residuals: Tensor) -> float:
        """|R| / |Y|, Frobenius norms."""
        return float(residuals.norm() / self.targets.norm())

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Adds the seconds spent inside to those of the phase."""
        start = time.perf_counter()
        if name not in self.seconds:
            _log.info("solver: %s, %d examples", name, len(self))
        try:
            yield
        finally:
            if self.inputs.device.type == "cuda":
                torch.cuda.synchronize(self.inputs.device)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@runtime_checkable
class Factor(Protocol):
    """A Cholesky factor of the system, kept after it is solved."""

    def inverse_diagonal(self) -> Tensor:
        """The diagonal of (K + lambda I)^-1, shape (n,), float64."""

    def inverse_columns(self, positions: Tensor) -> Tensor:
        """Columns of (K + lambda I)^-1, solved for like the weights; n x m, float64."""


@dataclass(frozen=True)
class Solved:
    """Weights, and figures of the solution.

    Args:
        weights: W, n x k, float64.
        fitted: K W by a fresh product in float64.
        steps: steps of conjugate gradients or of refinement, those of inner solves included.
        pivot: the smallest pivot of the factor, where there is one.
        jitter: added to the diagonal of the factored matrix; the solution does not have it.
        rank: of the preconditioner, where it is of low rank.
        stored: whether the Gram matrix was held in memory.
        factor: where there is one.
    """

    weights: Tensor
    fitted: Tensor
    steps: int
    pivot: float | None = None
    jitter: float | None = None
    rank: int | None = None
    stored: bool = True
    factor: Factor | None = None


def diagonal(kernel: Kernel, inputs: Tensor) -> Tensor:
    """k(x, x) in float64, a part of the inputs at a time."""
    return torch.cat([kernel.diagonal(block.double()) for block in inputs.split(_ROWS)])


def report(step: int, residual: float) -> None:
    """Writes a step of an iteration to the log `shatterlab.solver`."""
    _log.info("solver: step %d, relative residual %.2g", step, residual)


def require_sound(owner: str, train: Examples) -> None:
    """Refuses inputs that are not finite and labels that are no class.

    Raises:
        DataError: the text names the first example at fault.
    """
    bad = (~train.inputs.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
    if bad:
        raise DataError(f"{owner}: finite inputs are required, got NaN or infinity in {len(bad)} examples, the first at position {bad[0]}. Clean or drop them.")
    low, high = int(train.labels.min()), int(train.labels.max())
    if low < 0 or high >= train.classes:
        raise DataError(f"{owner}: labels are whole numbers in 0..{train.classes - 1}, got {low}..{high}. Renumber the classes.")


def require_consistent(owner: str, train: Examples) -> None:
    """Refuses equal inputs with different labels, which no function fits.

    Raises:
        DataError: the text names the first such pair.
    """
    first_positions: dict[bytes, int] = {}
    for position, row in enumerate((train.inputs.flatten(1) + 0.0).contiguous().numpy()):  # -0.0 + 0.0 is 0.0, of the same bytes
        first = first_positions.setdefault(row.tobytes(), position)
        if not torch.equal(train.labels[first], train.labels[position]):
            same = f"examples {first} and {position} have equal inputs and labels {int(train.labels[first])} and {int(train.labels[position])}"
            raise DataError(f"{owner}: one label an input is required without ridge, {same}. Drop one, or set ridge > 0.")
