"""The ball of functions that a linear model or a kernel system was chosen from, as wide as its own weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shatterlab.core import Examples, Fit, Kernel
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._fitted import device_of, evaluated
from shatterlab.measures._networks import without_preparation
from shatterlab.theory.rademacher import Complexity, linear_ball, rkhs_ball


@dataclass(frozen=True)
class Ball:
    """x -> <w, phi(x)> with |w| <= radius.

    Args:
        radius: the largest norm of the weights of one class.
        reach: the largest |phi(x)| in the sample.
        rows: phi(x) of the sample, n x d, of a linear model.
        gram: its inner products, n x n, of a kernel system.
    """

    radius: float
    reach: float
    rows: Tensor | None = None
    gram: Tensor | None = None

    def complexity(self, draws: int) -> Complexity:
        """The empirical Rademacher complexity on the sample."""
        if self.gram is not None:
            return rkhs_ball(self.gram.numpy(), self.radius, draws)
        assert self.rows is not None
        return linear_ball(self.rows.numpy(), self.radius, draws)


def ball(fit: Fit, train: Examples, owner: str) -> Ball:
    """The ball of a fitted linear model (a bias counts as the weight of a further input, 1) or kernel system.

    Raises:
        NotApplicable: the fitted model is neither, or it is 0.
    """
    found = _of_kernel(fit, train) or _of_layer(fit, train)
    if found is None:
        raise NotApplicable(f"{owner}: a linear model or a kernel expansion is required, got {type(fit.model).__name__}")
    if not (found.radius > 0 and math.isfinite(found.radius)):
        raise NotApplicable(f"{owner}: a finite norm above 0 is required, got {found.radius:g}")
    return found


def _of_kernel(fit: Fit, train: Examples) -> Ball | None:
    kernel, weights, fitted = (getattr(fit.model, name, None) for name in ("kernel", "weights", "fitted"))
    if not isinstance(kernel, Kernel) or not isinstance(weights, Tensor) or not isinstance(fitted, Tensor):
        return None
    inputs = train.inputs.double()
    squares = (weights.double() * fitted.double()).sum(0).cpu()
    return Ball(squares.max().clamp(min=0).sqrt().item(), kernel.diagonal(inputs).max().sqrt().item(), gram=kernel.gram(inputs, inputs))


def _of_layer(fit: Fit, train: Examples) -> Ball | None:
    if not isinstance(fit.model, nn.Module):
        return None
    first, rest = without_preparation(fit.model)
    layers = [each for each in rest.modules() if not isinstance(each, nn.Sequential | nn.Flatten | nn.Identity)]
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear):
        return None
    weights = layers[0].weight.detach().double().cpu()
    with evaluated(fit.model), torch.no_grad():
        rows = torch.cat([first(few.to(device_of(fit.model)).clone()).flatten(1).double().cpu() for few in train.inputs.split(2048)])
    if layers[0].bias is not None:
        weights = torch.column_stack([weights, layers[0].bias.detach().double().cpu()])
        rows = torch.column_stack([rows, torch.ones(len(rows), dtype=torch.float64)])
    return Ball(weights.norm(dim=1).max().item(), rows.norm(dim=1).max().item(), rows=rows)
