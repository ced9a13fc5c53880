"""How much Gaussian noise on its weights a network tolerates."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._training_loss import TrainingLoss, Vectors, require_examples

_LEAST, _MOST = 1e-7, 1e2  # bounds of the search for the standard deviation


@dataclass(frozen=True)
class _ToleratedNoise(Measure):
    rise: float = 0.1
    draws: int = 10
    steps: int = 14
    examples: int | None = None
    seed: int = 0

    def validate(self) -> None:
        self.require(0 < self.rise < 1, "rise is a fraction in (0, 1)", self.rise)
        self.require(self.draws >= 1, "draws is a whole number >= 1", self.draws)
        self.require(self.steps >= 1, "steps is a whole number >= 1", self.steps)
        self.require(self.seed >= 0, "seed is a whole number >= 0", self.seed)
        require_examples(self, self.examples)

    @classmethod
    def specimens(cls) -> tuple[_ToleratedNoise, ...]:
        return (cls(draws=2, steps=5),)

    @abstractmethod
    def scales(self, loss: TrainingLoss) -> tuple[Vectors, float]:
        """Factor on the deviation for each parameter, and a further deviation that is the same for all."""

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind, self.examples)
        scales, floor = self.scales(loss)
        deviation, rise = tolerated_deviation(loss, scales, floor, self.rise, self.draws, self.steps, self.seed, self.kind)
        return {"deviation": deviation, "sharpness": deviation**-2, "rise": rise, **self.further_columns(deviation, loss, fit, len(train))}

    def further_columns(self, deviation: float, loss: TrainingLoss, fit: Fit, n: int) -> Mapping[str, Any]:
        """Columns that a subclass derives from the deviation on n examples; none by default."""
        return {}


@dataclass(frozen=True)
class Flatness(_ToleratedNoise):
    """1 / s^2, for the largest standard deviation s of Gaussian noise on every parameter that raises the training error by at most a tenth.

    It depends on how a function is written: weights doubled here and halved there change it, not the function.

    Args:
        rise: how much the mean training error may rise, a fraction in (0, 1).
        draws: noise vectors, >= 1; each costs one pass over the examples a step.
        steps: halvings of the logarithm of s, >= 1: after k of them it is known to a factor of 10^(9 / 2^k).
        examples: how many training examples, evenly spread, the error is measured on, >= 1; None: all.
        seed: of the noise, >= 0.

    Returns:
        `deviation` (s, 1e-7 to 100), `sharpness` (1 / s^2), `rise` (of the error there), `pac_bayes`, sqrt((|theta - theta_0|^2 / (4 s^2) + ln(n / s) + 10) /
        n), the leading terms of a bound (None without initial weights).

    Raises:
        NotApplicable: the fitted model is no torch module, or its error is so large already that noise cannot raise it.

    Source:
        Jiang et al. 2020, appendix C (PAC-Bayes flatness); Neyshabur et al. 2017; Dziugaite et al. 2020 for reading the noise as a standard deviation.
    """

    def scales(self, loss: TrainingLoss) -> tuple[Vectors, float]:
        return tuple(torch.ones_like(value) for value in loss.parameters), 0.0

    def further_columns(self, deviation: float, loss: TrainingLoss, fit: Fit, n: int) -> Mapping[str, Any]:
        if fit.initial is None:
            return {"pac_bayes": None}
        return {"pac_bayes": ((loss.moved(fit.initial) / (4 * deviation**2) + max(math.log(n / deviation), 0.0) + 10) / n) ** 0.5}


@dataclass(frozen=True)
class MagnitudeAwareFlatness(_ToleratedNoise):
    """1 / s^2, for the largest s such that noise of standard deviation sqrt(s^2 theta_i^2 + e^2) raises the training error by at most a tenth.

    Noise grows with each weight, so that weights doubled in one layer and halved in the next change nothing, except through the floor e.

    Args:
        rise: how much the mean training error may rise, a fraction in (0, 1).
        draws: noise vectors, >= 1; each costs one pass over the examples a step.
        steps: halvings of the logarithm of s, >= 1: after k of them it is known to a factor of 10^(9 / 2^k).
        examples: how many training examples, evenly spread, the error is measured on, >= 1; None: all.
        seed: of the noise, >= 0.
        floor: e, a standard deviation, >= 0.

    Returns:
        `deviation` (s, between 1e-7 and 100), `sharpness` (1 / s^2) and `rise` (of the error there).

    Raises:
        NotApplicable: the fitted model is no torch module, or its error is so large already that noise cannot raise it.

    Source:
        Jiang et al. 2020, appendix C (magnitude-aware perturbations, e = 0.001).
    """

    floor: float = 1e-3

    def validate(self) -> None:
        super().validate()
        self.require(self.floor >= 0, "floor is a standard deviation >= 0", self.floor)

    def scales(self, loss: TrainingLoss) -> tuple[Vectors, float]:
        return tuple(value.abs() for value in loss.parameters), self.floor


def tolerated_deviation(loss: TrainingLoss, scales: Vectors, floor: float, rise: float, draws: int, steps: int, seed: int, owner: str) -> tuple[float, float]:
    """The largest s for which noise of standard deviation sqrt(s^2 scale^2 + floor^2) raises the mean training error by at most `rise`.

    Args:
        loss: gives the training error at any parameters.
        scales: of each parameter.
        floor: a further standard deviation of every parameter.
        rise: of the training error, a fraction.
        draws: noise vectors to average over, the same for every s.
        steps: halvings of log s.
        seed: of the draws.
        owner: name used in errors.

    Returns:
        s and the mean rise there.

    Raises:
        NotApplicable: no s between 1e-7 and 100 marks the border, as for a fit whose error noise cannot raise.
    """
    before = loss.error(loss.parameters)

    def mean_rise(deviation: float) -> float:
        errors = [loss.error(noisy) for noisy in loss.perturbed(scales, floor, deviation, draws, seed)]
        return float(np.mean(errors)) - before

    low, high = _LEAST, _MOST
    rise_at_low, rise_at_high = mean_rise(low), mean_rise(high)
    if rise_at_low > rise or rise_at_high <= rise:
        got = f"noise of deviation {low:g} to {high:g} raises it by {rise_at_low:.3g} to {rise_at_high:.3g}"
        raise NotApplicable(f"{owner}: a training error that noise can raise by {rise:g} is required, from {before:.3g} {got}")
    for _ in range(steps):
        middle = (low * high) ** 0.5
        rise_at_middle = mean_rise(middle)
        if rise_at_middle <= rise:
            low, rise_at_low = middle, rise_at_middle
        else:
            high = middle
    return low, rise_at_low
