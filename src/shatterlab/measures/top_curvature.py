"""The steepest curvature of the loss where training ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shatterlab.core import Examples, Fit, Measure
from shatterlab.errors import NotApplicable
from shatterlab.evaluation import losses

_CHUNK = 250  # examples differentiated at once
_TOLERANCE = 1e-3  # relative, of the eigenvalue


@dataclass(frozen=True)
class TopCurvature(Measure):
    """The largest eigenvalue of the Hessian of the mean training loss, at the fitted parameters, in evaluation mode.

    Found by Lanczos iteration from products of the Hessian with vectors, each two passes of differentiation, in the model's own
    precision, to a relative 1e-3 or to what float32 gives. Gradient descent of rate lr without momentum is stable in a quadratic where it is
    at most 2 / lr.

    Args:
        examples: how many evenly spaced examples of the training sample to take, >= 1; None takes all.

    Returns:
        `largest`, in units of the loss a squared unit of parameters, and `examples`, how many were taken.

    Source:
        Pearlmutter 1994, "Fast exact multiplication by the Hessian"; Lanczos 1950, in the form of ARPACK (scipy's `eigsh`).
    """

    examples: int | None = 1000

    @classmethod
    def specimens(cls) -> tuple[TopCurvature, ...]:
        return (cls(), cls(20))

    def validate(self) -> None:
        self.require(self.examples is None or self.examples >= 1, "examples is a whole number >= 1 or None", self.examples)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        from scipy.sparse.linalg import LinearOperator, eigsh

        model = fit.model
        if not isinstance(model, nn.Module) or fit.output == "probabilities":
            raise NotApplicable("TopCurvature: a torch module with logits or values is required, this fit has none")
        weights = [value for value in model.parameters() if value.requires_grad]
        if not weights:
            raise NotApplicable("TopCurvature: trainable parameters are required, this model has none")
        count = len(train) if self.examples is None else min(self.examples, len(train))
        some = train.at(torch.from_numpy(np.linspace(0, len(train) - 1, count).astype(int)))
        size = sum(value.numel() for value in weights)

        def product(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            direction = torch.from_numpy(np.asarray(vector, np.float64).ravel()).to(weights[0])
            return hessian_product(model, weights, some, fit.output, direction).double().cpu().numpy()

        if size < 3:  # too few for Lanczos
            dense = np.stack([product(row) for row in np.eye(size)])
            return {"largest": float(np.linalg.eigvalsh((dense + dense.T) / 2)[-1]), "examples": count}
        start = np.random.default_rng(0).standard_normal(size)
        operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
        [largest] = eigsh(operator, k=1, which="LA", tol=_TOLERANCE, v0=start, return_eigenvectors=False)
        return {"largest": float(largest), "examples": count}


def hessian_product(model: nn.Module, weights: list[nn.Parameter], examples: Examples, output: str, direction: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
    """The Hessian of the mean loss times a vector.

    Args:
        model: scores inputs; it is left in the mode it was in.
        weights: the parameters, in the order of the vector's entries.
        examples: over which the loss is averaged.
        output: "logits" or "values".
        direction: the vector.
    """
    mode, device = model.training, direction.device
    model.eval()
    total = torch.zeros_like(direction)
    with torch.enable_grad():
        for start in range(0, len(examples), _CHUNK):
            some = examples.at(slice(start, start + _CHUNK))
            loss = losses(model(some.inputs.to(device)).to(direction.dtype), some.labels.to(device), output).sum() / len(examples)
            gradient = torch.cat([each.flatten() for each in torch.autograd.grad(loss, weights, create_graph=True)])
            parts = torch.autograd.grad(gradient @ direction, weights, allow_unused=True)
            total += torch.cat([torch.zeros_like(one).flatten() if each is None else each.flatten() for one, each in zip(weights, parts, strict=True)])
    model.train(mode)
    return total
