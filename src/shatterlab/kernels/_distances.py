"""Squared Euclidean distances and angles that stay accurate where the usual expansion cancels.

Values k / 255 of 8-bit sources count as these fractions. A sum of 1,024 products of numbers k - 128 is at most 2^24 in absolute value, which float32 holds
exactly in any order of summation (TF32 and bfloat16 with float32 sums too): distances of 8-bit inputs have no rounding at the price of a float32 product.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LEVELS = 255
_MIDDLE = 128
_EXACT = 2**24 // _MIDDLE**2  # columns whose products float32 sums without rounding
_MOST = 2**31 // LEVELS**2  # columns whose squared differences fit 32 bits
_ROWS = 4096  # checked at a time
_CLOSE = 0.01  # of |x|^2 + |z|^2: below it the expansion has lost more than two of its digits
_PAIRS = 2**22  # numbers of the differences held at a time


def squared_distances(x: Float[Tensor, "n d"], z: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """|x_i - z_j|^2 by one matrix product, close pairs again by their differences; of 8-bit inputs exactly.

    |x|^2 + |z|^2 - 2 x'z has an error of a few eps (|x|^2 + |z|^2), however small the result. So both are centred first, and pairs closer than a hundredth of
    |x|^2 + |z|^2 are computed as sum (x - z)^2: the relative error is at most some hundred eps, and equal inputs are at distance 0 exactly.
    """
    left, right = whole_counts(x), whole_counts(z)
    distances = None if left.all() and right.all() else _expanded(x, z)
    if left.any() and right.any():
        exact = count_distances(counts(x[left]), counts(z[right])).to(x.dtype).div_(LEVELS**2)
        if distances is None:
            return exact
        distances[left.nonzero(), right.nonzero().T] = exact
    assert distances is not None
    return distances


def _expanded(x: Tensor, z: Tensor) -> Tensor:
    centre = (x.mean(0) + z.mean(0)) / 2
    x, z = x - centre, z - centre
    sizes = x.square().sum(1)[:, None] + z.square().sum(1)[None, :]
    distances = torch.addmm(sizes, x, z.T, alpha=-2)
    close = (distances < _CLOSE * sizes).logical_or_(sizes == 0).nonzero()
    for pairs in close.split(max(1, _PAIRS // max(1, x.shape[1]))):
        rows, columns = pairs.unbind(1)
        distances[rows, columns] = (x[rows] - z[columns]).square().sum(1)
    return distances


def angles(x: Float[Tensor, "n d"], z: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """The angle between x_i and z_j in [0, pi]; that of an input which is 0 has no meaning.

    The arc cosine of a rounded cosine would be wrong by the root of eps at small angles; the chord between unit vectors is not.
    """
    chords = squared_distances(directions(x), directions(z))
    return 2 * torch.atan2(chords.sqrt(), (4 - chords).clamp_min_(0).sqrt())  # opposite inputs: 4 - chord^2 rounds around 0


def directions(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """x_i / |x_i|; 0 stays 0."""
    sizes = x.norm(dim=1, keepdim=True)
    return x / torch.where(sizes == 0, torch.ones_like(sizes), sizes)


def sizes_multiplied(x: Float[Tensor, "n d"], z: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """|x_i| |z_j|."""
    return torch.outer(x.norm(dim=1), z.norm(dim=1))


def whole_counts(x: Tensor) -> Tensor:
    """Which rows hold nothing but k / 255 in float32 (or a float64 that is one); bool, shape (n,)."""
    rows = x.flatten(1)
    if rows.shape[1] > _MOST:
        return torch.zeros(len(rows), dtype=torch.bool, device=x.device)
    whole = [_on_grid(block).all(1) for block in rows.split(_ROWS)]
    return torch.cat(whole) if whole else torch.ones(0, dtype=torch.bool, device=x.device)


def _on_grid(x: Tensor) -> Tensor:
    nearest = (x * LEVELS).round_().float().clamp_(0, LEVELS).div_(LEVELS)
    return nearest.to(x.dtype) == x


def counts(x: Tensor) -> Tensor:
    """Counts k - 128 of each value k / 255; int8, n x d."""
    return torch.cat([((block * LEVELS).round() - _MIDDLE).to(torch.int8) for block in x.flatten(1).split(_ROWS)])


def count_distances(x: Tensor, z: Tensor) -> Tensor:
    """|k_i - l_j|^2 of counts; int32, n x m, exact."""
    return _count_distances(x, z, _squares(x), _squares(z))


def _squares(x: Tensor) -> Tensor:
    return torch.cat([block.int().square_().sum(1, dtype=torch.int32) for block in x.split(_ROWS)])


def _count_distances(x: Tensor, z: Tensor, x_squares: Tensor, z_squares: Tensor) -> Tensor:
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
        return _count_distances(self.left[rows], self.right[columns], self._left_squares[rows], self._right_squares[columns])

    def decoded(self, codes: Tensor, dtype: torch.dtype) -> Tensor:
        """The kernel at these squared distances."""
        return self.falling(codes.to(dtype).div_(LEVELS**2))

    @functools.cached_property
    def _left_squares(self) -> Tensor:
        return _squares(self.left)

    @functools.cached_property
    def _right_squares(self) -> Tensor:
        return self._left_squares if self.right is self.left else _squares(self.right)
