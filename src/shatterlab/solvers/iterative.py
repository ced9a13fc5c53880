"""The iterative solver: conjugate gradients with a low-rank preconditioner, no Gram matrix held."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shatterlab.core import Kernel
from shatterlab.core.errors import InvalidPart
from shatterlab.core.memory import gibibytes
from shatterlab.solvers.conjugate_gradients import conjugate_gradients
from shatterlab.solvers.system import Solved, System, diagonal, report
from shatterlab.training.device import free_memory

_PIVOTS = 64  # drawn at a time
_ROUNDS = 3  # restarts where the residual of the recurrence was too optimistic
_WORKSPACE = 2**28  # tiles and what libraries take: 256 MiB
_LEAST = 1e-10  # of the mean of the diagonal: no part of K is taken to be smaller
_EPS = torch.finfo(torch.float64).eps


def default_rank(n: int) -> int:
    """Default columns of the preconditioner: 10 sqrt(n), at most n; it then costs as much as a few passes."""
    return min(n, max(1, round(10 * math.sqrt(n))))


def require_room(owner: str, n: int, classes: int, rank: int, device: torch.device) -> None:
    """Refuses a preconditioner that the free memory cannot hold, before anything is allocated.

    Raises:
        InvalidPart: it does not fit; the text gives the bytes.
    """
    needed, free = 8 * n * (2 * rank + 12 * classes) + _WORKSPACE, free_memory(device)
    if needed > free:
        required = f"{needed:,} bytes ({gibibytes(needed)} GiB) of memory are required for a preconditioner of rank {rank} for {n} examples"
        raise InvalidPart(f"{owner}: {required}, got {gibibytes(free)} GiB free. Set a smaller rank.")


def solve_iteratively(system: System, tolerance: float, passes: int, rank: int, rng: np.random.Generator) -> Solved:
    """Weights by conjugate gradients in float64; K is recomputed at each step unless it fits half of the free memory.

    Args:
        system: the system to solve.
        tolerance: on the relative residual.
        passes: products with the Gram matrix, at most, without those that verify the result.
        rank: of the preconditioner; 0 for none but the diagonal's mean.
        rng: draws its pivots.
    """
    with system.phase("preconditioner"):
        precondition = low_rank_preconditioner(system, rank, rng)
    product, stored = system.repeated_product()
    weights, fitted, residual, steps = torch.zeros_like(system.targets), torch.zeros_like(system.targets), 1.0, 0
    for _ in range(_ROUNDS):
        missing = system.targets - fitted - system.ridge * weights
        with system.phase("solve"):
            solution = conjugate_gradients(product, precondition, missing, tolerance / residual / 2, passes - steps, report)
        steps += solution.steps
        new = weights + solution.weights
        image = system.gram_times(new)
        before, now = residual, system.relative(system.targets - image - system.ridge * new)
        if now < before:
            weights, fitted, residual = new, image, now
        if residual <= tolerance or steps >= passes or not now < before / 2:
            break
    return Solved(weights, fitted, steps, rank=precondition.rank, stored=stored)


@dataclass(frozen=True)
class LowRank:
    """The inverse of U diag(values) U' + rest (I - U U'), U with orthonormal columns: a preconditioner.

    Args:
        vectors: U, n x r.
        values: shape (r,), > 0.
        rest: > 0.
    """

    vectors: Tensor
    values: Tensor
    rest: float

    @property
    def rank(self) -> int:
        """Columns of U."""
        return self.vectors.shape[1]

    def __call__(self, residuals: Tensor) -> Tensor:
        inside = self.vectors.T @ residuals
        return residuals / self.rest + self.vectors @ (inside * (1 / self.values - 1 / self.rest)[:, None])


def low_rank_preconditioner(system: System, rank: int, rng: np.random.Generator) -> LowRank:
    """About (K + lambda I)^-1 from a partial Cholesky factor F of K with random pivots: (F F' + (lambda + t) I)^-1.

    t is the mean diagonal of K - F F', the scale of the eigenvalues that it misses.

    Source:
        Chen, Epperly, Tropp, Webber 2023 (pivots); Frangella, Tropp, Udell 2023 (the preconditioner).
    """
    factor, left = partial_factor(system.kernel, system.inputs, rank, rng)
    squares, turned = torch.linalg.eigh(factor.T @ factor)
    kept = squares > 1e-12 * squares.sum()  # squaring the factor took the digits of the smaller ones
    squares, turned = squares[kept], turned[:, kept]
    total = diagonal(system.kernel, system.inputs).mean().item()
    rest = system.ridge + max(left.mean().item(), _LEAST * total, torch.finfo(torch.float64).tiny)
    vectors = factor @ (turned / squares.sqrt())  # orthonormal but for the rounding that squaring the factor magnified
    once_more = torch.linalg.cholesky(vectors.T @ vectors)
    return LowRank(torch.linalg.solve_triangular(once_more, vectors.T, upper=False).T, squares + rest, rest)


def partial_factor(kernel: Kernel, inputs: Tensor, rank: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """F (n x r) with F F' near K, and the diagonal of K - F F'; each pivot is drawn in proportion to that diagonal.

    Pivots are drawn 64 at a time; those that the others of their batch reduce to rounding level are dropped. Cost: r columns of K and n r^2 multiplications.
    """
    left = diagonal(kernel, inputs)
    start, factor = left.sum().item(), left.new_zeros((len(left), rank))
    done = 0
    while done < rank and left.sum().item() > len(left) * _EPS * start:
        chances = (left / left.sum()).cpu().numpy()
        count = min(_PIVOTS, rank - done, int((chances > 0).sum()))
        pivots = torch.from_numpy(rng.choice(len(left), count, replace=False, p=chances / chances.sum())).to(inputs.device)
        columns = left.new_empty((len(left), count))
        kernel.gram_into(columns, inputs, inputs[pivots])
        columns -= factor[:, :done] @ factor[pivots, :done].T
        values, vectors = torch.linalg.eigh((columns[pivots] + columns[pivots].T) / 2)
        kept = values > values.max() * 1e-10  # below it cancellation has taken the digits
        if not kept.any():
            break
        new = columns @ (vectors[:, kept] / values[kept].sqrt())
        factor[:, done : done + new.shape[1]] = new
        left = (left - new.square().sum(1)).clamp_min_(0)  # of the pivots 0, but for rounding
        left[pivots] = 0
        done += new.shape[1]
    return factor[:, :done], left
