"""What measures read from a fitted model: its torch module, its linear map, the ball of functions that its norm spans."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shatterlab.core import Examples, Fit, Kernel
from shatterlab.core.errors import NotApplicable
from shatterlab.theory.rademacher import Complexity, linear_ball, rkhs_ball

_ROWS = 4096  # examples prepared at a time


def network(fit: Fit, owner: str) -> nn.Module:
    """The fitted torch module.

    Raises:
        NotApplicable: the fitted model is no torch module, or has nothing to train.
    """
    if not isinstance(fit.model, nn.Module):
        raise NotApplicable(f"{owner}: a torch module is required, got {type(fit.model).__name__}")
    if not any(value.requires_grad for value in fit.model.parameters()):
        raise NotApplicable(f"{owner}: trainable parameters are required, {type(fit.model).__name__} has none")
    return fit.model


@contextlib.contextmanager
def evaluated(model: nn.Module) -> Iterator[nn.Module]:
    """The model in evaluation mode; afterwards every module returns to its former mode."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield model
    finally:
        for module, mode in modes.items():
            module.training = mode


def device_of(model: nn.Module) -> torch.device:
    """The device of its parameters."""
    return next(model.parameters()).device


def without_preparation(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The input layers without parameters that a sequential model begins with, and the rest."""
    if not isinstance(model, nn.Sequential):
        return nn.Identity(), model
    layers = list(model)
    weightless = [not any(True for _ in layer.parameters()) for layer in layers]
    start = weightless.index(False) if False in weightless else 0
    return nn.Sequential(*layers[:start]), nn.Sequential(*layers[start:])


def refused(model: nn.Module, name: str, owner: str, required: str) -> NotApplicable:
    """The reason for an empty cell: it names the layer that is not of the required kind."""
    return NotApplicable(f"{owner}: {required} are required, got {type(model.get_submodule(name)).__name__} at {name or 'the top'}")


def linear_map(fit: Fit, train: Examples, owner: str) -> tuple[Float[Tensor, "n d"], Float[Tensor, "k d"], str]:
    """The prepared inputs X and the map W of a model that is W x, both in float64, and the name of its weights.

    Raises:
        NotApplicable: the fitted model is of another kind, or has a bias.
    """
    import torch

    model = fit.model
    known = isinstance(model, nn.Sequential) and len(model) == 2
    layers = [layer for layer in model[1].modules() if not isinstance(layer, nn.Sequential | nn.Flatten)] if known else []
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear) or layers[0].bias is not None:
        raise NotApplicable(f"{owner}: a linear map without bias is required, got {type(model).__name__} of another kind")
    with torch.no_grad():
        device = layers[0].weight.device
        rows = torch.cat([model[0](batch.to(device)).flatten(1).cpu().double() for batch in train.inputs.split(_ROWS)])
    name = next(name for name, value in model.named_parameters() if value is layers[0].weight)
    return rows, layers[0].weight.detach().cpu().double(), name


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
    """The ball of functions whose norm is at most that of a fitted linear model or kernel system; a bias is the weight of a further input, 1.

    Raises:
        NotApplicable: the fitted model is neither, or it is 0.
    """
    functions = _of_kernel(fit, train) or _of_layer(fit, train)
    if functions is None:
        raise NotApplicable(f"{owner}: a linear model or a kernel expansion is required, got {type(fit.model).__name__}")
    if not (functions.radius > 0 and math.isfinite(functions.radius)):
        raise NotApplicable(f"{owner}: a finite norm above 0 is required, got {functions.radius:g}")
    return functions


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
    layers = [layer for layer in rest.modules() if not isinstance(layer, nn.Sequential | nn.Flatten | nn.Identity)]
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear):
        return None
    weights = layers[0].weight.detach().double().cpu()
    with evaluated(fit.model), torch.no_grad():
        rows = torch.cat([first(batch.to(device_of(fit.model)).clone()).flatten(1).double().cpu() for batch in train.inputs.split(2048)])
    if layers[0].bias is not None:
        weights = torch.column_stack([weights, layers[0].bias.detach().double().cpu()])
        rows = torch.column_stack([rows, torch.ones(len(rows), dtype=torch.float64)])
    return Ball(weights.norm(dim=1).max().item(), rows.norm(dim=1).max().item(), rows=rows)
