"""How a fit changes when one example is left out or relabelled, in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples, Fit, Kernel, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._left_out import left_out, scores_of

_COLUMNS = 256  # examples replaced in one product


@runtime_checkable
class Inverse(Protocol):
    """A factored system (K + lambda I), which knows its inverse."""

    def inverse_diagonal(self) -> Tensor:
        """The diagonal of the inverse, shape (n,)."""

    def inverse_columns(self, positions: Tensor) -> Tensor:
        """Columns of the inverse by float64; n x m."""


@dataclass(frozen=True)
class LeaveOneOut(Measure):
    """Leave-one-out predictions and memorization scores of all n examples, without a refit.

    Kernel systems: with W = (K + lambda I)^-1 Y the system without example i errs on it by W_i / [(K + lambda I)^-1]_ii; the diagonal costs n^3/3
    multiplications. Least squares of minimum norm and ridge: (y - f)_i / (1 - H_ii) with f = H y, and the pseudo-inverse form where H_ii = 1. Nearest
    neighbours: each example is left out of its own. What was fitted to inputs before (a bandwidth, a standardization) stays as it is. The memorization score of
    an example is 1[fit correct] - 1[leave-one-out prediction correct].

    Args:
        sampled: how many examples of a kernel system, evenly spread, to estimate `inverse_error` on, >= 0; each costs as much as fitting one class.

    Returns:
        `error` (a fraction), `squared_residual` (mean over examples, summed over classes), `memorization` (mean score: training accuracy less leave-one-out
        accuracy), `memorized` (share with score 1),
        `inverse_error` (largest relative error of the sampled diagonal entries, against float64), `undecided` (share of examples whose prediction that error
        could turn; both None where nothing is sampled). Arrays in the order of the sample: `predictions` and `residuals` (n x k), `memorization_scores` (n).

    Raises:
        NotApplicable: the fit keeps no factor of a kernel system, and is no minimum-norm least-squares map, ridge classifier or nearest-neighbour classifier.

    Source:
        Allen 1974 (the PRESS statistic); memorization: Feldman, Zhang 2020, with one left-out refit in place of many.

    Example:
        >>> from shatterlab import Estimator, GaussianCloud
        >>> train = GaussianCloud(examples=40).load().train
        >>> fit = Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}).fit(train)  # right on all it has seen
        >>> values = LeaveOneOut().of(fit, train)
        >>> values["memorization"] == values["error"]
        True
    """

    sampled: int = 4

    def validate(self) -> None:
        self.require(self.sampled >= 0, "sampled is a whole number >= 0", self.sampled)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        targets = functional.one_hot(train.labels, train.classes)
        factor, inverse_error = getattr(fit.model, "factor", None), None
        if isinstance(factor, Inverse):
            assert fit.model is not None
            diagonal, fitted = factor.inverse_diagonal().cpu(), fit.model.fitted.cpu()
            inverse_error = _error(factor, diagonal, min(self.sampled, len(train)))
            residuals = fit.model.weights.cpu() / diagonal[:, None]
            predictions = targets - residuals
        else:
            predictions, fitted = self._in_closed_form(fit, train), scores_of(fit, train)
            residuals = targets - predictions
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

    def _in_closed_form(self, fit: Fit, train: Examples) -> Tensor:
        predictions = left_out(fit, train, self.kind)
        if predictions is None:
            required = f'LeaveOneOut: a factored kernel system is required, got {type(fit.model).__name__}. Fit KernelInterpolation(..., solver="direct")'
            raise NotApplicable(f"{required}, LinearMinimumNorm, a nearest-neighbour or a ridge classifier")
        return predictions


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


@dataclass(frozen=True)
class ReplaceOne(Measure):
    """The largest and the mean change of the squared loss when the label of one training example is replaced by another.

    With H = K (K + lambda I)^-1, label b in place of a at example i moves the scores of example j by H_ji (e_b - e_a): all n (k - 1) replacements cost no
    refit. The loss is summed over classes, on the examples and on the replaced one with its new label: a lower bound on uniform stability.

    Args:
        examples: how many examples, evenly spread, have their labels replaced, >= 1; None: all.

    Returns:
        `largest` and `mean` (over replacements and points, of absolute changes of the loss), `own` (mean loss of an example with a replaced label, less that
        with its own), `leverage`, the mean H_ii (1: every label is followed; 0: none is).

    Raises:
        NotApplicable: the fit keeps no factor of a kernel system.

    Source:
        Bousquet, Elisseeff 2002, definition 6, with one example replaced.
    """

    examples: int | None = None

    def validate(self) -> None:
        self.require(self.examples is None or self.examples >= 1, "examples is a whole number >= 1 or None", self.examples)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        factor, kernel = getattr(fit.model, "factor", None), getattr(fit.model, "kernel", None)
        if not isinstance(factor, Inverse) or not isinstance(kernel, Kernel):
            required = f'{self.kind}: a factored kernel system is required, got {type(fit.model).__name__}. Fit KernelInterpolation(..., solver="direct")'
            raise NotApplicable(required)
        assert fit.model is not None
        inputs, residuals = fit.model.inputs.double(), fit.model.fitted.cpu().double() - functional.one_hot(train.labels, train.classes)
        positions = torch.linspace(0, len(train) - 1, min(self.examples or len(train), len(train))).long().unique()
        parts = [_changes(self._moved(kernel, factor, inputs, batch), batch, residuals, train.labels) for batch in positions.split(_COLUMNS)]
        largest, total, own, leverage = (torch.stack(values) for values in zip(*parts, strict=True))
        replacements = len(positions) * (train.classes - 1)
        return {
            "largest": largest.max().item(),
            "mean": total.sum().item() / (replacements * (len(train) + 1)),
            "own": own.sum().item() / replacements,
            "leverage": leverage.sum().item() / len(positions),
        }

    @staticmethod
    def _moved(kernel: Kernel, factor: Inverse, inputs: Tensor, positions: Tensor) -> Tensor:
        return kernel.product(inputs, inputs, factor.inverse_columns(positions).double().to(inputs.device)).cpu()


def _changes(moved: Tensor, positions: Tensor, residuals: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from_label = residuals[:, labels[positions]]  # r_ja, n x m
    largest, total, own = torch.zeros(3, dtype=torch.float64).unbind()
    places = torch.arange(len(positions))
    for label in range(residuals.shape[1]):
        other = labels[positions] != label
        steps = residuals[:, label, None] - from_label
        change = 2 * moved * steps + 2 * moved.square()  # |r + h (e_b - e_a)|^2 - |r|^2
        at = moved[positions, places]
        twin = 2 * at * (steps[positions, places] - 2) + 2 * at.square()  # against its new label the residuals are e_a - e_b further away
        kept, new = change[:, other], twin[other]
        changes = torch.cat([kept.flatten(), new]).abs()
        largest = torch.maximum(largest, changes.max()) if len(changes) else largest
        total, own = total + changes.sum(), own + change[positions, places][other].sum()
    return largest, total, own, moved[positions, places].sum()
