"""How much noise of one size on all weights a network stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from shatterlab.core import Fit
from shatterlab.measures._curvature import TrainingLoss, Vectors
from shatterlab.measures._perturbation import ToleratedNoise


@dataclass(frozen=True)
class Flatness(ToleratedNoise):
    """1 / s^2, for the largest standard deviation s of Gaussian noise on every parameter that raises the training error by at most a tenth.

    A flat minimum stands much noise, so it can be told in few digits. s is a standard deviation, s^2 the variance. The number
    depends on how a function is written: weights doubled here and halved there change it, not the function.

    Args:
        rise: how much the mean training error may rise, a fraction in (0, 1).
        draws: noise vectors, >= 1; each costs one pass over the examples a step.
        steps: halvings of the logarithm of s, >= 1: after k of them it is known to a factor of 10^(9 / 2^k).
        examples: how many training examples, evenly spread, the error is measured on, >= 1; None: all.
        seed: of the noise, >= 0.

    Returns:
        `deviation` (s, between 1e-7 and 100), `sharpness` (1 / s^2), `rise` (of the error there), and `pac_bayes`,
        sqrt((|theta - theta_0|^2 / (4 s^2) + ln(n / s) + 10) / n) where initial weights are known: the leading terms of a bound.

    Raises:
        NotApplicable: the fitted model is no torch module, or it errs so much already that noise cannot raise its error.
        InvalidPart: a field is out of range.

    Source:
        Jiang et al. 2020, appendix C (PAC-Bayes flatness); Neyshabur et al. 2017; Dziugaite et al. 2020 for reading the noise as a standard deviation.
    """

    def scales(self, loss: TrainingLoss) -> tuple[Vectors, float]:
        return tuple(torch.ones_like(value) for value in loss.parameters), 0.0

    def beside(self, deviation: float, loss: TrainingLoss, fit: Fit, n: int) -> Mapping[str, Any]:
        if fit.initial is None:
            return {"pac_bayes": None}
        return {"pac_bayes": ((loss.moved(fit.initial) / (4 * deviation**2) + max(math.log(n / deviation), 0.0) + 10) / n) ** 0.5}
