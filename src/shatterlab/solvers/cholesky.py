"""A Gram matrix and its Cholesky factor in float32, on the CPU in one buffer of n x n numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from scipy.linalg import cython_blas, cython_lapack
from torch import Tensor

from shatterlab.core import CodedGram
from shatterlab.core.errors import InvalidPart
from shatterlab.solvers.system import System, diagonal

_BLOCK = 1024  # rows and columns at a time: 8 MiB in float64
_TRIANGLE = 512  # rows of a triangular solve
_STRIP, _WIDE = 128, 4096  # rows and columns of a product: 4 MiB in float64
_PANEL, _COLUMNS = 256, 512  # rows and columns of the inverse at a time
_FACTORS = 12  # attempts, each with eight times as much on the diagonal
_EPS = torch.finfo(torch.float32).eps
_TILE = 16_384  # rows and columns: 2^31 numbers apart at a stride of 131,072
_Routine = Callable[..., None]


class GramFactor:
    """K, and L with L L' = K + (lambda + jitter) I in float32, in one buffer of n x n numbers.

    The factor overwrites the upper triangle. The lower one keeps K but for its diagonal, in float32 or in the kernel's lossless 32-bit codes. On a GPU the
    factor is a second matrix. Every pass goes by blocks, so nothing else of that size exists.

    Where a pivot is at rounding level, a little is added to the diagonal (`jitter`): the factor then only preconditions, and the solution does not have it.
    """

    def __init__(self, system: System) -> None:
        n, self._system = len(system), system
        with system.phase("gram"):
            device = system.inputs.device  # numpy asks for huge pages, torch does not
            self._gram = torch.from_numpy(np.empty((n, n), np.float32)) if device.type == "cpu" else torch.empty((n, n), dtype=torch.float32, device=device)
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
        """Whether `product` uses K itself and not K rounded to float32."""
        return self._codes is not None

    def solve(self, residuals: Tensor) -> Tensor:
        """About (K + lambda I)^-1 R by two triangular solves in float32."""
        sizes = residuals.norm(dim=0).clamp_min(torch.finfo(torch.float64).tiny)
        solution = (residuals / sizes).float().T.contiguous()  # k x n: a thin matrix is quicker from the left
        blocks = list(_blocks(solution.shape[1], _TRIANGLE))
        for rows in blocks:
            solution[:, rows] = torch.linalg.solve_triangular(self._upper[rows, rows], solution[:, rows], upper=True, left=False)
            solution[:, rows.stop :] -= solution[:, rows] @ self._upper[rows, rows.stop :]
        for rows in reversed(blocks):
            solution[:, rows] -= solution[:, rows.stop :] @ self._upper[rows, rows.stop :].T
            solution[:, rows] = torch.linalg.solve_triangular(self._upper[rows, rows].T, solution[:, rows], upper=False, left=False)
        return torch.mul(solution.T, sizes)

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
        out = self._diagonal.new_empty(len(self._diagonal))
        with self._system.phase("inverse_diagonal"):
            for start in range(0, len(out), _COLUMNS):
                block = slice(start, min(start + _COLUMNS, len(out)))
                columns = torch.eye(len(out) - start, block.stop - start, device=out.device)
                for rows in _blocks(len(out), _PANEL, start):
                    here, below = slice(rows.start - start, rows.stop - start), slice(rows.stop - start, None)
                    columns[here] = torch.linalg.solve_triangular(self._upper[rows, rows].T, columns[here], upper=False)
                    columns[below].addmm_(self._upper[rows, rows.stop :].T, columns[here], alpha=-1)
                out[block] = columns.square_().sum(0, dtype=torch.float64)
        return out

    def _stored(self, rows: slice, columns: slice) -> Tensor:
        part = self._gram[rows, columns]
        return part.double() if self._codes is None else self._codes.decoded(part.view(torch.int32), torch.float64)

    def _add_products(self, out: Tensor, turned: Tensor, rows: slice, columns: slice, part: Tensor) -> None:
        out[:, rows] += turned[:, columns] @ part.T
        out[:, columns] += turned[:, rows] @ part

    def _write(self, codes: CodedGram) -> None:
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
            raise InvalidPart(f"{self._system.owner}: a positive semidefinite Gram matrix is required, this one has no Cholesky factor. Correct the kernel.")
        self.jitter = max(least, 8 * self.jitter)
        if self._upper is self._gram:
            for rows in _blocks(len(self._gram), _BLOCK):
                for columns in _blocks(rows.start, _BLOCK):
                    self._gram[columns, rows] = self._stored(rows, columns).T
                part = self._gram[rows, rows]
                below, above = part.view(torch.int32), self._stored(rows, rows).T.float().contiguous().view(torch.int32)
                part.copy_(torch.where(torch.ones_like(part, dtype=torch.bool).tril(-1), below, above).view(torch.float32))

    def _pivots(self) -> Tensor:
        return self._upper.diagonal().double().square()


def _blocks(n: int, size: int, start: int = 0) -> Iterator[slice]:
    for first in range(start, n, size):
        yield slice(first, min(first + size, n))


def factor_in_place(matrix: np.ndarray[Any, Any]) -> int:
    """Writes L' over the upper triangle of a symmetric float32 matrix, n x n in C order; entries below the diagonal stay.

    It passes tiles by address and stride to scipy's BLAS and LAPACK (scipy's wrappers would copy them): OpenBLAS's spotrf crashes with several threads where
    positions pass 32 bits (0.3.30 on 60,000 x 60,000 numbers; its issue 352).

    Returns:
        0, or the number of the first pivot that was not positive, counted from 1.
    """
    n, stride = len(matrix), ctypes.c_int(len(matrix))
    one, minus = ctypes.c_float(1), ctypes.c_float(-1)
    parts = [range(start, min(start + _TILE, n)) for start in range(0, n, _TILE)]

    def at(rows: range, columns: range) -> ctypes.c_void_p:
        return ctypes.c_void_p(matrix.ctypes.data + 4 * (rows.start + columns.start * n))  # Fortran's order: the lower triangle is C's upper one

    for k, here in enumerate(parts):
        failed = ctypes.c_int(0)
        _SPOTRF(b"L", _size(here), at(here, here), ctypes.byref(stride), ctypes.byref(failed))
        if failed.value:
            return here.start + failed.value
        for rows in parts[k + 1 :]:
            args = (_size(rows), _size(here), ctypes.byref(one), at(here, here), ctypes.byref(stride), at(rows, here), ctypes.byref(stride))
            _STRSM(b"R", b"L", b"T", b"N", *args)
        for j, columns in enumerate(parts[k + 1 :], k + 1):
            common = (ctypes.byref(minus), at(columns, here), ctypes.byref(stride))
            _SSYRK(b"L", b"N", _size(columns), _size(here), *common, ctypes.byref(one), at(columns, columns), ctypes.byref(stride))
            for rows in parts[j + 1 :]:
                both = (ctypes.byref(minus), at(rows, here), ctypes.byref(stride), at(columns, here), ctypes.byref(stride))
                _SGEMM(b"N", b"T", _size(rows), _size(columns), _size(here), *both, ctypes.byref(one), at(rows, columns), ctypes.byref(stride))
    return 0


def _size(part: range) -> Any:
    return ctypes.byref(ctypes.c_int(len(part)))


def _routine(module: Any, name: str) -> _Routine:
    capsule, python = module.__pyx_capi__[name], ctypes.pythonapi
    python.PyCapsule_GetName.restype, python.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    python.PyCapsule_GetPointer.restype, python.PyCapsule_GetPointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    routine: _Routine = ctypes.CFUNCTYPE(None)(python.PyCapsule_GetPointer(capsule, python.PyCapsule_GetName(capsule)))
    return routine


_SPOTRF = _routine(cython_lapack, "spotrf")
_STRSM, _SSYRK, _SGEMM = (_routine(cython_blas, name) for name in ("strsm", "ssyrk", "sgemm"))
