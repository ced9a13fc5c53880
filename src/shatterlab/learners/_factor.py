"""A Gram matrix and its Cholesky factor in float32, on the CPU in one buffer of n x n numbers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from scipy.linalg import lapack
from torch import Tensor

from shatterlab.errors import InvalidPart
from shatterlab.learners._system import System, diagonal

_BLOCK = 1024  # rows and columns at a time: 8 MiB in float64
_COLUMNS = 2048  # of the inverse at a time
_FACTORS = 12  # attempts, each with eight times as much on the diagonal
_EPS = torch.finfo(torch.float32).eps


class GramFactor:
    """K and L with L L' = K + (lambda + jitter) I, in float32.

    K is made into one n x n buffer. LAPACK's spotrf, told that the buffer is the Fortran matrix's transpose, writes L' over the
    upper triangle and leaves K in the lower one; only K's diagonal is lost, and the kernel knows it. On a GPU the
    factor is a second matrix. Every pass over either goes by blocks, so nothing else of that size exists.

    A matrix that has no factor in float32 (a pivot at rounding level) is tried again with a little more on its
    diagonal: the factor then only preconditions, and the solution does not have it.
    """

    def __init__(self, system: System) -> None:
        n, self._system = len(system), system
        with system.phase("gram"):
            self._gram = torch.empty((n, n), dtype=torch.float32, device=system.inputs.device)
            system.kernel.gram_into(self._gram, system.inputs, system.inputs)
            self._diagonal = diagonal(system.kernel, system.inputs) + system.ridge
        with system.phase("factor"):
            self.jitter, self._upper = 0.0, self._gram
            while not self._factored():
                self._grow_jitter()
            self.pivot = self._pivots().min().item()

    def solve(self, residuals: Tensor) -> Tensor:
        """About (K + lambda I)^-1 R by two triangular solves in float32."""
        sizes = residuals.norm(dim=0).clamp_min(torch.finfo(torch.float64).tiny)
        found = (residuals / sizes).float()
        blocks = list(_blocks(len(found)))
        for rows in blocks:
            self._step_down(rows, found, rows.stop)
        for rows in reversed(blocks):
            found[rows] -= self._upper[rows, rows.stop :] @ found[rows.stop :]
            found[rows] = torch.linalg.solve_triangular(self._upper[rows, rows], found[rows], upper=True)
        return torch.mul(found, sizes)

    def product(self, weights: Tensor) -> Tensor:
        """(K + lambda I) W of the stored float32 K in float64 arithmetic, by one pass over a triangle."""
        out = self._diagonal[:, None] * weights
        for rows in _blocks(len(weights)):
            for columns in _blocks(rows.stop):
                tile = self._gram[rows, columns].double()
                if rows == columns:
                    tile = tile.tril_(-1)
                out[rows] += tile @ weights[columns]
                out[columns] += tile.T @ weights[rows]
        return out

    def inverse_diagonal(self) -> Tensor:
        """The diagonal of (K + lambda I)^-1: column sums of squares of L^-1, n^3/3 multiplications, n x 2048 numbers at a time."""
        found = self._diagonal.new_empty(len(self._diagonal))
        with self._system.phase("inverse_diagonal"):
            for start in range(0, len(found), _COLUMNS):
                some = slice(start, min(start + _COLUMNS, len(found)))
                columns = torch.eye(len(found) - start, some.stop - start, device=found.device)
                for rows in _blocks(len(found), start):
                    self._step_down(rows, columns, rows.stop, start)
                found[some] = columns.square_().sum(0, dtype=torch.float64)
        return found

    def _step_down(self, rows: slice, found: Tensor, end: int, offset: int = 0) -> None:
        """One block of forward substitution: these rows are solved, and subtracted from those below."""
        here, below = slice(rows.start - offset, rows.stop - offset), slice(end - offset, None)
        found[here] = torch.linalg.solve_triangular(self._upper[rows, rows].T, found[here], upper=False)
        found[below] -= self._upper[rows, end:].T @ found[here]

    def _factored(self) -> bool:
        self._gram.diagonal().copy_(self._diagonal + self.jitter)
        if self._gram.device.type == "cpu":
            fortran = self._gram.numpy().T
            factor, failed = lapack.spotrf(fortran, lower=1, overwrite_a=1, clean=0)
            assert factor is fortran or factor.ctypes.data == fortran.ctypes.data, "LAPACK worked on a copy"
        else:
            self._upper, info = torch.linalg.cholesky_ex(self._gram, upper=True)
            failed = int(info)
        return not failed and self._pivots().min().item() > 8 * _EPS * self._diagonal.max().item()

    def _grow_jitter(self) -> None:
        least = 16 * _EPS * self._diagonal.max().item()
        if self.jitter > least * 8**_FACTORS or not least > 0:
            raise InvalidPart(f"{self._system.owner}: a positive semidefinite Gram matrix is required, this one has no Cholesky factor. Mend the kernel.")
        self.jitter = max(least, 8 * self.jitter)
        if self._upper is self._gram:
            for rows in _blocks(len(self._gram)):
                for columns in _blocks(rows.stop):
                    tile = self._gram[rows, columns]
                    self._gram[columns, rows] = tile.tril(-1) + tile.tril(-1).T if rows == columns else tile.T

    def _pivots(self) -> Tensor:
        return self._upper.diagonal().double().square()


def _blocks(n: int, start: int = 0) -> Iterator[slice]:
    for first in range(start, n, _BLOCK):
        yield slice(first, min(first + _BLOCK, n))
