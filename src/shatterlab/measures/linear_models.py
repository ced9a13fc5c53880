"""Linear models of section 5: distance to the minimum-norm solution, curvature of a smooth loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from shatterlab.core import Examples, Fit, Measure
from shatterlab.measures._fitted import linear_map


@dataclass(frozen=True)
class DistanceToMinimumNorm(Measure):
    """|W - W*| / |W*|, where W* = X^+ Y is the minimum-norm least-squares solution, with one-hot Y.

    Descent on squared loss from 0 goes to W*; a start outside the span of the inputs keeps its part orthogonal to them. It costs 20 n d min(n, d).

    Returns:
        `distance`; its parts `inside` and `outside` the span of the (prepared) inputs, all relative to |W*|; `outside_moved`, how far the orthogonal part is
        from that of the initial weights, likewise (None without these); `norm` and `minimum_norm`.

    Raises:
        NotApplicable: the model is no linear map without bias.

    Source:
        Zhang et al. 2017, section 5.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        rows, weights, name = linear_map(fit, train, self.kind)
        targets = functional.one_hot(train.labels, train.classes).double()
        left, values, right = torch.linalg.svd(rows, full_matrices=False)
        kept = values > max(rows.shape) * torch.finfo(values.dtype).eps * values[0]
        basis = right[kept]
        least = (targets.T @ left[:, kept] / values[kept]) @ basis
        scale = least.norm().clamp(min=torch.finfo(least.dtype).tiny)

        def outside(w: torch.Tensor) -> torch.Tensor:
            rest: torch.Tensor = w - w @ basis.T @ basis
            return rest

        start = None if fit.initial is None else fit.initial[name].cpu().double()
        moved = None if start is None else (outside(weights - start).norm() / scale).item()
        inside = ((weights - least) @ basis.T).norm()
        return {
            "distance": ((weights - least).norm() / scale).item(),
            "inside": (inside / scale).item(),
            "outside": (outside(weights).norm() / scale).item(),
            "outside_moved": moved,
            "norm": weights.norm().item(),
            "minimum_norm": least.norm().item(),
        }


@dataclass(frozen=True)
class LogCoshCurvature(Measure):
    """The Hessian (1/n) X' diag(beta) X of the mean of log cosh(w'x - y), a smooth loss with a unique minimum at w'x = y.

    beta_i = 1 / cosh^2(w'x_i - y_i) is 1 wherever w interpolates: every interpolant has the same Hessian, so curvature cannot tell good from bad ones. Each
    class has its one-hot column and its Hessian, by an n x n or d x d matrix, the smaller one.

    Returns:
        `trace` and `largest` (eigenvalue), means over classes; `zeros_per_class`, d - rank, the least over classes (below max(n, d) eps of the largest counts
        as 0); `smallest_factor`, the least beta; `eigenvalues`, an array of all k x d, largest first.

    Raises:
        NotApplicable: the model is no linear map without bias.

    Source:
        Zhang et al. 2017, section 5 (the remark on the Hessian).
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        rows, weights, _ = linear_map(fit, train, self.kind)
        n, d = rows.shape
        gaps = rows @ weights.T - functional.one_hot(train.labels, train.classes)
        factors = torch.cosh(gaps.clamp(-300, 300)).pow(-2)  # beyond, cosh overflows and beta is below 1e-260
        spectra = []
        for beta in factors.T:
            scaled = rows * beta.sqrt()[:, None] / n**0.5
            spectra.append(torch.linalg.eigvalsh(scaled @ scaled.T if n <= d else scaled.T @ scaled).flip(0))
        eigenvalues = torch.stack(spectra).clamp(min=0)
        positive = eigenvalues > max(n, d) * torch.finfo(eigenvalues.dtype).eps * eigenvalues[:, :1]
        return {
            "trace": eigenvalues.sum(1).mean().item(),
            "largest": eigenvalues[:, 0].mean().item(),
            "zeros_per_class": d - int(positive.sum(1).max()),
            "smallest_factor": factors.min().item(),
            "eigenvalues": functional.pad(eigenvalues.where(positive, 0), (0, d - eigenvalues.shape[1])).numpy(),
        }
