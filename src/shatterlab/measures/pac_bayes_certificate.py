"""A PAC-Bayes certificate for a network with noise on its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.measures._curvature import TrainingLoss
from shatterlab.measures._perturbation import perturbed
from shatterlab.theory.certificates import kl_inverse, pac_bayes


@dataclass(frozen=True)
class PACBayesCertificate(Measure):
    """Bounds the true error of the network with Gaussian noise of deviation s on every weight, as trained against as initialized.

    Prior N(theta_0, s^2), posterior N(theta, s^2): KL = |theta - theta_0|^2 / (2 s^2). Little noise keeps the training error low and makes
    the two far apart; much noise does the opposite. s is taken from a grid fixed beforehand, at the price of a union bound over it. The noisy
    net's training error is bounded from its mean over draws. Half of delta pays for that, half for the bound. It is the random net that is
    certified, not the fitted one. Batch norm's running statistics come from the sample and would have to be part of the prior: such a net has no bound.

    Args:
        draws: noise vectors for each s, >= 1; each costs one pass.
        delta: the certificate fails with at most this probability, in (0, 1).
        deviations: the grid of s, each > 0.
        seed: of the noise, >= 0.

    Returns:
        `bound`, `vacuous` (1 where guessing is as good), `deviation` (s), `divergence` (KL in nats), `noisy_error` (its upper bound on the training error), and
        `assumption`.

    Raises:
        NotApplicable: the fitted model is no torch module, its initial weights are not known, or it has buffers that training moves.
        InvalidPart: a field is out of range.

    Source:
        Dziugaite, Roy 2017, "Computing nonvacuous generalization bounds", without their optimization; Langford, Caruana 2002; Maurer 2004.
    """

    draws: int = 20
    delta: float = 0.05
    deviations: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    seed: int = 0

    def validate(self) -> None:
        self.require(self.draws >= 1, "draws is a whole number >= 1", self.draws)
        self.require(0 < self.delta < 1, "delta is a probability in (0, 1)", self.delta)
        self.require(self.deviations and min(self.deviations) > 0, "deviations are numbers > 0, at least one", self.deviations)
        self.require(self.seed >= 0, "seed is a whole number >= 0", self.seed)

    @classmethod
    def specimens(cls) -> tuple[PACBayesCertificate, ...]:
        return (cls(draws=2, deviations=(0.01, 0.1)),)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind)
        moved = loss.moved(loss.initial(fit, "the centre of the prior"))
        ones, share = tuple(torch.ones_like(value) for value in loss.parameters), self.delta / (2 * len(self.deviations))
        best: dict[str, Any] = {}
        for deviation in self.deviations:
            errors = [loss.error(noisy) for noisy in perturbed(loss, ones, 0.0, deviation, self.draws, self.seed)]
            noisy_error = kl_inverse(sum(errors) / self.draws, math.log(1 / share) / self.draws)
            divergence = moved / (2 * deviation**2)
            found = pac_bayes(noisy_error, divergence, len(train), share, train.classes)
            if not best or found.bound < best["bound"]:
                told = {"deviation": deviation, "divergence": divergence, "noisy_error": noisy_error, "assumption": found.assumption}
                best = {"bound": found.bound, "vacuous": int(found.vacuous), **told}
        return best
