"""Gradients and curvature of the training loss: gradient noise, Fisher-Rao norm, the Hessian's largest eigenvalue and trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch.nn import functional

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._training_loss import TrainingLoss, flat, require_examples


@dataclass(frozen=True)
class GradientNoiseScale(Measure):
    """B = tr S / |G|^2: the batch size below which a step follows noise more than the mean gradient G.

    S is the covariance of the gradients of single examples, estimated without bias as b times the variance of the means of batches of b (exact at b = 1).

    Args:
        batch_size: b, >= 1: one pass backward a batch; 1 is exact and slowest.
        seed: of the partition into batches, >= 0.

    Returns:
        `noise_scale` (examples; infinite where G is 0), `trace_of_covariance`, `squared_gradient` (|G|^2 of the full sample).

    Raises:
        NotApplicable: the fitted model is no torch module.

    Source:
        McCandlish et al. 2018, "An empirical model of large-batch training", equation 2.9 (the simple noise scale).
    """

    batch_size: int = 1
    seed: int = 0

    def validate(self) -> None:
        self.require(self.batch_size >= 1, "batch_size is a whole number >= 1", self.batch_size)
        self.require(self.seed >= 0, "seed is a whole number >= 0", self.seed)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind)
        n = len(train)
        batch = min(self.batch_size, -(-n // 2))  # at least two batches
        order = torch.randperm(n, generator=torch.Generator().manual_seed(self.seed)) if batch > 1 else None
        mean = torch.zeros(loss.count, dtype=torch.float64)
        squares, batches = 0.0, 0
        for inputs, labels in loss.batches(batch, order):
            gradient = loss.gradient(inputs, labels)
            squares += len(labels) * float(gradient @ gradient)
            mean += gradient * (len(labels) / n)
            batches += 1
        squared = float(mean @ mean)
        covariance = max(squares - n * squared, 0.0) / (batches - 1) if batches > 1 else 0.0
        return {"noise_scale": covariance / squared if squared else float("inf"), "trace_of_covariance": covariance, "squared_gradient": squared}


@dataclass(frozen=True)
class FisherRao(Measure):
    """sqrt(theta' F theta), with F the Fisher information of the model's own predictions on the training inputs.

    theta' F theta = mean over x of E_y (theta . gradient of loss(x, y))^2, which does not depend on how a function is written. y is drawn from the softmax of
    logits, or Gaussian around values (variance 1/2); of a ReLU net without biases and with L layers the change of the scores along theta is L times the scores.

    Returns:
        `norm`, `squared`, and `empirical` (the root, with the training labels).

    Raises:
        NotApplicable: the fitted model is no torch module, or its scores are probabilities.

    Source:
        Liang, Poggio, Rakhlin, Stokes 2019, "Fisher-Rao metric, geometry, and complexity of neural networks", definition 2 and theorem 3.1.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        if fit.output == "probabilities":
            raise NotApplicable(f"{self.kind}: logits or values are required, this fit gives probabilities")
        loss = TrainingLoss(fit, train, self.kind)
        model = empirical = 0.0
        for inputs, labels in loss.batches():
            scores, change = _along_the_weights(loss, inputs)
            if fit.output == "logits":
                shares = scores.softmax(1)
                centred = change - (shares * change).sum(1, keepdim=True)
                model += float((shares * centred.square()).sum())
                empirical += float(centred.gather(1, labels[:, None]).square().sum())
            else:
                gaps = scores - functional.one_hot(labels, scores.shape[1])
                model += 2 * float(change.square().sum())
                empirical += 4 * float((change * gaps).sum(1).square().sum())
        n = len(train)
        return {"norm": (model / n) ** 0.5, "squared": model / n, "empirical": (empirical / n) ** 0.5}


def _along_the_weights(loss: TrainingLoss, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    held = tuple(value.detach().requires_grad_() for value in loss.parameters)
    with torch.enable_grad():
        scores = loss.scores(held, inputs)
        weights = torch.zeros_like(scores, requires_grad=True)
        slopes = torch.autograd.grad(scores, held, weights, create_graph=True, materialize_grads=True)
        along = sum(((slope * value).sum() for slope, value in zip(slopes, loss.parameters, strict=True)), torch.zeros((), device=scores.device))
        [change] = torch.autograd.grad(along, weights)
    return scores.detach().double(), change.double()


_SMALL = 8  # parameters up to which the whole Hessian is formed


@dataclass(frozen=True)
class HessianTopEigenvalue(Measure):
    """The largest eigenvalue of the Hessian of the mean training loss over all trainable parameters.

    Gradient descent with a step above 2 / eigenvalue leaves the place. It goes to 0 with the cross-entropy: compare fits at equal loss. By Lanczos iteration;
    each product with the Hessian costs about four passes over the examples.

    Args:
        examples: how many training examples, evenly spread, make up the loss, >= 1; None: all.
        tolerance: of the eigenvalue, relative, in (0, 1).
        products: Lanczos restarts, at most, >= 1.

    Returns:
        `largest`, and `residual`, |H v - largest v| / |largest| for the unit vector v.

    Raises:
        NotApplicable: the fitted model is no torch module, or the iteration did not converge.

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

    Noise of small variance s^2 on every parameter raises the loss by s^2 / 2 tr H on average. A probe has variance 2 (|H|_F^2 - sum_i H_ii^2).

    Args:
        probes: sign vectors, >= 2; each costs about four passes over the examples.
        examples: how many training examples, evenly spread, make up the loss, >= 1; None: all.
        seed: of the sign vectors, >= 0.

    Returns:
        `trace`, its `standard_error`, and `mean`, the trace over p: the mean eigenvalue.

    Raises:
        NotApplicable: the fitted model is no torch module.

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
