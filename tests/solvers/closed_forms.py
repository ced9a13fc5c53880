"""What is known of a kernel system without solving it again: its whole ridge path, and what replacing one example does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples, Kernel
from shatterlab.core.errors import InvalidPart


@dataclass(frozen=True)
class RidgePath:
    """A Gram matrix by its eigenvalues and eigenvectors: one decomposition, then any ridge costs n^2 k.

    Args:
        values: eigenvalues, ascending, shape (n,).
        vectors: eigenvectors in columns, n x n.

    Source:
        Golub, Heath, Wahba 1979 for leave-one-out along the path.

    Example:
        >>> path = RidgePath.of(torch.tensor([[2.0, 0.0], [0.0, 6.0]]))
        >>> path.weights(torch.tensor([[1.0], [1.0]]), ridge=2.0).flatten().tolist()  # 1 / (2 + 2) and 1 / (6 + 2)
        [0.25, 0.125]
        >>> path.degrees_of_freedom(2.0)  # 2 / 4 + 6 / 8
        1.25
    """

    values: Tensor
    vectors: Tensor

    @classmethod
    def of(cls, gram: Tensor) -> RidgePath:
        """The path of a symmetric positive semidefinite matrix, decomposed in float64."""
        values, vectors = torch.linalg.eigh(gram.double())
        return cls(values, vectors)

    def weights(self, targets: Tensor, ridge: float) -> Tensor:
        """(K + ridge I)^-1 Y, n x k.

        Raises:
            InvalidPart: the matrix is singular at this ridge.
        """
        return self.vectors @ ((self.vectors.T @ targets.double()) * self._inverse(ridge)[:, None])

    def squared_norm(self, targets: Tensor, ridge: float) -> float:
        """W'K W summed over classes: the squared RKHS norm of the fitted functions."""
        turned = (self.vectors.T @ targets.double()) * self._inverse(ridge)[:, None]
        return (turned.square() * self.values[:, None]).sum().item()

    def left_out(self, targets: Tensor, ridge: float) -> Tensor:
        """Leave-one-out predictions, n x k: Y - W_i / [(K + ridge I)^-1]_ii."""
        diagonal = self.vectors.square() @ self._inverse(ridge)
        return targets.double() - self.weights(targets, ridge) / diagonal[:, None]

    def degrees_of_freedom(self, ridge: float) -> float:
        """Tr K (K + ridge I)^-1, in 0 .. n."""
        return (self.values * self._inverse(ridge)).sum().item()

    def _inverse(self, ridge: float) -> Tensor:
        shifted = self.values + ridge
        least = len(shifted) * torch.finfo(shifted.dtype).eps * shifted[-1]
        if not shifted[0] > least:
            raise InvalidPart(f"RidgePath: eigenvalues above {least.item():.2g} are required, the least is {shifted[0].item():.2g}. Use a larger ridge.")
        return 1 / shifted


def replace_one(kernel: Kernel, train: Examples, twins: Examples, inputs: Tensor, ridge: float) -> Tensor:
    """How far the scores of some inputs move when example i is replaced by its twin, for every i; n x m x k.

    Scores after minus before. One inverse in float64 for all n replacements: example i leaves by a rank-one
    downdate, its twin enters by a Schur complement. Uniform stability is the largest absolute value over everything.

    Args:
        kernel: fitted.
        train: the sample.
        twins: one other example for each.
        inputs: m inputs to be scored.
        ridge: lambda >= 0.

    Raises:
        InvalidPart: the matrix is singular.

    Source:
        Bousquet, Elisseeff 2002 (the quantity).
    """
    x, new, at = (each.double() for each in (train.inputs, twins.inputs, inputs))
    path = RidgePath.of(kernel.gram(x, x))
    inverse = (path.vectors * path._inverse(ridge)) @ path.vectors.T
    targets, fresh = (functional.one_hot(each.labels, train.classes).double() for each in (train, twins))
    weights, diagonal = inverse @ targets, inverse.diagonal()
    cross, seen = kernel.gram(x, new), kernel.gram(at, x)
    solved, reach = inverse @ cross, seen @ inverse
    own = solved.diagonal() / diagonal
    without = -reach.T[:, :, None] * (weights / diagonal[:, None])[:, None, :]
    schur = kernel.diagonal(new) + ridge - (cross * solved).sum(0) + solved.diagonal() * own
    surprise = fresh - cross.T @ weights + own[:, None] * weights
    direction = kernel.gram(at, new) - reach @ cross + reach * own
    return without + direction.T[:, :, None] * (surprise / schur[:, None])[:, None, :]
