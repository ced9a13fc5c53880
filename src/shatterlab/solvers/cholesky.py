"""A Gram matrix and its Cholesky factor in float32, on the CPU in one buffer of n x n numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from shatterlab.core import CodedGram
from shatterlab.core.errors import InvalidPart
from shatterlab.solvers.system import System, diagonal
from shatterlab.solvers.tiled_blas import factor_in_place

_BLOCK = 1024  # rows and columns at a time: 8 MiB in float64
_TRIANGLE = 512  # rows of a triangular solve
_STRIP, _WIDE = 128, 4096  # rows and columns of a product: 4 MiB in float64
_PANEL, _COLUMNS = 256, 512  # rows and columns of the inverse at a time
_FACTORS = 12  # attempts, each with eight times as much on the diagonal
_EPS = torch.finfo(torch.float32).eps


class GramFactor:
    """K, and L with L L' = K + (lambda + jitter) I in float32, in one buffer of n x n numbers.

    The factor is written over the upper triangle, and the lower one is left as it is: there K stays, in float32, or in the
    kernel's 32-bit codes where it has codes that lose nothing. Only K's diagonal is lost, and the kernel knows it. On a GPU
    the factor is a second matrix. Every pass over either goes by blocks, so nothing else of that size exists.

    A matrix that has no factor in float32 (a pivot at rounding level) is tried again with a little more on its
    diagonal: the factor then only preconditions, and the solution does not have it.
    """

    def __init__(self, system: System) -> None:
        n, self._system = len(system), system
        with system.phase("gram"):
            self._gram = _square(n, system.inputs.device)
            self._codes = system.kernel.coded(system.inputs)
            if self._codes is None:
                system.kernel.gram_into(self._gram, system.inputs, system.inputs)
            else:
                self._write(self._codes)
            self._diagonal = diagonal(system.kernel, system.inputs) + system.ridge
        with system.phase("factor"):
            self.jitter, self._upper = 0.0, self._gram
            while not self._factored():
                self._grow_jitter()
            self.pivot = self._pivots().min().item()

    @property
    def exact(self) -> bool:
        """Whether `product` has K as it is and not rounded to float32."""
        return self._codes is not None

    def solve(self, residuals: Tensor) -> Tensor:
        """About (K + lambda I)^-1 R by two triangular solves in float32."""
        sizes = residuals.norm(dim=0).clamp_min(torch.finfo(torch.float64).tiny)
        found = (residuals / sizes).float().T.contiguous()  # k x n: a thin matrix is quicker from the left
        blocks = list(_blocks(found.shape[1], _TRIANGLE))
        for rows in blocks:
            found[:, rows] = torch.linalg.solve_triangular(self._upper[rows, rows], found[:, rows], upper=True, left=False)
            found[:, rows.stop :] -= found[:, rows] @ self._upper[rows, rows.stop :]
        for rows in reversed(blocks):
            found[:, rows] -= found[:, rows.stop :] @ self._upper[rows, rows.stop :].T
            found[:, rows] = torch.linalg.solve_triangular(self._upper[rows, rows].T, found[:, rows], upper=False, left=False)
        return torch.mul(found.T, sizes)

    def product(self, weights: Tensor) -> Tensor:
        """(K + lambda I) W of the stored K in float64 arithmetic, by one pass over a triangle."""
        turned = weights.T.contiguous()
        out = self._diagonal * turned
        for rows in _blocks(len(weights), _STRIP):
            for columns in _blocks(rows.start, _WIDE):
                self._add_products(out, turned, rows, columns, self._stored(rows, columns))
            self._add_products(out, turned, rows, rows, self._stored(rows, rows).tril_(-1))
        return out.T.contiguous()

    def inverse_diagonal(self) -> Tensor:
        """The diagonal of (K + lambda I)^-1: column sums of squares of L^-1, n^3/3 multiplications, n x 512 numbers at a time."""
        found = self._diagonal.new_empty(len(self._diagonal))
        with self._system.phase("inverse_diagonal"):
            for start in range(0, len(found), _COLUMNS):
                some = slice(start, min(start + _COLUMNS, len(found)))
                columns = torch.eye(len(found) - start, some.stop - start, device=found.device)
                for rows in _blocks(len(found), _PANEL, start):
                    here, below = slice(rows.start - start, rows.stop - start), slice(rows.stop - start, None)
                    columns[here] = torch.linalg.solve_triangular(self._upper[rows, rows].T, columns[here], upper=False)
                    columns[below].addmm_(self._upper[rows, rows.stop :].T, columns[here], alpha=-1)
                found[some] = columns.square_().sum(0, dtype=torch.float64)
        return found

    def _stored(self, rows: slice, columns: slice) -> Tensor:
        """A part of K from the lower triangle, in float64."""
        part = self._gram[rows, columns]
        return part.double() if self._codes is None else self._codes.decoded(part.view(torch.int32), torch.float64)

    def _add_products(self, out: Tensor, turned: Tensor, rows: slice, columns: slice, part: Tensor) -> None:
        out[:, rows] += turned[:, columns] @ part.T
        out[:, columns] += turned[:, rows] @ part

    def _write(self, codes: CodedGram) -> None:
        """K above the diagonal, codes below it."""
        below = self._gram.view(torch.int32)
        for rows in _blocks(len(self._gram), _BLOCK):
            for columns in _blocks(rows.stop, _BLOCK):
                part = codes.tile(rows, columns)
                values = codes.decoded(part, torch.float32)
                if rows == columns:
                    part = torch.where(torch.ones_like(part, dtype=torch.bool).tril(-1), part, values.view(torch.int32))
                else:
                    self._gram[columns, rows] = values.T.contiguous()  # torch transposes by blocks only into what is contiguous
                below[rows, columns] = part

    def _factored(self) -> bool:
        self._gram.diagonal().copy_(self._diagonal + self.jitter)
        if self._gram.device.type != "cpu":
            self._upper, info = torch.linalg.cholesky_ex(self._gram, upper=True)
            failed = int(info)
        else:
            failed = factor_in_place(self._gram.numpy())
        return not failed and self._pivots().min().item() > 8 * _EPS * self._diagonal.max().item()

    def _grow_jitter(self) -> None:
        least = 16 * _EPS * self._diagonal.max().item()
        if self.jitter > least * 8**_FACTORS or not least > 0:
            raise InvalidPart(f"{self._system.owner}: a positive semidefinite Gram matrix is required, this one has no Cholesky factor. Mend the kernel.")
        self.jitter = max(least, 8 * self.jitter)
        if self._upper is self._gram:
            for rows in _blocks(len(self._gram), _BLOCK):
                for columns in _blocks(rows.start, _BLOCK):
                    self._gram[columns, rows] = self._stored(rows, columns).T
                part = self._gram[rows, rows]
                part.copy_(_joined(part, self._stored(rows, rows)))

    def _pivots(self) -> Tensor:
        return self._upper.diagonal().double().square()


def _square(n: int, device: torch.device) -> Tensor:
    if device.type == "cpu":
        return torch.from_numpy(np.empty((n, n), dtype=np.float32))  # numpy asks for huge pages, torch does not
    return torch.empty((n, n), dtype=torch.float32, device=device)


def _joined(below: Tensor, values: Tensor) -> Tensor:
    """The lower triangle of the one, bit for bit, and above the diagonal the lower triangle of the other, transposed."""
    lower = torch.ones_like(below, dtype=torch.bool).tril(-1)
    return torch.where(lower, below.view(torch.int32), values.T.float().contiguous().view(torch.int32)).view(torch.float32)


def _blocks(n: int, size: int, start: int = 0) -> Iterator[slice]:
    for first in range(start, n, size):
        yield slice(first, min(first + size, n))
