"""Leave-one-out predictions of linear least squares, ridge classifiers and nearest neighbours, without a refit."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples, Fit
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._fitted import linear_map

_ROWS = 2048  # examples scored at a time
_CERTAIN = 1e-9  # 1 - H_ii below which an example lies outside the span of the others
_SAME = 1e-3  # relative distance between the scores of the fit and those of the closed form that rounding explains


def scores_of(fit: Fit, train: Examples) -> Tensor:
    """The scores of all examples; float64, n x k."""
    return torch.cat([fit.scores(batch).double().cpu() for batch in train.inputs.split(_ROWS)])


def left_out(fit: Fit, train: Examples, owner: str) -> Tensor | None:
    """Predictions of each example by the fit on all others, on the scale of one-hot targets; n x k. None where the fit is none of the three.

    Raises:
        NotApplicable: it is one of them, but without a closed form.
    """
    if isinstance(fit.model, KNeighborsClassifier):
        return _neighbours(fit.model, train, owner)
    if isinstance(fit.model, RidgeClassifier):
        return _ridge(fit.model, train, owner)
    try:
        rows, weights, _ = linear_map(fit, train, owner)
    except NotApplicable:
        return None
    return _least_squares(rows, weights, train, owner)


def _neighbours(model: Any, train: Examples, owner: str) -> Tensor:
    if model.n_neighbors >= len(train):
        raise NotApplicable(f"{owner}: more than n_neighbors + 1 = {model.n_neighbors + 1} examples are required, got {len(train)}. Use fewer neighbours")
    if model.metric == "precomputed":
        raise NotApplicable(f'{owner}: a metric of the inputs is required, got "precomputed"')
    try:
        shares = model.predict_proba(None)  # without inputs, of the fitted examples, none of which is a neighbour of itself
    except (TypeError, ValueError):
        raise NotApplicable(f"{owner}: scikit-learn 1.6 or newer is required for nearest neighbours") from None
    return _every_class(torch.from_numpy(shares), model, train, 0.0)


def _least_squares(rows: Tensor, weights: Tensor, train: Examples, owner: str) -> Tensor:
    """Minimum-norm least squares: (y - f)_i / (1 - H_ii) inside the span of the other rows, a_i / (XX')^+_ii with a = (XX')^+ y outside of it."""
    targets = functional.one_hot(train.labels, train.classes).double()
    left, values, _ = torch.linalg.svd(rows, full_matrices=False)
    kept = values**2 > max(rows.shape) * torch.finfo(rows.dtype).eps * values[0] ** 2  # as in LinearMinimumNorm
    left, values = left[:, kept], values[kept]
    projected = left.T @ targets
    fitted, leverage = left @ projected, left.square().sum(1, keepdim=True)
    _require_same(rows @ weights.T, fitted, owner, "the minimum-norm least-squares map (LinearMinimumNorm)")
    dual, diagonal = left @ (projected / values[:, None] ** 2), (left / values).square().sum(1, keepdim=True)
    inside = 1 - leverage > _CERTAIN
    return targets - torch.where(inside, (targets - fitted) / torch.where(inside, 1 - leverage, 1), dual / diagonal)


def _ridge(model: Any, train: Examples, owner: str) -> Tensor:
    if model.class_weight is not None or model.positive or not isinstance(model.alpha, int | float) or not model.alpha > 0 or train.columns is not None:
        raise NotApplicable(f"{owner}: a ridge classifier of numbers with one alpha > 0, without class weights and signs of coefficients, is required")
    inputs = train.inputs.flatten(1).double()
    rows = inputs - inputs.mean(0) if model.fit_intercept else inputs
    targets = 2 * (train.labels[:, None] == torch.as_tensor(model.classes_)).double() - 1
    left, values, _ = torch.linalg.svd(rows, full_matrices=False)
    shrunk = values**2 / (values**2 + model.alpha)
    mean = targets.mean(0) * model.fit_intercept
    fitted = mean + left @ (shrunk[:, None] * (left.T @ (targets - mean)))
    leverage = left.square() @ shrunk + model.fit_intercept / len(train)
    decided = torch.as_tensor(model.decision_function(inputs.float().numpy())).double()
    _require_same(torch.column_stack([-decided, decided]) if decided.ndim == 1 else decided, fitted, owner, "the exact solution of ridge regression")
    predictions = targets - (targets - fitted) / (1 - leverage[:, None])
    return (_every_class(predictions, model, train, predictions.min().item() - 1) + 1) / 2


def _every_class(values: Tensor, model: Any, train: Examples, absent: float) -> Tensor:
    whole = torch.full((len(train), train.classes), absent, dtype=torch.float64)
    whole[:, torch.as_tensor(model.classes_).long()] = values.double()
    return whole


def _require_same(scores: Tensor, fitted: Tensor, owner: str, required: str) -> None:
    distance = ((scores - fitted).norm() / fitted.norm()).item()
    if not distance <= _SAME:
        raise NotApplicable(f"{owner}: {required} is required, got scores {distance:.2g} away from it")
