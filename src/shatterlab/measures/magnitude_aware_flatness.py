"""How much noise in proportion to each weight a network stands."""

from __future__ import annotations

from dataclasses import dataclass

from shatterlab.measures._curvature import TrainingLoss, Vectors
from shatterlab.measures._perturbation import ToleratedNoise


@dataclass(frozen=True)
class MagnitudeAwareFlatness(ToleratedNoise):
    """1 / s^2, for the largest s such that noise of standard deviation sqrt(s^2 theta_i^2 + e^2) raises the training error by at most a tenth.

    Noise in proportion to each weight, with a small floor e: where weights are doubled in one layer and halved in the next, this noise is
    doubled and halved with them, so but for the floor the number stays as it is.

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
        NotApplicable: the fitted model is no torch module, or it errs so much already that noise cannot raise its error.
        InvalidPart: a field is out of range.

    Source:
        Jiang et al. 2020, appendix C (magnitude-aware perturbations, e = 0.001).
    """

    floor: float = 1e-3

    def validate(self) -> None:
        super().validate()
        self.require(self.floor >= 0, "floor is a standard deviation >= 0", self.floor)

    def scales(self, loss: TrainingLoss) -> tuple[Vectors, float]:
        return tuple(value.abs() for value in loss.parameters), self.floor
