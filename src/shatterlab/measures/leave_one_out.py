"""What a kernel system would have said of each training example had it not seen it, in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable


@runtime_checkable
class Inverse(Protocol):
    """A factored system (K + lambda I), which knows its inverse."""

    def inverse_diagonal(self) -> Tensor:
        """The diagonal of the inverse, shape (n,)."""

    def inverse_columns(self, positions: Tensor) -> Tensor:
        """Some of its columns by float64; n x m."""


@dataclass(frozen=True)
class LeaveOneOut(Measure):
    """Leave-one-out predictions and memorization scores of all n examples, without a refit.

    With W = (K + lambda I)^-1 Y, the system without example i errs on it by W_i / [(K + lambda I)^-1]_ii, with or without
    ridge. The diagonal of the inverse costs n^3/3 multiplications, as much as the factor did. The memorization score
    of an example is 1[fit correct] - 1[leave-one-out prediction correct], in -1, 0, 1; its mean is leave-one-out error minus
    training error. The float32 factor gives that diagonal with a relative error, told as
    `inverse_error`: the largest on some examples whose column of the inverse is solved for in float64, to a relative residual of 1e-4.

    Args:
        sampled: how many examples, evenly spread, to judge that error on, >= 0; each costs as much as a class to fit.

    Returns:
        `error` (a fraction), `squared_residual` (mean over examples, summed over classes), `memorization` (mean score),
        `memorized` (share with score 1), `inverse_error`, and `undecided` (the share of examples whose leave-one-out prediction is
        right or wrong by less than that error; both None where nothing is sampled). Arrays in the order of the sample:
        `predictions` (n x k), `residuals` (n x k), `memorization_scores` (n).

    Raises:
        NotApplicable: the fit keeps no factor of a kernel system.

    Source:
        Allen 1974 (the PRESS statistic); memorization: Feldman, Zhang 2020, with one left-out refit in place of many.
    """

    sampled: int = 4

    def validate(self) -> None:
        self.require(self.sampled >= 0, "sampled is a whole number >= 0", self.sampled)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        factor = getattr(fit.model, "factor", None)
        if not isinstance(factor, Inverse):
            wanted = f'LeaveOneOut: a factored kernel system is required, got {type(fit.model).__name__}. Fit KernelInterpolation(..., solver="direct")'
            raise NotApplicable(wanted)
        assert fit.model is not None
        diagonal, weights, fitted = factor.inverse_diagonal().cpu(), fit.model.weights.cpu(), fit.model.fitted.cpu()
        inverse_error = _error(factor, diagonal, min(self.sampled, len(train)))
        residuals = weights / diagonal[:, None]
        predictions = functional.one_hot(train.labels, train.classes) - residuals
        right = predictions.argmax(1) == train.labels
        scores = (fitted.argmax(1) == train.labels).int() - right.int()
        return {
            "error": 1 - right.double().mean().item(),
            "squared_residual": residuals.square().sum(1).mean().item(),
            "memorization": scores.double().mean().item(),
            "memorized": (scores == 1).double().mean().item(),
            "inverse_error": inverse_error,
            "undecided": None if inverse_error is None else _undecided(predictions, residuals, train.labels, inverse_error),
            "predictions": predictions.float().numpy(),
            "residuals": residuals.float().numpy(),
            "memorization_scores": scores.numpy(),
        }


def _undecided(predictions: Tensor, residuals: Tensor, labels: Tensor, error: float) -> float:
    label = labels[:, None]
    lead = predictions.gather(1, label) - predictions.scatter(1, label, -torch.inf).amax(1, keepdim=True)
    room = error * (residuals.gather(1, label).abs() + residuals.scatter(1, label, 0).abs().amax(1, keepdim=True))
    return (lead.abs() <= room).double().mean().item()


def _error(factor: Inverse, diagonal: Tensor, count: int) -> float | None:
    if not count:
        return None
    positions = torch.linspace(0, len(diagonal) - 1, count).long().unique()
    true = factor.inverse_columns(positions).cpu()[positions, torch.arange(len(positions))]
    return (diagonal[positions] / true - 1).abs().max().item()
