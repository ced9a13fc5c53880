"""How far one label moves a kernel system, for every example and every other label, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples, Fit, Kernel, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures.leave_one_out import Inverse

_COLUMNS = 256  # examples whose replacement is looked at together


@dataclass(frozen=True)
class ReplaceOne(Measure):
    """The largest and the mean change of the squared loss when the label of one training example is replaced by another.

    A kernel system is linear in its labels: with H = K (K + lambda I)^-1, another label b in place of a at example i moves the scores of example j by H_ji
    (e_b - e_a). So no refit is needed, and all n (k - 1) replacements are looked at. The loss is that of `KernelInterpolation`, summed over classes, on the
    examples of the sample and on the replaced one with its new label. It is what twin runs sample from, and still a lower bound on uniform stability, whose
    worst case is over all samples and over inputs too.

    Args:
        examples: how many examples, evenly spread, have their labels replaced, >= 1; None: all.

    Returns:
        `largest` and `mean` (over replacements and points, of absolute changes of the loss), `own` (mean loss of an example when it was
        not seen with its label, less that when it was), `leverage`, the mean H_ii (1: every label is followed; 0: none is).

    Raises:
        NotApplicable: the fit keeps no factor of a kernel system.
        InvalidPart: the number of examples is out of range.

    Source:
        Bousquet, Elisseeff 2002, definition 6, with one example replaced.
    """

    examples: int | None = None

    def validate(self) -> None:
        self.require(self.examples is None or self.examples >= 1, "examples is a whole number >= 1 or None", self.examples)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        factor, kernel = getattr(fit.model, "factor", None), getattr(fit.model, "kernel", None)
        if not isinstance(factor, Inverse) or not isinstance(kernel, Kernel):
            wanted = f'{self.kind}: a factored kernel system is required, got {type(fit.model).__name__}. Fit KernelInterpolation(..., solver="direct")'
            raise NotApplicable(wanted)
        assert fit.model is not None
        inputs, residuals = fit.model.inputs.double(), fit.model.fitted.cpu().double() - functional.one_hot(train.labels, train.classes)
        positions = torch.linspace(0, len(train) - 1, min(self.examples or len(train), len(train))).long().unique()
        parts = [_changes(self._moved(kernel, factor, inputs, few), few, residuals, train.labels) for few in positions.split(_COLUMNS)]
        largest, total, own, leverage = (torch.stack(each) for each in zip(*parts, strict=True))
        replacements = len(positions) * (train.classes - 1)
        return {
            "largest": largest.max().item(),
            "mean": total.sum().item() / (replacements * (len(train) + 1)),
            "own": own.sum().item() / replacements,
            "leverage": leverage.sum().item() / len(positions),
        }

    @staticmethod
    def _moved(kernel: Kernel, factor: Inverse, inputs: Tensor, few: Tensor) -> Tensor:
        """H_ji for all j and these i; n x m."""
        return kernel.product(inputs, inputs, factor.inverse_columns(few).double().to(inputs.device)).cpu()


def _changes(moved: Tensor, positions: Tensor, residuals: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Largest and summed absolute changes over all other labels and points, and the summed rise of the loss of the replaced examples; summed H_ii."""
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
        seen = torch.cat([kept.flatten(), new]).abs()
        largest = torch.maximum(largest, seen.max()) if len(seen) else largest
        total, own = total + seen.sum(), own + change[positions, places][other].sum()
    return largest, total, own, moved[positions, places].sum()
