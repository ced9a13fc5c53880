"""The direct solver: a float32 factor, and residuals in float64 until the solution is right to the tolerance."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shatterlab.core.errors import InvalidPart
from shatterlab.core.memory import gibibytes
from shatterlab.solvers.cholesky import GramFactor
from shatterlab.solvers.conjugate_gradients import conjugate_gradients
from shatterlab.solvers.system import Solved, System, report
from shatterlab.training.device import free_memory

_WORKSPACE = 2**28  # tiles in float64, and what libraries take: 256 MiB
_INNER_STEPS = 25
_INNER = 1e-5  # where the float32 Gram matrix begins to differ from the true one
_COLUMN = 1e-4  # relative residual of a column of the inverse
_SLOW = 0.2  # a refinement that keeps more of the residual than this gives way to conjugate gradients
_HOPELESS = 1e-3  # a residual above it says that there is no interpolant


def bytes_needed(n: int, classes: int, device: torch.device) -> int:
    """Memory of the direct solver beside the sample, at most: the matrix (on a GPU its factor too), columns, workspace."""
    return (4 if device.type == "cpu" else 8) * n * n + 8 * n * (12 * classes + 10) + _WORKSPACE


def require_room(owner: str, n: int, classes: int, device: torch.device) -> None:
    """Refuses a Gram matrix that the free memory cannot hold, before anything is allocated.

    Raises:
        InvalidPart: it does not fit; the text gives the bytes and names the iterative solver.
    """
    needed, free = bytes_needed(n, classes, device), free_memory(device)
    if needed > free:
        required = f"{needed:,} bytes ({gibibytes(needed)} GiB) of memory are required to factor the Gram matrix of {n} examples"
        raise InvalidPart(f'{owner}: {required}, got {gibibytes(free)} GiB free. Set solver="iterative", which needs no such matrix, or use fewer examples.')


def solve_directly(system: System, tolerance: float, passes: int) -> Solved:
    """Weights from a float32 Cholesky factor (n^3/3 multiplications) and refinement in float64.

    The float32 factor solves to a few digits; conjugate gradients on the stored matrix, preconditioned by it, solve exactly for the stored matrix; the residual
    of each such solution uses the true matrix, recomputed in float64 tile by tile. Below a gain of a factor of 5 a pass, conjugate gradients on the true matrix
    take over.

    Args:
        system: the system to solve.
        tolerance: on the relative residual.
        passes: products of conjugate gradients with the true matrix, at most.

    Raises:
        InvalidPart: the matrix is singular and the targets are out of its reach.
    """
    factor = GramFactor(system)
    solver = _Refinement(system, factor, tolerance, passes)
    weights, fitted, residual = solver.solved(system.targets)
    if factor.jitter and not residual <= max(tolerance, _HOPELESS):
        reason = f"the Gram matrix of {len(system)} examples is singular in float32, and no weights come closer than a relative residual of {residual:.2g}"
        raise InvalidPart(f"{system.owner}: {reason}. Set ridge > 0, or use a narrower kernel.")
    return Solved(weights, fitted, solver.steps, factor.pivot, factor.jitter, None, True, solver)


@dataclass
class _Refinement:
    """Solves with one factor, any number of times; a fit keeps it."""

    system: System
    factor: GramFactor
    tolerance: float
    passes: int
    steps: int = 0

    def solved(self, targets: Tensor, tolerance: float | None = None) -> tuple[Tensor, Tensor, float]:
        """Weights for these targets, K times them, and the relative residual."""
        system, goal = replace(self.system, targets=targets), tolerance or self.tolerance
        weights, fitted, residual = torch.zeros_like(targets), torch.zeros_like(targets), 1.0
        while residual > goal:
            missing = targets - fitted - system.ridge * weights
            within_reach = 0.0 if self.factor.exact else min(residual, _INNER)
            better = self._with(system, weights + self._stored_solve(missing, max(within_reach, goal / residual / 3)))
            slow = not better[2] < _SLOW * residual
            weights, fitted, residual = better if better[2] < residual else (weights, fitted, residual)
            if slow and residual > goal:
                return self._by_gradients(system, weights, fitted, residual, goal)
        return weights, fitted, residual

    def inverse_diagonal(self) -> Tensor:
        return self.factor.inverse_diagonal()

    def inverse_columns(self, positions: Tensor) -> Tensor:
        """Columns of (K + lambda I)^-1 to a relative residual of 1e-4; the error of diagonal elements is of second order in it."""
        units = self.system.targets.new_zeros((len(self.system), len(positions)))
        units[positions, torch.arange(len(positions), device=units.device)] = 1
        return self._stored_solve(units, _COLUMN) if self.factor.exact else self.solved(units, _COLUMN)[0]

    def _by_gradients(self, system: System, weights: Tensor, fitted: Tensor, residual: float, goal: float) -> tuple[Tensor, Tensor, float]:
        missing = system.targets - fitted - system.ridge * weights
        inner = functools.partial(self._stored_solve, tolerance=0.1)
        product = system.repeated_product()[0] if self.factor.jitter else system.product
        solution = conjugate_gradients(product, inner, missing, goal / residual / 2, self.passes, report)
        self.steps += solution.steps
        better = self._with(system, weights + solution.weights)
        return better if better[2] < residual else (weights, fitted, residual)

    def _stored_solve(self, residuals: Tensor, tolerance: float) -> Tensor:
        if self.factor.jitter:  # the stored matrix is singular up to rounding: the factor has all its information
            return self.factor.solve(residuals)
        with self.system.phase("solve"):
            solution = conjugate_gradients(self.factor.product, self.factor.solve, residuals, min(tolerance, 0.5), _INNER_STEPS, report)
        self.steps += solution.steps
        return solution.weights

    def _with(self, system: System, weights: Tensor) -> tuple[Tensor, Tensor, float]:
        fitted = system.gram_times(weights)
        return weights, fitted, system.relative(system.targets - fitted - system.ridge * weights)
