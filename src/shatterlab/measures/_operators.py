"""One affine layer as a linear operator between inputs and outputs of their real size, and its norms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call

_DENSE = 512  # up to this many rows or columns all eigenvalues of A A' are quick
_TOLERANCE = 1e-4  # of the residual: the eigenvalue is then known to about its square


@dataclass(frozen=True)
class Affine:
    """What a layer does to an input but for its bias: z -> A z, all positions of a convolution with its stride and zero padding.

    Args:
        name: of the layer in the model.
        layer: a linear layer, a convolution, or batch norm (then the weight is its scale a channel).
        shape: of one input as the layer meets it.
        weight: as trained, with a batch norm that follows at once folded in; float64.
        initial: the same at initialization, where that is known.
    """

    name: str
    layer: nn.Module
    shape: tuple[int, ...]
    weight: Tensor
    initial: Tensor | None = None

    def scaled(self, scale: Tensor, initial: Tensor | None) -> Affine:
        """The layer followed by a factor an output channel."""
        start = None if self.initial is None or initial is None else _rows(self.initial, initial)
        return replace(self, weight=_rows(self.weight, scale), initial=start)

    def mapped(self, given: Tensor, weight: Tensor) -> Tensor:
        """A z for a batch of inputs, with another weight of the same shape."""
        if weight.ndim == 1:
            return given * weight.view(-1, *[1] * (given.ndim - 2))
        parameters = {"weight": weight}
        bias = getattr(self.layer, "bias", None)
        if bias is not None:
            parameters["bias"] = torch.zeros_like(bias, dtype=weight.dtype)
        made: Tensor = functional_call(self.layer, parameters, (given,))
        return made

    def is_linear(self, given: Tensor, made: Tensor) -> bool:
        """Whether a layer of a type of its own is what its weight and bias say: made = A given + bias, and A doubles with the weight."""
        weight, given = self.weight.to(made.dtype), given.detach()
        bias = getattr(self.layer, "bias", None)
        once, twice = self.mapped(given, weight), self.mapped(given, 2 * weight)
        expected = once if bias is None else once + bias.detach().view(-1, *[1] * (made.ndim - 2))
        room = 1e-3 * float(made.abs().max())
        return torch.allclose(expected, made, rtol=1e-3, atol=room) and torch.allclose(twice, 2 * once, rtol=1e-3, atol=room)

    def row_norms(self, weight: Tensor) -> Tensor:
        """The Euclidean norm of each row of A, one for each coordinate of the output: one pass with squared weights."""
        ones = torch.ones((1, *self.shape), dtype=weight.dtype, device=weight.device)
        return self.mapped(ones, weight.square()).flatten().clamp(min=0).sqrt()

    def frobenius_norm(self) -> float:
        """The root of the sum of squares of all entries of A."""
        return float(self.row_norms(self.weight).norm())

    def spectral_norm(self) -> float:
        """The largest singular value of A: exact of small layers, else by Lanczos iteration on A'A."""
        if self.weight.ndim == 1:
            return float(self.weight.abs().max())
        if isinstance(self.layer, nn.Linear) and min(self.weight.shape) <= _DENSE:
            wide = self.weight if self.weight.shape[0] <= self.weight.shape[1] else self.weight.T
            return float(torch.linalg.eigvalsh(wide @ wide.T)[-1].clamp(min=0).sqrt())  # the largest is exact to rounding
        size = prod(self.shape)
        if size <= 64:
            columns = self.mapped(torch.eye(size, dtype=self.weight.dtype, device=self.weight.device).view(size, *self.shape), self.weight)
            return float(torch.linalg.matrix_norm(columns.flatten(1), 2))
        return self._lanczos(size)

    def _lanczos(self, size: int) -> float:
        if not self.weight.any():
            return 0.0

        weight = self.weight.float()  # of a convolution twice as quick, and its rounding is far below the tolerance

        def squared(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            given = torch.from_numpy(np.asarray(vector, dtype=np.float32).reshape(1, *self.shape)).to(self.weight.device).requires_grad_()
            with torch.enable_grad():
                made = self.mapped(given, weight)
                [turned] = torch.autograd.grad(made, given, made.detach())  # A' (A z)
            found: np.ndarray[Any, Any] = turned.double().cpu().numpy().ravel()
            return found

        operator = LinearOperator((size, size), matvec=squared, dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(size)
        [largest] = eigsh(operator, k=1, which="LM", v0=start, tol=_TOLERANCE, return_eigenvectors=False)
        return sqrt(max(float(largest), 0.0))


def _rows(weight: Tensor, scale: Tensor) -> Tensor:
    return weight * scale.to(weight).view(-1, *[1] * (weight.ndim - 1))
