"""Curvature of the training loss: its largest eigenvalue and its trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._training_loss import TrainingLoss, flat, require_examples

_SMALL = 8  # parameters up to which the whole Hessian is formed


@dataclass(frozen=True)
class HessianTopEigenvalue(Measure):
    """The largest eigenvalue of the Hessian of the mean training loss over all trainable parameters.

    It is the curvature in the direction in which the loss bends most: gradient descent with a step above 2 / eigenvalue leaves
    the place. Where an interpolating net has driven the cross-entropy to 0 the Hessian goes to 0 too, so compare fits at equal loss.
    By Lanczos iteration; each product with the Hessian costs about four passes over the examples.

    Args:
        examples: how many training examples, evenly spread, make up the loss, >= 1; None: all.
        tolerance: of the eigenvalue, relative, in (0, 1).
        products: Lanczos restarts, at most, >= 1.

    Returns:
        `largest`, and `residual`, |H v - largest v| / |largest| for the unit vector v.

    Raises:
        NotApplicable: the fitted model is no torch module, or the iteration did not converge.
        InvalidPart: a field is out of range.

    Source:
        Keskar et al. 2017; Lanczos 1950, as ARPACK implements it.
    """

    examples: int | None = None
    tolerance: float = 1e-3
    products: int = 100

    def validate(self) -> None:
        require_examples(self, self.examples)
        self.require(0 < self.tolerance < 1, "tolerance is in (0, 1)", self.tolerance)
        self.require(self.products >= 1, "products is a whole number >= 1", self.products)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind, self.examples)

        def product(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            image: np.ndarray[Any, Any] = flat(loss.hessian_times(loss.shaped(torch.from_numpy(np.ascontiguousarray(vector).ravel())))).numpy()
            return image

        p = loss.count
        if p <= _SMALL:
            values, vectors = np.linalg.eigh(np.stack([product(row) for row in np.eye(p)]))
        else:
            start = np.random.default_rng(0).standard_normal(p)
            operator = LinearOperator((p, p), matvec=product, dtype=np.float64)
            try:
                values, vectors = eigsh(operator, k=1, which="LA", v0=start, tol=self.tolerance, maxiter=self.products)
            except ArpackNoConvergence as problem:
                required = f"{self.kind}: convergence within {self.products} restarts is required, it was not reached. Raise products"
                raise NotApplicable(required) from problem
        largest, vector = float(values[-1]), vectors[:, -1]
        left = float(np.linalg.norm(product(vector) - largest * vector))
        return {"largest": largest, "residual": left / abs(largest) if largest else 0.0}


@dataclass(frozen=True)
class HessianTrace(Measure):
    """tr H of the mean training loss, estimated without bias by v'Hv for random signs v.

    E v'Hv = tr H, with variance 2 (|H|_F^2 - sum_i H_ii^2) a probe. Noise of small variance s^2 on every parameter raises the loss by
    s^2 / 2 tr H on average: the trace is what flatness means to second order.

    Args:
        probes: sign vectors, >= 2; each costs about four passes over the examples.
        examples: how many training examples, evenly spread, make up the loss, >= 1; None: all.
        seed: of the sign vectors, >= 0.

    Returns:
        `trace`, its `standard_error`, and `mean`, the trace over p: the mean eigenvalue.

    Raises:
        NotApplicable: the fitted model is no torch module.
        InvalidPart: a field is out of range.

    Source:
        Hutchinson 1989, "A stochastic estimator of the trace".
    """

    probes: int = 20
    examples: int | None = None
    seed: int = 0

    def validate(self) -> None:
        self.require(self.probes >= 2, "probes is a whole number >= 2", self.probes)
        self.require(self.seed >= 0, "seed is a whole number >= 0", self.seed)
        require_examples(self, self.examples)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind, self.examples)
        rng = np.random.default_rng(self.seed)
        estimates = []
        for _ in range(self.probes):
            signs = torch.from_numpy(rng.choice([-1.0, 1.0], size=loss.count))
            estimates.append(float(signs @ flat(loss.hessian_times(loss.shaped(signs)))))
        trace = float(np.mean(estimates))
        return {"trace": trace, "standard_error": float(np.std(estimates, ddof=1)) / self.probes**0.5, "mean": trace / loss.count}
