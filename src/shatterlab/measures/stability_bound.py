"""What theory says of how far one example can move a learner."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shatterlab.core import Examples, Fit, Kernel, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._balls import ball
from shatterlab.theory.stability import convex_descent, kernel_ridge, nonconvex_descent


@dataclass(frozen=True)
class StabilityBound(Measure):
    """An upper bound on uniform stability: of gradient descent on a linear model, or of kernel ridge regression; of a ReLU net there is none.

    Linear scores under cross-entropy are convex in the weights, with slopes of at most L = sqrt(2) R and curvature of at most beta = R^2 / 2 for inputs of
    norm at most R: with steps a_t <= 2 / beta and without momentum the loss moves by at most (2 L^2 / n) sum a_t, in the mean over which example is
    replaced. Kernel ridge regression with penalty l = lambda / n and k(x, x) <= kappa^2 moves by at most s^2 kappa^2 / (l n), where s = 2 (1 + kappa /
    sqrt(l)) bounds the slope of the squared error to one-hot labels. In the convention (K + lambda I) alpha = y the same lambda is another l at every n:
    both are told, and what becomes of the bound at twice the sample under either.

    Args:
        lr: the first step of the descent, > 0.
        decay: factor on the step every `decay_steps` steps, in (0, 1].
        decay_steps: >= 1.
        momentum: of the descent, >= 0; the theorem is for 0.
        ridge: lambda of the kernel system, >= 0.

    Returns:
        `bound` (in the unit of the loss). Of descent: `lipschitz`, `smoothness`, `steps`, `sum_of_steps`. Of ridge: `penalty` (l), `bound_at_2n_same_lambda`
        and `bound_at_2n_same_penalty`.

    Raises:
        NotApplicable: the theorem's conditions do not hold; the text says which.
        InvalidPart: a field is out of range.

    Source:
        Hardt, Recht, Singer 2016, theorem 3.8; Bousquet, Elisseeff 2002, theorem 22.
    """

    lr: float = 0.01
    decay: float = 0.95
    decay_steps: int = 391
    momentum: float = 0.0
    ridge: float = 0.0

    def validate(self) -> None:
        self.require(self.lr > 0, "lr is a number > 0", self.lr)
        self.require(0 < self.decay <= 1, "decay is a factor in (0, 1]", self.decay)
        self.require(self.decay_steps >= 1, "decay_steps is a whole number >= 1", self.decay_steps)
        self.require(self.momentum >= 0, "momentum is a number >= 0", self.momentum)
        self.require(self.ridge >= 0, "ridge is a number >= 0", self.ridge)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        if isinstance(getattr(fit.model, "kernel", None), Kernel):
            return self._of_ridge(fit, train)
        steps = fit.facts.get("steps")
        if steps is None:
            raise NotApplicable(f"{self.kind}: gradient descent or kernel ridge regression is required, got {type(fit.model).__name__}")
        return self._of_descent(fit, train, int(str(steps)))

    def _of_descent(self, fit: Fit, train: Examples, steps: int) -> Mapping[str, Any]:
        try:
            reach = ball(fit, train, self.kind).reach
        except NotApplicable:
            return {"bound": nonconvex_descent(None, None, self.lr, steps, len(train))}  # refuses, and says why
        if self.momentum or fit.output != "logits":
            got = f"momentum {self.momentum:g}" if self.momentum else "squared error"
            raise NotApplicable(f"{self.kind}: steps without momentum on the cross-entropy are required, got {got}")
        lipschitz, smoothness = math.sqrt(2) * reach, reach**2 / 2
        taken = [self.lr * self.decay ** (step / self.decay_steps) for step in range(steps)]
        bound = convex_descent(lipschitz, smoothness, taken, len(train))
        return {"bound": bound, "lipschitz": lipschitz, "smoothness": smoothness, "steps": steps, "sum_of_steps": sum(taken)}

    def _of_ridge(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        if self.ridge == 0:
            raise NotApplicable(f"{self.kind}: a ridge above 0 is required, an interpolant of least norm has no bound")
        reach, n = ball(fit, train, self.kind).reach, len(train)

        def at(ridge: float, examples: int) -> tuple[float, float]:
            return kernel_ridge(reach, 2 * (1 + reach / math.sqrt(ridge / examples)), ridge, examples)

        bound, penalty = at(self.ridge, n)
        return {
            "bound": bound,
            "penalty": penalty,
            "bound_at_2n_same_lambda": at(self.ridge, 2 * n)[0],
            "bound_at_2n_same_penalty": at(2 * self.ridge, 2 * n)[0],
        }
