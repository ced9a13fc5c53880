"""8-bit inputs as the whole numbers that they are: their squared distances without any rounding, at the price of a float32 product.

Values k / 255, k = 0 .. 255, as 8-bit sources give them, are taken as these fractions, not as the floats next to them.
k - 128 lies in -128 .. 127, so a sum of 1,024 products is at most 2^24 in absolute value: float32 holds every such sum
exactly, in whatever order it is taken (and so do the 11 bits of TF32 and the 8 of bfloat16 with float32 sums).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LEVELS = 255
_MIDDLE = 128
_EXACT = 2**24 // _MIDDLE**2  # columns whose products float32 sums without rounding
_MOST = 2**31 // LEVELS**2  # columns whose squared differences fit 32 bits
_ROWS = 4096  # looked at at a time


def counted(x: Tensor) -> Tensor:
    """Which rows hold nothing but k / 255 in float32 (or a float64 that is one); bool, shape (n,)."""
    rows = x.flatten(1)
    if rows.shape[1] > _MOST:
        return torch.zeros(len(rows), dtype=torch.bool, device=x.device)
    found = [_on_grid(some).all(1) for some in rows.split(_ROWS)]
    return torch.cat(found) if found else torch.ones(0, dtype=torch.bool, device=x.device)


def _on_grid(x: Tensor) -> Tensor:
    nearest = (x * LEVELS).round_().float().clamp_(0, LEVELS).div_(LEVELS)
    return nearest.to(x.dtype) == x


def counts(x: Tensor) -> Tensor:
    """Counts k - 128 of each value k / 255; int8, n x d."""
    return torch.cat([((some * LEVELS).round() - _MIDDLE).to(torch.int8) for some in x.flatten(1).split(_ROWS)])


def squared_distances(x: Tensor, z: Tensor) -> Tensor:
    """|k_i - l_j|^2 of counts; int32, n x m, exact."""
    return _expanded(x, z, squares(x), squares(z))


def squares(x: Tensor) -> Tensor:
    """|k_i|^2 of counts; int32, shape (n,)."""
    return torch.cat([some.int().square_().sum(1, dtype=torch.int32) for some in x.split(_ROWS)])


def _expanded(x: Tensor, z: Tensor, x_squares: Tensor, z_squares: Tensor) -> Tensor:
    parts = ((left.float() @ right.float().T).int() for left, right in zip(x.split(_EXACT, 1), z.split(_EXACT, 1), strict=True))
    inner: Tensor = functools.reduce(Tensor.add_, parts)
    return inner.mul_(-2).add_(x_squares[:, None]).add_(z_squares)


@dataclass(frozen=True)
class CountedDistances:
    """The Gram matrix of a kernel of distances between 8-bit inputs: a code is the squared distance times 255^2.

    Args:
        left: counts of x.
        right: counts of z.
        falling: the kernel as a function of squared distances, which it writes over.
    """

    left: Tensor
    right: Tensor
    falling: Callable[[Tensor], Tensor]

    def tile(self, rows: slice, columns: slice) -> Tensor:
        """Squared distances in counts; int32."""
        return _expanded(self.left[rows], self.right[columns], self._left_squares[rows], self._right_squares[columns])

    def decoded(self, codes: Tensor, dtype: torch.dtype) -> Tensor:
        """The kernel at these squared distances."""
        return self.falling(codes.to(dtype).div_(LEVELS**2))

    @functools.cached_property
    def _left_squares(self) -> Tensor:
        return squares(self.left)

    @functools.cached_property
    def _right_squares(self) -> Tensor:
        return self._left_squares if self.right is self.left else squares(self.right)
