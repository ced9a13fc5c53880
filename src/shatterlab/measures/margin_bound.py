"""What the norm of a linear or kernel model says of its error."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._balls import ball
from shatterlab.measures._fitted import evaluated
from shatterlab.measures.margins import Margins
from shatterlab.theory.vc import fat_shattering

_QUANTILES = np.linspace(0, 0.99, 100)


@dataclass(frozen=True)
class MarginBound(Measure):
    """The Rademacher complexity of the ball of functions that are no longer than the fitted ones, and the margin bound that follows from it.

    With R_S of the ball of one class's score functions: true error <= (share of training margins below g) + 4 k R_S / g + 3 sqrt(ln(2/delta) / 2n). The ball
    is that of the largest norm of a class, and g is the quantile of the training margins that makes the bound least. Both were chosen on seeing the sample,
    for which a valid statement pays more: the figure is the least that such a bound can say, so where it is vacuous the bound is.

    Args:
        draws: sign vectors for the expectation in R_S, >= 1.
        delta: in (0, 1).

    Returns:
        `radius` and `reach` (the ball's norm, and the largest of an input), `complexity` (R_S) with its ends `low` and `high` (bounded differences, missed with
        probability 1e-6 at most), `margin` (g), `fat_shattering` (radius reach / g)^2 rounded down, `bound`, `vacuous` (1 where guessing is as good).

    Raises:
        NotApplicable: the model is neither linear nor a kernel expansion, or no training margin is positive.
        InvalidPart: a field is out of range.

    Source:
        Bartlett, Mendelson 2002, lemma 22; Kuznetsov, Mohri, Syed 2015 and Mohri, Rostamizadeh, Talwalkar 2018, theorem 9.2, with the complexity on the
        sample in place of its expectation as in their theorem 5.8; Bartlett, Shawe-Taylor 1999 (fat-shattering).
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
        found = functions.complexity(self.draws)
        candidates = [g for g in np.unique(np.quantile(margins, _QUANTILES)) if g > 0]
        if not candidates:
            raise NotApplicable(f"{self.kind}: a positive training margin is required, the largest of the lower 99 % is {np.quantile(margins, 0.99):.3g}")
        rest = 3 * math.sqrt(math.log(2 / self.delta) / (2 * len(train)))
        bound, margin = min((float((margins < g).mean()) + 4 * train.classes * found.value / g + rest, float(g)) for g in candidates)
        told = {"radius": functions.radius, "reach": functions.reach, "complexity": found.value, "low": found.low, "high": found.high, "margin": margin}
        dimension = fat_shattering(functions.radius, functions.reach, margin)
        return told | {"fat_shattering": float(dimension), "bound": bound, "vacuous": int(bound >= 1 - 1 / train.classes)}
