"""What theory says about the class of a model: VC dimension, margin bound, stability."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from shatterlab.core import Examples, Fit, Kernel, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.core.losses import evaluate
from shatterlab.measures._fitted import ball, device_of, evaluated, without_preparation
from shatterlab.measures.margins import Margins
from shatterlab.theory.stability import convex_descent, kernel_ridge, nonconvex_descent
from shatterlab.theory.vc import fat_shattering, linear_dimension, relu_dimension, vc_bound

_UNLIMITED = ("DecisionTreeClassifier", "ExtraTreeClassifier", "RandomForestClassifier", "ExtraTreesClassifier", "KNeighborsClassifier")
_KEPT = (nn.ReLU, nn.Flatten, nn.Identity, nn.Dropout)
_QUANTILES = np.linspace(0, 0.99, 100)


@dataclass(frozen=True)
class VCBound(Measure):
    """The VC dimension of a model's class of functions, one class against the rest, and the bound on the error that follows from it.

    Exact for linear classifiers (d + 1; d through 0); an upper bound for fully connected ReLU nets; infinite for full-grown trees, forests of such, one nearest
    neighbour and systems of a strictly positive definite kernel. The bound holds for one score against a threshold; one for k classes is no smaller.

    Args:
        delta: the bound fails with at most this probability, in (0, 1).

    Returns:
        `dimension`, `upper_bound` (1 where it is only an upper bound), `per_example` (over n), `order` (W L log2 W, of nets), `bound`, `vacuous` (1: >= 1/2).

    Raises:
        NotApplicable: no formula is known for this model; the layer or kind is named.

    Source:
        Vapnik, Chervonenkis 1971; Cover 1965; Bartlett, Harvey, Liaw, Mehrabian 2019, theorem 7.
    """

    delta: float = 0.05

    def validate(self) -> None:
        self.require(0 < self.delta < 1, "delta is a probability in (0, 1)", self.delta)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        dimension, upper, order = self._dimension(fit, train)
        with evaluated(fit.model) if isinstance(fit.model, nn.Module) else contextlib.nullcontext():
            _, accuracy = evaluate(fit.scores, train, fit.output)
        result = vc_bound(1 - accuracy, dimension, len(train), self.delta)
        columns = {"dimension": dimension, "upper_bound": int(upper), "per_example": dimension / len(train), "order": order}
        return columns | {"bound": result.bound, "vacuous": int(result.vacuous)}

    def _dimension(self, fit: Fit, train: Examples) -> tuple[float, bool, float | None]:
        model = fit.model
        if isinstance(model, nn.Module):
            widths, bias = self._widths(model, train)
            if len(widths) == 2:
                return float(linear_dimension(widths[0], bias)), False, None
            bounds = relu_dimension([*widths[:-1], 1])
            return bounds.upper, True, bounds.order
        kernel = getattr(model, "kernel", None)
        if isinstance(getattr(model, "weights", None), torch.Tensor) and type(kernel).__name__ in ("Gaussian", "Laplacian"):
            return math.inf, False, None
        if type(model).__name__ in _UNLIMITED and _unrestricted(model):
            return math.inf, False, None
        raise NotApplicable(f"{self.kind}: a model whose dimension is known is required, got {type(model).__name__}")

    def _widths(self, model: nn.Module, train: Examples) -> tuple[list[int], bool]:
        first, rest = without_preparation(model)
        named = [(name, layer) for name, layer in rest.named_modules() if not isinstance(layer, nn.Sequential)]
        odd = [(name, layer) for name, layer in named if not isinstance(layer, (nn.Linear, *_KEPT))]
        if odd or not isinstance(rest, nn.Sequential):
            name, layer = odd[0] if odd else ("the top", rest)
            raise NotApplicable(f"{self.kind}: a chain of linear layers and ReLUs is required, got {type(layer).__name__} at {name or 'the top'}")
        layers = [layer for _, layer in named if isinstance(layer, nn.Linear)]
        relus = sum(isinstance(layer, nn.ReLU) for _, layer in named)
        if not layers or relus != len(layers) - 1:
            raise NotApplicable(f"{self.kind}: one ReLU between every two linear layers is required, got {len(layers)} layers and {relus} ReLUs")
        with evaluated(model), torch.no_grad():
            d = first(train.inputs[:1].to(device_of(model)).clone()).flatten(1).shape[1]
        return [d, *(layer.out_features for layer in layers)], all(layer.bias is not None for layer in layers)


def _unrestricted(model: Any) -> bool:
    free = {"max_depth": None, "max_leaf_nodes": None, "min_samples_leaf": 1, "min_samples_split": 2, "ccp_alpha": 0.0, "n_neighbors": 1, "bootstrap": False}
    options = model.get_params(deep=False)
    return all(options[name] == value for name, value in free.items() if name in options)


@dataclass(frozen=True)
class MarginBound(Measure):
    """The Rademacher complexity of the ball of functions whose norm is at most the fitted one's, and the margin bound that follows from it.

    True error <= (share of training margins below g) + 4 k R_S / g + 3 sqrt(ln(2/delta) / 2n). The ball (of the largest norm of a class) and g (the quantile of
    margins with the least bound) depend on the sample, so a valid bound is larger still.

    Args:
        draws: sign vectors for the expectation in R_S, >= 1.
        delta: in (0, 1).

    Returns:
        `radius` and `reach` (the ball's norm, and the largest of an input), `complexity` (R_S) with its ends `low` and `high` (missed with probability 1e-6 at
        most), `margin` (g), `fat_shattering` ((radius reach / g)^2 rounded down), `bound`, `vacuous` (1 where guessing is as good).

    Raises:
        NotApplicable: the model is neither linear nor a kernel expansion, or no training margin is positive.

    Source:
        Bartlett, Mendelson 2002, lemma 22; Mohri, Rostamizadeh, Talwalkar 2018, theorems 9.2 and 5.8; Bartlett, Shawe-Taylor 1999 (fat-shattering).
    """

    draws: int = 200
    delta: float = 0.05

    def validate(self) -> None:
        self.require(self.draws >= 1, "draws is a whole number >= 1", self.draws)
        self.require(0 < self.delta < 1, "delta is a probability in (0, 1)", self.delta)

    @classmethod
    def specimens(cls) -> tuple[MarginBound, ...]:
        return (cls(draws=20),)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        functions = ball(fit, train, self.kind)
        with evaluated(fit.model) if isinstance(fit.model, nn.Module) else contextlib.nullcontext():
            margins = Margins().of(fit, train)["margins"].astype(np.float64)
        complexity = functions.complexity(self.draws)
        candidates = [g for g in np.unique(np.quantile(margins, _QUANTILES)) if g > 0]
        if not candidates:
            raise NotApplicable(f"{self.kind}: a positive training margin is required, the largest of the lower 99 % is {np.quantile(margins, 0.99):.3g}")
        rest = 3 * math.sqrt(math.log(2 / self.delta) / (2 * len(train)))
        bound, margin = min((float((margins < g).mean()) + 4 * train.classes * complexity.value / g + rest, float(g)) for g in candidates)
        columns = {
            "radius": functions.radius,
            "reach": functions.reach,
            "complexity": complexity.value,
            "low": complexity.low,
            "high": complexity.high,
            "margin": margin,
        }
        dimension = fat_shattering(functions.radius, functions.reach, margin)
        return columns | {"fat_shattering": float(dimension), "bound": bound, "vacuous": int(bound >= 1 - 1 / train.classes)}


@dataclass(frozen=True)
class StabilityBound(Measure):
    """An upper bound on uniform stability of gradient descent on a linear model, or of kernel ridge regression; for a ReLU net there is none.

    Descent on cross-entropy of linear scores, inputs of norm at most R, L = sqrt(2) R, beta = R^2 / 2, steps a_t <= 2 / beta: (2 L^2 / n) sum a_t. Ridge
    regression with l = lambda / n, k(x, x) <= kappa^2 and s = 2 (1 + kappa / sqrt(l)): s^2 kappa^2 / (l n).

    Args:
        lr: the first step size of the descent, > 0.
        decay: factor on the step every `decay_steps` steps, in (0, 1].
        decay_steps: >= 1.
        momentum: of the descent, >= 0; the theorem is for 0.
        ridge: lambda of the kernel system, >= 0.

    Returns:
        `bound` (in the unit of the loss). Of descent: `lipschitz`, `smoothness`, `steps`, `sum_of_steps`. Of ridge: `penalty` (l), `bound_at_2n_same_lambda`
        and `bound_at_2n_same_penalty`.

    Raises:
        NotApplicable: the theorem's conditions do not hold; the text says which.

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
            raise NotApplicable(f"{self.kind}: a ridge above 0 is required, a minimum-norm interpolant has no bound")
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
