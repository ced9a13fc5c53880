"""How much noise in proportion to each weight a network stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shatterlab.core import Examples, Fit, Measure
from shatterlab.measures._curvature import TrainingLoss, require_examples
from shatterlab.measures._perturbation import tolerated_deviation


@dataclass(frozen=True)
class MagnitudeAwareFlatness(Measure):
    """1 / s^2, for the largest s such that noise of standard deviation sqrt(s^2 theta_i^2 + e^2) raises the training error by at most a tenth.

    Noise in proportion to each weight, with a small floor e: where weights are doubled in one layer and halved in the next, this noise is
    doubled and halved with them, so but for the floor the number stays as it is.

    Args:
        rise: how much the mean training error may rise, a fraction in (0, 1).
        floor: e, a standard deviation, >= 0.
        draws: noise vectors, >= 1; each costs one pass over the examples a step.
        steps: halvings of the logarithm of s, >= 1: after k of them it is known to a factor of 10^(9 / 2^k).
        examples: how many training examples, evenly spread, the error is measured on, >= 1; None: all.
        seed: of the noise, >= 0.

    Returns:
        `deviation` (s, between 1e-7 and 100), `sharpness` (1 / s^2) and `rise` (of the error there).

    Raises:
        NotApplicable: the fitted model is no torch module, or it errs so much already that noise cannot raise its error.
        InvalidPart: a field is out of range.

    Source:
        Jiang et al. 2020, appendix C (magnitude-aware perturbations, e = 0.001).
    """

    rise: float = 0.1
    floor: float = 1e-3
    draws: int = 10
    steps: int = 14
    examples: int | None = None
    seed: int = 0

    def validate(self) -> None:
        self.require(0 < self.rise < 1, "rise is a fraction in (0, 1)", self.rise)
        self.require(self.floor >= 0, "floor is a standard deviation >= 0", self.floor)
        self.require(self.draws >= 1, "draws is a whole number >= 1", self.draws)
        self.require(self.steps >= 1, "steps is a whole number >= 1", self.steps)
        self.require(self.seed >= 0, "seed is a whole number >= 0", self.seed)
        require_examples(self, self.examples)

    @classmethod
    def specimens(cls) -> tuple[MagnitudeAwareFlatness, ...]:
        return (cls(draws=2, steps=5),)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind, self.examples)
        scales = tuple(value.abs() for value in loss.parameters)
        deviation, rise = tolerated_deviation(loss, scales, self.floor, self.rise, self.draws, self.steps, self.seed, self.kind)
        return {"deviation": deviation, "sharpness": deviation**-2, "rise": rise}
