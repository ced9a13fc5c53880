"""Squared Euclidean distances and angles that stay accurate where the usual expansion cancels."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from shatterlab.kernels import _counts

_CLOSE = 0.01  # of |x|^2 + |z|^2: below it the expansion has lost more than two of its digits
_PAIRS = 2**22  # numbers of the differences held at a time


def squared_distances(x: Float[Tensor, "n d"], z: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """|x_i - z_j|^2 by one matrix product, close pairs again by their differences; of 8-bit inputs exactly.

    |x|^2 + |z|^2 - 2 x'z is a matrix product, but its rounding error is a few eps (|x|^2 + |z|^2), however small the
    result: so (1) both are first moved to lie around 0, which changes no distance; (2) pairs closer than a hundredth
    of |x|^2 + |z|^2, the only ones whose result could be wrong in all digits or below 0, are computed as
    sum (x - z)^2. What is left has a relative error of at most some hundred eps, nothing is clamped, and equal inputs are at
    distance 0 exactly. Rows of values k / 255 are taken as these fractions; pairs of them have no error but that of the result.
    """
    left, right = _counts.counted(x), _counts.counted(z)
    found = None if left.all() and right.all() else _expanded(x, z)
    if left.any() and right.any():
        exact = _counts.squared_distances(_counts.counts(x[left]), _counts.counts(z[right])).to(x.dtype).div_(_counts.LEVELS**2)
        if found is None:
            return exact
        found[left.nonzero(), right.nonzero().T] = exact
    assert found is not None
    return found


def _expanded(x: Tensor, z: Tensor) -> Tensor:
    centre = (x.mean(0) + z.mean(0)) / 2
    x, z = x - centre, z - centre
    sizes = x.square().sum(1)[:, None] + z.square().sum(1)[None, :]
    found = torch.addmm(sizes, x, z.T, alpha=-2)
    close = (found < _CLOSE * sizes).logical_or_(sizes == 0).nonzero()
    for some in close.split(max(1, _PAIRS // max(1, x.shape[1]))):
        rows, columns = some.unbind(1)
        found[rows, columns] = (x[rows] - z[columns]).square().sum(1)
    return found


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
