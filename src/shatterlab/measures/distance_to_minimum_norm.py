"""How far a linear model is from the interpolant of least norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from shatterlab.core import Examples, Fit, Measure
from shatterlab.measures._linear import linear_map


@dataclass(frozen=True)
class DistanceToMinimumNorm(Measure):
    """|W - W*| / |W*|, where W* = X^+ Y is the least-squares solution of least norm, with one-hot Y.

    Gradients of a linear model are combinations of the inputs. So descent on squared loss from 0 goes to W*, and a start outside the span of
    the inputs keeps its part orthogonal to them. W* comes from a singular value decomposition, which costs about 20 n d min(n, d).

    Returns:
        `distance`; its parts `inside` and `outside` the span of the (prepared) inputs, distance^2 = inside^2 + outside^2, all relative
        to |W*|; `outside_moved`, how far the orthogonal part is from that of the initial weights, on the same scale (None without initial
        weights); `norm` and `minimum_norm`.

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
