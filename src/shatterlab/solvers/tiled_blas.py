"""A Cholesky factor by large tiles in place, each by scipy's own BLAS and LAPACK.

OpenBLAS's spotrf crashes with several threads where positions pass 32 bits (seen with 0.3.30 on 60,000 x 60,000 numbers; its issue
352 tells of the same). On tiles of a matrix, given by address and stride, no call counts that far; scipy's usual wrappers would copy them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import cython_blas, cython_lapack

_TILE = 16_384  # rows and columns: 2^31 numbers apart at a stride of 131,072
_Routine = Callable[..., None]


def factor_in_place(matrix: np.ndarray[Any, Any]) -> int:
    """Writes L' over the upper triangle of a symmetric float32 matrix, n x n in C order; what lies below the diagonal stays.

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
    """The function behind a name that scipy exports to compiled code; every argument is an address."""
    capsule, python = module.__pyx_capi__[name], ctypes.pythonapi
    python.PyCapsule_GetName.restype, python.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    python.PyCapsule_GetPointer.restype, python.PyCapsule_GetPointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    made: _Routine = ctypes.CFUNCTYPE(None)(python.PyCapsule_GetPointer(capsule, python.PyCapsule_GetName(capsule)))
    return made


_SPOTRF = _routine(cython_lapack, "spotrf")
_STRSM, _SSYRK, _SGEMM = (_routine(cython_blas, name) for name in ("strsm", "ssyrk", "sgemm"))
