"""Margins, of examples and of a support vector machine."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable


@dataclass(frozen=True)
class Margins(Measure):
    """The margin of an example is the score of its label minus the highest other score: f_y(x) - max_{j != y} f_j(x).

    All margins are positive exactly where the model interpolates without ties.

    Returns:
        `minimum`, `lower_quartile`, `median`, and `margins`, an array of all n in the order of the sample.

    Source:
        Bartlett, Foster, Telgarsky 2017, section 1 (without their normalization).
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        scores = torch.cat([fit.scores(inputs).float() for inputs in train.inputs.split(2048)])
        label = train.labels[:, None]
        other = scores.scatter(1, label, -torch.inf).amax(1)
        margins = scores.gather(1, label).squeeze(1) - other
        lower, median = torch.quantile(margins.double(), torch.tensor([0.25, 0.5], dtype=torch.float64)).tolist()
        return {"minimum": margins.min().item(), "lower_quartile": lower, "median": median, "margins": margins.numpy()}


@dataclass(frozen=True)
class MaximumMargin(Measure):
    """The geometric margin 1 / |w| of a fitted support vector machine in its kernel's space, and the share of support vectors.

    The machine minimizes |w|^2 / 2 + C sum_i max(0, 1 - y_i f(x_i)), f(x) = <w, phi(x)> + b, by w = sum_i y_i alpha_i phi(x_i), 0 <= alpha_i <= C: |w|^2 =
    sum_i y_i alpha_i (f(x_i) - b) needs no kernel matrix. `SVC` trains one machine for each pair of its k classes; an example belongs to k - 1 pairs.

    Returns:
        `support`, the share of examples that support some pair; `support_per_pair`, mean over pairs of the share of the pair's examples that support it;
        `smallest_margin` and `mean_margin` over pairs; `at_bound`, the share of the alpha > 0 that reach C (0: the margin is hard); `deviation`, the largest |y
        f(x) - 1| over support vectors below C. Arrays over the pairs (0, 1), (0, 2) .. (k - 2, k - 1): `margins`, `supports`.

    Raises:
        NotApplicable: the fitted model is no `sklearn.svm.SVC`.

    Source:
        Boser, Guyon, Vapnik 1992; Cortes, Vapnik 1995 (C).

    Example:
        >>> import torch
        >>> from sklearn.svm import SVC
        >>> train = Examples(torch.tensor([[0.0], [1.0], [3.0], [9.0]]), torch.tensor([0, 0, 1, 1]), 2)
        >>> machine = SVC(C=1e6, kernel="linear").fit(train.inputs.numpy(), train.labels.numpy())
        >>> columns = MaximumMargin().of(Fit(lambda x: x, "values", machine), train)
        >>> columns["support"], round(columns["smallest_margin"], 6)  # 1 and 3, with a margin of half-width 1 between
        (0.5, 1.0)
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        from sklearn.svm import SVC

        model = fit.model
        if not isinstance(model, SVC):
            required = f"MaximumMargin: a support vector machine is required, got {type(model).__name__}"
            raise NotApplicable(f'{required}. Fit Estimator("sklearn.svm:SVC")')
        rows = train.inputs.flatten(1).numpy()[model.support_]
        per_class = model.n_support_
        owners = np.repeat(np.arange(len(per_class)), per_class)
        values = _values(model, rows)
        bounds = model.C * model.class_weight_[owners]
        sizes = np.bincount(train.labels.numpy(), minlength=train.classes)[model.classes_]
        pairs = [_Pair.of(model, owners, values, bounds, pair, i) for i, pair in enumerate(itertools.combinations(range(len(per_class)), 2))]
        margins = np.array([pair.margin for pair in pairs])
        supports = np.array([pair.count / sizes[list(pair.classes)].sum() for pair in pairs])
        return {
            "support": len(model.support_) / len(train),
            "support_per_pair": float(supports.mean()),
            "smallest_margin": float(margins.min()),
            "mean_margin": float(margins.mean()),
            "at_bound": sum(pair.bound for pair in pairs) / max(1, sum(pair.count for pair in pairs)),
            "deviation": max(pair.deviation for pair in pairs),
            "margins": margins,
            "supports": supports,
        }


@dataclass(frozen=True)
class _Pair:
    classes: tuple[int, int]
    margin: float
    count: int
    bound: int
    deviation: float

    @classmethod
    def of(cls, model: Any, owners: Any, values: Any, bounds: Any, pair: tuple[int, int], column: int) -> _Pair:
        """Reads one pair: in `dual_coef_`, a support vector of class c has its coefficient against c' > c in row c' - 1, against c' < c in row c'."""
        first, second = pair
        coefficients = np.where(owners == first, model.dual_coef_[second - 1], np.where(owners == second, model.dual_coef_[first], 0.0))
        scores = values[:, column]
        squared = float(coefficients @ (scores - model.intercept_[column]))
        margin = squared**-0.5 if squared > 0 else float("inf")
        support = coefficients != 0
        full = support & (np.abs(coefficients) >= bounds * (1 - 1e-9))  # the solver writes C itself; the weights of classes round
        free = support & ~full
        deviation = np.abs(np.sign(coefficients) * scores - 1)[free]
        return cls(pair, margin, int(support.sum()), int(full.sum()), float(deviation.max(initial=0.0)))


def _values(model: Any, rows: Any) -> Any:
    every_pair = copy.copy(model).set_params(decision_function_shape="ovo", break_ties=False)
    return every_pair.decision_function(rows).reshape(len(rows), -1)
