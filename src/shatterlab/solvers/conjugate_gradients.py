"""Preconditioned conjugate gradients on several right-hand sides at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]
_PATIENCE = 30  # steps without a residual below the best so far
_GAIN = 0.9  # factor that counts as below


@dataclass(frozen=True)
class Solution:
    """Result of conjugate gradients.

    Args:
        weights: n x k, with the least residual.
        residual: their relative residual by the recurrence, |r| / |b|.
        steps: number of products.
    """

    weights: Tensor
    residual: float
    steps: int


def conjugate_gradients(product: Map, precondition: Map, targets: Tensor, tolerance: float, steps: int, report: Callable[[int, float], None]) -> Solution:
    """Solves A W = targets for a symmetric positive semidefinite A that is known by its products.

    Each column has its own step length. The preconditioner may change a little from step to step: new directions are made conjugate to the last one by the
    residual's change. It ends at the tolerance, at the number of steps, or where progress stops, and returns the best weights.

    Args:
        product: W -> A W.
        precondition: R -> about A^-1 R, symmetric positive definite.
        targets: n x k, float64.
        tolerance: on |targets - A W| / |targets|, Frobenius norms.
        steps: products, at most.
        report: called with the step and the relative residual after each step.

    Source:
        Hestenes, Stiefel 1952; flexible form: Notay 2000.
    """
    weights, residuals, size = torch.zeros_like(targets), targets.clone(), targets.norm().item()
    best, least, best_step, step = weights, 1.0, 0, 0
    directions, before, previous = None, residuals, None
    while size and step < steps and least > tolerance and step - best_step < _PATIENCE:
        preconditioned = precondition(residuals)
        progress = (preconditioned * residuals).sum(0)
        if directions is None or previous is None:
            directions = preconditioned
        else:
            directions = preconditioned + directions * _ratio((preconditioned * (residuals - before)).sum(0), previous)
        image = product(directions)
        lengths = _ratio((directions * residuals).sum(0), (directions * image).sum(0).clamp_min(0))
        weights, before, previous = weights + lengths * directions, residuals, progress
        residuals = residuals - lengths * image
        step += 1
        residual = residuals.norm().item() / size
        report(step, residual)
        if not residual < torch.inf:
            break
        if residual < least:
            best_step = step if residual < _GAIN * least or best_step == 0 else best_step
            best, least = weights, residual
    return Solution(best, least, step)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    return torch.where(below > 0, above / torch.where(below > 0, below, torch.ones_like(below)), torch.zeros_like(above))
